//! Prices. Medusa takes any number in any currency: negative ones, ones with sixteen decimals, of
//! two in one currency the last.

use std::collections::HashMap;

use rust_decimal::Decimal;
use serde_json::Value;

use super::{Reasons, shown};
use crate::connectors::medusa::request::text;
use crate::mapping::minor_digits;

/// Digits that a JSON number keeps: Medusa reads it into a binary float.
const DIGITS_MAX: usize = 15;

/// Checks the prices of one variant.
///
/// Zero is refused: at most sources it stands for a price that is not known, and a shop sells at it.
/// A variant that is meant to be given away says `free: true`.
pub(super) fn check(variant: &Value, place: &str, reasons: &mut Reasons) {
    let is_free = variant["free"] == Value::Bool(true);
    let mut seen: HashMap<(&str, String), usize> = HashMap::new();
    for (at, price) in variant["prices"].as_array().into_iter().flatten().enumerate() {
        let place = format!("{place}.prices[{at}]");
        let currency = text(price, "currency_code");
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
            let code = shown(&price["currency_code"]);
            reasons
                .say(format!("{place}.currency_code"), format!("{code} is no currency code such as 'eur'"));
            continue;
        }
        // Several prices in one currency are right when they are for different quantities.
        let scope = [&price["min_quantity"], &price["max_quantity"], &price["rules"]].map(Value::to_string);
        if let Some(first) = seen.insert((currency, scope.join(" ")), at) {
            let message =
                format!("'{currency}' is the currency of prices[{first}] too, and one of them would be lost");
            reasons.say(&place, message);
        }
        let place = format!("{place}.amount");
        match decimal(&price["amount"]) {
            None => reasons.say(place, format!("{} is no amount", shown(&price["amount"]))),
            Some(amount) => check_amount(amount, currency, is_free, &place, reasons),
        }
    }
}

fn check_amount(amount: Decimal, currency: &str, is_free: bool, place: &str, reasons: &mut Reasons) {
    let digits = minor_digits(&currency.to_ascii_uppercase());
    if amount.is_sign_negative() && !amount.is_zero() {
        reasons.say(place, format!("{amount} is less than nothing"));
    } else if amount.is_zero() && !is_free {
        reasons.say(place, "it is 0, so the shop would give the product away: leave the price out, or say 'free: true' at the variant");
    }
    if amount.scale() > digits {
        reasons.say(place, format!("{amount} has more than the {digits} decimals that '{currency}' has"));
    }
    if amount.mantissa().unsigned_abs().to_string().len() > DIGITS_MAX {
        reasons.say(place, format!("{amount} has more than the {DIGITS_MAX} digits that the shop keeps"));
    }
}

/// An amount as it is written, without zeros at its end: a JSON number, or decimal text.
fn decimal(amount: &Value) -> Option<Decimal> {
    let written = match amount {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    // `from_str_exact` refuses what it would have to round.
    let is_scientific = written.contains(['e', 'E']);
    let read = if is_scientific { Decimal::from_scientific } else { Decimal::from_str_exact };
    let decimal = read(&written).ok()?;
    Some(decimal.normalize())
}
