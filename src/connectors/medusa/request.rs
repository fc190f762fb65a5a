//! What a mapped item becomes.

use serde_json::{Number, Value};

use super::refuse;
use crate::core::fault::{Fault, name};

/// Makes the request of a mapped item: the body of a create.
pub(super) fn of(mut product: Value) -> Result<Value, Fault> {
    if !product.is_object() {
        return Err(Fault::new(name::MAPPING, "the mapping must give an object"));
    }
    // Integer IDs are common at sources; Medusa takes text only.
    if let Value::Number(number) = &product["external_id"] {
        product["external_id"] = Value::from(number.to_string());
    }
    for required in ["external_id", "handle", "title"] {
        if text(&product, required).is_empty() {
            return Err(Fault::new(name::MAPPING, format!("the mapping must give '{required}' as text")));
        }
    }
    tidy(&mut product);
    refuse::check(&product)?;
    for variant in members(&mut product, "variants") {
        for price in members(variant, "prices") {
            numbered(&mut price["amount"])?;
        }
    }
    Ok(product)
}

/// What differs in form and not in meaning: an empty SKU is none (two of them would be duplicates to
/// Medusa), and currencies are in lower case there.
fn tidy(product: &mut Value) {
    for variant in members(product, "variants") {
        if let Some(variant) = variant.as_object_mut()
            && variant.get("sku").is_some_and(|sku| sku == "")
        {
            variant.remove("sku");
        }
        for price in members(variant, "prices") {
            if let Some(code) = price["currency_code"].as_str() {
                price["currency_code"] = Value::from(code.trim().to_lowercase());
            }
        }
    }
}

/// Money comes as decimal text so that nothing is lost on the way; Medusa takes a JSON number,
/// which here is the same digits.
fn numbered(amount: &mut Value) -> Result<(), Fault> {
    let Value::String(decimal) = amount else { return Ok(()) };
    let number = decimal
        .parse::<rust_decimal::Decimal>()
        .ok()
        .and_then(|decimal| serde_json::from_str::<Number>(&decimal.normalize().to_string()).ok());
    match number {
        Some(number) => *amount = Value::Number(number),
        None => return Err(Fault::new(name::MAPPING, format!("'{decimal}' is not an amount"))),
    }
    Ok(())
}

/// The members of a list, if it is there.
fn members<'a>(of: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    of.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

/// A member that is text; empty when it is not.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_become_numbers_with_the_same_digits() {
        let product = |amount: Value| json!({ "external_id": 7, "handle": "h", "title": "t", "variants": [{ "sku": "", "prices": [{ "currency_code": " EUR", "amount": amount }] }] });
        let made = of(product(json!("1234.50"))).unwrap();
        assert_eq!(made["variants"][0]["prices"][0]["amount"].to_string(), "1234.5");
        assert_eq!(made["external_id"], "7");
        assert_eq!(made["variants"][0]["prices"][0]["currency_code"], "eur");
        assert!(made["variants"][0].get("sku").is_none());
        assert!(of(product(json!("12,50"))).is_err());
    }

    #[test]
    fn what_medusa_would_choke_on_is_refused_before() {
        let mut product = json!({ "external_id": "a", "handle": "h", "title": "t" });
        product["metadata"] = json!({ "note": ["x\0"] });
        assert_eq!(of(product).unwrap_err().name, name::REFUSED);
        assert!(of(json!({ "external_id": "a", "title": "t" })).is_err());
    }
}
