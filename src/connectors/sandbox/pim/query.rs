//! Queries of the PIM stand-in: one object, listings, one image; and what is shown of each.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::class::{self, Kind};
use super::graphql::Field;
use super::object::{Object, Objects};
use super::profile::PimProfile;
use super::{Done, argument, filter, site};

/// How answers look.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) profile: PimProfile,
    /// The language of localized fields that are asked for without one.
    pub(super) language: &'a str,
}

impl<'a> View<'a> {
    /// The view that a field asks for with `defaultLanguage`.
    pub(super) fn of(profile: PimProfile, field: &'a Field) -> Self {
        let language = argument(field, "defaultLanguage").and_then(Value::as_str);
        Self { profile, language: language.unwrap_or(site::LANGUAGES[0]) }
    }
}

/// `getProduct`. Finds drafts.
pub(super) fn one(objects: &Objects, field: &Field, view: View<'_>) -> Done {
    let id = argument(field, "id").and_then(Value::as_u64);
    let path = argument(field, "fullpath").and_then(Value::as_str);
    let found = match (id, path) {
        (Some(id), _) => objects.get(id).ok_or_else(|| format!("object with id:'{id}' not found")),
        (None, Some(path)) => {
            objects.at(path).ok_or_else(|| format!("object with fullpath:'{path}' not found"))
        }
        (None, None) => Err("either id or fullpath expected".to_owned()),
    };
    match found {
        Ok(object) => {
            Done { value: show(object, &field.fields, view), keys: vec![object.name()], ..Done::default() }
        }
        Err(message) => Done { error: Some(message), ..Done::default() },
    }
}

/// `getAsset`.
pub(super) fn asset(field: &Field) -> Done {
    let id = argument(field, "id").and_then(Value::as_u64);
    let path = argument(field, "fullpath").and_then(Value::as_str);
    match site::image(id, path) {
        Some(id) => Done { value: image(id, &field.fields), ..Done::default() },
        None => Done { error: Some("asset not found".to_owned()), ..Done::default() },
    }
}

/// `getProductListing`. Hides drafts unless `published: false` is given.
pub(super) fn listing(objects: &Objects, field: &Field, view: View<'_>) -> Done {
    let asked = argument(field, "filter").and_then(Value::as_str);
    let wanted = match asked.map_or_else(|| Ok(Map::new()), filter::read) {
        Ok(wanted) => wanted,
        Err(message) => return Done { error: Some(message), ..Done::default() },
    };
    let drafts_too = argument(field, "published") == Some(&Value::Bool(false));
    let named = |name: &str| {
        let listed = argument(field, name).and_then(Value::as_str)?;
        Some(listed.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>())
    };
    let (ids, paths) = (named("ids"), named("fullpaths"));
    let fits = |object: &&Object| {
        (drafts_too || object.published)
            && ids.as_ref().is_none_or(|ids| ids.contains(&object.id.to_string()))
            && paths.as_ref().is_none_or(|paths| paths.contains(&object.fullpath()))
            && filter::fits(&wanted, &|name| column(object, name))
    };
    // The SKU has an index; anything else is looked for one by one.
    let skus = filter::skus(&wanted);
    let mut found: Vec<&Object> = match &skus {
        Some(skus) => skus.iter().filter_map(|sku| objects.with_sku(sku)).filter(fits).collect(),
        None => objects.iter().filter(fits).collect(),
    };
    found.sort_unstable_by_key(|object| object.id);
    found.dedup_by_key(|object| object.id);
    sort(&mut found, field);
    let skipped = argument(field, "after").and_then(Value::as_u64).unwrap_or(0);
    let most = argument(field, "first").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let page = || found.iter().skip(number(skipped)).take(number(most));
    let value = members(&field.fields, "ProductConnection", &|asked| match asked.name.as_str() {
        "totalCount" => Value::from(found.len()),
        _ => page().map(|object| edge(object, &asked.fields, view)).collect(),
    });
    Done { value, keys: skus.unwrap_or_default(), ..Done::default() }
}

/// Orders by `sortBy`, each ascending unless `sortOrder` says `DESC` at its place.
fn sort(found: &mut [&Object], field: &Field) {
    let texts = |name: &str| match argument(field, name) {
        Some(Value::Array(listed)) => listed.clone(),
        Some(single) => vec![single.clone()],
        None => Vec::new(),
    };
    let (columns, orders) = (texts("sortBy"), texts("sortOrder"));
    found.sort_by(|one, other| {
        let by = columns.iter().enumerate().map(|(at, name)| {
            let of = |object: &Object| column(object, name.as_str().unwrap_or_default());
            let order = filter::order(&of(one), &of(other)).unwrap_or(Ordering::Equal);
            let falls = orders.get(at).and_then(Value::as_str).is_some_and(|order| order == "DESC");
            if falls { order.reverse() } else { order }
        });
        by.fold(Ordering::Equal, Ordering::then)
    });
}

