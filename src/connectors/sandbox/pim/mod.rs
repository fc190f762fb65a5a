//! The PIM stand-in: one Data Hub GraphQL endpoint (profile 1.8) for a class `Product` whose SKU
//! is marked unique. Everything that Data Hub would understand is HTTP 200, failures included.

mod class;
mod graphql;
mod mutation;
mod object;
mod query;

use serde_json::{Map, Value, json};

use super::standin::{Body, Incoming, Reply, Standin};
use super::{API_KEY, ENDPOINT};
use graphql::{Field, Operation};
use object::{Object, Objects};

/// Where Data Hub serves its endpoints.
const ROUTE: &str = "/pimcore-graphql-webservices/";

/// The PIM stand-in.
#[derive(Debug, Default)]
pub(super) struct Pim {
    objects: Objects,
}

/// What carrying out one field came to: its value, and what it touched and changed.
#[derive(Debug, Default)]
struct Done {
    value: Value,
    /// Text for `errors`.
    error: Option<String>,
    keys: Vec<String>,
    wrote: Vec<String>,
    changes: Vec<Value>,
}

impl Pim {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn execute(&mut self, incoming: &Incoming, refuses: &dyn Fn(&str) -> bool) -> Reply {
        let failed =
            |message: String| Reply::json("graphql", 200, json!({ "errors": [{ "message": message }] }));
        let Ok(Value::Object(request)) = serde_json::from_slice(&incoming.body) else {
            return failed("Syntax Error: Unexpected <EOF>".to_owned());
        };
        let none = Map::new();
        let variables = request.get("variables").and_then(Value::as_object).unwrap_or(&none);
        let query = request.get("query").and_then(Value::as_str).unwrap_or_default();
        let operation = match graphql::parse(query, variables) {
            Ok(operation) => operation,
            Err(message) => return failed(message),
        };
        // The whole operation is validated before any of it is carried out.
        if let Err(message) = operation.fields.iter().try_for_each(|field| validate(&operation, field)) {
            return failed(message);
        }
        self.carry_out(&operation, incoming.at / 1000, refuses)
    }

    fn carry_out(&mut self, operation: &Operation, now: u64, refuses: &dyn Fn(&str) -> bool) -> Reply {
        let mut data = Map::new();
        let mut errors = Vec::new();
        let names: Vec<&str> = operation.fields.iter().map(|field| field.name.as_str()).collect();
        let mut reply = Reply::json(&names.join(" "), 200, Value::Null);
        for field in &operation.fields {
            let done = match field.name.as_str() {
                "getProduct" => query::one(&self.objects, field),
                "getProductListing" => query::listing(&self.objects, field),
                "createProduct" => mutation::create(&mut self.objects, field, now, refuses),
                "updateProduct" => mutation::update(&mut self.objects, field, now, refuses),
                _ => mutation::delete(&mut self.objects, field),
            };
            errors.extend(done.error.map(|message| json!({ "message": message, "path": [field.alias] })));
            data.insert(field.alias.clone(), done.value);
            reply.keys.extend(done.keys);
            reply.wrote.extend(done.wrote);
            reply.changes.extend(done.changes);
        }
        let mut body = json!({ "data": data });
        if !errors.is_empty() {
            body["errors"] = Value::Array(errors);
        }
        Reply { body: Body::Json(body), ..reply }
    }
}

fn validate(operation: &Operation, field: &Field) -> Result<(), String> {
    if operation.mutation { mutation::validate(field) } else { query::validate(field) }
}

impl Standin for Pim {
    fn answer(&mut self, incoming: &Incoming, refuses: &dyn Fn(&str) -> bool) -> Reply {
        let call = format!("{} {}", incoming.method, incoming.path);
        if incoming.path.strip_prefix(ROUTE) != Some(ENDPOINT) {
            return Reply::page(&call, 404, "Not Found");
        }
        let from_query = || incoming.query.iter().find(|(name, _)| name == "apikey").map(|(_, key)| key);
        let header = |name: &str| incoming.headers.get(name).filter(|key| !key.is_empty());
        let key = header("apikey").or_else(|| header("x-api-key")).or_else(from_query);
        if key.map(String::as_str) != Some(API_KEY) {
            return Reply::page(&call, 403, "Permission denied, apikey not valid");
        }
        if incoming.method != "POST" {
            return Reply::page(&call, 405, "Method Not Allowed");
        }
        self.execute(incoming, refuses)
    }

    fn failure(&self, status: u16) -> Body {
        let text = if status == 503 { "Service Unavailable" } else { "Internal Server Error" };
        Reply::page("", status, text).body
    }

    fn replay(&mut self, change: &Value) {
        if let Some(object) =
            change.get("put").and_then(|put| serde_json::from_value::<Object>(put.clone()).ok())
        {
            self.objects.put(object);
        } else if let Some(id) = change.get("gone").and_then(Value::as_u64) {
            self.objects.remove(id);
        }
    }

    fn keys(&self) -> Vec<(String, String)> {
        let state = |object: &Object| if object.published { "published" } else { "draft" };
        self.objects.iter().map(|object| (object.name(), state(object).to_owned())).collect()
    }
}

/// The value of an argument that may be left out.
fn argument<'a>(field: &'a Field, name: &str) -> Option<&'a Value> {
    field.arguments.get(name).filter(|value| !value.is_null())
}

/// Checks that every argument is known and of its type. `known` names them with the type that the
/// schema gives.
fn check_arguments(field: &Field, root: &str, known: &[(&str, &str)]) -> Result<(), String> {
    for (name, value) in &field.arguments {
        let Some((_, kind)) = known.iter().find(|(known, _)| known == name) else {
            return Err(format!(
                "Unknown argument \"{name}\" on field \"{}\" of type \"{root}\".",
                field.name
            ));
        };
        let fits = match (*kind, value) {
            (kind, Value::Null) => !kind.ends_with('!'),
            ("Int", value) => value.is_i64() || value.is_u64(),
            ("Boolean", value) => value.is_boolean(),
            ("[String]", value) => value.is_string() || value.is_array(),
            ("UpdateProductInput", value) => value.is_object(),
            (_, value) => value.is_string(),
        };
        if !fits {
            let kind = kind.trim_end_matches('!');
            return Err(format!("{kind} cannot represent this value of argument \"{name}\": {value}"));
        }
    }
    let missing =
        known.iter().find(|(name, kind)| kind.ends_with('!') && !field.arguments.contains_key(*name));
    missing.map_or(Ok(()), |(name, kind)| {
        Err(format!(
            "Field \"{}\" argument \"{name}\" of type \"{kind}\" is required but not provided.",
            field.name
        ))
    })
}
