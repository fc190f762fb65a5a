//! Money: decimal from the first digit to the last. No binary float takes part in any sum.

use std::collections::BTreeMap;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Number, Value};

use super::text;
use crate::core::number::survives_float;

/// Which character separates the whole part from the fraction in texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Point,
    Comma,
}

/// What one unit of the base currency is worth, on one day.
#[derive(Clone, Debug)]
pub(super) struct Rates {
    /// The day, as `2026-11-20`.
    pub(super) date: String,
    pub(super) base: String,
    pub(super) table: BTreeMap<String, Decimal>,
}

impl Rates {
    /// Whether the table knows a currency.
    pub(super) fn knows(&self, currency: &str) -> bool {
        currency == self.base || self.table.contains_key(currency)
    }

    /// An amount in another currency, not rounded.
    pub(super) fn convert(&self, amount: Decimal, from: &str, to: &str) -> Result<Decimal, String> {
        let rate = |currency: &str| match self.table.get(currency) {
            _ if currency == self.base => Ok(Decimal::ONE),
            Some(rate) => Ok(*rate),
            None => Err(format!("the rates of {} have no rate for {currency}", self.date)),
        };
        amount.checked_mul(rate(to)?).and_then(|product| product.checked_div(rate(from).ok()?)).ok_or_else(
            || rate(from).err().unwrap_or_else(|| format!("{amount} {from} is too large to convert")),
        )
    }
}

/// Digits after the point in a currency (ISO 4217); two for those not listed.
pub fn minor_digits(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

/// An amount of the smallest units of a currency in whole ones: 1999 cents are 19.99.
pub(super) fn from_minor(amount: Decimal, currency: &str) -> Result<Decimal, String> {
    let mut major = amount;
    let scale = amount.scale() + minor_digits(currency);
    major.set_scale(scale).map(|()| major).map_err(|_| format!("{amount} has too many digits"))
}

/// An amount with exactly so many digits after the point, halves away from zero as in trade.
pub(super) fn rounded(amount: Decimal, digits: u32) -> Decimal {
    let mut amount = amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
    amount.rescale(digits);
    amount
}

/// A currency code in capitals.
pub(super) fn currency(text: &str) -> Result<String, String> {
    let code = text.trim();
    if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        Ok(code.to_ascii_uppercase())
    } else {
        Err(format!("'{code}' is no currency code: three letters such as EUR"))
    }
}

/// Reads a number, or a text such as `1,299.00`, `$12.50` or `12.50 EUR`.
pub(super) fn decimal(value: &Value, mark: Mark) -> Result<Option<Decimal>, String> {
    match value {
        Value::Number(number) => {
            let digits = number.to_string();
            exact(&digits).map(Some).ok_or_else(|| format!("{digits} has more digits than a decimal holds"))
        }
        Value::String(text) => {
            let bare = bare(text);
            if bare.is_empty() && text::tidy(text).is_empty() {
                return Ok(None);
            }
            plain(bare, mark).and_then(|digits| exact(&digits)).map(Some).ok_or_else(|| unread(text, mark))
        }
        Value::Null => Ok(None),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err("is no number".to_owned()),
    }
}

/// The decimal with just these digits, as a source or a file writes them.
fn exact(digits: &str) -> Option<Decimal> {
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, ""));
    let mantissa = Decimal::from_str_exact(mantissa).ok()?;
    if exponent.is_empty() { Some(mantissa) } else { Decimal::from_scientific(digits).ok() }
}

fn unread(text: &str, mark: Mark) -> String {
    let other = match mark {
        Mark::Point if text.contains(',') => " (for a comma before the fraction write decimal_mark: \",\")",
        Mark::Comma if text.contains('.') => " (for a point before the fraction leave decimal_mark out)",
        Mark::Point | Mark::Comma => "",
    };
    format!("'{text}' is no number{other}")
}

/// The number inside a currency sign or code.
fn bare(text: &str) -> &str {
    let outer = |character: char| {
        character.is_whitespace()
            || character.is_alphabetic()
            || matches!(character, '$' | '€' | '£' | '¥' | '₹' | '₩')
    };
    text.trim_matches(outer)
}

