//! `json.validate`: a source of records, from a JSON array, NDJSON or CSV file, plain or gzip.
//!
//! ```text
//! open ─► split ─► check (threads) ─► pin ─► records
//! ```
//!
//! An array without elements is a source without items. An empty file is malformed: whoever
//! writes the file has written nothing.
//!
//! `source: { queue: … }` takes the records from messages instead: an open run (`stream`).

mod check;
mod index;
mod paths;
mod pin;
mod reading;
mod records;
mod scan;
mod seen;
mod split;
mod stream;
mod table;
mod text;

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use self::check::Checker;
pub(crate) use self::paths::Paths;
use self::split::{At, Format, Splitter};
use crate::connectors::opening::Opener;
use crate::connectors::{BuildFault, Site, settings};
use crate::core::catalog::{ConnectionKind, Descriptor, Field, Kind, Place, Role, always};
use crate::core::fault::{Fault, name};
use crate::core::run;
use crate::core::scope::Scope;
use crate::expr::{Expression, Template};
use crate::ports::{Interest, Pinned, Pins, Prepare, Records, Source, SurveyOf, Unread, Worker};

/// What `json.validate` declares.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "json.validate",
    summary: "reads records from a JSON, NDJSON or CSV file and checks each by a JSON Schema",
    role: Role::Source,
    place: Place::Run,
    connections: &["local", "s3", "embedded", "aws"],
    fields: &[
        Field { name: "source", kind: Kind::Source(stream::FIELDS), required: true },
        Field { name: "item_key", kind: Kind::Expression, required: true },
        Field { name: "schema", kind: Kind::File, required: false },
        Field { name: "required", kind: Kind::Texts, required: false },
        Field { name: "on_invalid", kind: Kind::OneOf(&["dead_letter", "fail"]), required: false },
        Field { name: "format", kind: Kind::OneOf(&["json", "ndjson", "csv"]), required: false },
        Field { name: "delimiter", kind: Kind::Plain, required: false },
    ],
    facts: &["source"],
    batch_default: 1,
    batch_max: 1,
    concurrency: 1,
    harmless: always,
};

pub(crate) use stream::build as build_stream;

/// The connection to the files of this machine.
pub const LOCAL: ConnectionKind =
    ConnectionKind { name: "local", summary: "files of this machine", fields: &[] };

/// Makes the worker of a step that reads what `opener` opens.
///
/// # Errors
/// Every mistake in the step and in its schema file.
pub(crate) fn build(site: &Site<'_>, opener: Arc<dyn Opener>) -> Result<Worker, Vec<BuildFault>> {
    let with = &site.step.with;
    let written = with.get("source").cloned().unwrap_or_default();
    let one = |fault: BuildFault| vec![fault];
    // What an expression gives is known when the run reads it.
    let literal = written.as_str().filter(|text| !text.contains("${{"));
    let source = if written.is_object() {
        Err(one(BuildFault {
            hint: Some("name a connection of kind embedded or aws".to_owned()),
            ..fault("source", "what this connection reads is no queue".to_owned())
        }))
    } else if let Some(Err(refused)) = literal.map(|uri| opener.accepts(uri)) {
        Err(one(fault("source", refused.message)))
    } else {
        Template::parse(&written).map_err(|error| one(fault("source", error.message)))
    };
    let read = settings::both(checker(site), delimiter(with).map_err(one));
    let (source, (checker, delimiter)) = settings::both(source, read)?;
    Ok(Worker::Source(Arc::new(Step {
        source,
        opener,
        format: format(with),
        delimiter,
        fail: text(with, "on_invalid") == Some("fail"),
        checker: Arc::new(checker),
    })))
}

/// What is asked of each record.
fn checker(site: &Site<'_>) -> Result<Checker, Vec<BuildFault>> {
    let with = &site.step.with;
    let key_text = text(with, "item_key").unwrap_or_default();
    let key = Expression::parse(key_text).map_err(|error| vec![fault("item_key", error.message)]);
    let (schema, key) = settings::both(schema(with, site).map_err(|fault| vec![fault]), key)?;
    let required = with.get("required").and_then(Value::as_array).into_iter().flatten();
    let required =
        required.filter_map(Value::as_str).map(|path| format!("/{}", path.replace('.', "/"))).collect();
    Ok(Checker { schema, required, key, key_text: key_text.to_owned() })
}

fn text<'w>(with: &'w Map<String, Value>, field: &str) -> Option<&'w str> {
    with.get(field).and_then(Value::as_str)
}

fn fault(field: &str, message: String) -> BuildFault {
    BuildFault { field: Some(field.to_owned()), place: None, message, hint: None }
}

fn format(with: &Map<String, Value>) -> Option<Format> {
    match text(with, "format") {
        Some("json") => Some(Format::Array),
        Some("ndjson") => Some(Format::Lines),
        Some("csv") => Some(Format::Csv),
        _ => None,
    }
}

/// Nothing inside a CSV file shows that it is one; its name does.
fn is_csv(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    Path::new(path.strip_suffix(".gz").unwrap_or(&path))
        .extension()
        .is_some_and(|extension| extension == "csv")
}

