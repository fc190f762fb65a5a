//! stdout is data, stderr is talk. The only place that writes to either.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::failure::Failure;
use super::stream::{Pipe, Stream};

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

/// How long nobody may read before what is left at the end is given up.
const LAST: Duration = Duration::from_secs(1);

/// Where a command writes to.
pub struct Output {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    out_look: Look,
    err_look: Look,
    /// What is written by a thread of its own.
    threads: Threads,
}

/// What a stream is written to.
#[derive(Clone, Copy, Default)]
struct Look {
    is_terminal: bool,
    is_colored: bool,
}

impl Look {
    fn of(stream: &impl IsTerminal, wanted: bool) -> Self {
        let is_terminal = stream.is_terminal();
        Self { is_terminal, is_colored: wanted && is_terminal }
    }
}

/// What is written by a thread of its own.
#[derive(Default)]
struct Threads {
    data: Option<Pipe>,
    talk: Option<Pipe>,
    /// Where it is said on a terminal that data was left out.
    notices: Option<Stream>,
}

impl Output {
    /// The streams of this process. Colours only on a terminal, and not when `NO_COLOR` is set.
    pub fn process() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|value| value != "dumb");
        Self {
            out_look: Look::of(&io::stdout(), wanted),
            err_look: Look::of(&io::stderr(), wanted),
            out: Box::new(BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
            threads: Threads::default(),
        }
    }

    /// Other streams, without colours.
    pub fn plain(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        Self {
            out: Box::new(out),
            err: Box::new(err),
            out_look: Look::default(),
            err_look: Look::default(),
            threads: Threads::default(),
        }
    }

    /// From now on nobody who does not read holds us up: what is written waits elsewhere, and if that is
    /// too much some of it is left out. A terminal is written to as before: somebody sits there, and the
    /// display must not be mixed up.
    ///
    /// # Errors
    /// The system gives us no threads.
    pub(super) fn let_wait(&mut self) -> Result<(), Failure> {
        if self.threads.talk.is_some() {
            return Ok(());
        }
        let stream = |inner, name, talk: Option<&Pipe>| {
            Stream::of(inner, name, talk).map_err(|error| Failure::of_stdout(&error))
        };
        let taken = if self.err_look.is_terminal {
            Box::new(io::stderr())
        } else {
            std::mem::replace(&mut self.err, Box::new(io::sink()))
        };
        let talk = stream(taken, "talk", None)?;
        let pipe = talk.pipe();
        if self.err_look.is_terminal {
            self.threads.notices = Some(talk);
        } else {
            self.err = Box::new(talk);
        }
        if !self.out_look.is_terminal {
            let taken = std::mem::replace(&mut self.out, Box::new(io::sink()));
            let data = stream(taken, "data", Some(&pipe))?;
            self.threads.data = Some(data.pipe());
            self.out = Box::new(data);
        }
        self.threads.talk = Some(pipe);
        Ok(())
    }

    /// Returns when all data has been taken by whoever reads.
    ///
    /// # Errors
    /// As for [`Output::line`].
    pub(super) async fn left(&mut self) -> Result<(), Failure> {
        self.flush()?;
        match &self.threads.data {
            Some(data) => data.left().await.map_err(|error| Failure::of_stdout(&error)),
            None => Ok(()),
        }
    }

    /// The last of it. Whoever reads it has some time; nobody else holds up the end.
    pub(super) fn close(&mut self) {
        // Whoever does not read does not want it.
        let _ = self.out.flush();
        drop(self.threads.notices.take());
        for pipe in self.threads.data.iter().chain(&self.threads.talk) {
            pipe.left_soon(LAST);
        }
    }

    /// Whether talk goes to a terminal.
    pub(super) fn talks_to_terminal(&self) -> bool {
        self.err_look.is_terminal
    }

    /// Whether data is coloured.
    pub(super) fn is_colored(&self) -> bool {
        self.out_look.is_colored
    }

    /// Whether talk is coloured.
    pub(super) fn is_talk_colored(&self) -> bool {
        self.err_look.is_colored
    }

    /// Text in a style, when data is coloured.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        painted(self.out_look.is_colored, style, text)
    }

    /// Text in a style, when talk is coloured.
    pub(super) fn paint_talk(&self, style: Style, text: &str) -> String {
        painted(self.err_look.is_colored, style, text)
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
        let _ = writeln!(self.err, "{}", text.trim_end_matches('\n'));
    }
}

fn painted(colored: bool, style: Style, text: &str) -> String {
    if colored { format!("{style}{text}{style:#}") } else { text.to_owned() }
}
