//! Opens a source: a file, plain or gzip, in UTF-8.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::Malformed;

/// Read at once: large enough that system calls do not count.
const BUFFER_BYTES: usize = 256 * 1024;

/// A source's text, decompressed, without a byte-order mark.
pub(super) type Text = BufReader<Box<dyn Read + Send>>;

/// Opens a path and looks at its first bytes.
pub(super) fn open(path: &Path) -> Result<Text, Malformed> {
    let shown = path.display();
    let refuse = |error: &io::Error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            io::ErrorKind::PermissionDenied => "reading it is not permitted".to_owned(),
            _ => error.to_string(),
        };
        Malformed::whole(format!("failed to open the source {shown}: {why}"))
    };
    let file = File::open(path).map_err(|error| refuse(&error))?;
    if file.metadata().map_err(|error| refuse(&error))?.is_dir() {
        return Err(Malformed::whole(format!("the source {shown} is a directory: expected a file")));
    }
    let mut plain = BufReader::with_capacity(BUFFER_BYTES, file);
    let head = peek(&mut plain).map_err(|error| refuse(&error))?;
    let inner: Box<dyn Read + Send> =
        if head.starts_with(&[0x1f, 0x8b]) { Box::new(MultiGzDecoder::new(plain)) } else { Box::new(plain) };
    let mut text = BufReader::with_capacity(BUFFER_BYTES, inner);
    let head = peek(&mut text).map_err(|error| Malformed::reading(&error, 0))?;
    match head.as_slice() {
        [] => {
            return Err(Malformed::whole(format!(
                "the source {shown} is empty: expected a JSON array, NDJSON or CSV"
            )));
        }
        [0xef, 0xbb, 0xbf, ..] => text.consume(3),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
            return Err(Malformed::whole(format!(
                "the source {shown} is in UTF-16 or UTF-32: expected UTF-8"
            )));
        }
        [b'P', b'K', 3, 4, ..] => {
            return Err(Malformed::whole(format!(
                "the source {shown} is a ZIP archive: expected plain text or gzip"
            )));
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            return Err(Malformed::whole(format!(
                "the source {shown} is in zstd: expected plain text or gzip"
            )));
        }
        _ => {}
    }
    Ok(text)
}

/// The first bytes, up to four, left unread.
fn peek(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let head = reader.fill_buf()?;
    Ok(head[..head.len().min(4)].to_vec())
}
