//! A run from its first line to its summary: what `run` and `resume` share.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::herald::Herald;
use super::operator;
use super::output::{BOLD, Output};
use super::page;
use super::phrase;
use super::progress::Progress;
use super::reader::open_to_work;
use super::signals::Signals;
use crate::app::{Alerting, Engine, Running};
use crate::core::inflow::Intake;
use crate::core::run::{Run, Status};
use crate::server::{self, Anonymous, Serving};
use crate::view::{Archive, argument};

/// Longest time that an end waits for alerts.
const ALERTS_MAX: Duration = Duration::from_secs(3);

/// Ends the delivery of alerts, and says what could not be delivered.
pub(super) async fn end_alerting(alerting: Alerting, output: &mut Output) {
    let untold = alerting.end(ALERTS_MAX).await;
    let Some(first) = untold.first() else { return };
    let count = phrase::count(untold.len() as u64, "alert is", "alerts are");
    let first = phrase::untold(first, |fault| output.heard(fault));
    output.say(&format!(
        "{count} not delivered yet; the next run, resume, watch or serve here goes on: {first}"
    ));
}

/// Opens the state directory to work in it, and serves others meanwhile.
pub(super) async fn open(
    context: &Context,
    output: &mut Output,
) -> Result<(Arc<Engine>, Option<Serving>), Failure> {
    let engine = Arc::new(open_to_work(context).await?);
    let serving = match server::listen(&context.options, operator::service(&engine, None, Anonymous::Nothing))
    {
        Ok(serving) => Some(serving),
        Err(error) => {
            output.warn(&format!("warning: other commands cannot look at this run while it works: {error}"));
            None
        }
    };
    Ok((engine, serving))
}

/// Says what became of the run that a key had started before.
pub(super) fn sum_up_before(
    engine: &Engine,
    run: &Run,
    json: bool,
    context: &Context,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let (id, archive) = (run.id.to_string(), engine.archive());
    output.line(&id)?;
    let status = archive.status(run);
    output.say(&format!("this key started it before; it is {}, and nothing was done now", status.word()));
    sum_up(&archive, &id, json, context, output)?;
    Ok(Exit::of_run(status))
}

/// Shows a run until it ends, or is asked to stop; then sums it up.
pub(super) async fn to_end(
    engine: &Engine,
    mut running: Running,
    json: bool,
    context: &Context,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let id = running.id.to_string();
    // Whoever reads the ID may stop the run by it.
    let mut signals = Signals::listen()?;
    output.let_wait()?;
    // Nobody reading our data is no reason to stop a run.
    let _ = output.line(&id).and_then(|()| output.flush());
    let archive = engine.archive();
    let alerting = engine.alerting(std::future::ready(()));
    let (ended, stopping) = until_rest(&mut running, &mut signals, &archive, &id, context, output).await?;
    let exit = Exit::of_run(ended.status);
    end_alerting(alerting, output).await;
    match sum_up(&archive, &id, json, context, output) {
        // The exit code of the run is worth more than its summary to nobody.
        Ok(()) | Err(Failure::Closed) => {}
        Err(failure) => return Err(failure),
    }
    let intake = ended.source.as_ref().and_then(|source| source.intake);
    if let (Status::Succeeded, Some(why)) = (ended.status, intake.and_then(Intake::words)) {
        let command = output.paint_talk(BOLD, &context.command(&the_next(&ended)));
        output.show(&format!("no more items were taken in: {why}. What comes next goes to: {command}"));
    }
    if exit == Exit::Interrupted {
        let command = output.paint_talk(BOLD, &context.command(&format!("milepost resume {id}")));
        output.say(&format!("stopped; nothing is lost. Go on with: {command}"));
    }
    if !stopping {
        // Whoever reads slowly gets all of it, unless somebody asks again for an end.
        tokio::select! {
            left = output.left() => match left {
                Ok(()) | Err(Failure::Closed) => {}
                Err(failure) => return Err(failure),
            },
            () = signals.next() => {}
        }
    }
    Ok(exit)
}

/// What starts the next run of the same kind.
fn the_next(run: &Run) -> String {
    let profile = run.profile.iter().map(|profile| format!(" --profile {}", argument(profile)));
    let input = run.input.iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!(" --input {}", argument(&format!("{name}={value}")))
    });
    let options: String = profile.chain(input).collect();
    format!("milepost run {}{options}", argument(&run.file))
}

fn sum_up(
    archive: &Archive,
    id: &str,
    json: bool,
    context: &Context,
    output: &mut Output,
) -> Result<(), Failure> {
    let view = archive.show(id)?;
    if json {
        output.json(&view)?;
        return output.flush();
    }
    // A summary without causes is better than none.
    let causes = archive.causes(id, page::CAUSES_MAX).unwrap_or_default();
    output.say("");
    page::write(&view, &causes, context, output)
}

/// Waits for the end, shows the progress, and hands on requests to stop. Returns the run, and whether there
/// was such a request.
async fn until_rest(
    running: &mut Running,
    signals: &mut Signals,
    archive: &Archive,
    id: &str,
    context: &Context,
    output: &mut Output,
) -> Result<(Run, bool), Failure> {
    let mut progress = Progress::new(output);
    let mut herald = Herald::default();
    let mut ticks = tokio::time::interval(progress.period());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            ended = running.finished() => break ended,
            () = signals.next() => {
                if stopping {
                    progress.end();
                    exit_at_once(id, context, output);
                }
                stopping = true;
                running.stop();
                let wait = "stopping: no new calls; waiting for those that are out. \
                            Ctrl-C again ends at once, and nothing is lost either";
                progress.say(wait, output);
            }
            _ = ticks.tick() => {
                // What cannot be shown now may be shown at the next tick.
                if let Ok(view) = archive.show(id) {
                    for line in herald.news(&view) {
                        progress.show(&line, output);
                    }
                    progress.update(&view, output);
                }
            }
        }
    };
    progress.end();
    if let Ok(view) = archive.show(id) {
        herald.news(&view).iter().for_each(|line| output.show(line));
    }
    Ok((ended?, stopping))
}

/// A second request to stop: whatever the engine is waiting for, the state on disk is whole, and
/// what was out is in doubt, as after a kill.
fn exit_at_once(id: &str, context: &Context, output: &mut Output) -> ! {
    output.say(&format!(
        "ended at once. See what a resume will do: {}",
        context.command(&format!("milepost resume {id} --plan"))
    ));
    output.close();
    std::process::exit(Exit::Killed.code().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::RunId;
    use crate::core::time::Timestamp;

    #[test]
    fn the_next_run_has_the_profile_and_the_input_of_this_one() {
        let mut run = Run::queued(RunId(1), "w", "my files/w.yaml", "d", Timestamp(0));
        assert_eq!(the_next(&run), "milepost run 'my files/w.yaml'");
        run.profile = Some("production".to_owned());
        run.input.insert("shops".to_owned(), serde_json::json!(3));
        run.input.insert("title".to_owned(), serde_json::json!("a b"));
        let next =
            "milepost run 'my files/w.yaml' --profile production --input 'shops=3' --input 'title=a b'";
        assert_eq!(the_next(&run), next);
    }
}
