//! `milepost watch`: starts runs as the workflow's triggers hear of something, until it is stopped.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use super::exit::Exit;
use super::failure::{Failure, resume_problem, say_next};
use super::herald::Herald;
use super::output::{BOLD, Output};
use super::signals::Signals;
use super::{Context, attend, phrase};
use crate::app::{Hindrance, News, Watched, Watching};
use crate::core::id::RunId;
use crate::core::run::Status;
use crate::view::{Archive, Problem, ProblemKind, RunView, argument, code};

/// How often the runs at work are looked at.
const LOOKED_EVERY: Duration = Duration::from_millis(500);

/// Start runs of a workflow file as its triggers hear of something
///
/// Stays until Ctrl-C. Each run is told on stdout when it begins and when it ends, its ID first; all
/// else goes to stderr. One run is started for each version of an object, however often it is told,
/// and a message leaves its queue only when its run is recorded. What was interrupted goes on first;
/// a run that failed or was paused is told with the next command, and waits for a person. Ctrl-C interrupts the
/// runs that are at work; the next watch goes on with them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost watch workflows/product-ingest.yaml --profile production
  milepost watch uploads.yaml --concurrency 4
  milepost watch uploads.yaml --json        a line of JSON for each start and end

Exit codes: 0 stopped while no run was at work, 2 mistakes in the file, or nothing to watch in it,
3 stopped, and runs with it, which go on with the next watch, 4 the state directory is held by
another engine, 70 a failing disk, 130 Ctrl-C twice.")]
pub(super) struct Args {
    /// The workflow file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The profile whose connections are used
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// How many runs may be at work at once; while so many are, messages wait in their queue
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// Starts and ends as lines of JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let watched = Watched::read(&args.file, args.profile.as_deref())
        .map_err(|report| Failure::Mistakes(Box::new(report)))?;
    if watched.listeners.is_empty() {
        return Err(nothing_to_watch(&args, &watched).into());
    }
    let mut signals = Signals::listen()?;
    let (engine, _serving) = attend::open(context, output).await?;
    say_what_is_watched(&watched, output);
    let archive = engine.archive();
    let mut watching = Watching::begin(&engine, watched, args.concurrency.into());
    let mut teller = Teller { archive, json: args.json, at_work: BTreeMap::new(), interrupted: false };
    let mut stopping = false;
    let mut ticks = tokio::time::interval(LOOKED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            news = watching.news.recv() => match news {
                // Nobody reading our data is no reason to stop.
                Some(news) => match teller.tell(&news, context, output).and_then(|()| output.flush()) {
                    Ok(()) | Err(Failure::Closed) => {}
                    Err(failure) => return Err(failure),
                },
                None => break,
            },
            _ = ticks.tick() => teller.look(output),
            () = signals.next() => {
                if stopping {
                    output.say("ended at once; the next watch goes on with what was at work");
                    std::process::exit(Exit::Killed.code().into());
                }
                stopping = true;
                watching.stop();
                if !teller.at_work.is_empty() {
                    output.say("stopping: no new calls; waiting for those that are out. \
                                Ctrl-C again ends at once, and nothing is lost either");
                }
            }
        }
    }
    watching.ended().await?;
    if teller.interrupted {
        let file = argument(&args.file.display().to_string());
        let profile = args.profile.map(|name| format!(" --profile {name}")).unwrap_or_default();
        let command = context.command(&format!("milepost watch {file}{profile}"));
        let command = output.paint_talk(BOLD, &command);
        output.say(&format!("stopped; nothing is lost. Go on with: {command}"));
        return Ok(Exit::Interrupted);
    }
    output.say("stopped; no run was at work");
    Ok(Exit::Success)
}

