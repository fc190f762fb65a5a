//! The shop stand-in: the part of Medusa's admin API that products go through. Bodies are strict,
//! batches are all or nothing, `created` is not in the order of the request.

mod around;
mod product;
mod routes;
mod shelf;
mod store;
mod strict;
mod tree;
mod variants;

use std::collections::HashSet;

use serde_json::{Value, json};

use super::standin::{Body, Incoming, Reply, Standin};
use super::{EMAIL, PASSWORD};
use around::Around;
use shelf::Shelf;

/// Longest body of an ordinary route.
const BODY_BYTES_MAX: usize = 100 * 1024;
/// Longest body of a batch route.
const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The shop stand-in.
#[derive(Debug, Default)]
pub(super) struct Shop {
    shelf: Shelf,
    around: Around,
    /// Logins that are good. They do not survive a restart, so a client meets a 401 then.
    tokens: HashSet<String>,
}

/// An answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    status: u16,
    kind: &'static str,
    message: String,
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Self {
        Self { status: 400, kind: "invalid_data", message: message.into() }
    }

    fn not_found(message: impl Into<String>) -> Self {
        Self { status: 404, kind: "not_found", message: message.into() }
    }

    /// What Medusa says to everything that it did not foresee.
    fn unknown() -> Self {
        Self { status: 500, kind: "unknown_error", message: "An unknown error occurred.".to_owned() }
    }

    fn body(&self) -> Value {
        if self.kind == "unknown_error" {
            return json!({ "code": self.kind, "type": self.kind, "message": self.message });
        }
        json!({ "type": self.kind, "message": self.message })
    }
}

/// What one call asks for, its key test and its time at hand.
struct Ask<'a> {
    /// Milliseconds since 1970.
    at: u64,
    body: &'a Value,
    around: &'a Around,
    refuses: &'a dyn Fn(&str) -> bool,
}

impl Shop {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn login(&mut self, incoming: &Incoming) -> Reply {
        let call = "POST /auth/user/emailpass";
        let body: Value = serde_json::from_slice(&incoming.body).unwrap_or_default();
        if body["email"] != EMAIL || body["password"] != PASSWORD {
            let body = json!({ "type": "unauthorized", "message": "Invalid email or password" });
            return Reply::json(call, 401, body);
        }
        self.renewed(call)
    }

    /// A new token.
    fn renewed(&mut self, call: &str) -> Reply {
        let token = format!("stand-in.{}", uuid::Uuid::now_v7().simple());
        self.tokens.insert(token.clone());
        Reply::json(call, 200, json!({ "token": token }))
    }

    fn is_logged_in(&self, incoming: &Incoming) -> bool {
        let header = incoming.headers.get("authorization").map(String::as_str).unwrap_or_default();
        header.strip_prefix("Bearer ").is_some_and(|token| self.tokens.contains(token))
    }
}

impl Standin for Shop {
    fn answer(&mut self, incoming: &Incoming, refuses: &dyn Fn(&str) -> bool) -> Reply {
        let call = format!("{} {}", incoming.method, incoming.path);
        let segments: Vec<&str> = incoming.path.split('/').filter(|segment| !segment.is_empty()).collect();
        match (incoming.method.as_str(), segments.as_slice()) {
            ("GET", ["health"]) => return Reply::page(&call, 200, "OK"),
            ("POST", ["auth", "user", "emailpass"]) => return self.login(incoming),
            ("POST", ["auth", "token", "refresh"]) if self.is_logged_in(incoming) => {
                return self.renewed(&call);
            }
            _ => {}
        }
        if segments.as_slice() == ["store", "products"] && incoming.method == "GET" {
            return store::list(&self.shelf, incoming);
        }
        // Authentication runs before everything else.
        if segments.first() == Some(&"admin") && !self.is_logged_in(incoming) {
            return Reply::json(&call, 401, json!({ "message": "Unauthorized" }));
        }
        let limit = if segments.last() == Some(&"batch") { BATCH_BYTES_MAX } else { BODY_BYTES_MAX };
        if incoming.body.len() > limit {
            let body = json!({ "message": "request entity too large", "type": "unknown_error" });
            return Reply::json(&call, 413, body);
        }
        if incoming.method == "GET" {
            if let Some(reply) = self.around.read(&segments, incoming) {
                return reply;
            }
            return match segments.as_slice() {
                ["admin", "products"] => routes::list(&self.shelf, incoming),
                ["admin", "products", id] => routes::one(&self.shelf, id),
                ["admin", "inventory-items"] => routes::items(&self.shelf, &self.around, incoming),
                _ => Reply::page(&call, 404, "Cannot find this route"),
            };
        }
        if let ("DELETE", ["admin", "inventory-items", id]) = (incoming.method.as_str(), segments.as_slice())
        {
            return routes::remove_item(&mut self.shelf, id);
        }
        let json_sent = incoming.headers.get("content-type").is_some_and(|kind| kind.contains("json"));
        let body = match serde_json::from_slice::<Value>(&incoming.body) {
            Ok(body) if json_sent => body,
            _ => return Reply::json(&call, 400, Refusal::invalid("Invalid request: malformed JSON").body()),
        };
        if let Some(reply) = self.around.write(&segments, &body, &self.shelf) {
            return reply;
        }
        let ask = Ask { at: incoming.at, body: &body, around: &self.around, refuses };
        match (incoming.method.as_str(), segments.as_slice()) {
            ("POST", ["admin", "products"]) => routes::create(&mut self.shelf, &ask),
            ("POST", ["admin", "products", "batch"]) => routes::batch(&mut self.shelf, &ask),
            ("POST", ["admin", "products", id]) => routes::update(&mut self.shelf, id, &ask),
            ("POST", ["admin", "products", id, "options", "batch"]) => {
                routes::options(&mut self.shelf, id, &ask)
            }
            ("POST", ["admin", "products", id, "variants", "batch"]) => {
                routes::variants(&mut self.shelf, id, &ask)
            }
            _ => Reply::page(&call, 404, "Cannot find this route"),
        }
    }

    fn failure(&self, status: u16) -> Body {
        if status == 500 {
            Body::Json(Refusal::unknown().body())
        } else {
            Reply::page("", status, "Service Unavailable").body
        }
    }

    fn replay(&mut self, change: &Value) {
        self.shelf.replay(change);
        self.around.replay(change);
    }

    fn keys(&self) -> Vec<(String, String)> {
        let state = |product: &Value| product["status"].as_str().unwrap_or_default().to_owned();
        self.shelf.iter().map(|product| (shelf::name(product), state(product))).collect()
    }

    fn logout(&mut self) {
        self.tokens.clear();
    }
}
