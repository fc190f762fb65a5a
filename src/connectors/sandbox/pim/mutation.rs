//! Mutations of the PIM stand-in. What goes wrong is said in `success` and `message`, with HTTP
//! 200, in Data Hub's words.

use serde_json::{Map, Value, json};

use super::graphql::Field;
use super::object::{FOLDER, FOLDER_ID, Object, Objects, valid_key};
use super::query::{self, View};
use super::{Done, argument, events, input};

/// What a mutation works with.
pub(super) struct Desk<'a> {
    pub(super) objects: &'a mut Objects,
    pub(super) view: View<'a>,
    /// When the call arrived, in milliseconds since 1970.
    pub(super) arrived: u64,
    /// When its work began, in milliseconds since 1970.
    pub(super) now: u64,
    /// SKUs that the sandbox was told to refuse.
    pub(super) refuses: &'a dyn Fn(&str) -> bool,
    /// SKUs whose create fails at its second save.
    pub(super) halves: &'a [String],
}

/// `createProduct`. As the real one, it saves twice: the object's version is 2.
pub(super) fn create(desk: &mut Desk<'_>, field: &Field) -> Done {
    let path = argument(field, "path").and_then(Value::as_str).map(|path| path.trim_end_matches('/'));
    let parent = match (argument(field, "parentId").and_then(Value::as_u64), path) {
        (Some(FOLDER_ID), _) | (None, Some(FOLDER)) => format!("{FOLDER}/"),
        // The workspace of the endpoint is the folder of the products.
        (Some(1), _) | (None, Some("")) => {
            return refused(field, "not allowed to create object ", Vec::new());
        }
        _ => return refused(field, "unable to resolve parent", Vec::new()),
    };
    let mut object = Object {
        id: desk.objects.next_id(),
        parent,
        key: valid_key(argument(field, "key").and_then(Value::as_str).unwrap_or_default()),
        published: argument(field, "published") != Some(&Value::Bool(false)),
        created: desk.now / 1000,
        modified: desk.now / 1000,
        version: 2,
        variant: argument(field, "type").and_then(Value::as_str) == Some("variant"),
        fields: Map::new(),
    };
    let filled = input::fill(&mut object, field, desk.view.language);
    let name = object.name();
    let checked = filled.and_then(|()| objection(desk, &object, field));
    if let Err(message) = checked {
        return refused(field, &message, vec![name]);
    }
    if let Some(conflict) = desk.objects.conflict(&object, desk.arrived) {
        return refused(field, &format!("creating failed: {conflict}"), vec![name]);
    }
    if desk.halves.contains(&name) {
        object.version = 1;
        let lost = "creating failed: SQLSTATE[40001]: Serialization failure: 1213 Deadlock found";
        return Done {
            value: result(field, false, lost, None, desk.view),
            ..written(desk, field, object, events::HALF_CREATED, "")
        };
    }
    let message = format!("object created: {}", object.id);
    written(desk, field, object, events::CREATED, &message)
}

/// `updateProduct`.
pub(super) fn update(desk: &mut Desk<'_>, field: &Field) -> Done {
    let id = argument(field, "id").and_then(Value::as_u64);
    let path = argument(field, "fullpath").and_then(Value::as_str);
    let found = match (id, path) {
        (Some(_), Some(_)) => {
            return refused(field, "either id or fullpath expected but not both", Vec::new());
        }
        (Some(id), None) => desk.objects.get(id),
        (None, path) => path.and_then(|path| desk.objects.at(path)),
    };
    let Some(mut object) = found.cloned() else {
        return refused(field, "unable to update object. Unknown id or fullpath", Vec::new());
    };
    let name = object.name();
    if let Some(key) = argument(field, "key").and_then(Value::as_str) {
        object.key = valid_key(key);
    }
    if let Some(published) = argument(field, "published") {
        object.published = published == &Value::Bool(true);
    }
    let filled = input::fill(&mut object, field, desk.view.language);
    let checked = filled.and_then(|()| objection(desk, &object, field));
    if let Err(message) = checked {
        return refused(field, &message, vec![name]);
    }
    if let Some(conflict) = desk.objects.conflict(&object, desk.arrived) {
        return refused(field, &conflict, vec![name]);
    }
    object.modified = desk.now / 1000;
    object.version += 1;
    let message = format!("object {} updated", object.id);
    written(desk, field, object, events::UPDATED, &message)
}

/// `deleteProduct`.
pub(super) fn delete(desk: &mut Desk<'_>, field: &Field) -> Done {
    let id = argument(field, "id").and_then(Value::as_u64);
    let path = argument(field, "fullpath").and_then(Value::as_str);
    let id = id.or_else(|| path.and_then(|path| desk.objects.at(path)).map(|object| object.id));
    match id.and_then(|id| desk.objects.remove(id)) {
        None => refused(field, "unable to delete object. Unknown id or fullpath", Vec::new()),
        Some(object) => Done {
            value: result(field, true, "", None, desk.view),
            keys: vec![object.name()],
            wrote: vec![object.name()],
            changes: vec![json!({ "gone": object.id })],
            events: vec![(events::DELETED, object)],
            ..Done::default()
        },
    }
}

/// What the site's own rules say against the content, if anything.
fn objection(desk: &Desk<'_>, object: &Object, field: &Field) -> Result<(), String> {
    if (desk.refuses)(&object.name()) {
        return Err(format!("Validation failed: the stand-in was told to refuse {}", object.name()));
    }
    if object.key.is_empty() {
        return Err("Validation failed: the key is empty".to_owned());
    }
    let omitted = argument(field, "omitMandatoryCheck") == Some(&Value::Bool(true));
    let unnamed = object.published && !omitted && object.sku().is_none();
    if unnamed { Err("Validation failed: Empty mandatory field [ sku ]".to_owned()) } else { Ok(()) }
}

fn written(
    desk: &mut Desk<'_>,
    field: &Field,
    object: Object,
    events: &'static [&'static str],
    message: &str,
) -> Done {
    let done = Done {
        value: result(field, true, message, Some(&object), desk.view),
        error: None,
        keys: vec![object.name()],
        wrote: vec![object.name()],
        changes: vec![json!({ "put": object, "events": events })],
        events: vec![(events, object.clone())],
    };
    desk.objects.save(object, desk.now);
    done
}

fn refused(field: &Field, message: &str, keys: Vec<String>) -> Done {
    let view = View { profile: super::PimProfile::V1_8, language: "" };
    Done { value: result(field, false, message, None, view), keys, ..Done::default() }
}

fn result(field: &Field, success: bool, message: &str, object: Option<&Object>, view: View<'_>) -> Value {
    let of = match field.name.as_str() {
        "createProduct" => "CreateProductResult",
        "updateProduct" => "UpdateProductResult",
        _ => "DeleteProductResult",
    };
    query::members(&field.fields, of, &|asked| match asked.name.as_str() {
        "success" => Value::Bool(success),
        "message" => Value::from(message),
        _ => object.map_or(Value::Null, |object| {
            let own = argument(asked, "defaultLanguage").and_then(Value::as_str);
            query::show(object, &asked.fields, View { language: own.unwrap_or(view.language), ..view })
        }),
    })
}
