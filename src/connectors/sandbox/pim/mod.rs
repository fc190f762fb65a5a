//! The PIM stand-in: one Data Hub GraphQL endpoint for a class `Product` whose SKU is marked
//! unique. Everything that Data Hub would understand is HTTP 200, failures included.
//!
//! It is written from what Data Hub's source says, and was never compared with a real Pimcore.
//! Read in this order: `class` and `site` (what the site has), `schema` (what may be asked),
//! `query`, `filter`, `mutation`, `input` (what is done), `events` (what listeners would hear),
//! `cache` (Data Hub's output cache), `profile` (which Data Hub it plays).

mod cache;
mod class;
mod events;
mod filter;
mod graphql;
mod input;
mod mutation;
mod object;
mod profile;
mod query;
mod schema;
mod site;

use serde_json::{Map, Value, json};

use super::faults::Faults;
use super::standin::{Body, Incoming, Reply, Standin};
use super::{API_KEY, ENDPOINT};
use cache::Cache;
use events::Events;
use graphql::{Field, Operation};
use object::{Object, Objects};
pub use profile::PimProfile;
use query::View;

/// Where Data Hub serves its endpoints.
const ROUTE: &str = "/pimcore-graphql-webservices/";

/// The PIM stand-in.
#[derive(Debug)]
pub(super) struct Pim {
    profile: PimProfile,
    objects: Objects,
    events: Events,
    cache: Cache,
    /// SKUs whose create fails at its second save.
    halves: Vec<String>,
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
    /// Names of events, and the object as it then was.
    events: Vec<(&'static [&'static str], Object)>,
}

impl Pim {
    pub(super) fn new(profile: PimProfile) -> Self {
        Self {
            profile,
            objects: Objects::default(),
            events: Events::default(),
            cache: Cache::default(),
            halves: Vec::new(),
        }
    }

    fn execute(&mut self, incoming: &Incoming, refuses: &dyn Fn(&str) -> bool) -> Reply {
        let key = cache::key(&incoming.body);
        if let Some(answer) = self.cache.get(&key, incoming.now) {
            return Reply::json("cached", 200, answer.clone());
        }
        let reply = self.fresh(incoming, refuses);
        if !reply.wrote.is_empty() {
            self.cache.clear();
        } else if let Body::Json(answer) = &reply.body {
            self.cache.put(key, incoming.now, answer.clone());
        }
        reply
    }

    fn fresh(&mut self, incoming: &Incoming, refuses: &dyn Fn(&str) -> bool) -> Reply {
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
        // The whole operation is checked before any of it is carried out.
        if let Err(message) = schema::check(&operation, self.profile) {
            return failed(message);
        }
        self.carry_out(&operation, incoming, refuses)
    }

    fn carry_out(
        &mut self,
        operation: &Operation,
        incoming: &Incoming,
        refuses: &dyn Fn(&str) -> bool,
    ) -> Reply {
        let mut data = Map::new();
        let mut errors = Vec::new();
        let names: Vec<&str> = operation.fields.iter().map(|field| field.name.as_str()).collect();
        let mut reply = Reply::json(&names.join(" "), 200, Value::Null);
        for field in &operation.fields {
            let view = View::of(self.profile, field);
            let mut desk = mutation::Desk {
                objects: &mut self.objects,
                view,
                arrived: incoming.at,
                now: incoming.now,
                refuses,
                halves: &self.halves,
            };
            let done = match field.name.as_str() {
                "__typename" => {
                    let root = if operation.mutation { "Mutations" } else { "Query" };
                    Done { value: Value::from(root), ..Done::default() }
                }
                "getProduct" => query::one(desk.objects, field, view),
                "getProductListing" => query::listing(desk.objects, field, view),
                "getAsset" => query::asset(field),
                "createProduct" => mutation::create(&mut desk, field),
                "updateProduct" => mutation::update(&mut desk, field),
                _ => mutation::delete(&mut desk, field),
            };
            for (names, object) in &done.events {
                self.events.add(names, object);
            }
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

    /// The events that a change in the journal stands for.
    fn remember(&mut self, change: &Value, object: &Object) {
        let names = change.get("events").and_then(Value::as_array).into_iter().flatten();
        let names: Vec<&str> = names.filter_map(Value::as_str).collect();
        self.events.add(&names, object);
    }
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
            self.remember(change, &object);
            self.objects.put(object);
        } else if let Some(id) = change.get("gone").and_then(Value::as_u64)
            && let Some(object) = self.objects.remove(id)
        {
            self.events.add(events::DELETED, &object);
        }
    }

    fn heed(&mut self, faults: &Faults) {
        self.halves.clone_from(&faults.half);
    }

    fn events(&self, after: u64) -> Vec<Value> {
        self.events.after(after)
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
