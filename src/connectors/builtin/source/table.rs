//! CSV: each row becomes a JSON object of texts.

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::Unusable;
use super::split::{At, Batch, RECORD_BYTES_MAX};
use super::text::Text;

/// A CSV source.
pub(super) struct Table {
    reader: Reader<Text>,
    /// The names of the header, as JSON texts.
    names: Vec<String>,
    row: ByteRecord,
    json: Vec<u8>,
}

impl Table {
    /// Reads the header.
    pub(super) fn new(text: Text, delimiter: Option<u8>) -> Result<Self, Unusable> {
        let mut reader =
            ReaderBuilder::new().flexible(true).delimiter(delimiter.unwrap_or(b',')).from_reader(text);
        let header = reader.byte_headers().map_err(unreadable)?.clone();
        let mut names = Vec::with_capacity(header.len());
        for field in &header {
            let Ok(name) = std::str::from_utf8(field) else {
                return Err(Unusable::whole("the header is not UTF-8".to_owned()));
            };
            let name = serde_json::Value::from(name.trim()).to_string();
            if name == "\"\"" || names.contains(&name) {
                let message = format!(
                    "the header has the name {name} {}",
                    if name == "\"\"" { "for a column" } else { "twice" }
                );
                return Err(Unusable::at(At { byte: 0, line: 1 }, message));
            }
            names.push(name);
        }
        if names.is_empty() {
            return Err(Unusable::whole(
                "the source has no header: expected one line of column names".to_owned(),
            ));
        }
        Ok(Self { reader, names, row: ByteRecord::new(), json: Vec::new() })
    }

    /// Adds the next row.
    pub(super) fn next(&mut self, batch: &mut Batch) -> Result<bool, Unusable> {
        if !self.reader.read_byte_record(&mut self.row).map_err(unreadable)? {
            return Ok(false);
        }
        let at = self
            .row
            .position()
            .map_or(At { byte: 0, line: 1 }, |position| At { byte: position.byte(), line: position.line() });
        if self.row.as_slice().len() > RECORD_BYTES_MAX {
            let limit = RECORD_BYTES_MAX / (1024 * 1024);
            return Err(Unusable::at(at, format!("the row is longer than {limit} MiB")));
        }
        self.json.clear();
        self.json.push(b'{');
        for (position, (name, field)) in self.names.iter().zip(&self.row).enumerate() {
            let Ok(text) = std::str::from_utf8(field) else {
                return Err(Unusable::at(at, "the row is not UTF-8"));
            };
            if position > 0 {
                self.json.push(b',');
            }
            self.json.extend_from_slice(name.as_bytes());
            self.json.push(b':');
            serde_json::to_writer(&mut self.json, text)
                .map_err(|error| Unusable::at(at, error.to_string()))?;
        }
        self.json.push(b'}');
        let (fields, names) = (self.row.len(), self.names.len());
        let note = (fields != names).then(|| format!("the row has {fields} fields, the header {names}"));
        batch.push(&self.json, at, note);
        Ok(true)
    }
}

fn unreadable(error: csv::Error) -> Unusable {
    let at = error.position().map(|position| At { byte: position.byte(), line: position.line() });
    let message = format!("failed to read the CSV: {error}");
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Unusable::reading(&error, at.map_or(0, |at| at.byte)),
        _ => Unusable::Malformed { at, message },
    }
}
