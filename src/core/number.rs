//! Numbers as they are written: which of them a binary float would change (rule R12).

use serde_json::Number;

/// So many significant digits always survive the way through a binary float.
const DIGITS_SAFE: usize = 15;

/// Whether the number is still the same after somebody read it into a binary float, as most readers of
/// JSON do.
pub fn survives_float(number: &Number) -> bool {
    let written = number.to_string();
    let (digits, exponent) = significant(&written);
    if digits.len() <= DIGITS_SAFE && exponent.abs() < 290 {
        return true;
    }
    // The shortest digits that mean the float it became.
    number
        .as_f64()
        .is_some_and(|float| float.is_finite() && significant(&format!("{float:e}")) == (digits, exponent))
}

/// The digits of a number without zeros at either end, and the power of ten that their first stands
/// for.
fn significant(written: &str) -> (String, i64) {
    let bare = written.trim_start_matches('-');
    let (mantissa, exponent) = bare.split_once(['e', 'E']).unwrap_or((bare, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(i64::from(i32::MAX));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = [whole, fraction].concat();
    let led = all.trim_start_matches('0');
    if led.is_empty() {
        return (String::new(), 0);
    }
    let zeros = i64::try_from(all.len() - led.len()).unwrap_or(i64::MAX);
    let before = i64::try_from(whole.len()).unwrap_or(i64::MAX);
    (led.trim_end_matches('0').to_owned(), exponent + before - zeros - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_survives_when_it_reads_back_as_it_was_written() {
        let survives = |written: &str| survives_float(&serde_json::from_str(written).unwrap());
        for same in
            ["0", "-0.0", "19.99", "19.990", "0.1", "1e21", "1E-7", "9007199254740992", "0.30000000000000004"]
        {
            assert!(survives(same), "{same}");
        }
        for other in ["12345678901234567.89", "9007199254740993", "1e400", "0.1000000000000000055", "1e-400"]
        {
            assert!(!survives(other), "{other}");
        }
    }
}
