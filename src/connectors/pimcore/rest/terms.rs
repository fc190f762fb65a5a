//! What the connection says about a site's own REST routes.

use serde_json::{Map, Value};

use crate::connectors::{BuildFault, settings};

/// What a status of an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It was carried out.
    Done,
    /// The product is there already.
    Exists,
    /// The product that was to be updated is gone.
    Gone,
    /// The content is at fault.
    Refused,
    /// Nothing was done, and later it may be.
    Later,
    /// Perhaps something was done.
    Unclear,
}

const MEANINGS: &[(&str, Meaning)] = &[
    ("done", Meaning::Done),
    ("exists", Meaning::Exists),
    ("gone", Meaning::Gone),
    ("refused", Meaning::Refused),
    ("later", Meaning::Later),
    ("unclear", Meaning::Unclear),
];

/// One route: a method, and a path with `{sku}` and `{id}` in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Route {
    pub(super) method: String,
    path: String,
}

/// How a product is looked up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lookup {
    pub(super) route: Route,
    /// Where the object is in the answer: member names and positions, from outside to inside.
    pub(super) object: Vec<String>,
    /// Where the id is in the object.
    pub(super) id: Vec<String>,
}

/// All of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Terms {
    /// The header that carries the key.
    pub(super) key_header: String,
    /// The member that the mapping is wrapped under; `None`: the body is the mapping.
    pub(super) body: Option<String>,
    pub(super) create: Route,
    pub(super) update: Option<Route>,
    pub(super) lookup: Option<Lookup>,
    /// Where the id is in an answer to a write.
    pub(super) id: Vec<String>,
    /// What statuses mean, where it is not what HTTP says.
    pub(super) statuses: Vec<(u16, Meaning)>,
}

impl Route {
    /// The path for one product. What is filled in is escaped, so that it stays one segment or one value.
    pub(super) fn path(&self, sku: &str, id: &str) -> String {
        let escaped = |text: &str| -> String {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
            text.bytes()
                .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
                .collect()
        };
        self.path.replace("{sku}", &escaped(sku)).replace("{id}", &escaped(id))
    }
}

/// The value behind names and positions; null where there is none.
pub(super) fn inside<'a>(value: &'a Value, path: &[String]) -> &'a Value {
    path.iter().fold(value, |value, part| match value {
        Value::Array(members) => {
            part.parse::<usize>().ok().and_then(|at| members.get(at)).unwrap_or(&Value::Null)
        }
        other => &other[part.as_str()],
    })
}

/// Reads the section `rest` of a connection.
///
/// # Errors
/// A word is unknown, or a path is not one.
pub(super) fn read(fields: &Map<String, Value>) -> Result<Terms, BuildFault> {
    let none = Map::new();
    let section = match fields.get("rest") {
        None | Some(Value::Null) => &none,
        Some(Value::Object(section)) => section,
        Some(_) => return Err(wrong("must be a section")),
    };
    let known = ["key_header", "body", "create", "update", "lookup", "id", "statuses"];
    only(section, &known, "rest")?;
    let route = |name: &str, method: &str, path: Option<&str>| route(section.get(name), name, method, path);
    let create = route("create", "POST", Some("/api/products"))?;
    let create = create.ok_or_else(|| wrong("create must have a path"))?;
    let lookup = match (route("lookup", "GET", None)?, section.get("lookup")) {
        (Some(route), Some(Value::Object(written))) => Some(Lookup {
            route,
            object: dotted(settings::text(written, "object")?.unwrap_or_default()),
            id: dotted(settings::text(written, "id")?.unwrap_or("id")),
        }),
        _ => None,
    };
    let update = route("update", "PUT", None)?;
    if update.as_ref().is_some_and(|update| update.path.contains("{id}")) && lookup.is_none() {
        return Err(wrong("update needs an {id}, and only a lookup can tell it"));
    }
    Ok(Terms {
        key_header: settings::text(section, "key_header")?.unwrap_or("X-API-Key").to_owned(),
        body: settings::text(section, "body")?.map(ToOwned::to_owned),
        create,
        update,
        lookup,
        id: dotted(settings::text(section, "id")?.unwrap_or("id")),
        statuses: statuses(section.get("statuses"))?,
    })
}

fn wrong(message: &str) -> BuildFault {
    BuildFault::field("rest", format!("rest: {message}"))
}

