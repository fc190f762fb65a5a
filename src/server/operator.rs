//! What the API hands on to whoever owns the engine.

use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;

use super::gate::Way;
use super::hooks::HookPlace;
use crate::core::care::{Backup, Collection};
use crate::core::id::RunId;
use crate::core::measures::Measures;
use crate::core::resume::ResumePlan;
use crate::core::token::Token;
use crate::view::{
    Acted, Admitted, CollectOrder, Delivered, Examination, NewToken, Order, Problem, ProblemKind, QueueView,
    ResumeOrder, ResumeTerms, Sent, ServedView, SignalView, Signalled, StartOrder, TokenOrder, TokenView,
    Unhold, code,
};
use crate::webhook::Headers;

/// Everything that is done, and what is not in the records. Implemented over the engine, and by a fake.
#[async_trait]
pub trait Operator: Send + Sync {
    /// Plans a resume without doing anything.
    async fn plan(&self, run: RunId, terms: ResumeTerms) -> Result<ResumePlan, Problem>;

    /// Does something to a run. When it returns, that is durable.
    async fn act(&self, run: RunId, order: Order) -> Result<Acted, Problem>;

    /// Takes a signal in. When it returns, that is durable, and so is whom it woke.
    async fn signal(&self, sent: Sent) -> Result<Signalled, Problem>;

    /// The signals that are kept, newest first.
    fn signals(&self) -> Result<Vec<SignalView>, Problem>;

    /// A place at a hook, for one delivery.
    fn hook(&self, hook: &str) -> Result<HookPlace, Problem> {
        Err(no_hook(hook))
    }

    /// Takes what was sent to a hook. When it returns, what it became is durable.
    async fn deliver(&self, place: HookPlace, _headers: Headers, _body: Bytes) -> Result<Delivered, Problem> {
        Err(no_hook(&place.hook))
    }

    /// Takes a backup to a file of this machine.
    async fn backup(&self, file: PathBuf, by: String) -> Result<Backup, Problem>;

    /// Removes what nobody needs, or says what would go. When it returns, that is durable.
    async fn collect(&self, _order: CollectOrder) -> Result<Collection, Problem> {
        Err(no_server())
    }

    /// Records a run, under a key once. When it returns, that is durable.
    async fn start(&self, _order: StartOrder, _key: Option<String>, _way: Way) -> Result<Admitted, Problem> {
        Err(no_server())
    }

    /// Goes on with a run. When it returns, that is durable.
    async fn resume(&self, _run: RunId, _order: ResumeOrder) -> Result<Admitted, Problem> {
        Err(no_server())
    }

    /// Lets begin what is held.
    async fn unhold(&self, _what: Unhold, _by: String) -> Result<QueueView, Problem> {
        Err(no_server())
    }

    /// The runs that wait.
    fn queue(&self) -> Result<QueueView, Problem> {
        Err(no_server())
    }

    /// The workflows that are started by name.
    fn workflows(&self) -> Result<Vec<ServedView>, Problem> {
        Err(no_server())
    }

    /// Looks at what a workflow that is served names outside. Changes nothing there.
    async fn examine(&self, _workflow: String, _by: String) -> Result<Examination, Problem> {
        Err(no_server())
    }

    /// Whether a workflow file was changed in what takes a restart.
    fn is_outdated(&self) -> bool {
        false
    }

    /// Whether the thread that writes works, which it stops for good when a write or a sync fails, and what
    /// was unfinished before goes on.
    async fn ready(&self) -> Result<(), Problem> {
        Ok(())
    }

    /// What a text that was presented is good for.
    fn token(&self, _text: &str) -> Option<Token> {
        None
    }

    /// Whether a token that was presented is good still: it may have been taken away.
    fn is_good(&self, _token: &Token) -> bool {
        true
    }

    /// The tokens.
    fn tokens(&self) -> Result<Vec<TokenView>, Problem> {
        Err(no_server())
    }

    /// Makes a token.
    async fn create_token(&self, _order: TokenOrder) -> Result<NewToken, Problem> {
        Err(no_server())
    }

    /// Takes a token away.
    async fn revoke_token(&self, _name: String, _by: String) -> Result<TokenView, Problem> {
        Err(no_server())
    }

    /// Tells of every run that a commit touches; `None` when the engine is ending.
    fn listen(&self) -> Option<broadcast::Receiver<RunId>> {
        None
    }

    /// What the engine counted since it began.
    fn measures(&self) -> Measures {
        Measures::default()
    }
}

/// What is answered by an engine that works on one run and ends with it.
pub fn no_server() -> Problem {
    let detail = "this engine works on one run and starts no others";
    Problem::new(ProblemKind::Refused, code::NO_SERVER, detail).next("milepost serve FILE")
}

/// What is answered when no hook is called so.
pub fn no_hook(hook: &str) -> Problem {
    Problem::new(ProblemKind::NotFound, code::HOOK_UNKNOWN, format!("there is no hook '{hook}'"))
}
