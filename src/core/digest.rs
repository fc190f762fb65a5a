//! Digests of JSON values, and how digests are spelled.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A value as a digest that can be added to. In which order the members of an object are written
/// makes no difference.
pub fn of(value: &Value) -> Sha256 {
    let mut digest = Sha256::new();
    add(&mut digest, value);
    digest
}

/// The first half of a digest, as a number: it names a row in few bytes, and nobody can make two texts
/// with the same half on purpose.
pub fn half(digest: Sha256) -> u128 {
    digest.finalize().iter().take(16).fold(0, |half, byte| half << 8 | u128::from(*byte))
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn add(digest: &mut Sha256, value: &Value) {
    let mut put = |kind: u8, text: &str| {
        digest.update([kind]);
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    };
    match value {
        Value::Null => put(b'0', ""),
        Value::Bool(yes) => put(b'b', if *yes { "1" } else { "" }),
        Value::Number(number) => put(b'n', &number.to_string()),
        Value::String(text) => put(b't', text),
        Value::Array(values) => {
            put(b'a', &values.len().to_string());
            for value in values {
                add(digest, value);
            }
        }
        Value::Object(fields) => {
            put(b'o', &fields.len().to_string());
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            for (name, value) in sorted {
                digest.update((name.len() as u64).to_be_bytes());
                digest.update(name);
                add(digest, value);
            }
        }
    }
}
