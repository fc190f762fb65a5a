//! The text of a source: its bytes, plain or gzip, in UTF-8.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::Unusable;

/// Read at once: large enough that system calls do not count.
const BUFFER_BYTES: usize = 256 * 1024;

/// A source's text, decompressed, without a byte-order mark.
pub(super) type Text = BufReader<Box<dyn Read + Send>>;

/// The text in `bytes`, after a look at the first of them.
pub(super) fn text(bytes: Box<dyn Read + Send>, shown: &str) -> Result<Text, Unusable> {
    let mut plain = BufReader::with_capacity(BUFFER_BYTES, Gathered(bytes));
    let head = peek(&mut plain).map_err(|error| Unusable::reading(&error, 0))?;
    let inner: Box<dyn Read + Send> = if head.starts_with(&[0x1f, 0x8b]) {
        Box::new(Gathered(MultiGzDecoder::new(plain)))
    } else {
        Box::new(plain)
    };
    let mut text = BufReader::with_capacity(BUFFER_BYTES, inner);
    let head = peek(&mut text).map_err(|error| Unusable::reading(&error, 0))?;
    match head.as_slice() {
        [] => {
            return Err(Unusable::whole(format!(
                "the source {shown} is empty: expected a JSON array, NDJSON or CSV"
            )));
        }
        [0xef, 0xbb, 0xbf, ..] => text.consume(3),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
            return Err(Unusable::whole(format!(
                "the source {shown} is in UTF-16 or UTF-32: expected UTF-8"
            )));
        }
        [b'P', b'K', 3, 4, ..] => {
            return Err(Unusable::whole(format!(
                "the source {shown} is a ZIP archive: expected plain text or gzip"
            )));
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            return Err(Unusable::whole(format!(
                "the source {shown} is in zstd: expected plain text or gzip"
            )));
        }
        _ => {}
    }
    Ok(text)
}

/// Reads as much as there is room for, in whatever pieces it comes: whoever looks at the beginning
/// sees all of it. What came before an error is not handed out: it is worth nothing without the rest.
struct Gathered<R>(R);

impl<R: Read> Read for Gathered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut at = 0;
        while at < into.len() {
            match self.0.read(&mut into[at..]) {
                Ok(0) => break,
                Ok(read) => at += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(at)
    }
}

/// The first bytes, up to four, left unread.
fn peek(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let head = reader.fill_buf()?;
    Ok(head[..head.len().min(4)].to_vec())
}
