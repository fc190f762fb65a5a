//! JSON values as few bytes. What other systems return is mostly IDs, so the common shapes of IDs
//! have a form of their own; every form gives back exactly the value that went in.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::error::Damage;
use super::wire::{Input, put_bytes, put_number};

/// Longest word that is shared, in bytes; longer ones are hardly ever repeated.
const WORD_BYTES_MAX: usize = 32;
/// All shared words of a row together, so that they leave room for the records.
pub(super) const WORDS_BYTES_MAX: usize = 192;
/// Crockford's base 32, as ULIDs are written.
const ULID_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const ULID_LENGTH: usize = 26;
/// Longest decimal text that surely fits 64 bits.
const DIGITS_MAX: usize = 19;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const UNSIGNED: u8 = 3;
const NEGATIVE: u8 = 4;
const FLOAT: u8 = 5;
const TEXT: u8 = 6;
const UUID: u8 = 7;
const ULID: u8 = 8;
const ULID_LOWER: u8 = 9;
const HEX: u8 = 10;
const DIGITS: u8 = 11;
const ARRAY: u8 = 12;
const OBJECT: u8 = 13;
const DECIMAL: u8 = 14;

/// Words that many records of one row use: names of facts, prefixes of IDs, names of faults.
/// They are stored once per row; a record refers to them by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    list: Vec<String>,
    bytes: usize,
}

impl Words {
    /// Appends a word: its number from 1, or 0 and the word itself when there is no room for it.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, word: &str) {
        let known = self.list.iter().position(|known| known == word);
        if let Some(place) = known.or_else(|| self.learn(word)) {
            put_number(out, place as u64 + 1);
        } else {
            out.push(0);
            put_bytes(out, word.as_bytes());
        }
    }

    /// Reads what [`Words::put`] wrote.
    pub(super) fn get(&self, input: &mut Input<'_>) -> Result<String, Damage> {
        let number = usize::try_from(input.number()?).unwrap_or(usize::MAX);
        match number.checked_sub(1) {
            None => input.text().map(str::to_owned),
            Some(place) => self.list.get(place).cloned().ok_or(Damage("a word is missing")),
        }
    }

    /// Passes over what [`Words::put`] wrote.
    pub(super) fn pass(input: &mut Input<'_>) -> Result<(), Damage> {
        if input.number()? == 0 { input.bytes().map(drop) } else { Ok(()) }
    }

    /// How many words there are, to go back to with [`Words::forget`].
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    /// Forgets the words after the first `count`.
    pub(super) fn forget(&mut self, count: usize) {
        self.list.truncate(count);
        self.bytes = self.list.iter().map(|word| word.len() + 1).sum();
    }

    /// Appends all words.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_number(out, self.list.len() as u64);
        for word in &self.list {
            put_bytes(out, word.as_bytes());
        }
    }

    /// Reads what [`Words::write`] wrote.
    pub(super) fn read(input: &mut Input<'_>) -> Result<Self, Damage> {
        let count = input.length()?;
        let mut words = Self::default();
        for _ in 0..count {
            words.list.push(input.text()?.to_owned());
        }
        words.forget(count);
        Ok(words)
    }

    fn learn(&mut self, word: &str) -> Option<usize> {
        let bytes = self.bytes + word.len() + 1;
        if word.len() > WORD_BYTES_MAX || bytes > WORDS_BYTES_MAX {
            return None;
        }
        self.bytes = bytes;
        self.list.push(word.to_owned());
        Some(self.list.len() - 1)
    }
}

/// Appends a value.
pub(super) fn put_value(out: &mut Vec<u8>, words: &mut Words, value: &Value) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Number(number) => put_json_number(out, number),
        Value::String(text) => put_text(out, words, text),
        Value::Array(values) => {
            out.push(ARRAY);
            put_number(out, values.len() as u64);
            for value in values {
                put_value(out, words, value);
            }
        }
        Value::Object(fields) => {
            out.push(OBJECT);
            put_number(out, fields.len() as u64);
            for (name, value) in fields {
                words.put(out, name);
                put_value(out, words, value);
            }
        }
    }
}

