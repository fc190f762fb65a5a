//! The OpenAPI document, made from the table of the routes.

use axum::Json;
use serde_json::{Map, Value, json};

use super::gate::Access;
use super::routes::{ROUTES, Route};

/// The document.
pub(super) async fn document() -> Json<Value> {
    Json(made())
}

pub(super) fn made() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Milepost",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A run is named by its ID, a unique beginning of it, @latest or @failed. Errors are \
                            problem documents (RFC 9457) with a stable code.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas(),
        },
    })
}

fn operation(route: &Route) -> Value {
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = names
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = route
        .query
        .iter()
        .map(|(name, kind)| json!({ "name": name, "in": "query", "schema": { "type": kind } }));
    let mut parameters: Vec<Value> = in_path.chain(in_query).collect();
    if route.body == Some("StartOrder") {
        parameters.push(json!({ "name": "Idempotency-Key", "in": "header", "schema": { "type": "string" } }));
    }
    let mut operation = json!({
        "summary": route.about,
        "parameters": parameters,
        "responses": responses(route),
        "security": match route.access {
            Access::Open | Access::Proof => json!([]),
            Access::Read | Access::Operate | Access::Local => json!([{ "token": [] }]),
        },
        "x-access": format!("{:?}", route.access).to_lowercase(),
    });
    if let Some(body) = route.body {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": reference(body) } },
        });
    }
    operation
}

fn responses(route: &Route) -> Value {
    let success = match route.answer {
        "" => json!({ "204": { "description": "Done" } }),
        kind if kind.contains('/') => {
            let schema = if kind == "application/json" { json!({}) } else { json!({ "type": "string" }) };
            json!({ "200": { "description": "Done", "content": { kind: { "schema": schema } } } })
        }
        name => {
            let content = json!({ "application/json": { "schema": reference(name) } });
            json!({
                "200": { "description": "Done", "content": content },
                "202": { "description": "Recorded; it begins when there is room for it", "content": content },
            })
        }
    };
    let mut all = success.as_object().cloned().unwrap_or_default();
    if route.answer != "Admitted" {
        all.remove("202");
    }
    let problem = json!({
        "description": "Why not",
        "content": { "application/problem+json": { "schema": reference("Problem") } },
    });
    all.insert("default".to_owned(), problem);
    Value::Object(all)
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An object with these members, of which these must be there, and no others.
fn closed(required: &[&str], members: &Value) -> Value {
    json!({ "type": "object", "required": required, "properties": members, "additionalProperties": false })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn texts() -> Value {
    json!({ "type": "array", "items": text() })
}

fn maybe() -> Value {
    json!({ "type": ["string", "null"] })
}

fn status() -> Value {
    json!({ "enum": [
        "queued", "running", "waiting", "paused", "interrupted", "succeeded", "failed", "cancelled",
    ] })
}

/// Everything that is sent and answered under a name.
fn schemas() -> Value {
    let mut all = sent();
    if let (Value::Object(all), Value::Object(answered)) = (&mut all, answered()) {
        all.extend(answered);
    }
    all
}

fn sent() -> Value {
    let (text, texts, maybe, flag) = (text(), texts(), maybe(), json!({ "type": "boolean" }));
    let letters = json!({ "type": "object" });
    json!({
        "StartOrder": closed(&[], &json!({
            "workflow": maybe, "file": maybe, "profile": maybe, "by": text,
            "input": { "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } },
        })),
        "ResumeOrder": closed(&[], &json!({
            "expect": maybe, "by": text,
            "terms": { "type": "object", "properties": {
                "items": texts, "letters": letters,
                "definition": { "enum": ["stored", "current"] },
                "accept": { "enum": ["replaced", "moved", null] },
            } },
        })),
        "Order": { "oneOf": [
            order("cancel", &[], json!({})),
            order("pause", &[], json!({})),
            order("unpause", &[], json!({})),
            order("close", &[], json!({})),
            order("settle", &["done"], json!({
                "items": texts, "step": maybe, "done": flag, "facts": { "type": "object" },
            })),
            order("drop", &[], json!({ "items": texts, "letters": letters, "reason": maybe })),
        ] },
        "UnholdOrder": closed(&["what"], &json!({ "by": text, "what": { "oneOf": [
            { "const": "all" },
            closed(&["run"], &json!({ "run": text })),
            closed(&["workflow"], &json!({ "workflow": text })),
        ] } })),
        "Sent": closed(&["signal", "key", "id"], &json!({
            "signal": text, "key": text, "id": text, "workflow": maybe, "version": maybe, "payload": {},
            "keep": { "type": ["integer", "null"], "minimum": 0 },
        })),
        "CollectOrder": closed(&[], &json!({ "dry_run": flag, "by": text })),
        "BackupRequest": closed(&["file"], &json!({ "file": text })),
        "TokenOrder": closed(&["name", "scope"], &json!({
            "name": text, "scope": { "enum": ["read", "operate"] }, "by": text,
        })),
        "Presented": closed(&["token"], &json!({ "token": text })),
    })
}

/// One action, with who asks for it.
fn order(action: &str, required: &[&str], mut members: Value) -> Value {
    members["action"] = json!({ "const": action });
    members["by"] = text();
    closed(&[&["action", "by"], required].concat(), &members)
}

fn answered() -> Value {
    let (text, texts, maybe, status) = (text(), texts(), maybe(), status());
    let (flag, number) = (json!({ "type": "boolean" }), json!({ "type": "integer", "minimum": 0 }));
    let objects = json!({ "type": "array", "items": { "type": "object" } });
    json!({
        "Problem": {
            "type": "object",
            "required": ["title", "status", "kind", "code", "detail"],
            "properties": { "title": text, "status": number, "kind": text, "code": text, "detail": text,
                            "candidates": texts, "next": texts },
        },
        "Admitted": {
            "type": "object", "required": ["run", "status", "started"],
            "properties": { "run": text, "status": status, "started": flag, "next": texts },
        },
        "Acted": {
            "type": "object", "required": ["run", "status", "message"],
            "properties": { "run": text, "status": status, "message": text, "next": texts },
        },
        "Signalled": {
            "type": "object", "required": ["signal", "key", "id", "known", "woke", "too_old_for", "kept_until"],
            "properties": { "signal": text, "key": text, "id": text, "known": flag, "woke": number,
                            "too_old_for": number, "kept_until": text },
        },
        "Delivered": {
            "type": "object", "required": ["hook", "signalled"],
            "properties": { "hook": text, "signalled": {
                "oneOf": [{ "type": "null" }, reference("Signalled")],
            } },
        },
        "QueueView": {
            "type": "object", "required": ["paused", "waiting", "waiting_max", "workflows"],
            "properties": { "paused": flag, "waiting": number, "waiting_max": number, "workflows": objects },
        },
        "Examination": {
            "type": "object", "required": ["at", "connections"],
            "properties": { "at": text, "connections": objects },
        },
        "RunList": {
            "type": "object", "required": ["runs", "total"],
            "properties": { "runs": objects, "total": number, "next": maybe },
        },
        "RunView": {
            "type": "object", "required": ["run", "workflow", "status", "items", "steps", "next"],
            "properties": { "run": text, "workflow": text, "status": status, "next": texts },
        },
    })
}
