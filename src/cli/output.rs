//! stdout is data, stderr is talk. The only place that writes to either.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::failure::Failure;
use super::stream::{Notices, Pipe, Stream};
use crate::core::fault::Fault;

/// Bold text.
pub(super) const BOLD: Style = Style::new().bold();
/// Text that matters less.
pub(super) const DIM: Style = Style::new().dimmed();
/// All is well.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// Needs a look.
pub(super) const CARE: Style = AnsiColor::Yellow.on_default();
/// Went wrong.
pub(super) const BAD: Style = AnsiColor::Red.on_default();
/// Is at work.
pub(super) const BUSY: Style = AnsiColor::Cyan.on_default();

/// Where talk goes to.
enum Talk {
    /// To people, as it is.
    People(Box<dyn Write + Send>),
    /// Into the log, which has what happens to runs from their records.
    Log,
}
/// How long nobody may read before what is left at the end is given up.
const LAST: Duration = Duration::from_secs(1);

/// Where a command writes to.
pub struct Output {
    out: Box<dyn Write + Send>,
    talk: Talk,
    data_at: End,
    talk_at: End,
    /// The log, which may have lines also when it is not where talk goes.
    log: Option<Pipe>,
    /// What is written by threads of its own, once that may wait.
    threads: Option<Threads>,
}

/// What is at the other end of a stream.
#[derive(Clone, Copy, Default)]
struct End {
    is_terminal: bool,
    is_colored: bool,
}

impl End {
    fn of(stream: &impl IsTerminal, wants_color: bool) -> Self {
        let is_terminal = stream.is_terminal();
        Self { is_terminal, is_colored: wants_color && is_terminal }
    }
}

/// What is written by threads of its own.
#[derive(Default)]
struct Threads {
    data: Option<Pipe>,
    talk: Option<Pipe>,
}

