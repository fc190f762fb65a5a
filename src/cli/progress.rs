//! How far a run has come, while it runs: a line per step that moves on a terminal, a plain line
//! every few seconds elsewhere.

use std::fmt::Write;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::output::Output;
use super::phrase;
use crate::view::{RunView, StepTrack, StepView};

/// How often a terminal is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(100);
/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// How often the records are looked at for plain lines.
const LOOKED_EVERY: Duration = Duration::from_millis(500);
const DRAWN_HZ: u8 = 10;

/// The display of one run.
pub(super) enum Progress {
    /// On a terminal.
    Bars(Bars),
    /// Anywhere else.
    Lines(Lines),
}

impl Progress {
    /// The display that fits where talk goes to.
    pub(super) fn new(output: &Output) -> Self {
        if output.talks_to_terminal() {
            let target = ProgressDrawTarget::stderr_with_hz(DRAWN_HZ);
            Self::Bars(Bars {
                all: MultiProgress::with_draw_target(target),
                color: output.is_talk_colored(),
                steps: Vec::new(),
                pause: None,
            })
        } else {
            Self::Lines(Lines { begun: Instant::now(), last: Instant::now(), first_done: None })
        }
    }

    /// How often it wants to be told.
    pub(super) fn period(&self) -> Duration {
        match self {
            Self::Bars(_) => DRAWN_EVERY,
            Self::Lines(_) => LOOKED_EVERY,
        }
    }

    /// Shows where the run stands.
    pub(super) fn update(&mut self, view: &RunView, output: &mut Output) {
        match self {
            Self::Bars(bars) => bars.update(view),
            Self::Lines(lines) => {
                if let Some(line) = lines.update(view, Instant::now()) {
                    output.show(&line);
                }
            }
        }
    }

    /// Says something without disturbing the display.
    pub(super) fn say(&self, text: &str, output: &mut Output) {
        match self {
            Self::Bars(bars) => bars.all.suspend(|| output.say(text)),
            Self::Lines(_) => output.say(text),
        }
    }

    /// Shows something without disturbing the display.
    pub(super) fn show(&self, text: &str, output: &mut Output) {
        match self {
            Self::Bars(bars) => bars.all.suspend(|| output.show(text)),
            Self::Lines(_) => output.show(text),
        }
    }

    /// Takes the display away; what is final is written as data.
    pub(super) fn end(&self) {
        if let Self::Bars(bars) = self {
            // Nothing is lost when the terminal does not take it.
            let _ = bars.all.clear();
        }
    }
}

/// A line per step.
pub(super) struct Bars {
    all: MultiProgress,
    color: bool,
    steps: Vec<ProgressBar>,
    /// Under the steps while the run stands still.
    pause: Option<ProgressBar>,
}

impl Bars {
    fn update(&mut self, view: &RunView) {
        let width = view.steps.iter().map(|step| step.step.chars().count()).max().unwrap_or(0);
        while self.steps.len() < view.steps.len() {
            let bar = self.all.add(ProgressBar::no_length());
            bar.set_style(style(self.color));
            self.steps.push(bar);
        }
        for (bar, step) in self.steps.iter().zip(&view.steps) {
            bar.set_prefix(format!("{:<width$}", step.step));
            bar.set_message(message(step));
            if step.items.total > 0 {
                bar.set_length(step.items.total - step.blocked);
                bar.set_position(step.items.ended());
            } else {
                bar.tick();
            }
        }
        self.show_pause(view);
    }

    fn show_pause(&mut self, view: &RunView) {
        let Some(pause) = &view.paused else {
            if let Some(line) = self.pause.take() {
                line.finish_and_clear();
                self.all.remove(&line);
            }
            return;
        };
        let line = self.pause.get_or_insert_with(|| {
            let plain =
                ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            self.all.add(ProgressBar::no_length().with_style(plain))
        });
        line.set_message(format!("paused: {}", phrase::pause(pause, phrase::now()).join("; ")));
    }
}

