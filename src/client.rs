//! The HTTP API, for a command beside a running engine.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::Options;
use crate::core::care::{Backup, Collection};
use crate::server::BackupRequest;
use crate::view::{
    Acted, Admitted, Causes, CollectOrder, EffectCounts, EffectFilter, EffectPage, EventPage, ItemFilter,
    ItemPage, ItemStory, LetterPage, LetterQuery, LetterStory, NewToken, Order, PlanView, Problem, QueueView,
    ResumeOrder, ResumeTerms, RunFilter, RunList, RunView, Sent, SignalView, Signalled, StartOrder,
    TokenOrder, TokenView, UnholdOrder,
};

/// Longest wait for an answer: a plan over a million items takes seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);
/// Longest wait for a backup, or a collection: many gigabytes of pinned sources.
const CARE_TIMEOUT: Duration = Duration::from_hours(6);
/// The host of a URL over a socket means nothing, but there must be one.
const BASE: &str = "http://milepost";

/// A call that brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No engine listens: there is no socket, or a stale one.
    #[error("no engine answers at {0}")]
    Unreachable(String),
    /// The engine answered that it does not.
    #[error(transparent)]
    Refused(Problem),
    /// The engine went away, or answered something else.
    #[error("the engine gave no usable answer: {0}")]
    Broken(String),
}

/// A running engine.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    /// Where it is, as people are told.
    place: String,
}

impl Client {
    /// The engine that serves this state directory. `None` when there is no socket; whether an
    /// engine answers on it is known after the first call.
    pub fn beside(options: &Options) -> Result<Option<Self>, Error> {
        find_socket(options).map(|socket| Self::new(&socket)).transpose()
    }

    /// The engine behind a socket.
    pub fn new(socket: &Path) -> Result<Self, Error> {
        let http = builder().unix_socket(socket.to_path_buf());
        Self::over(http, BASE, socket.display().to_string())
    }

    /// The server at a URL, to which whoever asks presents this token.
    pub fn at(server: &str, token: Option<&str>) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.map_err(|_| Error::Broken("the token has odd letters".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Self::over(builder().default_headers(headers), server, server.to_owned())
    }

    fn over(http: ClientBuilder, base: &str, place: String) -> Result<Self, Error> {
        let http = http.build().map_err(|error| Error::Broken(chain(&error)))?;
        let base = Url::parse(base).map_err(|error| Error::Broken(format!("{place}: {error}")))?;
        Ok(Self { http, base, place })
    }

    /// The runs, newest first.
    pub async fn runs(&self, filter: &RunFilter) -> Result<RunList, Error> {
        self.get(&["runs"], filter).await
    }

    /// One run with its steps.
    pub async fn show(&self, run: &str) -> Result<RunView, Error> {
        self.get(&["runs", run], &()).await
    }

    /// A page of items.
    pub async fn items(&self, run: &str, filter: &ItemFilter) -> Result<ItemPage, Error> {
        self.get(&["runs", run, "items"], filter).await
    }

    /// Everything about one item.
    pub async fn item(&self, run: &str, item: &str) -> Result<ItemStory, Error> {
        self.get(&["runs", run, "items", item], &()).await
    }

    /// A page of events.
    pub async fn events(&self, run: &str, from: u64, limit: Option<usize>) -> Result<EventPage, Error> {
        self.get(&["runs", run, "events"], &serde_json::json!({ "from": from, "limit": limit })).await
    }

    /// Dead letters and doubts by cause.
    pub async fn causes(&self, run: &str, limit: usize) -> Result<Causes, Error> {
        self.get(&["runs", run, "causes"], &serde_json::json!({ "limit": limit })).await
    }

    /// A page of the effect ledger.
    pub async fn effects(&self, run: &str, filter: &EffectFilter) -> Result<EffectPage, Error> {
        self.get(&["runs", run, "effects"], filter).await
    }

    /// How many effects are known how.
    pub async fn effect_counts(&self, run: &str) -> Result<EffectCounts, Error> {
        self.get(&["runs", run, "effect-counts"], &()).await
    }

    /// A page of dead letters.
    pub async fn dead_letters(&self, query: &LetterQuery) -> Result<LetterPage, Error> {
        self.get(&["dead-letters"], query).await
    }

    /// Everything about an item, its record included.
    pub async fn dead_letter(&self, run: &str, item: &str) -> Result<LetterStory, Error> {
        self.get(&["runs", run, "dead-letters", item], &()).await
    }

    /// What a resume on these terms would do.
    pub async fn plan(&self, run: &str, terms: &ResumeTerms) -> Result<PlanView, Error> {
        let terms = serde_json::to_string(terms).map_err(|error| Error::Broken(error.to_string()))?;
        self.get(&["runs", run, "plan"], &serde_json::json!({ "terms": terms })).await
    }

    /// Does something to a run. When it returns, what was done is durable.
    pub async fn act(&self, run: &str, order: &Order) -> Result<Acted, Error> {
        self.answer(self.http.post(self.url(&["runs", run, "actions"], &())?).json(order)).await
    }

    /// Sends a signal. When it returns, it is durable, and so is whom it woke.
    pub async fn signal(&self, sent: &Sent) -> Result<Signalled, Error> {
        self.answer(self.http.post(self.url(&["signals"], &())?).json(sent)).await
    }

    /// The signals that are kept, newest first.
    pub async fn signals(&self) -> Result<Vec<SignalView>, Error> {
        self.get(&["signals"], &()).await
    }

    /// Lets the engine write a backup to an absolute path of its machine.
    pub async fn backup(&self, file: &Path, by: &str) -> Result<Backup, Error> {
        let request = self.http.post(self.url(&["state", "backup"], &())?).timeout(CARE_TIMEOUT);
        let body = serde_json::json!(BackupRequest { file: file.to_owned(), by: by.to_owned() });
        self.answer(request.json(&body)).await
    }

    /// Lets the engine remove what nobody needs, or say what would go.
    pub async fn collect(&self, order: &CollectOrder) -> Result<Collection, Error> {
        let request = self.http.post(self.url(&["state", "gc"], &())?).timeout(CARE_TIMEOUT);
        self.answer(request.json(order)).await
    }

    /// Starts a run, under a key once.
    pub async fn start(&self, order: &StartOrder, key: Option<&str>) -> Result<Admitted, Error> {
        let request = self.http.post(self.url(&["runs"], &())?).json(order);
        self.answer(match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        })
        .await
    }

