//! Where reads come from: a running engine, if there is one beside us, else the store itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Context;
use super::failure::Failure;
use crate::app::{Engine, OpenError};
use crate::client::{self, Client};
use crate::config::Options;
use crate::view::{
    Archive, Causes, EffectCounts, EffectFilter, EffectPage, EventPage, ItemFilter, ItemPage, ItemStory,
    LetterPage, LetterQuery, LetterStory, PlanView, Problem, ProblemKind, ResumeTerms, RunFilter, RunList,
    RunView, code,
};

/// How long we try again when the store is held but nobody answers: two reads at once hold it for
/// milliseconds, and an engine that just started is about to listen.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// Opens the state directory to work in it. Another engine that answers ends that at once; a read
/// that holds the store for a moment does not.
pub(super) async fn open_to_work(context: &Context) -> Result<Engine, Failure> {
    if context.server.is_some() {
        let detail = "this works in a state directory, and a server was named instead";
        return Err(Problem::new(ProblemKind::Invalid, code::USAGE, detail).next("milepost --help").into());
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Engine::open(&context.options).await {
            Ok(engine) => return Ok(engine),
            Err(OpenError::Held { .. })
                if Instant::now() < deadline && answering(&context.options).await?.is_none() =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The engine beside us, if there is one and it answers.
pub(super) async fn answering(options: &Options) -> Result<Option<Client>, Failure> {
    let Some(client) = Client::beside(options)? else { return Ok(None) };
    match client.runs(&RunFilter { limit: Some(1), ..RunFilter::default() }).await {
        Ok(_) => Ok(Some(client)),
        Err(client::Error::Refused(problem)) => Err(problem.into()),
        // Stale, or ending right now: the store tells.
        Err(client::Error::Unreachable(_) | client::Error::Broken(_)) => Ok(None),
    }
}

/// Where reads come from.
pub(super) enum Reader {
    /// A running engine.
    Beside(Client),
    /// The store, which this process holds while it reads.
    Store { archive: Archive, engine: Arc<Engine> },
    /// There is no state directory, and looking for runs is no reason to make one.
    Nothing(String),
}

impl Reader {
    /// Finds out where reads come from.
    pub(super) async fn open(context: &Context) -> Result<Self, Failure> {
        if let Some(server) = &context.server {
            return Ok(Self::Beside(server.client()?));
        }
        let options = &context.options;
        if !options.state.is_dir() {
            return Ok(Self::Nothing(options.state().to_string()));
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(client) = answering(options).await? {
                return Ok(Self::Beside(client));
            }
            match Engine::open(options).await {
                Ok(engine) => {
                    return Ok(Self::Store { archive: engine.archive(), engine: Arc::new(engine) });
                }
                Err(OpenError::Held { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether a running engine answers.
    pub(super) fn is_beside(&self) -> bool {
        matches!(self, Self::Beside(_))
    }

    /// The runs, newest first.
    pub(super) async fn runs(&self, filter: &RunFilter) -> Result<RunList, Failure> {
        match self {
            Self::Beside(client) => Ok(client.runs(filter).await?),
            Self::Store { archive, .. } => Ok(archive.runs(filter)?),
            Self::Nothing(_) => Ok(RunList { runs: Vec::new(), total: 0, next: None }),
        }
    }

    /// One run with its steps.
    pub(super) async fn show(&self, run: &str) -> Result<RunView, Failure> {
        match self {
            Self::Beside(client) => Ok(client.show(run).await?),
            Self::Store { archive, .. } => Ok(archive.show(run)?),
            Self::Nothing(state) => Err(nothing(state)),
        }
    }

    /// A page of items.
    pub(super) async fn items(&self, run: &str, filter: &ItemFilter) -> Result<ItemPage, Failure> {
        match self {
            Self::Beside(client) => Ok(client.items(run, filter).await?),
            Self::Store { archive, .. } => Ok(archive.items(run, filter)?),
            Self::Nothing(state) => Err(nothing(state)),
        }
    }

    /// Everything about one item.
    pub(super) async fn item(&self, run: &str, item: &str) -> Result<ItemStory, Failure> {
        match self {
            Self::Beside(client) => Ok(client.item(run, item).await?),
            Self::Store { archive, .. } => Ok(archive.item(run, item)?),
            Self::Nothing(state) => Err(nothing(state)),
        }
    }

    /// A page of events.
    pub(super) async fn events(&self, run: &str, from: u64) -> Result<EventPage, Failure> {
        match self {
            Self::Beside(client) => Ok(client.events(run, from, None).await?),
            Self::Store { archive, .. } => Ok(archive.events(run, from, None)?),
            Self::Nothing(state) => Err(nothing(state)),
        }
    }

    /// Dead letters and doubts by cause.
    pub(super) async fn causes(&self, run: &str, limit: usize) -> Result<Causes, Failure> {
        match self {
            Self::Beside(client) => Ok(client.causes(run, limit).await?),
            Self::Store { archive, .. } => Ok(archive.causes(run, limit)?),
            Self::Nothing(state) => Err(nothing(state)),
        }
    }

    /// A page of the effect ledger.
    pub(super) async fn effects(&self, run: &str, filter: &EffectFilter) -> Result<EffectPage, Failure> {
        match self {
            Self::Beside(client) => Ok(client.effects(run, filter).await?),
            Self::Store { archive, .. } => Ok(archive.effects(run, filter)?),
            Self::Nothing(state) => Err(nothing(state)),
        }
    }

    /// How many effects are known how.
    pub(super) async fn effect_counts(&self, run: &str) -> Result<EffectCounts, Failure> {
        match self {
            Self::Beside(client) => Ok(client.effect_counts(run).await?),
            Self::Store { archive, .. } => Ok(archive.effect_counts(run)?),
            Self::Nothing(state) => Err(nothing(state)),
        }
    }

    /// A page of dead letters.
    pub(super) async fn dead_letters(&self, query: &LetterQuery) -> Result<LetterPage, Failure> {
        match self {
            Self::Beside(client) => Ok(client.dead_letters(query).await?),
            Self::Store { archive, .. } => Ok(archive.dead_letters(query)?),
            Self::Nothing(_) => Ok(LetterPage::default()),
        }
    }

    /// Everything about an item, its record included.
    pub(super) async fn dead_letter(&self, run: &str, item: &str) -> Result<LetterStory, Failure> {
        match self {
            Self::Beside(client) => Ok(client.dead_letter(run, item).await?),
            Self::Store { archive, .. } => Ok(archive.dead_letter(run, item)?),
            Self::Nothing(state) => Err(nothing(state)),
        }
    }

    /// What a resume on these terms would do.
    pub(super) async fn plan(&self, run: &str, terms: &ResumeTerms) -> Result<PlanView, Failure> {
        match self {
            Self::Beside(client) => Ok(client.plan(run, terms).await?),
            Self::Store { archive, engine } => {
                let run = archive.find(run)?.id;
                let plan = engine.plan(run, terms).await?;
                Ok(archive.plan_view(&plan)?)
            }
            Self::Nothing(state) => Err(nothing(state)),
        }
    }
}

pub(super) fn nothing(state: &str) -> Failure {
    let detail = format!("there are no runs: the state directory {state} does not exist");
    Problem::new(ProblemKind::NotFound, code::RUN_NONE, detail).next("milepost run FILE").into()
}
