//! The log: which lines are written to stderr, and in which form. One event is one line, whatever is in it,
//! and nobody stops because a line cannot be written.

use std::fmt::{self, Write as _};
use std::io;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::stream::{Notices, Pipe, Stream};
use crate::app::{self, RECORD};
use crate::connectors::builtin::alert::ALERT_LINES;
use crate::store::OPENING_THREAD;
use crate::view::When;

/// The form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// `TIME LEVEL message name=value …`
    Text,
    /// One JSON object: time, level, message, target, and the fields.
    Json,
}

/// Which lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Those of Milepost from this level on, and warnings of the libraries in it.
    From(String),
    /// Those that these directives name, as `tracing` reads them.
    Named(String),
}

/// The words of levels.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Reads a level, or directives such as `milepost::engine=trace`.
pub(super) fn wanted(text: &str) -> Result<Wanted, String> {
    let text = text.trim();
    if LEVELS.contains(&text) {
        return Ok(Wanted::From(text.to_owned()));
    }
    let mut parts = text.split(',').map(str::trim);
    let is_named = parts.all(|part| part.contains('=') || LEVELS.contains(&part));
    match EnvFilter::try_new(text) {
        Ok(_) if is_named => Ok(Wanted::Named(text.to_owned())),
        _ => {
            Err(format!("expected one of {}, or directives such as milepost::store=debug", LEVELS.join(", ")))
        }
    }
}

/// How long whoever logs waits for a reader who does not take what is there.
const PATIENCE: Duration = Duration::from_secs(1);
/// What our own lines are about, as `tracing` names it.
const OWN: &str = module_path!();

/// Begins to write what is logged, to stderr, on a thread of its own. Without a form only errors are, because
/// people are told of the rest otherwise; what alerts say is for them then.
///
/// # Errors
/// The system gives us no thread.
pub(super) fn begin(form: Option<Form>, wanted: Option<&Wanted>) -> io::Result<Pipe> {
    let said = match (wanted, form) {
        (Some(Wanted::Named(directives)), _) => directives.clone(),
        // What libraries say at `debug` may quote what they send, so they are asked by name.
        (Some(Wanted::From(level)), _) if level == "off" => level.clone(),
        (Some(Wanted::From(level)), _) => format!("warn,milepost={level}"),
        (None, Some(_)) => "warn,milepost=info".to_owned(),
        (None, None) => format!("error,{RECORD}=off"),
    };
    let alerts = if form.is_some() { "off" } else { "warn" };
    let filter = EnvFilter::new(format!("{said},{ALERT_LINES}={alerts}"));
    let notices = Notices::Here(Box::new(move |text| notice(form, text)));
    let log = Stream::of(Box::new(io::stderr()), "the log", PATIENCE, notices)?;
    let pipe = log.pipe();
    let lines = tracing_subscriber::fmt().event_format(Lines(form)).with_writer(move || Line(log.pipe()));
    lines.with_env_filter(filter).init();
    tell_panics(form, pipe.clone());
    Ok(pipe)
}

/// What is said between the lines, in their form.
fn notice(form: Option<Form>, text: &str) -> String {
    let fields = Fields { message: text.to_owned(), others: Map::new() };
    let time = When(app::now()).to_string();
    let line = match form {
        Some(Form::Json) => fields.json(&time, "WARN", OWN),
        Some(Form::Text) => fields.text(&time, "WARN"),
        None => fields.message,
    };
    format!("{line}\n")
}

/// What a panic says is a line like any other where lines are JSON. A damaged journal makes the thread that
/// opens it panic; that is told as an error, with what to do, so its words are only for those who look closely.
fn tell_panics(form: Option<Form>, log: Pipe) {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some(OPENING_THREAD) {
            tracing::debug!(%panic, "the journal cannot be opened");
        } else if form == Some(Form::Json) {
            tracing::error!(%panic, "a defect of Milepost");
            // It may be the last that is heard of this process.
            log.left_soon(PATIENCE);
        } else {
            loud(panic);
        }
    }));
}

/// Where the line of one event goes; when nobody reads it, that is no reason to stop.
struct Line(Pipe);

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.put(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How an event becomes a line; without a form for people.
struct Lines(Option<Form>);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (time, known) = (When(app::now()).to_string(), event.metadata());
        let line = match self.0 {
            Some(Form::Json) => fields.json(&time, known.level().as_str(), known.target()),
            None if known.target() == ALERT_LINES => format!("alert: {}", on_one_line(&fields.message)),
            Some(Form::Text) | None => fields.text(&time, known.level().as_str()),
        };
        writeln!(writer, "{line}")
    }
}

/// What an event says.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn json(self, time: &str, level: &str, target: &str) -> String {
        let mut line = Map::new();
        line.insert("time".to_owned(), json!(time));
        line.insert("level".to_owned(), json!(level.to_lowercase()));
        line.insert("message".to_owned(), json!(self.message));
        line.insert("target".to_owned(), json!(target));
        for (name, value) in self.others {
            line.entry(name).or_insert(value);
        }
        Value::Object(line).to_string()
    }

    fn text(self, time: &str, level: &str) -> String {
        let mut line = format!("{time} {level:<5} {}", on_one_line(&self.message));
        for (name, value) in self.others {
            let value = match value {
                Value::String(text) if is_plain(&text) => text,
                // As JSON has it: quoted, and on one line.
                other => other.to_string(),
            };
            // Writing to a string cannot fail.
            let _ = write!(line, " {name}={value}");
        }
        line
    }

    fn add(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_graphic() && letter != '"' && letter != '=')
}

/// Nothing that was logged can look like another line, or move about on a terminal.
fn on_one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.add(field, json!(value));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, json!(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, json!(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        let others = json!({ "run": "run_1", "item": "a b\nc", "attempt": 2, "level": "mine" });
        Fields { message: "item given\nup".to_owned(), others: others.as_object().unwrap().clone() }
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let line = fields().text("2026-11-23T04:49:24.000Z", "WARN");
        assert_eq!(
            line,
            r#"2026-11-23T04:49:24.000Z WARN  item given up run=run_1 item="a b\nc" attempt=2 level=mine"#
        );
        let line = fields().json("2026-11-23T04:49:24.000Z", "WARN", "milepost::record");
        assert_eq!(
            line,
            r#"{"time":"2026-11-23T04:49:24.000Z","level":"warn","message":"item given\nup","target":"milepost::record","run":"run_1","item":"a b\nc","attempt":2}"#
        );
    }

    #[test]
    fn a_level_that_there_is_not_is_refused_and_not_taken_for_a_name() {
        assert_eq!(wanted("info"), Ok(Wanted::From("info".to_owned())));
        let named = "warn,milepost::store=debug";
        assert_eq!(wanted(named), Ok(Wanted::Named(named.to_owned())));
        for wrong in ["inof", "", "INFO!", "milepost=loud"] {
            assert!(wanted(wrong).is_err(), "{wrong}");
        }
    }
}