fn nothing_to_watch(args: &Args, watched: &Watched) -> Problem {
    let file = args.file.display();
    let silent = watched.silent.iter();
    let lines = silent.map(|(name, kind)| format!("{name} cannot listen over a connection of kind '{kind}'"));
    let detail = match (watched.silent.is_empty(), &args.profile) {
        (true, _) => format!("{file} has no triggers: nothing would ever start"),
        (false, Some(profile)) => format!("{file}: no trigger listens in the profile '{profile}'"),
        (false, None) => format!("{file}: no trigger listens without a profile"),
    };
    Problem::new(ProblemKind::Invalid, code::START_REFUSED, detail)
        .candidates(lines)
        .next("milepost watch --help")
}

fn say_what_is_watched(watched: &Watched, output: &mut Output) {
    let workflow = output.paint_talk(BOLD, &watched.workflow);
    for listener in &watched.listeners {
        let name = output.paint_talk(BOLD, &listener.name);
        output
            .say(&format!("watching for {workflow}: {name} ({}) gives '{}'", listener.about, listener.input));
    }
    for (name, kind) in &watched.silent {
        output.say(&format!("not watching {name}: it cannot listen over a connection of kind '{kind}'"));
    }
    output.say("Ctrl-C ends it");
}

/// Tells what happens: starts and ends as data, all else as talk.
struct Teller {
    archive: Archive,
    json: bool,
    /// What was said of each run that is at work.
    at_work: BTreeMap<RunId, Herald>,
    interrupted: bool,
}

impl Teller {
    fn tell(&mut self, news: &News, context: &Context, output: &mut Output) -> Result<(), Failure> {
        match news {
            News::Started { run, trigger, subject } => {
                self.at_work.insert(*run, Herald::default());
                let text = format!("started by {trigger}: {subject}");
                let more = json!({ "event": "started", "trigger": trigger, "subject": subject });
                self.data(*run, &text, more, output)
            }
            News::GoesOn { run } => {
                self.at_work.insert(*run, Herald::default());
                self.data(*run, "goes on", json!({ "event": "resumed" }), output)
            }
            News::Ended { run } => self.tell_end(run.id, context, output),
            News::Stuck { run, error } => {
                let problem = resume_problem(error);
                output.say(&format!("{run} does not go on: {}", problem.detail));
                for line in &problem.candidates {
                    output.say(&format!("  {line}"));
                }
                say_next(&problem.next, context, output);
                Ok(())
            }
            News::Broken { run, error } => {
                self.at_work.remove(run);
                output.say(&format!("{run} stopped short, and other runs go on: {error}"));
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
                if let Some(text) = talk(other, output) {
                    output.say(&text);
                }
                Ok(())
            }
        }
    }

    /// Says what happened to the runs at work meanwhile: pauses, and dead letters over the limit.
    fn look(&mut self, output: &mut Output) {
        for (run, herald) in &mut self.at_work {
            // What cannot be shown now may be shown the next time.
            let view = self.archive.show(&run.to_string());
            let news = view.map(|view| herald.news(&view)).unwrap_or_default();
            for line in news {
                output.say(&format!("{run}  {line}"));
            }
        }
    }

    fn tell_end(&mut self, run: RunId, context: &Context, output: &mut Output) -> Result<(), Failure> {
        self.at_work.remove(&run);
        let view = self.archive.show(&run.to_string())?;
        self.interrupted |= view.status == Status::Interrupted;
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
            stray.reason
        ),
        News::Refused { trigger, subject, error } => {
            format!("{trigger}: no run for {subject}, it is tried again: {error}")
        }
        News::NotRemoved { trigger, fault } => {
            format!("{trigger}: a message that is dealt with shows again: {fault}")
        }
        News::Hindered { trigger, by: Hindrance::Away(fault) } => {
            format!("{trigger}: out of reach, asked again with growing waits: {fault}")
        }
        News::Hindered { trigger, by: Hindrance::Unfit(report) } => {
            let report = report.render(output.is_talk_colored());
            format!("{report}\n{trigger}: messages wait until the file is mended")
        }
        News::Listens { trigger } => format!("{trigger}: listens again"),
        News::Started { .. }
        | News::GoesOn { .. }
        | News::Ended { .. }
        | News::Stuck { .. }
        | News::Broken { .. }
        | News::Paused { .. } => return None,
    })
}