fn style(color: bool) -> ProgressStyle {
    let template = if color {
        "{prefix} {bar:24.green/dim} {of:>21} {rate:>9} {left:>17}  {msg:.yellow}"
    } else {
        "{prefix} {bar:24} {of:>21} {rate:>9} {left:>17}  {msg}"
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    // A display that cannot be written is no reason to stop, so the results are dropped.
    style
        .progress_chars("━━─")
        .with_key("of", |state: &ProgressState, text: &mut dyn Write| {
            if let Some(total) = state.len() {
                let _ = write!(text, "{}/{}", phrase::number(state.pos()), phrase::number(total));
            }
        })
        .with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
            if state.len().is_some_and(|total| state.pos() > 0 && state.pos() < total) {
                let _ = write!(text, "{:.0}/s", state.per_sec());
            }
        })
        .with_key("left", |state: &ProgressState, text: &mut dyn Write| {
            if state.len().is_some_and(|total| state.pos() > 0 && state.pos() < total) {
                let _ = write!(text, "{}", phrase::left(state.eta()));
            }
        })
}

/// What a line says besides its numbers.
fn message(step: &StepView) -> String {
    if step.items.total == 0 {
        return step.status.to_string();
    }
    let items = &step.items;
    let parts = [
        (items.dead_lettered, "dead"),
        (items.in_doubt, "in doubt"),
        (items.backoff, "to try again"),
        (items.waiting, "waiting"),
        (items.cancelled, "cancelled"),
    ];
    let told = parts.iter().filter(|(count, _)| *count > 0);
    told.map(|(count, word)| format!("{} {word}", phrase::number(*count))).collect::<Vec<_>>().join(", ")
}

/// A plain line every few seconds.
pub(super) struct Lines {
    begun: Instant,
    last: Instant,
    /// Items that were at rest when we first looked, so that a resume does not count them as
    /// its own speed.
    first_done: Option<u64>,
}

impl Lines {
    fn update(&mut self, view: &RunView, now: Instant) -> Option<String> {
        let done = view.items.ended();
        let first = *self.first_done.get_or_insert(done);
        if now.duration_since(self.last) < LINE_EVERY {
            return None;
        }
        self.last = now;
        let elapsed = now.duration_since(self.begun);
        let steps = view.steps.iter().filter(|step| step.track != StepTrack::OnFailure);
        let mut line = steps.map(at_step).collect::<Vec<_>>().join("  ");
        if view.items.dead_lettered > 0 {
            let count = phrase::count(view.items.dead_lettered, "dead letter", "dead letters");
            let _ = write!(line, "  {count}");
        }
        #[expect(clippy::cast_precision_loss, reason = "a speed to be read needs no 53 bits")]
        let rate = (done - first.min(done)) as f64 / elapsed.as_secs_f64().max(0.001);
        // Where one step follows the other, items end all at once: their speed says nothing.
        if rate > 0.0 && view.executor.is_embedded() {
            #[expect(clippy::cast_precision_loss, reason = "a time to be read needs no 53 bits")]
            let left = (view.items.total - done) as f64 / rate;
            let left = Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX);
            let _ = write!(line, "  {rate:.0} items/s  {}", phrase::left(left));
        }
        Some(line)
    }
}

fn at_step(step: &StepView) -> String {
    if step.items.total == 0 {
        return format!("{} {}", step.step, step.status);
    }
    let total = step.items.total - step.blocked;
    format!("{} {}/{}", step.step, phrase::number(step.items.ended()), phrase::number(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fake::archive;

    #[test]
    fn a_plain_line_comes_every_few_seconds_and_tells_speed_and_time_left() {
        let view = archive(true).show("@latest").unwrap();
        let begun = Instant::now();
        let mut lines = Lines { begun, last: begun, first_done: Some(0) };
        assert_eq!(lines.update(&view, begun + Duration::from_secs(1)), None);
        let line = lines.update(&view, begun + Duration::from_secs(2)).unwrap();
        insta::assert_snapshot!(line, @"validate 5/6  publish 3/5  pim 3/5  2 dead letters  2 items/s  1 s left");
    }
}
