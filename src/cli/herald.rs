//! What is said once, when it happens, beside the display: pauses, and alerts of the run.

use crate::view::{Archive, PauseView, RunView};

use super::phrase;

/// Knows what was said.
#[derive(Default)]
pub(super) struct Herald {
    /// Who and what the run pauses for, as it was last said.
    pauses: Vec<String>,
    /// The first event that was not looked at.
    next: u64,
}

impl Herald {
    /// What is to be said now.
    pub(super) fn news(&mut self, view: &RunView, archive: &Archive) -> Vec<String> {
        let mut news = self.alerts(view, archive);
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

    fn alerts(&mut self, view: &RunView, archive: &Archive) -> Vec<String> {
        // What cannot be read now may be read the next time.
        let Ok(page) = archive.events(&view.run.to_string(), self.next, None) else { return Vec::new() };
        self.next = page.next;
        // The step `alert` speaks for itself; this is about the number of dead letters.
        let alerts = page.events.into_iter().filter(|event| event.kind == "alert" && event.items.is_some());
        alerts.filter_map(|event| event.message).map(|message| format!("alert: {message}")).collect()
    }
}

fn reasons(pause: &PauseView) -> Vec<String> {
    let holds = pause.connections.iter().map(|hold| format!("over {}", hold.connection));
    pause.by.iter().map(|by| format!("by {by}")).chain(holds).collect()
}
