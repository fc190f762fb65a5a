//! The API over a real socket, read with the real client.

mod act_stories;
mod forged_stories;
mod hook_stories;
mod limit_stories;
mod network_stories;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdListener;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::*;
use crate::client::{self, Client};
use crate::config::Options;
use crate::core::care::Backup;
use crate::core::id::RunId;
use crate::core::ledger::Verdict;
use crate::core::resume::ResumePlan;
use crate::core::run::Status;
use crate::core::time::Timestamp;
use crate::core::token::{Scope, Token};
use crate::view::{
    Acted, Action, Delivered, Doubtful, EffectFilter, ItemFilter, LetterQuery, Order, ResumeTerms, RunFilter,
    Sent, SignalView, Signalled, UnitStatus, When,
};
use crate::view::{code, fake};
use crate::webhook::{Delivery, Headers};

struct Fake {
    /// Places at all hooks.
    places: Arc<Semaphore>,
    /// Places at the one that there is.
    places_of_hook: Arc<Semaphore>,
}

impl Fake {
    fn with_places(of_all: usize, of_hook: usize) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { places: places(of_all), places_of_hook: places(of_hook) }
    }
}

#[async_trait]
impl Operator for Fake {
    async fn plan(&self, run: RunId, terms: ResumeTerms) -> Result<ResumePlan, Problem> {
        if run == RunId(1 << 100) && terms.items == ["a&b", "#4"] {
            return Ok(ResumePlan {
                run,
                hash: "4f1c".into(),
                reuse: vec![],
                execute: vec![],
                in_doubt: vec![],
                doubts: 1,
                done: 0,
                stays: vec![],
                changes: crate::core::redefine::Changes::default(),
            });
        }
        Err(Problem::new(ProblemKind::Refused, code::RESUME_REFUSED, "it is running"))
    }

    async fn act(&self, run: RunId, order: Order) -> Result<Acted, Problem> {
        let by = match order.action {
            Action::Close => order.by,
            other => format!("{} with {other:?}", order.by),
        };
        if run == RunId(1 << 100) {
            Ok(Acted { run, status: Status::Failed, message: format!("closed by {by}"), next: vec![] })
        } else {
            Err(Problem::new(ProblemKind::Refused, code::ACT_REFUSED, "it is being worked on"))
        }
    }

    async fn signal(&self, sent: Sent) -> Result<Signalled, Problem> {
        let Sent { signal, key, id, .. } = sent;
        let (woke, kept_until) = (u64::from(key == "SKU-1"), When(Timestamp(0)));
        Ok(Signalled { signal, key, id, known: false, woke, too_old_for: 0, kept_until })
    }

    fn signals(&self) -> Result<Vec<SignalView>, Problem> {
        Ok(Vec::new())
    }

    fn hook(&self, hook: &str) -> Result<HookPlace, Problem> {
        if hook != "pim" {
            return Err(no_hook(hook));
        }
        let full = |code| move |_| Problem::new(ProblemKind::Unready, code, "later");
        let of_hook = Arc::clone(&self.places_of_hook).try_acquire_owned().map_err(full(code::HOOK_BUSY))?;
        let of_all = Arc::clone(&self.places).try_acquire_owned().map_err(full(code::HOOK_LATER))?;
        let permits = [of_hook, of_all];
        Ok(HookPlace { hook: hook.to_owned(), body_max: hook_stories::BODY_MAX, permits })
    }

    /// Whatever is sent is proven by one header, and comes back.
    async fn deliver(&self, place: HookPlace, headers: Headers, body: Bytes) -> Result<Delivered, Problem> {
        let source = hook_stories::source();
        let proven = source.verify(Delivery { headers: &headers, body: &body }, Timestamp(0));
        proven.map_err(|_| Problem::new(ProblemKind::Forbidden, code::UNPROVEN, "not proven"))?;
        Ok(Delivered { hook: place.hook, signalled: None })
    }

    async fn backup(&self, file: PathBuf, _: String) -> Result<Backup, Problem> {
        if file.starts_with("/backups") {
            Ok(Backup { file: file.display().to_string(), rows: 7, ..Backup::default() })
        } else {
            Err(Problem::new(ProblemKind::Internal, code::BACKUP, "there is no such directory"))
        }
    }