fn delimiter(with: &Map<String, Value>) -> Result<Option<u8>, BuildFault> {
    match text(with, "delimiter").map(str::as_bytes) {
        None => Ok(None),
        Some(b"tab" | b"\\t") => Ok(Some(b'\t')),
        Some([byte]) if !byte.is_ascii_alphanumeric() && *byte != b'"' => Ok(Some(*byte)),
        Some(_) => Err(BuildFault {
            hint: Some("write one character such as ';', or 'tab'".to_owned()),
            ..fault("delimiter", "a delimiter is one character".to_owned())
        }),
    }
}

fn schema(with: &Map<String, Value>, site: &Site<'_>) -> Result<Option<jsonschema::Validator>, BuildFault> {
    let Some(name) = text(with, "schema") else { return Ok(None) };
    let Some(bytes) = site.files.get(name) else {
        return Err(fault("schema", format!("the file '{name}' is not there")));
    };
    let placed = |line: usize, column: usize, message: String| BuildFault {
        place: Some((name.to_owned(), u32::try_from(line).unwrap_or(1), u32::try_from(column).unwrap_or(1))),
        ..fault("schema", message)
    };
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| placed(error.line(), error.column(), format!("not JSON: {error}")))?;
    jsonschema::validator_for(&value).map(Some).map_err(|error| {
        let pointer = error.instance_path().to_string();
        placed(
            1,
            1,
            format!("not a JSON Schema: {}: {error}", if pointer.is_empty() { "/" } else { &pointer }),
        )
    })
}

/// What is read for as long as somebody waits for it, however much there is.
struct Wanted {
    bytes: Box<dyn Read + Send>,
    interest: Interest,
}

impl Read for Wanted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.interest.is_lost() {
            return Err(io::Error::other(Unread::unwanted()));
        }
        self.bytes.read(into)
    }
}

struct Step {
    source: Template,
    opener: Arc<dyn Opener>,
    format: Option<Format>,
    delimiter: Option<u8>,
    fail: bool,
    checker: Arc<Checker>,
}

impl Step {
    fn uri(&self, scope: &Scope) -> Result<String, Fault> {
        match self.source.render(scope)? {
            Value::String(uri) if !uri.trim().is_empty() => Ok(uri),
            other => Err(Fault::new(name::VALIDATION, format!("the source is {other}: expected a path"))),
        }
    }
}

impl Prepare for Step {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let mut object = Map::new();
        object.insert("source".to_owned(), Value::String(self.uri(scope)?));
        Ok(Value::Object(object))
    }
}

impl Source for Step {
    fn pin(
        &self,
        scope: &Scope,
        pins: &dyn Pins,
        survey: &SurveyOf<'_>,
        interest: &Interest,
    ) -> Result<Pinned, Unread> {
        let uri = self.uri(scope)?;
        self.opener.accepts(&uri)?;
        let opened = self.opener.open(&uri, interest)?;
        let format = self.format.or_else(|| is_csv(&opened.name).then_some(Format::Csv));
        let bytes = Box::new(Wanted { bytes: opened.bytes, interest: interest.clone() });
        let text = text::text(bytes, &opened.name).map_err(|unusable| unusable.unread(None))?;
        let splitter =
            Splitter::new(text, format, self.delimiter).map_err(|unusable| unusable.unread(None))?;
        let pinned = pin::pin(splitter, &self.checker, survey, self.fail, pins)?;
        let source = run::Source {
            uri,
            records: pinned.records,
            index: pinned.index,
            count: pinned.count,
            origin: opened.origin,
            intake: None,
        };
        Ok(Pinned { source, rejected: pinned.rejected, remarks: pinned.remarks })
    }

    fn open(&self, source: &run::Source, pins: &dyn Pins) -> Result<Arc<dyn Records>, Fault> {
        let file = |address: &str| pins.open(address).map_err(|error| pin::store_fault(&error));
        Ok(Arc::new(records::Pinned {
            records: file(&source.records)?,
            index: file(&source.index)?,
            count: source.count,
            checker: Arc::clone(&self.checker),
        }))
    }
}

/// Why no record of a source can be trusted.
#[derive(Clone, Debug)]
enum Unusable {
    /// It is not what it should be.
    Malformed { at: Option<At>, message: String },
    /// It was not read to its end.
    Unread(Unread),
}

impl Unusable {
    fn whole(message: impl Into<String>) -> Self {
        Self::Malformed { at: None, message: message.into() }
    }

    fn at(at: At, message: impl Into<String>) -> Self {
        Self::Malformed { at: Some(at), message: message.into() }
    }

    /// A failed read; for gzip also a damaged one.
    fn reading(error: &io::Error, byte: u64) -> Self {
        if let Some(unread) = error.get_ref().and_then(|cause| cause.downcast_ref::<Unread>()) {
            return Self::Unread(unread.clone());
        }
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the compressed file is cut off".to_owned(),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                format!("the gzip data is damaged: {error}")
            }
            _ => error.to_string(),
        };
        Self::whole(format!("failed to read the source behind byte {byte}: {why}"))
    }

    /// Why the run ends here; `record` is the position of the record, from 0.
    fn unread(self, record: Option<u64>) -> Unread {
        let message = match (self, record) {
            (Self::Unread(unread), _) => return unread,
            (Self::Malformed { at: Some(at), message }, Some(record)) => {
                format!("record {record} ({at}): {message}")
            }
            (Self::Malformed { at: Some(at), message }, None) => format!("{at}: {message}"),
            (Self::Malformed { at: None, message }, _) => message,
        };
        Fault::new(name::VALIDATION, message).into()
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, byte {}", self.line, self.byte)
    }
}
