//! What is told of a loop that carries runs out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};

use super::exit::Exit;
use super::failure::{Failure, resume_problem, say_next};
use super::herald::Herald;
use super::output::{BOLD, Output};
use super::signals::Signals;
use super::{Context, phrase};
use crate::app::{Hindrance, News, Watched, Watching};
use crate::core::fault::name;
use crate::core::id::RunId;
use crate::core::run::Status;
use crate::view::{Archive, RunView};

/// How often the runs at work are looked at.
const LOOKED_EVERY: Duration = Duration::from_millis(500);

/// Tells what happens until the loop has ended. A first request to stop asks it to end; a second one, or
/// the end of the grace time, ends the process at once: what was out is in doubt then, as after a kill.
pub(super) async fn until_stopped(
    watching: &mut Watching,
    teller: &mut Teller,
    signals: &mut Signals,
    grace: Option<Duration>,
    context: &Context,
    output: &mut Output,
) -> Result<(), Failure> {
    output.let_wait()?;
    let mut until = None;
    let mut stopping = false;
    let mut ticks = tokio::time::interval(LOOKED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            news = watching.news.recv() => match news {
                Some(news) => match teller.tell(&news, context, output).and_then(|()| output.flush()) {
                    // Nobody reading our data is no reason to stop, nor is a full disk where it goes; both
                    // were said, if anybody listens.
                    Ok(()) | Err(Failure::Closed) => {}
                    Err(failure) => tracing::warn!(?failure, "something could not be told"),
                },
                None => return Ok(()),
            },
            _ = ticks.tick() => {
                teller.look(output);
                if until.is_some_and(|until| Instant::now() >= until) {
                    end_at_once("the grace time is over", output);
                }
            }
            () = signals.next() => {
                if stopping {
                    end_at_once("ended at once", output);
                }
                stopping = true;
                until = grace.map(|grace| Instant::now() + grace);
                watching.stop();
                if teller.is_busy() {
                    output.say("stopping: no new calls; waiting for those that are out. \
                                Ctrl-C again ends at once, and nothing is lost either");
                }
            }
        }
    }
}

fn end_at_once(why: &str, output: &mut Output) -> ! {
    output.say(&format!("{why}; the next start goes on with what was at work"));
    output.close();
    std::process::exit(Exit::Killed.code().into())
}

/// Says what a workflow file's triggers listen to.
pub(super) fn say_what_is_watched(watched: &Watched, output: &mut Output) {
    let workflow = output.paint_talk(BOLD, &watched.workflow);
    for listener in &watched.listeners {
        let name = output.paint_talk(BOLD, &listener.name);
        let gives = listener.input.iter().map(|input| format!(" gives '{input}'"));
        let gives: String = gives.collect();
        output.say(&format!("watching for {workflow}: {name} ({}){gives}", listener.about));
    }
    for (name, kind) in &watched.silent {
        output.say(&format!("not watching {name}: it cannot listen over a connection of kind '{kind}'"));
    }
}

/// Tells what happens: starts and ends as data, all else as talk.
pub(super) struct Teller {
    archive: Archive,
    json: bool,
    /// What was said of each run that is at work.
    at_work: BTreeMap<RunId, Herald>,
    /// Whether a run was at work when it was stopped.
    pub(super) interrupted: bool,
}

impl Teller {
    pub(super) fn new(archive: Archive, json: bool) -> Self {
        Self { archive, json, at_work: BTreeMap::new(), interrupted: false }
    }

    /// Whether a run is at work.
    pub(super) fn is_busy(&self) -> bool {
        !self.at_work.is_empty()
    }

    pub(super) fn tell(
        &mut self,
        news: &News,
        context: &Context,
        output: &mut Output,
    ) -> Result<(), Failure> {
        match news {
            News::Started { run, trigger, subject } => {
                self.at_work.insert(*run, Herald::default());
                let text = format!("started by {trigger}: {subject}");
                let more = json!({ "event": "started", "trigger": trigger, "subject": subject });
                self.data(*run, &text, more, output)
            }
            News::Asked { run, by } => {
                self.at_work.insert(*run, Herald::default());
                self.data(*run, &format!("started by {by}"), json!({ "event": "started", "by": by }), output)
            }
            News::GoesOn { run } => {
                self.at_work.insert(*run, Herald::default());
                self.data(*run, "goes on", json!({ "event": "resumed" }), output)
            }
            News::Ended { run } => {
                self.interrupted |= run.status == Status::Interrupted;
                self.tell_end(run.id, context, output)
            }
            News::Stuck { run, error } => {
                let problem = resume_problem(error);
                output.warn(&format!("{run} does not go on: {}", problem.detail));
                for line in &problem.candidates {
                    output.warn(&format!("  {line}"));
                }
                say_next(&problem.next, context, output);
                Ok(())
            }
            News::Broken { run, error } => {
                self.at_work.remove(run);
                output.warn(&format!("{run} stopped short, and other runs go on: {error}"));
                say_next(&[format!("milepost resume {run} --plan")], context, output);
                Ok(())
            }
            News::Paused { run, by } => {
                output.say(&format!(
                    "{run} was paused by {by} and stays so; after this watch a person goes on with it"
                ));
                say_next(&[format!("milepost resume {run}")], context, output);
                Ok(())
            }
            other => {
                match talk(other, output) {
                    Some(text) if is_trouble(other) => output.warn(&text),
                    Some(text) => output.say(&text),
                    None => {}
                }
                Ok(())
            }
        }
    }