    /// Goes on with a run.
    pub async fn resume(&self, run: &str, order: &ResumeOrder) -> Result<Admitted, Error> {
        self.answer(self.http.post(self.url(&["runs", run, "resume"], &())?).json(order)).await
    }

    /// The runs that wait in a server.
    pub async fn queue(&self) -> Result<QueueView, Error> {
        self.get(&["queue"], &()).await
    }

    /// Lets begin what a server holds.
    pub async fn unpause(&self, order: &UnholdOrder) -> Result<QueueView, Error> {
        self.answer(self.http.post(self.url(&["unpause"], &())?).json(order)).await
    }

    /// Makes a token.
    pub async fn create_token(&self, order: &TokenOrder) -> Result<NewToken, Error> {
        self.answer(self.http.post(self.url(&["tokens"], &())?).json(order)).await
    }

    /// The tokens, the oldest first.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, Error> {
        self.get(&["tokens"], &()).await
    }

    /// Takes a token away.
    pub async fn revoke_token(&self, name: &str, by: &str) -> Result<TokenView, Error> {
        self.answer(self.http.delete(self.url(&["tokens", name], &serde_json::json!({ "by": by }))?)).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &impl Serialize) -> Result<T, Error> {
        self.answer(self.http.get(self.url(path, query)?)).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, Error> {
        let answer = request.send().await.map_err(|error| {
            if error.is_connect() {
                Error::Unreachable(self.place.clone())
            } else {
                Error::Broken(chain(&error))
            }
        })?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| Error::Broken(chain(&error)))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| Error::Broken(error.to_string()));
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(Error::Refused(problem)),
            Err(_) => Err(Error::Broken(format!("status {status}"))),
        }
    }

    fn url(&self, path: &[&str], query: &impl Serialize) -> Result<Url, Error> {
        let broken = |error: &dyn std::fmt::Display| Error::Broken(error.to_string());
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().push("v1").extend(path)),
            Err(()) => return Err(broken(&"the address has no path")),
        }
        if let Value::Object(fields) = serde_json::to_value(query).map_err(|error| broken(&error))? {
            for (name, value) in fields {
                match value {
                    Value::Null => {}
                    Value::String(text) => drop(url.query_pairs_mut().append_pair(&name, &text)),
                    other => drop(url.query_pairs_mut().append_pair(&name, &other.to_string())),
                }
            }
        }
        Ok(url)
    }
}

/// The socket of a state directory, or wherever the note beside it points.
fn find_socket(options: &Options) -> Option<PathBuf> {
    let usual = options.socket();
    if usual.exists() {
        return Some(usual);
    }
    let note = fs::read(options.socket_note()).ok()?;
    let noted = PathBuf::from(OsString::from_vec(note));
    noted.exists().then_some(noted)
}

fn builder() -> ClientBuilder {
    // The HTTP client wants a TLS provider even where it will never speak TLS; when somebody has chosen
    // one already, that one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A token goes where it was meant to go and nowhere else.
    reqwest::Client::builder().timeout(ANSWER_TIMEOUT).redirect(Policy::none())
}

/// An error with its causes: the outermost one alone says little.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
