//! The class `Product` of the stand-in's site, as data: what Data Hub would generate a schema
//! from. Operation names and system fields are Data Hub's; the fields of the class are what one
//! plausible site has.

use serde_json::Value;

/// What a field of the class takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A list of texts (a multiselect).
    Texts,
    /// `{value, unit | unitId}`.
    Quantity,
    /// One text per language.
    Localized,
    /// One text per name, set as a whole.
    Named,
    /// One reference to another element.
    Reference,
    /// References to other elements.
    References,
    /// What the stand-in takes and forgets.
    Ignored,
}

/// The fields that a mutation may set, system columns that the site has added included.
pub(super) const INPUT: &[(&str, Kind)] = &[
    ("sku", Kind::Text),
    ("ean", Kind::Text),
    ("status", Kind::Text),
    ("price", Kind::Number),
    ("weight", Kind::Quantity),
    ("name", Kind::Text),
    ("description", Kind::Text),
    ("name_translated", Kind::Localized),
    ("mainImage", Kind::Reference),
    ("categories", Kind::References),
    ("published", Kind::Bool),
    ("key", Kind::Text),
    ("tags", Kind::Ignored),
    // What this site has beside the example of the facts.
    ("urlKey", Kind::Text),
    ("brand", Kind::Text),
    ("currency", Kind::Text),
    ("compareAtPrice", Kind::Number),
    ("categoryPath", Kind::Text),
    ("attributes", Kind::Named),
    ("imageUrls", Kind::Texts),
    ("inStock", Kind::Bool),
    ("source", Kind::Text),
    ("sourceId", Kind::Text),
    ("contentHash", Kind::Text),
];

/// The system fields that a query may ask for.
pub(super) const SYSTEM: &[&str] =
    &["id", "creationDate", "modificationDate", "version", "objectType", "classname", "index", "fullpath"];

/// What a field takes, if the class has it.
pub(super) fn kind(name: &str) -> Option<Kind> {
    INPUT.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

/// Checks one value of an input against its field. The error is the text of a GraphQL error.
pub(super) fn check(name: &str, value: &Value) -> Result<(), String> {
    let Some(kind) = kind(name) else {
        return Err(format!("Field \"{name}\" is not defined by type \"UpdateProductInput\"."));
    };
    let fits = match (kind, value) {
        (_, Value::Null) | (Kind::Ignored, _) => true,
        (Kind::Text, value) => value.is_string(),
        (Kind::Number, value) => value.is_number(),
        (Kind::Bool, value) => value.is_boolean(),
        (Kind::Texts, value) => value.as_array().is_some_and(|texts| texts.iter().all(Value::is_string)),
        (Kind::Quantity | Kind::Localized | Kind::Named | Kind::Reference, value) => value.is_object(),
        (Kind::References, value) => {
            value.as_array().is_some_and(|members| members.iter().all(Value::is_object))
        }
    };
    if fits {
        return Ok(());
    }
    Err(match kind {
        Kind::Number => format!("Float cannot represent non numeric value: {value}"),
        Kind::Bool => format!("Boolean cannot represent a non boolean value: {value}"),
        _ => format!("String cannot represent a non string value: {value}"),
    })
}
