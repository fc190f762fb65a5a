//! One trigger, and how it is doing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::app::Engine;
use crate::core::run::Run;
use crate::core::trigger::Heard;
use crate::ports::Trigger;

use super::news::Hindrance;
use super::watched::{Listener, Watched};

/// How long a trigger is left alone after the first failure; the wait doubles with each that follows…
const PATIENCE_MIN: Duration = Duration::from_secs(1);
/// …up to this.
const PATIENCE_MAX: Duration = Duration::from_mins(1);

/// A trigger and how it is doing.
pub(super) struct Post {
    /// The workflow that it starts.
    pub(super) workflow: String,
    pub(super) file: PathBuf,
    pub(super) profile: Option<String>,
    pub(super) listener: Listener,
    pub(super) is_listening: bool,
    /// How long it is left alone next time; `None`: it is well.
    pub(super) patience: Option<Duration>,
}

impl Post {
    /// The triggers of a file.
    pub(super) fn all(watched: &Watched) -> impl Iterator<Item = Self> + '_ {
        watched.listeners.iter().map(|listener| Self {
            workflow: watched.workflow.clone(),
            file: watched.file.clone(),
            profile: watched.profile.clone(),
            listener: listener.clone(),
            is_listening: false,
            patience: None,
        })
    }

    /// Whether it was this trigger that started the run.
    pub(super) fn has_started(&self, run: &Run) -> bool {
        run.trigger.as_ref() == Some(&self.listener.name)
            && run.workflow == self.workflow
            && run.profile == self.profile
    }

    pub(super) fn leave_alone(&mut self) {
        let longer = self.patience.map_or(PATIENCE_MIN, |patience| patience * 2);
        self.patience = Some(longer.min(PATIENCE_MAX));
    }
}

/// What listening came to.
pub(super) enum Listened {
    Heard(Heard),
    Hindered(Hindrance),
}

/// Listens once, unless no run could be started anyhow: then messages stay where they are.
pub(super) async fn listened(trigger: Arc<dyn Trigger>, file: PathBuf, profile: Option<String>) -> Listened {
    let checking = tokio::task::spawn_blocking(move || Engine::check(&file, profile.as_deref()).map(drop));
    if let Ok(Err(report)) = checking.await {
        return Listened::Hindered(Hindrance::Unfit(Box::new(report)));
    }
    match trigger.next().await {
        Ok(heard) => Listened::Heard(heard),
        Err(fault) => Listened::Hindered(Hindrance::Away(fault)),
    }
}
