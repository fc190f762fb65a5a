//! What is said once, when it happens, beside the display: pauses, and that dead letters
//! are more than people want.

use crate::view::{PauseView, RunView};

use super::phrase;

/// Knows what was said.
#[derive(Default)]
pub(super) struct Herald {
    /// Who and what the run pauses for, as it was last said.
    pauses: Vec<String>,
    /// The alert that was said, or that an earlier engine said.
    alert: Option<String>,
    has_looked: bool,
}

impl Herald {
    /// What is to be said now.
    pub(super) fn news(&mut self, view: &RunView) -> Vec<String> {
        let mut news = Vec::new();
        if self.alert != view.alert {
            let was_said_before = view.resumes > 0 && !self.has_looked;
            news.extend(view.alert.iter().filter(|_| !was_said_before).map(|text| format!("alert: {text}")));
            self.alert.clone_from(&view.alert);
        }
        self.has_looked = true;
        let reasons = view.paused.as_ref().map(reasons).unwrap_or_default();
        if reasons != self.pauses {
            match &view.paused {
                Some(pause) => {
                    let lines = phrase::pause(pause, phrase::now());
                    news.extend(lines.iter().map(|line| format!("paused: {line}")));
                }
                None if view.status.is_ended() => {}
                None => news.push("goes on".to_owned()),
            }
            self.pauses = reasons;
        }
        news
    }
}

fn reasons(pause: &PauseView) -> Vec<String> {
    let holds = pause.connections.iter().map(|hold| format!("over {}", hold.connection));
    pause.by.iter().map(|by| format!("by {by}")).chain(holds).collect()
}