    fn token(&self, text: &str) -> Option<Token> {
        let scope = match text {
            "looks" => Scope::Read,
            "acts" => Scope::Operate,
            _ => return None,
        };
        let (name, by) = (text.to_owned(), "ana".to_owned());
        Some(Token { name, scope, sha256: String::new(), created_at: fake::START, created_by: by })
    }
}

pub(super) fn service() -> Service {
    let fake = Fake::with_places(1, 1);
    Service { archive: fake::archive(true), operator: Arc::new(fake), anonymous: Anonymous::Nothing }
}

fn state() -> (TempDir, Options) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new(directory.path());
    (directory, options)
}

fn refused(error: client::Error) -> Problem {
    match error {
        client::Error::Refused(problem) => problem,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_read_comes_back_as_it_was() {
    let (_directory, options) = state();
    let archive = service().archive;
    let _serving = listen(&options, service()).unwrap();
    let client = Client::beside(&options).unwrap().unwrap();
    let filter = RunFilter { status: Some(Status::Failed), ..RunFilter::default() };
    assert_eq!(client.runs(&filter).await.unwrap(), archive.runs(&filter).unwrap());
    assert_eq!(client.show("@latest").await.unwrap(), archive.show("@latest").unwrap());
    let filter = ItemFilter {
        status: Some(UnitStatus::DeadLettered),
        step: Some("pim".into()),
        key: Some("K".into()),
        after: Some(1),
        limit: Some(10),
    };
    assert_eq!(client.items("@failed", &filter).await.unwrap(), archive.items("@failed", &filter).unwrap());
    assert_eq!(client.item("@failed", "#4").await.unwrap(), archive.item("@failed", "#4").unwrap());
    let filter = EffectFilter {
        step: Some("pim".into()),
        verdict: Some(Verdict::Done),
        doubt: Some(Doubtful::Any),
        limit: Some(3),
        ..EffectFilter::default()
    };
    assert_eq!(
        client.effects("@latest", &filter).await.unwrap(),
        archive.effects("@latest", &filter).unwrap()
    );
    let counts = client.effect_counts("@latest").await.unwrap();
    assert_eq!(counts, archive.effect_counts("@latest").unwrap());
    let query = LetterQuery { step: Some("pim".into()), since: Some(fake::START), ..LetterQuery::default() };
    assert_eq!(client.dead_letters(&query).await.unwrap(), archive.dead_letters(&query).unwrap());
    let story = client.dead_letter("@latest", "#4").await.unwrap();
    assert_eq!(story, archive.dead_letter("@latest", "#4").unwrap());
    assert_eq!(client.events("@failed", 1, None).await.unwrap(), archive.events("@failed", 1, None).unwrap());
    assert_eq!(client.causes("@failed", 5).await.unwrap(), archive.causes("@failed", 5).unwrap());
    let terms = ResumeTerms { items: vec!["a&b".into(), "#4".into()], ..ResumeTerms::default() };
    assert_eq!(client.plan("@failed", &terms).await.unwrap().plan, "4f1c");
}

#[tokio::test]
async fn an_action_is_done_by_whoever_owns_the_run_and_its_refusal_keeps_its_code() {
    let (_directory, options) = state();
    let _serving = listen(&options, service()).unwrap();
    let client = Client::beside(&options).unwrap().unwrap();
    let order = Order { action: Action::Close, by: "ana".into() };
    let acted = client.act("@failed", &order).await.unwrap();
    assert_eq!((acted.run, acted.message.as_str()), (RunId(1 << 100), "closed by ana"));
    let error = refused(client.act("@latest", &order).await.unwrap_err());
    assert_eq!((error.kind, error.code.as_str()), (ProblemKind::Refused, code::ACT_REFUSED));
    let unknown = refused(client.act("run_zzz", &order).await.unwrap_err());
    assert_eq!(unknown.code, code::RUN_UNKNOWN);
}

#[tokio::test]
async fn what_is_refused_keeps_its_code_and_candidates() {
    let (_directory, options) = state();
    let _serving = listen(&options, service()).unwrap();
    let client = Client::beside(&options).unwrap().unwrap();
    let unknown = refused(client.show("run_zzz").await.unwrap_err());
    assert_eq!((unknown.kind, unknown.code.as_str()), (ProblemKind::NotFound, code::RUN_UNKNOWN));
    assert_eq!((unknown.candidates.len(), unknown.next[0].as_str()), (2, "milepost list"));
    let odd = refused(client.item("@latest", "a/b ?&#ü").await.unwrap_err());
    assert!(odd.detail.contains("'a/b ?&#ü'"), "{odd}");
    let running = refused(client.plan("@latest", &ResumeTerms::default()).await.unwrap_err());
    assert_eq!((running.kind, running.code.as_str()), (ProblemKind::Refused, code::RESUME_REFUSED));
}

#[tokio::test]
async fn a_backup_is_taken_by_the_engine_or_refused_in_its_words() {
    let (_directory, options) = state();
    let _serving = listen(&options, service()).unwrap();
    let client = Client::beside(&options).unwrap().unwrap();
    let taken = client.backup(std::path::Path::new("/backups/today"), "ana").await.unwrap();
    assert_eq!((taken.file.as_str(), taken.rows), ("/backups/today", 7));
    let elsewhere = refused(client.backup(std::path::Path::new("/elsewhere"), "ana").await.unwrap_err());
    assert_eq!((elsewhere.kind, elsewhere.code.as_str()), (ProblemKind::Internal, code::BACKUP));
    let relative = refused(client.backup(std::path::Path::new("today"), "ana").await.unwrap_err());
    assert_eq!((relative.kind, relative.code.as_str()), (ProblemKind::Invalid, code::API_QUERY));
}

#[tokio::test]
async fn mistakes_in_a_request_are_problem_documents_too() {
    let (_directory, options) = state();
    let serving = listen(&options, service()).unwrap();
    let ask = async |method: &str, path: &str, body: &str| {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::UnixStream::connect(serving.path()).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("application/problem+json"), "{answer}");
        answer.split("\r\n\r\n").nth(1).unwrap().to_owned()
    };
    insta::assert_snapshot!(ask("GET", "/v2", "").await, @r#"{"title":"Not Found","status":404,"kind":"not_found","code":"E1201","detail":"there is nothing at this path; begin with /v1/runs"}"#);
    insta::assert_snapshot!(ask("PUT", "/v1/runs", "").await, @r#"{"title":"Method Not Allowed","status":405,"kind":"invalid","code":"E1202","detail":"this path is not asked like this: /openapi.json has every path with its methods"}"#);
    insta::assert_snapshot!(ask("GET", "/v1/runs?stats=failed", "").await, @r#"{"title":"Bad Request","status":400,"kind":"invalid","code":"E1203","detail":"Failed to deserialize query string: stats: unknown field `stats`, expected one of `status`, `workflow`, `search`, `after`, `limit`"}"#);
    let wrong = ask("POST", "/v1/runs/@failed/actions", r#"{"action":"explode","by":"ana"}"#).await;
    assert!(wrong.contains(code::API_BODY) && wrong.contains("unknown variant `explode`"), "{wrong}");
}

#[tokio::test]
async fn the_socket_is_private_replaces_a_stale_one_and_goes_away() {
    let (_directory, options) = state();
    drop(StdListener::bind(options.socket()).unwrap());
    let stale = Client::beside(&options).unwrap().unwrap();
    let error = stale.show("@latest").await.unwrap_err();
    assert!(matches!(error, client::Error::Unreachable(_)), "{error}");
    let serving = listen(&options, service()).unwrap();
    let mode = std::fs::metadata(serving.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(stale.show("@latest").await.is_ok());
    drop(serving);
    assert!(Client::beside(&options).unwrap().is_none());
}

#[tokio::test]
async fn a_deep_state_directory_is_served_from_a_short_path() {
    let (directory, _) = state();
    let deep = directory.path().join("d".repeat(60)).join("e".repeat(60));
    std::fs::create_dir_all(&deep).unwrap();
    let options = Options::new(deep);
    let serving = listen(&options, service()).unwrap();
    assert!(serving.path().as_os_str().len() < 100);
    let client = Client::beside(&options).unwrap().unwrap();
    assert!(client.show("@latest").await.is_ok());
    let short = serving.path().to_path_buf();
    drop(serving);
    assert!(!short.exists() && !options.socket_note().exists());
}
