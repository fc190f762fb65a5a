//! Where a JSON value ends, by its brackets and quotes alone: it is searched for, not understood.

use memchr::memchr2;

/// Where a scan over a JSON value stands; the value may come in pieces.
pub(super) struct Scan {
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// A number or word: it ends before the next delimiter.
    bare: bool,
}

impl Scan {
    /// Begins in front of a value, whose first byte this is.
    pub(super) fn new(first: u8) -> Self {
        Self { depth: 0, in_text: false, escaped: false, bare: !matches!(first, b'{' | b'[' | b'"') }
    }

    /// The length up to the end of the value, if it ends in these bytes.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut position = 0;
        loop {
            if self.in_text {
                position += self.text_length(&bytes[position..])?;
                if self.depth == 0 {
                    return Some(position);
                }
            }
            let found = bytes[position..].iter().position(|byte| self.is_telling(*byte))?;
            position += found + 1;
            match bytes[position - 1] {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 0 => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(position);
                    }
                }
                _ => return Some(position - 1),
            }
        }
    }

    /// Whether a byte outside of texts may change anything.
    fn is_telling(&self, byte: u8) -> bool {
        match byte {
            b'"' | b'{' | b'[' => true,
            b'}' => self.depth > 0,
            b']' => self.depth > 0 || self.bare,
            b',' | b' ' | b'\n' | b'\r' | b'\t' => self.bare,
            _ => false,
        }
    }

    /// The length up to the quote that ends the text in which these bytes begin, if it is among them.
    fn text_length(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut position = 0;
        if self.escaped {
            self.escaped = bytes.is_empty();
            position = 1;
        }
        loop {
            position += memchr2(b'"', b'\\', bytes.get(position..)?)? + 1;
            if bytes[position - 1] == b'"' {
                self.in_text = false;
                return Some(position);
            }
            self.escaped = position == bytes.len();
            position += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(pieces: &[&[u8]]) -> Option<usize> {
        let mut scan = Scan::new(pieces.concat()[0]);
        let mut before = 0;
        for piece in pieces {
            if let Some(length) = scan.end(piece) {
                return Some(before + length);
            }
            before += piece.len();
        }
        None
    }

    #[test]
    fn a_value_ends_at_the_same_place_however_it_arrives() {
        for (value, behind) in [
            (r#"{"a":"b","c":[1,{"d":null}]}"#, ","),
            (r#"{"quote \" brace }":"\\","\\\"":"]"}"#, "}"),
            (r#"["\\",[[]],"\u0022}"]"#, "]"),
            (r#""a \\\" b""#, "\n"),
            ("-12.5e7", ","),
            ("true", "]"),
            ("null", " ]"),
        ] {
            let text = [value, behind].concat();
            for cut in 0..=text.len() {
                for second in cut..=text.len() {
                    let bytes = text.as_bytes();
                    let pieces = [&bytes[..cut], &bytes[cut..second], &bytes[second..]];
                    assert_eq!(length(&pieces), Some(value.len()), "{value} cut at {cut} and {second}");
                }
            }
            let whole_is_cut_off = length(&[&value.as_bytes()[..value.len() - 1]]);
            assert_eq!(whole_is_cut_off, None, "{value}");
        }
    }
}
