//! Cuts a source into records without understanding them: one pass, bounded memory.

use std::io::{BufRead, Read};

use memchr::{memchr, memchr_iter};

use super::Unusable;
use super::scan::Scan;
use super::table::Table;
use super::text::Text;

/// A longer record is no product but a broken file, or an attempt to fill the memory.
pub(super) const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// The formats a source may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON array of records.
    Array,
    /// One JSON value per line.
    Lines,
    /// Comma-separated values with a header.
    Csv,
}

/// One record in a batch.
#[derive(Debug)]
pub(super) struct Piece {
    /// Its place in the batch's bytes.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where it begins in the (decompressed) source.
    pub(super) at: At,
    /// Why it is no record, when cutting has seen that already.
    pub(super) note: Option<String>,
}

/// A place in the source: byte offset from 0, line from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) byte: u64,
    pub(super) line: u64,
}

/// Some consecutive records.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) pieces: Vec<Piece>,
}

impl Batch {
    /// Adds one record.
    pub(super) fn push(&mut self, record: &[u8], at: At, note: Option<String>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        self.pieces.push(Piece { start, end: self.bytes.len(), at, note });
    }
}

/// Cuts one source.
pub(super) enum Splitter {
    Array(Window, Expected),
    Lines(Window),
    Csv(Box<Table>),
}

impl Splitter {
    /// Starts to cut. Without a format, the first character decides.
    pub(super) fn new(
        mut text: Text,
        format: Option<Format>,
        delimiter: Option<u8>,
    ) -> Result<Self, Unusable> {
        let first = first_character(&mut text)?;
        let format = match (format, first) {
            (Some(format), _) => format,
            (None, Some(b'[')) => Format::Array,
            (None, Some(b'{')) => Format::Lines,
            (None, first) => return Err(unknown(first)),
        };
        Ok(match format {
            Format::Array => Self::Array(Window::new(text), Expected::Start),
            Format::Lines => Self::Lines(Window::new(text)),
            Format::Csv => Self::Csv(Box::new(Table::new(text, delimiter)?)),
        })
    }

    /// What the source is.
    pub(super) fn format(&self) -> Format {
        match self {
            Self::Array(..) => Format::Array,
            Self::Lines(_) => Format::Lines,
            Self::Csv(_) => Format::Csv,
        }
    }

    /// Adds the next record to the batch; `false` when there is none.
    pub(super) fn next(&mut self, batch: &mut Batch) -> Result<bool, Unusable> {
        match self {
            Self::Array(window, expected) => next_element(window, expected, batch),
            Self::Lines(window) => next_line(window, batch),
            Self::Csv(table) => table.next(batch),
        }
    }
}

fn unknown(first: Option<u8>) -> Unusable {
    let found = match first {
        Some(byte) if byte.is_ascii_graphic() => format!("'{}'", char::from(byte)),
        Some(byte) => format!("byte 0x{byte:02x}"),
        None => "white space only".to_owned(),
    };
    Unusable::whole(format!(
        "the source begins with {found}: expected '[' (a JSON array) or '{{' (NDJSON); for CSV write 'format: csv'"
    ))
}

/// The first character that is not white space; white space before it is skipped while it fits
/// the buffer.
fn first_character(text: &mut Text) -> Result<Option<u8>, Unusable> {
    let head = text.fill_buf().map_err(|error| Unusable::reading(&error, 0))?;
    Ok(head.iter().copied().find(|byte| !byte.is_ascii_whitespace()))
}

/// What an array may go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Start,
    ElementOrEnd,
    Element,
    CommaOrEnd,
    Nothing,
}

fn next_element(window: &mut Window, expected: &mut Expected, batch: &mut Batch) -> Result<bool, Unusable> {
    loop {
        let byte = window.skip_space()?;
        *expected = match (*expected, byte) {
            (Expected::Nothing, None) => return Ok(false),
            (Expected::Start, Some(b'[')) => window.step(Expected::ElementOrEnd),
            (Expected::ElementOrEnd | Expected::CommaOrEnd, Some(b']')) => window.step(Expected::Nothing),
            (Expected::CommaOrEnd, Some(b',')) => window.step(Expected::Element),
            (Expected::ElementOrEnd | Expected::Element, Some(first))
                if !matches!(first, b',' | b']' | b'}' | b':') =>
            {
                let length = window.value_length(first)?;
                batch.push(&window.rest()[..length], window.at(), None);
                window.consume(length);
                *expected = Expected::CommaOrEnd;
                return Ok(true);
            }
            (expected, found) => return Err(surprise(window, expected, found)),
        };
    }
}