fn only(section: &Map<String, Value>, known: &[&str], what: &str) -> Result<(), BuildFault> {
    match section.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(wrong(&format!("{what} has no '{name}', only {}", known.join(", ")))),
    }
}

fn dotted(path: &str) -> Vec<String> {
    path.split('.').filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect()
}

fn route(
    written: Option<&Value>,
    name: &str,
    method: &str,
    path: Option<&str>,
) -> Result<Option<Route>, BuildFault> {
    let written = match written {
        None | Some(Value::Null) => None,
        Some(Value::Object(written)) => Some(written),
        Some(_) => return Err(wrong(&format!("{name} must be a section such as {{ path: /api/products }}"))),
    };
    let more: &[&str] =
        if name == "lookup" { &["method", "path", "object", "id"] } else { &["method", "path"] };
    let none = Map::new();
    let section = written.unwrap_or(&none);
    only(section, more, name)?;
    let Some(path) = settings::text(section, "path")?.or(path) else {
        return if written.is_some() { Err(wrong(&format!("{name} needs a path"))) } else { Ok(None) };
    };
    if !path.starts_with('/') {
        return Err(wrong(&format!("the path of {name} must begin with a slash")));
    }
    let method = settings::text(section, "method")?.unwrap_or(method);
    if !["GET", "POST", "PUT", "PATCH"].contains(&method) {
        return Err(wrong(&format!("the method of {name} must be GET, POST, PUT or PATCH")));
    }
    Ok(Some(Route { method: method.to_owned(), path: path.to_owned() }))
}

fn statuses(written: Option<&Value>) -> Result<Vec<(u16, Meaning)>, BuildFault> {
    let written = match written {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(written)) => written,
        Some(_) => return Err(wrong("statuses must be a section such as { 409: exists }")),
    };
    let row = |(status, meaning): (&String, &Value)| {
        let number = status.parse::<u16>().ok().filter(|status| (100..600).contains(status));
        let found = MEANINGS.iter().find(|(word, _)| meaning == word).map(|(_, meaning)| *meaning);
        number.zip(found).ok_or_else(|| {
            let words: Vec<&str> = MEANINGS.iter().map(|(word, _)| *word).collect();
            wrong(&format!(
                "statuses: {status}: {meaning} is not an HTTP status with one of {}",
                words.join(", ")
            ))
        })
    };
    written.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(rest: &Value) -> Result<Terms, BuildFault> {
        read(json!({ "rest": rest }).as_object().unwrap())
    }

    #[test]
    fn a_site_is_described_and_what_is_left_out_is_plain() {
        let plain = read(&Map::new()).unwrap();
        assert_eq!(
            (plain.create.method.as_str(), plain.create.path("a", "")),
            ("POST", "/api/products".to_owned())
        );
        assert_eq!((plain.update, plain.lookup, plain.body), (None, None, None));
        let whole = of(&json!({
            "body": "product",
            "lookup": { "path": "/api/products?sku={sku}", "object": "items.0", "id": "id" },
            "update": { "method": "PATCH", "path": "/api/products/{id}" },
            "statuses": { "409": "exists", "423": "later" },
        }))
        .unwrap();
        let lookup = whole.lookup.unwrap();
        assert_eq!(lookup.route.path("A/1 ü", ""), "/api/products?sku=A%2F1%20%C3%BC");
        assert_eq!(inside(&json!({ "items": [{ "id": 5 }] }), &lookup.object), &json!({ "id": 5 }));
        assert_eq!(inside(&json!({ "items": [] }), &lookup.object), &Value::Null);
        assert_eq!(whole.statuses, [(409, Meaning::Exists), (423, Meaning::Later)]);
    }

    #[test]
    fn mistakes_are_named() {
        for (rest, expected) in [
            (json!("x"), "must be a section"),
            (json!({ "path": "/x" }), "rest has no 'path'"),
            (json!({ "create": { "path": "x" } }), "must begin with a slash"),
            (json!({ "create": { "method": "DELETE" } }), "the method of create"),
            (json!({ "update": { "path": "/x/{id}" } }), "only a lookup can tell it"),
            (json!({ "lookup": { "id": "id" } }), "lookup needs a path"),
            (json!({ "statuses": { "409": "there" } }), "one of done, exists"),
        ] {
            let fault = of(&rest).unwrap_err();
            assert!(fault.message.contains(expected), "{fault}");
        }
    }
}
