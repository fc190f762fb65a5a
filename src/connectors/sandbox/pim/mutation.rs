//! Mutations of the PIM stand-in. What goes wrong is said in `success` and `message`, with HTTP
//! 200, in Data Hub's words.

use serde_json::{Map, Value, json};

use super::class::{self, Kind};
use super::graphql::Field;
use super::object::{FOLDER, FOLDER_ID, Object, Objects, valid_key};
use super::{Done, argument, check_arguments, query};

/// Validates a field of `Mutations`.
pub(super) fn validate(field: &Field) -> Result<(), String> {
    let known: &[(&str, &str)] = match field.name.as_str() {
        "createProduct" => &[
            ("key", "String!"),
            ("path", "String"),
            ("parentId", "Int"),
            ("defaultLanguage", "String"),
            ("published", "Boolean"),
            ("omitMandatoryCheck", "Boolean"),
            ("userId", "Int"),
            ("type", "String"),
            ("input", "UpdateProductInput"),
        ],
        "updateProduct" => &[
            ("id", "Int"),
            ("fullpath", "String"),
            ("parentId", "Int"),
            ("defaultLanguage", "String"),
            ("omitMandatoryCheck", "Boolean"),
            ("omitVersionCreate", "Boolean"),
            ("userId", "Int"),
            ("input", "UpdateProductInput"),
        ],
        "deleteProduct" => &[("id", "Int"), ("fullpath", "String")],
        other => return Err(format!("Cannot query field \"{other}\" on type \"Mutations\".")),
    };
    check_arguments(field, "Mutations", known)?;
    for (name, value) in argument(field, "input").and_then(Value::as_object).into_iter().flatten() {
        class::check(name, value)?;
    }
    field.fields.iter().try_for_each(|asked| match asked.name.as_str() {
        "success" | "message" => Ok(()),
        "output" if field.name != "deleteProduct" => query::selects_object(&asked.fields),
        other => Err(format!("Cannot query field \"{other}\" on the result of \"{}\".", field.name)),
    })
}

/// `createProduct`. As the real one, it saves twice: the object's version is 2.
pub(super) fn create(objects: &mut Objects, field: &Field, now: u64, refuses: &dyn Fn(&str) -> bool) -> Done {
    let path = argument(field, "path").and_then(Value::as_str).map(|path| path.trim_end_matches('/'));
    let parent = match (argument(field, "parentId").and_then(Value::as_u64), path) {
        (Some(1), _) | (None, Some("")) => "/".to_owned(),
        (Some(FOLDER_ID), _) | (None, Some(FOLDER)) => format!("{FOLDER}/"),
        _ => return refused(field, "unable to resolve parent", Vec::new()),
    };
    let mut object = Object {
        id: objects.next_id(),
        parent,
        key: valid_key(argument(field, "key").and_then(Value::as_str).unwrap_or_default()),
        published: argument(field, "published") != Some(&Value::Bool(false)),
        created: now,
        modified: now,
        version: 2,
        variant: argument(field, "type").and_then(Value::as_str) == Some("variant"),
        fields: Map::new(),
    };
    if let Err(message) = fill(&mut object, field) {
        return refused(field, &message, vec![object.name()]);
    }
    let name = object.name();
    if let Some(message) = objection(&object, field, refuses) {
        return refused(field, &message, vec![name]);
    }
    if let Some(conflict) = objects.conflict(&object) {
        return refused(field, &format!("creating failed: {conflict}"), vec![name]);
    }
    let message = format!("object created: {}", object.id);
    written(objects, field, object, &message)
}

/// `updateProduct`.
pub(super) fn update(objects: &mut Objects, field: &Field, now: u64, refuses: &dyn Fn(&str) -> bool) -> Done {
    let id = argument(field, "id").and_then(Value::as_u64);
    let path = argument(field, "fullpath").and_then(Value::as_str);
    let found = match (id, path) {
        (Some(_), Some(_)) => {
            return refused(field, "either id or fullpath expected but not both", Vec::new());
        }
        (Some(id), None) => objects.get(id),
        (None, path) => path.and_then(|path| objects.at(path)),
    };
    let Some(mut object) = found.cloned() else {
        return refused(field, "unable to update object. Unknown id or fullpath", Vec::new());
    };
    let name = object.name();
    if let Err(message) = fill(&mut object, field) {
        return refused(field, &message, vec![name]);
    }
    if let Some(message) = objection(&object, field, refuses) {
        return refused(field, &message, vec![name]);
    }
    if let Some(conflict) = objects.conflict(&object) {
        return refused(field, &conflict, vec![name]);
    }
    object.modified = now;
    object.version += 1;
    let message = format!("object {} updated", object.id);
    written(objects, field, object, &message)
}