/// Reads what [`put_value`] wrote.
pub(super) fn value(input: &mut Input<'_>, words: &Words) -> Result<Value, Damage> {
    Ok(match input.byte()? {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        UNSIGNED => Value::from(input.number()?),
        NEGATIVE => Value::from((!input.number()?).cast_signed()),
        FLOAT => Value::from(f64::from_bits(u64::from_le_bytes(input.array()?))),
        DECIMAL => Value::Number(input.text()?.parse().map_err(|_| Damage("a number is not one"))?),
        ARRAY => {
            let count = input.length()?;
            Value::Array((0..count).map(|_| value(input, words)).collect::<Result<_, _>>()?)
        }
        OBJECT => {
            let count = input.length()?;
            let mut fields = Map::with_capacity(count);
            for _ in 0..count {
                let name = words.get(input)?;
                fields.insert(name, value(input, words)?);
            }
            Value::Object(fields)
        }
        form => Value::String(text(input, words, form)?),
    })
}

/// The field of this name in an object that [`put_value`] wrote; those before it are passed over.
pub(super) fn field(input: &mut Input<'_>, words: &Words, name: &str) -> Result<Option<Value>, Damage> {
    if input.byte()? != OBJECT {
        return Ok(None);
    }
    for _ in 0..input.length()? {
        if words.get(input)? == name {
            return value(input, words).map(Some);
        }
        pass(input)?;
    }
    Ok(None)
}

/// Passes over what [`put_value`] wrote.
pub(super) fn pass(input: &mut Input<'_>) -> Result<(), Damage> {
    match input.byte()? {
        NULL | FALSE | TRUE => Ok(()),
        UNSIGNED | NEGATIVE | DIGITS => input.number().map(drop),
        FLOAT => input.take(size_of::<f64>()).map(drop),
        DECIMAL | TEXT | HEX => input.bytes().map(drop),
        UUID => input.take(size_of::<Uuid>()).map(drop),
        ULID | ULID_LOWER => {
            Words::pass(input)?;
            input.take(size_of::<u128>()).map(drop)
        }
        ARRAY => (0..input.length()?).try_for_each(|_| pass(input)),
        OBJECT => (0..input.length()?).try_for_each(|_| {
            Words::pass(input)?;
            pass(input)
        }),
        _ => Err(Damage("a value has an unknown form")),
    }
}

fn put_json_number(out: &mut Vec<u8>, number: &serde_json::Number) {
    let float = number.as_f64().filter(|float| serde_json::Number::from_f64(*float).as_ref() == Some(number));
    if let Some(number) = number.as_u64() {
        out.push(UNSIGNED);
        put_number(out, number);
    } else if let Some(number) = number.as_i64().filter(|number| *number < 0) {
        out.push(NEGATIVE);
        put_number(out, !number.cast_unsigned());
    } else if let Some(float) = float {
        out.push(FLOAT);
        out.extend_from_slice(&float.to_bits().to_le_bytes());
    } else {
        // A float would change it, or how it is written.
        out.push(DECIMAL);
        put_bytes(out, number.to_string().as_bytes());
    }
}

/// Appends a text in the shortest form that gives it back unchanged.
pub(super) fn put_text(out: &mut Vec<u8>, words: &mut Words, text: &str) {
    if let Some(uuid) = as_uuid(text) {
        out.push(UUID);
        out.extend_from_slice(uuid.as_bytes());
    } else if let Some((form, prefix, number)) = as_ulid(text) {
        out.push(form);
        words.put(out, prefix);
        out.extend_from_slice(&number.to_be_bytes());
    } else if let Some(number) = as_digits(text) {
        out.push(DIGITS);
        put_number(out, number);
    } else if let Some(bytes) = as_hex(text) {
        out.push(HEX);
        put_bytes(out, &bytes);
    } else {
        out.push(TEXT);
        put_bytes(out, text.as_bytes());
    }
}

/// Reads a text that [`put_text`] wrote; its form is already read.
pub(super) fn text(input: &mut Input<'_>, words: &Words, form: u8) -> Result<String, Damage> {
    Ok(match form {
        TEXT => input.text()?.to_owned(),
        UUID => Uuid::from_bytes(input.array()?).hyphenated().to_string(),
        ULID | ULID_LOWER => {
            let mut text = words.get(input)?;
            let number = u128::from_be_bytes(input.array()?);
            for place in (0..ULID_LENGTH).rev() {
                let digit = char::from(ULID_ALPHABET[((number >> (place * 5)) & 31) as usize]);
                text.push(if form == ULID { digit } else { digit.to_ascii_lowercase() });
            }
            text
        }
        HEX => input.bytes()?.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).collect(),
        DIGITS => input.number()?.to_string(),
        _ => return Err(Damage("a value has an unknown form")),
    })
}