/// The same digits as `1299.00`; `None` when the groups are not groups of three.
fn plain(text: &str, mark: Mark) -> Option<String> {
    let (point, group) = match mark {
        Mark::Point => ('.', ','),
        Mark::Comma => (',', '.'),
    };
    let (whole, fraction) = text.split_once(point).unwrap_or((text, "0"));
    let (sign, whole) = match whole.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", whole),
    };
    let mut digits = String::from(sign);
    for (position, part) in whole.split([group, ' ', '\u{a0}', '\'']).enumerate() {
        if position > 0 && part.len() != 3 {
            return None;
        }
        digits.push_str(part);
    }
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(&digits[sign.len()..]) || !is_number(fraction) {
        return None;
    }
    Some(format!("{digits}.{fraction}"))
}

/// The same amount as a JSON number: an integer when it is whole.
pub(super) fn number(amount: Decimal) -> Result<Number, String> {
    let digits = amount.normalize().to_string();
    let number = Number::from_str(&digits).map_err(|_| format!("{digits} is no JSON number"))?;
    if survives_float(&number) {
        Ok(number)
    } else {
        Err(format!("{digits} would change in a reader's binary float: make a text of it"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value, mark: Mark) -> Option<String> {
        decimal(value, mark).ok().flatten().map(|amount| amount.to_string())
    }

    #[test]
    fn amounts_are_read_from_numbers_and_texts() {
        for (value, expected) in [
            (json!(49.8), "49.8"),
            (json!(48), "48"),
            (json!(0.1), "0.1"),
            (json!(1e-3), "0.001"),
            (json!("1,299.00"), "1299.00"),
            (json!("$12.50"), "12.50"),
            (json!("12.50 EUR"), "12.50"),
            (json!(" 7 "), "7.0"),
            (json!("-3.5"), "-3.5"),
        ] {
            assert_eq!(read(&value, Mark::Point).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(read(&json!("1.299,50 €"), Mark::Comma).as_deref(), Some("1299.50"));
        for value in
            [json!("12,50"), json!("free"), json!("1.2.3"), json!(true), json!("1,29.00"), json!(1e40)]
        {
            assert!(decimal(&value, Mark::Point).is_err(), "{value}");
        }
        assert_eq!(decimal(&json!("  "), Mark::Point), Ok(None));
    }

    #[test]
    fn conversion_rounds_to_the_minor_unit_and_never_drifts() {
        let rates = Rates {
            date: "2026-11-20".to_owned(),
            base: "EUR".to_owned(),
            table: [("USD", "1.0800"), ("JPY", "162.55")]
                .map(|(code, rate)| (code.to_owned(), Decimal::from_str(rate).unwrap()))
                .into(),
        };
        let convert = |amount: &str, from: &str, to: &str| {
            let amount = Decimal::from_str(amount).unwrap();
            rates.convert(amount, from, to).map(|sum| rounded(sum, minor_digits(to)).to_string())
        };
        assert_eq!(convert("48", "USD", "EUR"), Ok("44.44".to_owned()));
        assert_eq!(convert("0.125", "EUR", "EUR"), Ok("0.13".to_owned()));
        assert_eq!(convert("19.99", "EUR", "JPY"), Ok("3249".to_owned()));
        assert_eq!(convert("108", "USD", "USD"), Ok("108.00".to_owned()));
        assert!(convert("1", "CHF", "EUR").is_err());
        assert!(convert("1", "EUR", "CHF").is_err());
    }

    #[test]
    fn a_json_number_shows_the_same_digits() {
        for (digits, shown) in [("48.00", "48"), ("10.20", "10.2"), ("0.07", "0.07"), ("-1.5", "-1.5")] {
            let number = number(Decimal::from_str(digits).unwrap());
            assert_eq!(number.map(|number| number.to_string()), Ok(shown.to_owned()));
        }
        assert!(number(Decimal::from_str("1234567890123.4567").unwrap()).is_err());
    }
}