impl Output {
    /// The streams of this process. Colours only on a terminal, and not when `NO_COLOR` is set.
    pub(super) fn process(log: Pipe) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|value| value != "dumb");
        Self {
            data_at: End::of(&io::stdout(), wanted),
            talk_at: End::of(&io::stderr(), wanted),
            out: Box::new(BufWriter::new(io::stdout())),
            talk: Talk::People(Box::new(io::stderr())),
            log: Some(log),
            threads: None,
        }
    }

    /// The streams of this process, where stderr is the log.
    pub(super) fn logged(log: Pipe) -> Self {
        Self { talk_at: End::default(), talk: Talk::Log, ..Self::process(log) }
    }

    /// Other streams, without colours.
    pub fn plain(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        Self {
            out: Box::new(out),
            talk: Talk::People(Box::new(err)),
            data_at: End::default(),
            talk_at: End::default(),
            log: None,
            threads: None,
        }
    }

    /// From now on nobody who does not read holds us up: what is written waits elsewhere, and if that is
    /// too much some of it is left out. A terminal is written to as before: somebody sits there, and the
    /// display must not be mixed up.
    ///
    /// # Errors
    /// The system gives us no threads.
    pub(super) fn let_wait(&mut self) -> Result<(), Failure> {
        if self.threads.is_some() {
            return Ok(());
        }
        let stream = |inner, name, notices| {
            let stream = Stream::of(inner, name, Duration::ZERO, notices);
            stream.map_err(|error| Failure::of_stdout(&error))
        };
        let mut threads = Threads::default();
        let notices = match &mut self.talk {
            Talk::Log => Notices::Elsewhere(Box::new(|text| tracing::warn!("{text}"))),
            // Whoever sits there sees it at once.
            Talk::People(_) if self.talk_at.is_terminal => {
                Notices::Elsewhere(Box::new(|text| drop(writeln!(io::stderr(), "{text}"))))
            }
            Talk::People(err) => {
                let taken = std::mem::replace(err, Box::new(io::sink()));
                let talk = stream(taken, "talk", Notices::between())?;
                let pipe = threads.talk.insert(talk.pipe()).clone();
                *err = Box::new(talk);
                Notices::on(pipe)
            }
        };
        if !self.data_at.is_terminal {
            let taken = std::mem::replace(&mut self.out, Box::new(io::sink()));
            let data = stream(taken, "data", notices)?;
            threads.data = Some(data.pipe());
            self.out = Box::new(data);
        }
        self.threads = Some(threads);
        Ok(())
    }

    /// Returns when all data has been taken by whoever reads.
    ///
    /// # Errors
    /// As for [`Output::line`].
    pub(super) async fn left(&mut self) -> Result<(), Failure> {
        self.flush()?;
        match self.threads.as_ref().and_then(|threads| threads.data.as_ref()) {
            Some(data) => data.left().await.map_err(|error| Failure::of_stdout(&error)),
            None => Ok(()),
        }
    }

    /// The last of it. Whoever reads it has some time; nobody else holds up the end.
    pub(super) fn close(&mut self) {
        // Whoever does not read does not want it.
        let _ = self.out.flush();
        let threads = self.threads.iter().flat_map(|threads| [&threads.data, &threads.talk]);
        // The log last: it is told there what became of the others.
        for pipe in threads.chain([&self.log]).flatten() {
            pipe.left_soon(LAST);
        }
    }

    /// Whether stderr is the log.
    pub(super) fn is_logged(&self) -> bool {
        matches!(self.talk, Talk::Log)
    }

    /// Whether talk goes to a terminal.
    pub(super) fn talks_to_terminal(&self) -> bool {
        self.talk_at.is_terminal
    }

    /// Whether data is coloured.
    pub(super) fn is_colored(&self) -> bool {
        self.data_at.is_colored
    }

    /// Whether talk is coloured.
    pub(super) fn is_talk_colored(&self) -> bool {
        self.talk_at.is_colored
    }

    /// Text in a style, when data is coloured.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        painted(self.data_at.is_colored, style, text)
    }

    /// Text in a style, when talk is coloured.
    pub(super) fn paint_talk(&self, style: Style, text: &str) -> String {
        painted(self.talk_at.is_colored, style, text)
    }

    /// A line, or several, of data.
    ///
    /// # Errors
    /// [`Failure::Closed`] when nobody reads any more.
    pub(super) fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.out, "{}", text.trim_end_matches('\n')).map_err(|error| Failure::of_stdout(&error))
    }

    /// One JSON value on one line.
    pub(super) fn json_line<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|error| Failure::of_stdout(&error.into()))?;
        self.line(&text)
    }

    /// One JSON value, indented.
    pub(super) fn json<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(|error| Failure::of_stdout(&error.into()))?;
        self.line(&text)
    }

    /// Makes sure that data has left.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| Failure::of_stdout(&error))
    }

    /// Talk. When nobody listens, that is no reason to stop.
    pub(super) fn say(&mut self, text: &str) {
        match &mut self.talk {
            Talk::People(err) => written(err, text),
            Talk::Log => logged(text, |first, more| tracing::info!(more, "{first}")),
        }
    }

    /// Talk about something that should not be so.
    pub(super) fn warn(&mut self, text: &str) {
        match &mut self.talk {
            Talk::People(err) => written(err, text),
            Talk::Log => logged(text, |first, more| tracing::warn!(more, "{first}")),
        }
    }

    /// What went wrong, as part of talk. What the other side said of it is for people, and not for the log.
    pub(super) fn heard(&self, fault: &Fault) -> String {
        match &self.talk {
            Talk::People(_) => fault.to_string(),
            Talk::Log => fault.name.clone(),
        }
    }

    /// Talk that only people need: the log has it from the records, or has no use for it.
    pub(super) fn show(&mut self, text: &str) {
        if let Talk::People(err) = &mut self.talk {
            written(err, text);
        }
    }
}

fn written(err: &mut Box<dyn Write + Send>, text: &str) {
    let _ = writeln!(err, "{}", text.trim_end_matches('\n'));
}

/// The first line of a text is the message, the rest goes with it.
fn logged(text: &str, log: impl Fn(&str, Option<&str>)) {
    let text = text.trim();
    match text.split_once('\n') {
        Some((first, more)) => log(first, Some(more)),
        None if text.is_empty() => {}
        None => log(text, None),
    }
}

fn painted(colored: bool, style: Style, text: &str) -> String {
    if colored { format!("{style}{text}{style:#}") } else { text.to_owned() }
}
