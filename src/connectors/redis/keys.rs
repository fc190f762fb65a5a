//! The port over Redis. A key is one value; a change is a compare-and-set of the whole value, so that
//! a claim and what was applied last are never seen apart. Time is the server's, so that engines
//! with different clocks agree on when a claim ends; the server forgets what is over by itself.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::client::Client;
use crate::core::claims::{self, Claim, Claimed, End, KeyId, KeyRow, Settled};
use crate::core::time::Timestamp;
use crate::ports::{Answered, Keys, KeysError};

/// What every value begins with: the version of its form.
const FORM: char = '1';
/// Most times a key is judged anew because somebody else was faster. Each time another claim was
/// granted or settled, so whoever asks is soon told to wait.
const ROUNDS_MAX: usize = 32;

/// Puts a value if the key still holds what was read (nothing: an empty text).
const PUT: &str = "\
    if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end \
    if ARGV[2] == '' then redis.call('DEL', KEYS[1]) \
    else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end \
    return 1";

/// Keys in Redis.
pub(super) struct RedisKeys {
    client: Client,
    prefix: String,
}

/// A value to be put where another one was read.
struct Put {
    /// Which of the questions it answers.
    at: usize,
    name: String,
    read: String,
    value: String,
    millis: u64,
}

impl RedisKeys {
    pub(super) fn new(client: Client, prefix: &str) -> Self {
        Self { client, prefix: prefix.to_owned() }
    }

    /// Judges questions about keys, in their order, each against the row that is there when its
    /// verdict counts. `None`: somebody else was faster every time.
    async fn judge<V: Send>(
        &self,
        ids: &[KeyId],
        judge: impl Fn(usize, &KeyRow, Timestamp) -> (V, Option<KeyRow>) + Send + Sync,
    ) -> Result<Vec<Option<V>>, KeysError> {
        let mut verdicts: Vec<Option<V>> = ids.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..ids.len()).collect();
        for _ in 0..ROUNDS_MAX {
            if open.is_empty() {
                break;
            }
            let (round, later) = first_of_each(&open, ids);
            let (now, rows) = self.read(&round, ids).await?;
            let mut puts = Vec::new();
            let mut judged = Vec::new();
            for (at, read) in round.into_iter().zip(rows) {
                let (verdict, next) = judge(at, &parse(&read)?, now);
                match next {
                    Some(row) => {
                        puts.push(self.put_of(at, ids[at], read, &row, now)?);
                        judged.push(verdict);
                    }
                    None => verdicts[at] = Some(verdict),
                }
            }
            open = later;
            for ((put, verdict), done) in puts.iter().zip(judged).zip(self.put(&puts).await?) {
                if done {
                    verdicts[put.at] = Some(verdict);
                } else {
                    open.push(put.at);
                }
            }
            open.sort_unstable();
        }
        Ok(verdicts)
    }

    async fn read(&self, round: &[usize], ids: &[KeyId]) -> Result<(Timestamp, Vec<String>), KeysError> {
        let mut question = redis::pipe();
        question.cmd("TIME");
        let get = question.cmd("MGET");
        for at in round {
            get.arg(self.name(ids[*at]));
        }
        let ((seconds, micros), values): ((u64, u64), Vec<Option<String>>) =
            self.client.ask(&question).await?;
        let now = Timestamp(seconds * 1_000 + micros / 1_000);
        Ok((now, values.into_iter().map(Option::unwrap_or_default).collect()))
    }

    async fn put(&self, puts: &[Put]) -> Result<Vec<bool>, KeysError> {
        if puts.is_empty() {
            return Ok(Vec::new());
        }
        let mut question = redis::pipe();
        for put in puts {
            let eval = question.cmd("EVAL").arg(PUT).arg(1).arg(&put.name);
            eval.arg(&put.read).arg(&put.value).arg(put.millis);
        }
        self.client.ask(&question).await
    }

    fn put_of(
        &self,
        at: usize,
        id: KeyId,
        read: String,
        row: &KeyRow,
        now: Timestamp,
    ) -> Result<Put, KeysError> {
        let value = if *row == KeyRow::default() {
            String::new()
        } else {
            let json = serde_json::to_string(row).map_err(|error| KeysError(error.to_string()))?;
            format!("{FORM}{json}")
        };
        let left = claims::expires(row).since(now).as_millis();
        let millis = u64::try_from(left).unwrap_or(u64::MAX).max(1);
        Ok(Put { at, name: self.name(id), read, value, millis })
    }

    fn name(&self, id: KeyId) -> String {
        format!("{}{:032x}", self.prefix, id.0)
    }
}

/// The questions that can be asked in one go, and those about a key that is among them already.
fn first_of_each(open: &[usize], ids: &[KeyId]) -> (Vec<usize>, Vec<usize>) {
    let mut seen = BTreeSet::new();
    open.iter().partition(|at| seen.insert(ids[**at]))
}

fn parse(value: &str) -> Result<KeyRow, KeysError> {
    let mut letters = value.chars();
    match letters.next() {
        None => Ok(KeyRow::default()),
        Some(FORM) => serde_json::from_str(letters.as_str())
            .map_err(|error| KeysError(format!("a key in Redis is damaged: {error}"))),
        Some(other) => Err(KeysError(format!(
            "a key in Redis has form '{other}', which this version of milepost does not know"
        ))),
    }
}

#[async_trait]
impl Keys for RedisKeys {
    async fn claim(&self, claims: &[Claim]) -> Result<Answered<Claimed>, KeysError> {
        let ids: Vec<KeyId> = claims.iter().map(|claim| claim.id).collect();
        let judged = self.judge(&ids, |at, row, now| claims::claim(row, &claims[at], now)).await?;
        // Its end is not known; whoever asks does so again long before.
        let crowded = Claimed::Busy { until: Timestamp(u64::MAX) };
        let verdicts = judged.into_iter().map(|verdict| verdict.unwrap_or_else(|| crowded.clone())).collect();
        Ok(Answered { verdicts, changes: Vec::new() })
    }

    async fn settle(&self, ends: &[(Claim, End)]) -> Result<Answered<Settled>, KeysError> {
        let ids: Vec<KeyId> = ends.iter().map(|(claim, _)| claim.id).collect();
        let judged =
            self.judge(&ids, |at, row, now| claims::settle(row, &ends[at].0, &ends[at].1, now)).await?;
        let crowded = || KeysError("too many engines are at the same key in Redis".to_owned());
        let verdicts =
            judged.into_iter().map(|verdict| verdict.ok_or_else(crowded)).collect::<Result<_, _>>()?;
        Ok(Answered { verdicts, changes: Vec::new() })
    }
}
