//! What a mapped item becomes: the request, pure and whole.

use serde_json::{Map, Value, json};

use super::kinds;
use crate::core::fault::{Fault, name};

/// Longest key; Pimcore cuts what is longer.
const KEY_CHARS_MAX: usize = 255;

/// What the file says about every item.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    /// The languages of the site, the default one first; empty: those that the item has.
    pub(super) languages: Vec<String>,
    /// Whether objects are published, when the mapping does not say. `None`: the state is kept.
    pub(super) publish: Option<bool>,
}

fn wrong(message: impl Into<String>) -> Fault {
    Fault::new(name::MAPPING, message)
}

/// The SKU of a mapped item.
pub(super) fn sku(mapped: &Map<String, Value>) -> Result<String, Fault> {
    match mapped.get("sku") {
        Some(Value::String(sku)) if !sku.trim().is_empty() => Ok(sku.clone()),
        _ => Err(wrong("the mapping must give 'sku' as text")),
    }
}

/// Makes the request of a mapped item: `{sku, key, input, localized?, published?}`.
pub(super) fn of(mapped: Value, terms: &Terms) -> Result<Value, Fault> {
    let Value::Object(mut input) = mapped else { return Err(wrong("the mapping must give an object")) };
    let sku = sku(&input)?;
    let key = match input.remove("key") {
        Some(Value::String(key)) => key,
        _ => sku.clone(),
    };
    let key = normalised(&key);
    if key.is_empty() {
        return Err(wrong(format!("nothing is left of the key of '{sku}'")));
    }
    let published = input.remove("published");
    let localized = input.remove("localized").filter(|given| !given.is_null());
    check_names(&Value::Object(input.clone()))?;
    let input: Map<String, Value> =
        input.into_iter().map(|(name, value)| (name, kinds::written(value))).collect();
    let mut request = json!({ "sku": sku, "key": key, "input": input });
    if let Some(localized) = localized {
        check_localized(&localized, &request["input"], terms)?;
        request["localized"] = localized;
    }
    match published {
        Some(Value::Bool(published)) => request["published"] = Value::Bool(published),
        None | Some(Value::Null) => {
            if let Some(published) = terms.publish {
                request["published"] = Value::Bool(published);
            }
        }
        Some(_) => return Err(wrong("'published' must be true or false")),
    }
    Ok(request)
}

/// `{field: {language: text}}`, of languages that the site has.
fn check_localized(localized: &Value, input: &Value, terms: &Terms) -> Result<(), Fault> {
    let Value::Object(fields) = localized else {
        return Err(wrong("'localized' must give an object of fields"));
    };
    for (field, texts) in fields {
        check_name(field)?;
        if input.get(field).is_some() {
            return Err(wrong(format!("'{field}' is given twice: by itself and under 'localized'")));
        }
        let Value::Object(texts) = texts else {
            return Err(wrong(format!("'localized.{field}' must give one text per language")));
        };
        for language in texts.keys() {
            check_name(language)?;
            if !terms.languages.is_empty() && !terms.languages.contains(language) {
                let known = terms.languages.join(", ");
                return Err(wrong(format!(
                    "'localized.{field}' has the language '{language}'; the connection names {known}"
                )));
            }
        }
    }
    Ok(())
}

/// The languages in which a request is written, in the order in which they are: those of the
/// connection, else as they first occur. A connection without languages and a request without
/// localized fields have none.
pub(super) fn languages<'a>(request: &'a Value, terms: &'a Terms) -> Vec<&'a str> {
    let localized = request["localized"].as_object();
    let mut occurring: Vec<&str> = Vec::new();
    for texts in localized.into_iter().flatten().filter_map(|(_, texts)| texts.as_object()) {
        for language in texts.keys() {
            if !occurring.contains(&language.as_str()) {
                occurring.push(language);
            }
        }
    }
    if terms.languages.is_empty() {
        return occurring;
    }
    // The default language goes first even when it has no text: plain texts are in it.
    let known = terms.languages.iter().enumerate().map(|(at, known)| (at, known.as_str()));
    known.filter(|(at, known)| *at == 0 || occurring.contains(known)).map(|(_, known)| known).collect()
}

