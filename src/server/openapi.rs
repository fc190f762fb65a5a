//! The OpenAPI document, made from the table of the routes and from the types that are sent and answered.

use axum::Json;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::gate::Access;
use super::problem::Document;
use super::routes::{Answer, ROUTES, Route};

/// Where the document keeps the forms that have a name.
const SCHEMAS: &str = "/components/schemas";

/// The form of something that is sent or answered.
pub(super) type Form = fn(&mut SchemaGenerator) -> Schema;

/// The form of a type, by its name where it has one.
pub(super) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The form of a type whose members are the names of a query.
pub(super) fn query_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

/// The document.
pub(super) async fn document() -> Json<Value> {
    Json(made())
}

pub(super) fn made() -> Value {
    let mut forms = Forms::new();
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation(route, &mut forms);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Milepost",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A run is named by its ID, a unique beginning of it, @latest or @failed. Errors are \
                            problem documents (RFC 9457) with a stable code; a path that does not have a method \
                            answers 405 and names those that it has.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": forms.named(),
        },
    });
    bound(&mut document);
    document
}

/// Says of every whole number of 64 bits where they end: its format alone says that to nobody.
fn bound(part: &mut Value) {
    match part {
        Value::Object(members) => {
            let is_long = members.get("format").is_some_and(|format| format == "uint64" || format == "uint");
            if is_long && !members.contains_key("maximum") {
                members.insert("maximum".to_owned(), Value::from(u64::MAX));
            }
            members.values_mut().for_each(bound);
        }
        Value::Array(parts) => parts.iter_mut().for_each(bound),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The forms that are named so far. What is sent may leave out what is not required; what is answered says
/// everything that it has.
struct Forms {
    sent: SchemaGenerator,
    answered: SchemaGenerator,
}

impl Forms {
    fn new() -> Self {
        let at = |settings: &mut SchemaSettings| settings.definitions_path = SCHEMAS.into();
        let settings = || SchemaSettings::draft2020_12().with(at);
        Self {
            sent: settings().for_deserialize().into_generator(),
            answered: settings().for_serialize().into_generator(),
        }
    }

    fn named(mut self) -> Value {
        let mut all = self.sent.take_definitions(true);
        all.extend(self.answered.take_definitions(true));
        Value::Object(all)
    }
}

fn operation(route: &Route, forms: &mut Forms) -> Value {
    let mut operation = json!({
        "summary": route.about,
        "parameters": parameters(route, forms),
        "responses": responses(route, forms),
        "security": match route.access {
            Access::Open | Access::Proof => json!([]),
            Access::Read | Access::Operate | Access::Local => json!([{ "token": [] }]),
        },
        "x-access": format!("{:?}", route.access).to_lowercase(),
    });
    if let Some(body) = route.body {
        let schema = body(&mut forms.sent);
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

fn parameters(route: &Route, forms: &mut Forms) -> Vec<Value> {
    let in_path = names_in(route.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": in_path(name) }));
    let mut all: Vec<Value> = in_path.collect();
    if let Some(query) = route.query {
        let form = query(&mut forms.sent).to_value();
        let members = form["properties"].as_object().cloned().unwrap_or_default();
        all.extend(members.into_iter().map(|(name, schema)| in_query(&name, said(schema))));
    }
    if let Some(header) = &route.header {
        let schema = json!({ "type": "string", "pattern": (header.pattern)() });
        let (name, about) = (header.name, header.about);
        all.push(json!({ "name": name, "in": "header", "description": about, "schema": schema }));
    }
    all
}

/// The form of what varies in a path.
fn in_path(name: &str) -> Value {
    match name {
        "run" => {
            json!({ "type": "string", "pattern": "^(@latest|@failed|(run_)?[0-9a-hjkmnp-tv-z]{1,26})$" })
        }
        _ => json!({ "type": "string", "minLength": 1 }),
    }
}

/// A member of a query; one that is JSON says so.
fn in_query(name: &str, mut schema: Value) -> Value {
    let kind = schema.as_object_mut().and_then(|schema| schema.remove("contentMediaType"));
    match kind.as_ref().and_then(Value::as_str) {
        Some(kind) => json!({ "name": name, "in": "query", "content": { kind: { "schema": schema } } }),
        None => json!({ "name": name, "in": "query", "schema": schema }),
    }
}

/// The names of what varies in a path.
fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// The form of what may be left out, once it is there: a query has no word for nothing.
fn said(mut schema: Value) -> Value {
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
    }
    if let Some(Value::Array(forms)) = schema.get_mut("anyOf") {
        forms.retain(|form| form["type"] != "null");
    }
    schema
}

fn responses(route: &Route, forms: &mut Forms) -> Value {
    let mut all = Map::new();
    let mut done = |status: &str, about: &str, kind: &str, schema: Value| {
        let content = json!({ kind: { "schema": schema } });
        all.insert(status.to_owned(), json!({ "description": about, "content": content }));
    };
    let json = "application/json";
    match route.answer {
        Answer::Nothing => drop(all.insert("204".to_owned(), json!({ "description": "Done" }))),
        Answer::Text(kind) => done("200", "Done", kind, json!({ "type": "string" })),
        Answer::Json(form) => done("200", "Done", json, form(&mut forms.answered).to_value()),
        Answer::Begun(form) => {
            let schema = form(&mut forms.answered).to_value();
            done("200", "It goes on, or was there before", json, schema.clone());
            done("202", "Recorded; it begins when there is room for it", json, schema);
        }
    }
    let problem = of::<Document>(&mut forms.answered).to_value();
    for (status, about) in refusals(route) {
        let content = json!({ "application/problem+json": { "schema": problem } });
        all.insert(status.to_string(), json!({ "description": about, "content": content }));
    }
    Value::Object(all)
}

/// Why a path may not do what it is asked, by status.
fn refusals(route: &Route) -> Vec<(u16, &'static str)> {
    let varies = names_in(route.path).next().is_some();
    let acts = route.method != "get";
    let is_known = !matches!(route.access, Access::Open | Access::Proof);
    let is_proven = route.access == Access::Proof;
    let all = [
        (true, 400, "The path, the query or the body cannot be read, or does not fit"),
        (is_known || is_proven || route.body.is_some(), 401, "Nobody knows who asks"),
        (is_known || acts, 403, "Whoever asks may not, or a page of another site asks"),
        (varies || is_known, 404, "There is nothing of this name"),
        (true, 405, "The path does not have this method; those that it has are in the header Allow"),
        (true, 408, "The body came too slowly"),
        (is_known, 409, "It does not fit the present state"),
        (true, 413, "The body is too large"),
        (acts, 415, "What is sent is not the content type that the path takes"),
        (route.body.is_some(), 422, "The body is JSON, and not of the form that the path takes"),
        (is_proven, 429, "Too much is being sent to this hook: again after Retry-After"),
        (true, 500, "A defect, or a failing disk"),
        (true, 503, "Not now: again after Retry-After"),
    ];
    all.into_iter().filter(|(applies, ..)| *applies).map(|(_, status, about)| (status, about)).collect()
}
