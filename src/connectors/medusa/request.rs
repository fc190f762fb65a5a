//! What a mapped item becomes.

use serde_json::{Number, Value};

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
    for variant in product["variants"].as_array_mut().into_iter().flatten() {
        for price in variant["prices"].as_array_mut().into_iter().flatten() {
            numbered(&mut price["amount"])?;
        }
    }
    // Medusa answers such text with a 500 for the whole batch, each time.
    if has_nul(&product) {
        return Err(Fault::new(name::REFUSED, "a text contains the character U+0000"));
    }
    Ok(product)
}

/// What is sent of a request: all of it, less what only an id can say. A category that the mapping
/// names by its path stays in the request (so a change of it is a change) and is not sent: finding
/// its id, or making it, is not done yet.
pub(super) fn body(request: &Value) -> Value {
    let mut body = request.clone();
    let Some(members) = body.as_object_mut() else { return body };
    if let Some(Value::Array(categories)) = members.get_mut("categories") {
        categories.retain(|category| category.get("id").is_some());
        // Sent empty, an update would take the product out of every category.
        if categories.is_empty() {
            members.remove("categories");
        }
    }
    body
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

/// A member that is text; empty when it is not.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(members) => members.iter().any(has_nul),
        Value::Object(members) => members.values().any(has_nul),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_become_numbers_with_the_same_digits() {
        let product = |amount: Value| json!({ "external_id": 7, "handle": "h", "title": "t", "variants": [{ "prices": [{ "amount": amount }] }] });
        let made = of(product(json!("1234.50"))).unwrap();
        assert_eq!(made["variants"][0]["prices"][0]["amount"].to_string(), "1234.5");
        assert_eq!(made["external_id"], "7");
        assert!(of(product(json!("12,50"))).is_err());
    }

    #[test]
    fn a_category_without_an_id_is_kept_and_not_sent() {
        let request = json!({ "title": "t", "categories": [{ "path": "Home > Decor" }] });
        assert_eq!(body(&request), json!({ "title": "t" }));
        let request = json!({ "categories": [{ "path": "x" }, { "id": "pcat_1" }] });
        assert_eq!(body(&request), json!({ "categories": [{ "id": "pcat_1" }] }));
    }

    #[test]
    fn what_medusa_would_choke_on_is_refused_before() {
        let mut product = json!({ "external_id": "a", "handle": "h", "title": "t" });
        product["metadata"] = json!({ "note": ["x\0"] });
        assert_eq!(of(product).unwrap_err().name, name::REFUSED);
        assert!(of(json!({ "external_id": "a", "title": "t" })).is_err());
    }
}