fn surprise(window: &Window, expected: Expected, found: Option<u8>) -> Unusable {
    let wanted = match expected {
        Expected::Start => "'[', the start of a JSON array",
        Expected::ElementOrEnd => "a record or ']'",
        Expected::Element => "a record",
        Expected::CommaOrEnd => "',' or ']'",
        Expected::Nothing => "nothing after the array",
    };
    let found = match found {
        Some(byte) if byte.is_ascii_graphic() => format!("'{}'", char::from(byte)),
        Some(byte) => format!("byte 0x{byte:02x}"),
        None => "the end of the file: it is cut off".to_owned(),
    };
    Unusable::at(window.at(), format!("expected {wanted}, found {found}"))
}

fn next_line(window: &mut Window, batch: &mut Batch) -> Result<bool, Unusable> {
    if window.skip_space()?.is_none() {
        return Ok(false);
    }
    let at = window.at();
    let length = window.line_length()?;
    let line = window.rest()[..length].trim_ascii_end();
    if at.line == window.first_line {
        // A whole document over several lines would otherwise be thousands of bad records.
        if serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err() {
            let message =
                "the first line is not one JSON value: expected NDJSON (one record per line) or a JSON array";
            return Err(Unusable::at(at, message));
        }
    }
    batch.push(line, at, None);
    window.consume(length);
    Ok(true)
}

/// The part of a source that is in memory.
pub(super) struct Window {
    text: Text,
    buffer: Vec<u8>,
    /// Where the unread part of the buffer begins.
    start: usize,
    /// The place of that beginning in the source.
    byte: u64,
    line: u64,
    first_line: u64,
}

impl Window {
    fn new(text: Text) -> Self {
        Self { text, buffer: Vec::with_capacity(2 * CHUNK_BYTES), start: 0, byte: 0, line: 1, first_line: 0 }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn at(&self) -> At {
        At { byte: self.byte, line: self.line }
    }

    fn consume(&mut self, length: usize) {
        let taken = &self.buffer[self.start..self.start + length];
        self.line += memchr_iter(b'\n', taken).count() as u64;
        self.byte += length as u64;
        self.start += length;
    }

    fn step(&mut self, next: Expected) -> Expected {
        self.consume(1);
        next
    }

    /// Reads on; `false` at the end of the source.
    fn fill(&mut self) -> Result<bool, Unusable> {
        if self.rest().len() > RECORD_BYTES_MAX {
            let limit = RECORD_BYTES_MAX / (1024 * 1024);
            return Err(Unusable::at(self.at(), format!("the record is longer than {limit} MiB")));
        }
        if self.start > CHUNK_BYTES {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let before = self.buffer.len();
        let read = (&mut self.text).take(CHUNK_BYTES as u64).read_to_end(&mut self.buffer);
        read.map_err(|error| Unusable::reading(&error, self.byte + (self.buffer.len() - self.start) as u64))?;
        Ok(self.buffer.len() > before)
    }

    /// Passes over white space; the byte after it.
    fn skip_space(&mut self) -> Result<Option<u8>, Unusable> {
        loop {
            let rest = self.rest();
            if let Some(length) = rest.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
                self.consume(length);
                if self.first_line == 0 {
                    self.first_line = self.line;
                }
                return Ok(self.rest().first().copied());
            }
            self.consume(self.buffer.len() - self.start);
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    fn line_length(&mut self) -> Result<usize, Unusable> {
        let mut from = 0;
        loop {
            if let Some(length) = memchr(b'\n', &self.rest()[from..]) {
                return Ok(from + length);
            }
            from = self.rest().len();
            if !self.fill()? {
                return Ok(from);
            }
        }
    }

    /// The length of the JSON value that begins here, by its brackets and quotes alone.
    fn value_length(&mut self, first: u8) -> Result<usize, Unusable> {
        let mut scan = Scan::new(first);
        let mut from = 0;
        loop {
            if let Some(length) = scan.end(&self.rest()[from..]) {
                return Ok(from + length);
            }
            from = self.rest().len();
            if !self.fill()? {
                let message = "the file ends inside this record: it is cut off";
                return Err(Unusable::at(self.at(), message));
            }
        }
    }
}