    /// Says what happened to the runs at work meanwhile: pauses, and dead letters over the limit.
    pub(super) fn look(&mut self, output: &mut Output) {
        for (run, herald) in &mut self.at_work {
            // What cannot be shown now may be shown the next time.
            let view = self.archive.show(&run.to_string());
            let news = view.map(|view| herald.news(&view)).unwrap_or_default();
            for line in news {
                output.show(&format!("{run}  {line}"));
            }
        }
    }

    fn tell_end(&mut self, run: RunId, context: &Context, output: &mut Output) -> Result<(), Failure> {
        self.at_work.remove(&run);
        let view = match self.archive.show(&run.to_string()) {
            Ok(view) => view,
            Err(problem) => {
                output.say(&format!("{run} ended, and cannot be shown: {problem}"));
                return Ok(());
            }
        };
        let more = json!({
            "event": "ended", "status": view.status, "items": view.items, "duration_ms": view.duration_ms,
            "error": view.error,
        });
        self.data(run, &end(&view), more, output)?;
        if matches!(view.status, Status::Failed | Status::Succeeded) {
            say_next(&view.next, context, output);
        }
        Ok(())
    }

    fn data(&self, run: RunId, text: &str, mut more: Value, output: &mut Output) -> Result<(), Failure> {
        if self.json {
            more["run"] = json!(run);
            return output.json_line(&more);
        }
        let name = output.paint(BOLD, &run.to_string());
        output.line(&format!("{name}  {text}"))
    }
}

/// How a run ended, on one line.
fn end(view: &RunView) -> String {
    let mut text = view.status.word().to_owned();
    if let Some(took) = phrase::took(view) {
        text = format!("{text} in {took}");
    }
    if view.items.total > 0 {
        let total = phrase::count(view.items.total, "item", "items");
        text = format!("{text}, {total}: {}", phrase::items(&view.items));
    }
    if let Some(error) = &view.error {
        text = format!("{text}; {error}");
    }
    text
}

/// Whether somebody should look.
fn is_trouble(news: &News) -> bool {
    matches!(
        news,
        News::Stray { .. } | News::Refused { .. } | News::NotRemoved { .. } | News::Hindered { .. }
    )
}

/// What starts and ends nothing, in words.
fn talk(news: &News, output: &Output) -> Option<String> {
    Some(match news {
        News::Again { trigger, subject, run } => {
            format!("{trigger}: told again of {subject}; {run} was started for it before")
        }
        News::Used { trigger, subject, problem } => {
            format!("{trigger}: told again of {subject}; no second run: {}", problem.detail)
        }
        News::PassedOver { trigger, what } => format!("{trigger}: passed over: {what}"),
        News::Stray { trigger, stray } => format!(
            "{trigger}: message {} cannot be read and is left to its queue (received {}): {}",
            stray.id,
            phrase::count(stray.receives.into(), "time", "times"),
            // It may quote the message, as a fault may.
            if output.is_logged() { name::STRAY } else { &stray.reason }
        ),
        News::Refused { trigger, subject, error } => {
            format!("{trigger}: no run for {subject}, it is tried again: {error}")
        }
        News::NotRemoved { trigger, fault } => {
            format!("{trigger}: a message that is dealt with shows again: {}", output.heard(fault))
        }
        News::Hindered { trigger, by: Hindrance::Away(fault) } => {
            format!("{trigger}: out of reach, asked again with growing waits: {}", output.heard(fault))
        }
        News::Hindered { trigger, by: Hindrance::Unfit(report) } => {
            let report = report.render(output.is_talk_colored());
            format!("{report}\n{trigger}: messages wait until the file is mended")
        }
        News::Hindered { trigger, by: Hindrance::Lost(why) } => {
            format!("{trigger}: listens again soon: {why}")
        }
        News::Listens { trigger } => format!("{trigger}: listens again"),
        News::Started { .. }
        | News::Asked { .. }
        | News::GoesOn { .. }
        | News::Ended { .. }
        | News::Stuck { .. }
        | News::Broken { .. }
        | News::Paused { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::stream::{Notices, Stream};
    use super::*;
    use crate::core::fault::Fault;
    use crate::core::queue::{Stray, Ticket};

    #[test]
    fn what_the_other_side_said_is_told_to_people_and_not_to_the_log() {
        let log = Stream::of(Box::new(io::sink()), "log", Duration::ZERO, Notices::between()).unwrap();
        let (people, log) = (Output::plain(io::sink(), io::sink()), Output::logged(log.pipe()));
        let fault = || Fault::new(name::STATUS, "HTTP 500: no ana@example.org here");
        let stray = Stray {
            id: "m-1".to_owned(),
            receives: 1,
            reason: "no JSON: ana@example.org".to_owned(),
            ticket: Ticket::Given("t".into()),
        };
        let trigger = || "hub".to_owned();
        for (news, code) in [
            (News::Hindered { trigger: trigger(), by: Hindrance::Away(fault()) }, name::STATUS),
            (News::NotRemoved { trigger: trigger(), fault: fault() }, name::STATUS),
            (News::Stray { trigger: trigger(), stray }, name::STRAY),
        ] {
            assert!(talk(&news, &people).unwrap().contains("ana@example.org"), "{news:?}");
            let told = talk(&news, &log).unwrap();
            assert!(told.ends_with(&format!(": {code}")) && !told.contains("ana@"), "{told}");
        }
    }
}