/// A key as Pimcore would rewrite it (`Element\Service::getValidKey`): control characters and
/// characters of four bytes go, `/ < >` become a dash, at most 255 characters stay. Written that
/// way by us, the object is found under the key that we know.
pub(super) fn normalised(key: &str) -> String {
    let mut normalised = String::with_capacity(key.len());
    for found in key.chars() {
        match found {
            '/' | '<' | '>' => normalised.push('-'),
            found if found.is_control() || found.len_utf8() == 4 => {}
            found => normalised.push(found),
        }
    }
    let cut: String = normalised.trim().chars().take(KEY_CHARS_MAX).collect();
    cut.trim_end().to_owned()
}

/// Whether a text may stand in a GraphQL document as a name.
pub(super) fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    let is_start = |found: char| found.is_ascii_alphabetic() || found == '_';
    characters.next().is_some_and(is_start)
        && characters.all(|found| is_start(found) || found.is_ascii_digit())
}

fn check_name(text: &str) -> Result<(), Fault> {
    if is_name(text) { Ok(()) } else { Err(wrong(format!("'{text}' is not the name of a field"))) }
}

/// Members are written as GraphQL names, so each must be one, at every depth.
fn check_names(value: &Value) -> Result<(), Fault> {
    match value {
        Value::Object(members) => members.iter().try_for_each(|(member, value)| {
            check_name(member)?;
            check_names(value)
        }),
        Value::Array(members) => members.iter().try_for_each(check_names),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_pimcore_would_rewrite_them() {
        assert_eq!(normalised("A/1 <b>"), "A-1 -b-");
        assert_eq!(normalised(" a\u{7}b\u{1f600}c\n"), "abc");
        assert_eq!(normalised(&"ü".repeat(300)).chars().count(), 255);
        assert_eq!(normalised(&format!("{} b", "a".repeat(254))), "a".repeat(254));
        assert_eq!(normalised("\u{1f600}"), "");
    }

    fn plain(mapped: Value) -> Result<Value, Fault> {
        of(mapped, &Terms::default())
    }

    #[test]
    fn a_request_has_sku_key_and_input_and_refuses_what_is_no_name() {
        let request = plain(json!({ "sku": "A/1", "published": false, "name": "x" })).unwrap();
        let wanted = json!({
            "sku": "A/1", "key": "A-1", "input": { "sku": "A/1", "name": "x" }, "published": false
        });
        assert_eq!(request, wanted);
        assert!(plain(json!({ "name": "x" })).is_err());
        assert!(plain(json!({ "sku": 5 })).is_err());
        assert!(plain(json!({ "sku": "\u{1f600}" })).is_err());
        assert!(plain(json!({ "sku": "A", "published": "yes" })).is_err());
        let injected = plain(json!({ "sku": "A", "weight": { "x:1} evil{": 1 } }));
        assert!(injected.unwrap_err().message.contains("is not the name of a field"));
    }

    #[test]
    fn the_step_publishes_what_the_mapping_leaves_open() {
        let terms = Terms { publish: Some(true), ..Terms::default() };
        assert_eq!(of(json!({ "sku": "A" }), &terms).unwrap()["published"], true);
        assert_eq!(of(json!({ "sku": "A", "published": false }), &terms).unwrap()["published"], false);
        assert!(plain(json!({ "sku": "A" })).unwrap().get("published").is_none());
    }

    #[test]
    fn languages_are_those_of_the_connection_or_those_that_occur() {
        let given =
            json!({ "sku": "A", "localized": { "name": { "de": "x" }, "text": { "fr": "y", "de": "z" } } });
        let request = plain(given.clone()).unwrap();
        assert_eq!(languages(&request, &Terms::default()), ["de", "fr"]);
        let terms = |listed: &[&str]| Terms {
            languages: listed.iter().map(|known| (*known).to_owned()).collect(),
            publish: None,
        };
        let known = terms(&["en", "fr", "it", "de"]);
        assert_eq!(languages(&request, &known), ["en", "fr", "de"]);
        let unknown = of(given, &terms(&["en", "de"])).unwrap_err();
        assert!(unknown.message.contains("the language 'fr'; the connection names en, de"), "{unknown}");
        for wrong in [
            json!({ "sku": "A", "localized": "x" }),
            json!({ "sku": "A", "localized": { "name": "x" } }),
            json!({ "sku": "A", "localized": { "name": { "d e": "x" } } }),
            json!({ "sku": "A", "name": "x", "localized": { "name": { "de": "x" } } }),
        ] {
            assert!(plain(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