fn edge(object: &Object, fields: &[Field], view: View<'_>) -> Value {
    members(fields, "ProductEdge", &|asked| match asked.name.as_str() {
        "cursor" => Value::from(format!("object-{}", object.id)),
        _ => show(object, &asked.fields, view),
    })
}

/// An object with exactly the members that are asked for.
pub(super) fn members(fields: &[Field], of: &str, value: &dyn Fn(&Field) -> Value) -> Value {
    let mut shown = Map::new();
    for asked in fields {
        let value = if asked.name == "__typename" { Value::from(of) } else { value(asked) };
        shown.insert(asked.alias.clone(), value);
    }
    Value::Object(shown)
}

/// What is asked of one object.
pub(super) fn show(object: &Object, fields: &[Field], view: View<'_>) -> Value {
    members(fields, "object_Product", &|asked| {
        let held = || object.fields.get(&asked.name).cloned().unwrap_or_default();
        if let Some(value) = system(object, &asked.name, view.profile) {
            return value;
        }
        match class::kind(&asked.name) {
            Some(Kind::Localized) => object.text(&asked.name, language(asked, view)),
            Some(Kind::Quantity) => quantity(&held(), &asked.fields),
            Some(Kind::Image) => held().as_u64().map_or(Value::Null, |id| image(id, &asked.fields)),
            Some(Kind::Gallery) => ids(&held()).map(|id| hotspot(id, &asked.fields)).collect(),
            Some(Kind::Relation) => {
                held().as_u64().map_or(Value::Null, |id| category(id, &asked.fields, view))
            }
            Some(Kind::Relations) => ids(&held()).map(|id| category(id, &asked.fields, view)).collect(),
            _ => held(),
        }
    })
}

/// The language that a field asks for.
fn language<'a>(asked: &'a Field, view: View<'a>) -> &'a str {
    argument(asked, "language").and_then(Value::as_str).unwrap_or(view.language)
}

fn ids(held: &Value) -> impl Iterator<Item = u64> {
    held.as_array().into_iter().flatten().filter_map(Value::as_u64)
}

fn image(id: u64, fields: &[Field]) -> Value {
    let path = site::IMAGES.iter().find(|(known, _)| *known == id).map_or("", |(_, path)| *path);
    members(fields, "asset", &|asked| match asked.name.as_str() {
        "id" => Value::from(id.to_string()),
        "fullpath" => Value::from(path),
        "filename" => Value::from(path.rsplit('/').next()),
        _ => Value::from("image/jpeg"),
    })
}

fn hotspot(id: u64, fields: &[Field]) -> Value {
    members(fields, "hotspotimage", &|asked| image(id, &asked.fields))
}

fn category(id: u64, fields: &[Field], view: View<'_>) -> Value {
    let Some((_, path, names)) = site::CATEGORIES.iter().find(|(known, ..)| *known == id) else {
        return Value::Null;
    };
    members(fields, "object_Category", &|asked| match asked.name.as_str() {
        "id" => Value::from(id.to_string()),
        "fullpath" => Value::from(*path),
        _ => {
            let at = site::LANGUAGES.iter().position(|known| *known == language(asked, view));
            at.map_or(Value::Null, |at| Value::from(names[at]))
        }
    })
}

/// The stand-in knows no units of its own: whatever is written is one, and its ID is its name.
fn quantity(held: &Value, fields: &[Field]) -> Value {
    if held.is_null() {
        return Value::Null;
    }
    let unit = held.get("unitId").or_else(|| held.get("unit")).cloned().unwrap_or_default();
    members(fields, "QuantityValue", &|asked| match asked.name.as_str() {
        "value" => held.get("value").cloned().unwrap_or_default(),
        "unit" if unit.is_null() => Value::Null,
        "unit" => members(&asked.fields, "QuantityValueUnit", &|_| unit.clone()),
        _ => Value::from(format!("{} {}", held["value"], unit.as_str().unwrap_or_default())),
    })
}

/// What filters and sorting see: the columns of the database, where times are numbers.
fn column(object: &Object, name: &str) -> Value {
    let held = || match class::kind(name) {
        Some(Kind::Localized) => object.text(name, site::LANGUAGES[0]),
        _ => object.fields.get(name).cloned().unwrap_or_default(),
    };
    match name {
        "id" => json!(object.id),
        _ => system(object, name, PimProfile::V1_8).unwrap_or_else(held),
    }
}

/// A system field. The id is a text, though arguments take a number.
fn system(object: &Object, name: &str, profile: PimProfile) -> Option<Value> {
    Some(match name {
        "id" => Value::from(object.id.to_string()),
        "creationDate" => profile.time(object.created),
        "modificationDate" => profile.time(object.modified),
        "version" => Value::from(object.version),
        "objectType" => Value::from(if object.variant { "variant" } else { "object" }),
        "classname" => Value::from("Product"),
        "index" => Value::from(0),
        "key" => Value::from(object.key.as_str()),
        "fullpath" => Value::from(object.fullpath()),
        "published" => Value::from(object.published),
        _ => return None,
    })
}
