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
    health: Health,
}

/// How a trigger is doing, and how long it is left alone for that next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Well,
    /// It is not heard from. Whatever is heard ends that.
    Hindered(Duration),
    /// What it told could not be dealt with. That nothing else is heard does not end that: what was told may
    /// only be hidden for a while.
    Undone(Duration),
}

/// What a turn of a trigger came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It was not heard from.
    Hindered,
    /// It was heard from, and that was all.
    Listened,
    /// What it told could not be dealt with, and comes again.
    Undone,
    /// What it told is dealt with.
    DealtWith,
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
            health: Health::Well,
        })
    }

    /// Whether it was this trigger that started the run.
    pub(super) fn has_started(&self, run: &Run) -> bool {
        run.trigger.as_ref() == Some(&self.listener.name)
            && run.workflow == self.workflow
            && run.profile == self.profile
    }

    /// How long it is left alone next time; `None`: it is well.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.health.patience()
    }

    /// Takes in how its turn ended. Returns whether it is doing otherwise now.
    pub(super) fn turns_out(&mut self, turn: Turn) -> bool {
        let next = self.health.after(turn);
        let before = std::mem::replace(&mut self.health, next);
        std::mem::discriminant(&before) != std::mem::discriminant(&next)
    }
}

impl Health {
    fn patience(self) -> Option<Duration> {
        match self {
            Self::Well => None,
            Self::Hindered(patience) | Self::Undone(patience) => Some(patience),
        }
    }

    fn after(self, turn: Turn) -> Self {
        let longer = self.patience().map_or(PATIENCE_MIN, |patience| (patience * 2).min(PATIENCE_MAX));
        match (self, turn) {
            (_, Turn::Hindered) => Self::Hindered(longer),
            (_, Turn::Undone) => Self::Undone(longer),
            (Self::Undone(patience), Turn::Listened) => Self::Undone(patience),
            (Self::Well | Self::Hindered(_), Turn::Listened) | (_, Turn::DealtWith) => Self::Well,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_left_alone_longer_each_time_until_what_it_tells_is_dealt_with() {
        let seconds = |turns: &[Turn]| {
            let health = turns.iter().fold(Health::Well, |health, turn| health.after(*turn));
            health.patience().map(|patience| patience.as_secs())
        };
        let refused = [Turn::Undone, Turn::Listened].repeat(7);
        assert_eq!([1, 2, 3, 5, 13].map(|turns| seconds(&refused[..turns])), [1, 1, 2, 4, 60].map(Some));
        assert_eq!(seconds(&[&refused[..], &[Turn::DealtWith]].concat()), None);
        assert_eq!(seconds(&[Turn::Hindered; 3]), Some(4));
        assert_eq!(seconds(&[Turn::Hindered, Turn::Listened]), None, "it is heard from again");
    }
}