/// `deleteProduct`.
pub(super) fn delete(objects: &mut Objects, field: &Field) -> Done {
    let id = argument(field, "id").and_then(Value::as_u64);
    let path = argument(field, "fullpath").and_then(Value::as_str);
    let id = id.or_else(|| path.and_then(|path| objects.at(path)).map(|object| object.id));
    match id.and_then(|id| objects.remove(id)) {
        None => refused(field, "unable to delete object. Unknown id or fullpath", Vec::new()),
        Some(object) => Done {
            value: result(field, true, "", None),
            keys: vec![object.name()],
            wrote: vec![object.name()],
            changes: vec![json!({ "gone": object.id })],
            ..Done::default()
        },
    }
}

/// Sets what the input names, and nothing else.
fn fill(object: &mut Object, field: &Field) -> Result<(), String> {
    for (name, value) in argument(field, "input").and_then(Value::as_object).into_iter().flatten() {
        match (name.as_str(), class::kind(name), value) {
            ("published", _, value) => object.published = value == &Value::Bool(true),
            ("key", _, value) => object.key = valid_key(value.as_str().unwrap_or_default()),
            (_, Some(Kind::Ignored), _) => {}
            // The stand-in holds products and nothing that they could refer to.
            (_, Some(Kind::Reference), Value::Object(wanted)) => return Err(not_found(wanted)),
            (_, Some(Kind::References), Value::Array(wanted)) if !wanted.is_empty() => {
                return Err(not_found(wanted[0].as_object().unwrap_or(&Map::new())));
            }
            (_, Some(Kind::Localized), Value::Object(languages)) => {
                let held = object.fields.entry(name.clone()).or_insert_with(|| json!({}));
                for (language, text) in languages {
                    held[language.as_str()] = text.clone();
                }
            }
            (_, _, value) => {
                object.fields.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(())
}

fn not_found(wanted: &Map<String, Value>) -> String {
    let text = |name: &str| wanted.get(name).map(ToString::to_string).unwrap_or_default();
    format!("Element with id {} or fullpath {} not found", text("id"), text("fullpath"))
}

/// What the site's own rules say against the content, if anything.
fn objection(object: &Object, field: &Field, refuses: &dyn Fn(&str) -> bool) -> Option<String> {
    if refuses(&object.name()) {
        return Some(format!("Validation failed: the stand-in was told to refuse {}", object.name()));
    }
    if object.key.is_empty() {
        return Some("Validation failed: the key is empty".to_owned());
    }
    let omitted = argument(field, "omitMandatoryCheck") == Some(&Value::Bool(true));
    let unnamed = object.published && !omitted && object.sku().is_none();
    unnamed.then(|| "Validation failed: Empty mandatory field [ sku ]".to_owned())
}

fn written(objects: &mut Objects, field: &Field, object: Object, message: &str) -> Done {
    let done = Done {
        value: result(field, true, message, Some(&object)),
        error: None,
        keys: vec![object.name()],
        wrote: vec![object.name()],
        changes: vec![json!({ "put": object })],
    };
    objects.put(object);
    done
}

fn refused(field: &Field, message: &str, keys: Vec<String>) -> Done {
    Done { value: result(field, false, message, None), keys, ..Done::default() }
}

fn result(field: &Field, success: bool, message: &str, object: Option<&Object>) -> Value {
    let mut shown = Map::new();
    for asked in &field.fields {
        let value = match asked.name.as_str() {
            "success" => Value::Bool(success),
            "message" => Value::from(message),
            _ => object.map_or(Value::Null, |object| query::show(object, &asked.fields)),
        };
        shown.insert(asked.alias.clone(), value);
    }
    Value::Object(shown)
}