fn as_uuid(text: &str) -> Option<Uuid> {
    if text.len() != 36 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    // Of the texts that have this length, only the hyphenated one is a UUID.
    Uuid::try_parse(text).ok()
}

/// A prefix and a ULID, as in `prod_01JABC…`, with the form that says its case.
fn as_ulid(text: &str) -> Option<(u8, &str, u128)> {
    let (prefix, digits) = text.split_at_checked(text.len().checked_sub(ULID_LENGTH)?)?;
    let lower = digits.bytes().any(|byte| byte.is_ascii_lowercase());
    if prefix.len() > WORD_BYTES_MAX || lower && digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut number = 0u128;
    for byte in digits.bytes() {
        let digit = ULID_ALPHABET.iter().position(|known| *known == byte.to_ascii_uppercase())?;
        if number >> (128 - 5) != 0 {
            return None;
        }
        number = number << 5 | digit as u128;
    }
    Some((if lower { ULID_LOWER } else { ULID }, prefix, number))
}

fn as_digits(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain && text.len() <= DIGITS_MAX { text.parse().ok() } else { None }
}

fn as_hex(text: &str) -> Option<Vec<u8>> {
    // Below eight digits it is more likely a word, and there is nothing to gain.
    if text.len() < 8 || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

fn hex_digit(digit: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(digit & 15)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn round(value: &Value) -> (Value, usize) {
        let mut words = Words::default();
        let mut out = Vec::new();
        put_value(&mut out, &mut words, value);
        let mut input = Input::new(&out);
        let back = super::value(&mut input, &words).unwrap();
        assert_eq!(input.end(), Ok(()));
        (back, out.len())
    }

    #[test]
    fn ids_take_the_bytes_they_are_worth() {
        for (value, bytes) in [
            (json!("0190f3a2-7b1c-7def-8000-0123456789ab"), 17),
            (json!("prod_01JD3ZK5V8N7Q2R4S6T8W0XYZA"), 18),
            (json!("run_01jd3zk5v8n7q2r4s6t8w0xyza"), 18),
            (json!("1234567"), 4),
            (json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), 34),
            (json!(true), 1),
            (json!(300), 3),
        ] {
            assert_eq!(round(&value), (value.clone(), bytes), "{value}");
        }
    }

    #[test]
    fn what_only_looks_like_an_id_comes_back_unchanged() {
        for text in [
            "",
            "0",
            "007",
            "18446744073709551616",
            "0190F3A2-7B1C-7DEF-8000-0123456789AB",
            "0190f3a2_7b1c_7def_8000_0123456789ab",
            "{190f3a2-7b1c-7def-8000-0123456789a}",
            "prod_81JD3ZK5V8N7Q2R4S6T8W0XYZA",
            "prod_01JD3ZK5V8N7Q2R4S6T8W0XYZa",
            "prod_01JD3ZK5V8N7Q2R4S6T8W0XYZU",
            "01234567890123456789012345",
            "abcdefab",
            "abcdefabc",
            "ABCDEFAB",
            "äöü01JD3ZK5V8N7Q2R4S6T8W0XY",
            "ß01JD3ZK5V8N7Q2R4S6T8W0XYZA",
        ] {
            assert_eq!(round(&json!(text)).0, json!(text));
        }
    }

    #[test]
    fn numbers_that_no_float_can_hold_come_back_digit_for_digit() {
        for digits in ["12345678901234567.89", "19.90", "-0", "0.1000000000000000055", "1e+400"] {
            let value: Value = serde_json::from_str(digits).unwrap();
            assert_eq!(round(&value).0.to_string(), digits);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,40}".prop_map(Value::from),
            "[a-f0-9]{0,40}".prop_map(Value::from),
            "[a-z]{0,5}_?[0-7][0-9A-HJKMNP-TV-Z]{25}".prop_map(Value::from),
            "[0-9]{1,21}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("[a-z]{0,40}", inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_comes_back(value in any_json()) {
            prop_assert_eq!(round(&value).0, value);
        }
    }
}
