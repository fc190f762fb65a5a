//! The strict bodies of the shop stand-in: every key and its type, as data.

use serde_json::Value;

use super::Refusal;

/// What a key holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Text or null.
    Text,
    /// A number or null.
    Number,
    /// `true` or `false`.
    Bool,
    /// Names and values, or null.
    Object,
    /// A list of texts.
    Texts,
    /// A list of objects of this shape.
    List(&'static [Key]),
}

/// One key: its name, what it holds, whether it must be there.
pub(super) type Key = (&'static str, Kind, bool);

const IDS: &[Key] = &[("id", Kind::Text, true)];
const IMAGE: &[Key] = &[("url", Kind::Text, true), ("id", Kind::Text, false)];
const OPTION: &[Key] = &[("title", Kind::Text, true), ("values", Kind::Texts, true)];
const PRICE: &[Key] = &[
    ("currency_code", Kind::Text, true),
    ("amount", Kind::Number, true),
    ("min_quantity", Kind::Number, false),
    ("max_quantity", Kind::Number, false),
    ("rules", Kind::Object, false),
    ("id", Kind::Text, false),
];

macro_rules! product_keys {
    ($title_required:expr, $variant:expr, $($more:expr),* $(,)?) => {
        &[
            ("title", Kind::Text, $title_required),
            ("subtitle", Kind::Text, false),
            ("description", Kind::Text, false),
            ("handle", Kind::Text, false),
            ("external_id", Kind::Text, false),
            ("status", Kind::Text, false),
            ("thumbnail", Kind::Text, false),
            ("images", Kind::List(IMAGE), false),
            ("type_id", Kind::Text, false),
            ("collection_id", Kind::Text, false),
            ("categories", Kind::List(IDS), false),
            ("tags", Kind::List(IDS), false),
            ("sales_channels", Kind::List(IDS), false),
            ("shipping_profile_id", Kind::Text, false),
            ("metadata", Kind::Object, false),
            ("weight", Kind::Number, false),
            ("length", Kind::Number, false),
            ("height", Kind::Number, false),
            ("width", Kind::Number, false),
            ("origin_country", Kind::Text, false),
            ("hs_code", Kind::Text, false),
            ("mid_code", Kind::Text, false),
            ("material", Kind::Text, false),
            ("is_giftcard", Kind::Bool, false),
            ("discountable", Kind::Bool, false),
            ("options", Kind::List(OPTION), false),
            ("variants", Kind::List($variant), false),
            $($more),*
        ]
    };
}

macro_rules! variant_keys {
    ($required:expr, $($more:expr),* $(,)?) => {
        &[
            ("title", Kind::Text, $required),
            ("prices", Kind::List(PRICE), $required),
            ("sku", Kind::Text, false),
            ("ean", Kind::Text, false),
            ("upc", Kind::Text, false),
            ("barcode", Kind::Text, false),
            ("hs_code", Kind::Text, false),
            ("mid_code", Kind::Text, false),
            ("allow_backorder", Kind::Bool, false),
            ("manage_inventory", Kind::Bool, false),
            ("variant_rank", Kind::Number, false),
            ("weight", Kind::Number, false),
            ("length", Kind::Number, false),
            ("height", Kind::Number, false),
            ("width", Kind::Number, false),
            ("origin_country", Kind::Text, false),
            ("material", Kind::Text, false),
            ("thumbnail", Kind::Text, false),
            ("metadata", Kind::Object, false),
            ("options", Kind::Object, false),
            $($more),*
        ]
    };
}

const NEW_VARIANT: &[Key] = variant_keys!(true,);
/// In a product update a variant without `id` is a new one; which one it is, is seen later.
const KNOWN_VARIANT: &[Key] = variant_keys!(false, ("id", Kind::Text, false));
const CHANGED_VARIANT: &[Key] = variant_keys!(false, ("id", Kind::Text, true));

/// `POST /admin/products`.
pub(super) const CREATE: &[Key] = product_keys!(true, NEW_VARIANT,);
/// `POST /admin/products/:id`.
pub(super) const UPDATE: &[Key] = product_keys!(false, KNOWN_VARIANT,);
const BATCH_UPDATE: &[Key] = product_keys!(false, KNOWN_VARIANT, ("id", Kind::Text, true));
/// `POST /admin/products/batch`.
pub(super) const BATCH: &[Key] = &[
    ("create", Kind::List(CREATE), false),
    ("update", Kind::List(BATCH_UPDATE), false),
    ("delete", Kind::Texts, false),
];
/// `POST /admin/products/:id/variants/batch`.
pub(super) const VARIANTS: &[Key] = &[
    ("create", Kind::List(NEW_VARIANT), false),
    ("update", Kind::List(CHANGED_VARIANT), false),
    ("delete", Kind::Texts, false),
];

const VALUE: &[Key] = &[("value", Kind::Text, true)];
const MORE_VALUES: &[Key] = &[
    ("product_option_id", Kind::Text, true),
    ("add", Kind::List(VALUE), false),
    ("remove", Kind::Texts, false),
];
/// `POST /admin/products/:id/options/batch`.
pub(super) const OPTIONS: &[Key] = &[
    ("add", Kind::List(OPTION), false),
    ("update", Kind::List(MORE_VALUES), false),
    ("remove", Kind::Texts, false),
];

/// Checks a body against its shape. Text with NUL is what the database cannot take: a 500.
pub(super) fn check(body: &Value, shape: &[Key]) -> Result<(), Refusal> {
    if has_nul(body) {
        return Err(Refusal::unknown());
    }
    check_object(body, shape, &mut Vec::new())
}

fn check_object(value: &Value, shape: &[Key], place: &mut Vec<String>) -> Result<(), Refusal> {
    let Some(members) = value.as_object() else { return Err(wrong(place, "object", value)) };
    let unknown: Vec<String> = members
        .keys()
        .filter(|name| !shape.iter().any(|(known, ..)| known == name))
        .map(|name| format!("'{name}'"))
        .collect();
    if !unknown.is_empty() {
        let message = format!("Invalid request: Unrecognized fields: {}", unknown.join(", "));
        return Err(Refusal::invalid(message));
    }
    for (name, kind, required) in shape {
        place.push((*name).to_owned());
        match members.get(*name) {
            None if *required => return Err(required_at(place)),
            None => {}
            Some(value) => check_value(value, *kind, place)?,
        }
        place.pop();
    }
    Ok(())
}

fn check_value(value: &Value, kind: Kind, place: &mut Vec<String>) -> Result<(), Refusal> {
    match (kind, value) {
        (Kind::Text | Kind::Number | Kind::Object, Value::Null) => Ok(()),
        (Kind::Text, Value::String(_)) => Ok(()),
        (Kind::Text, other) => Err(wrong(place, "string", other)),
        (Kind::Number, Value::Number(_)) => Ok(()),
        // As misleading as the real text.
        (Kind::Number, _) => Err(required_at(place)),
        (Kind::Bool, Value::Bool(_)) => Ok(()),
        (Kind::Bool, other) => Err(wrong(place, "boolean", other)),
        (Kind::Object, Value::Object(_)) => Ok(()),
        (Kind::Object, other) => Err(wrong(place, "object", other)),
        (Kind::Texts, Value::Array(members)) if members.iter().all(Value::is_string) => Ok(()),
        (Kind::List(shape), Value::Array(members)) => {
            for (position, member) in members.iter().enumerate() {
                place.push(position.to_string());
                check_object(member, shape, place)?;
                place.pop();
            }
            Ok(())
        }
        (Kind::Texts | Kind::List(_), other) => Err(wrong(place, "array", other)),
    }
}

fn required_at(place: &[String]) -> Refusal {
    Refusal::invalid(format!("Invalid request: Field '{}' is required", place.join(", ")))
}

fn wrong(place: &[String], expected: &str, found: &Value) -> Refusal {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let place = place.join(", ");
    let message = format!("Invalid request: Expected type: '{expected}' for field '{place}', got: '{found}'");
    Refusal::invalid(message)
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(members) => members.iter().any(has_nul),
        Value::Object(members) => members.values().any(has_nul),
        _ => false,
    }
}
