//! What identifies an outside system: enough to tell two apart, and nothing that is a secret.

use serde_json::{Map, Value};

use super::catalog::{ConnectionKind, Kind};

/// The fields of a connection that say which system it is (rule R8): its kind and its plain texts,
/// without secrets, without how it is to be spoken to. `fields` have their variables replaced.
pub fn identity(kind: &ConnectionKind, fields: &Map<String, Value>) -> Map<String, Value> {
    let mut identity = Map::from_iter([("use".to_owned(), Value::from(kind.name))]);
    for field in kind.fields.iter().filter(|field| matches!(field.kind, Kind::Plain | Kind::Text)) {
        if let Some(Value::String(text)) = fields.get(field.name) {
            identity.insert(field.name.to_owned(), Value::from(without_login(text)));
        }
    }
    identity
}

/// A URL without the user and the password in it, and without a slash at its end.
fn without_login(text: &str) -> String {
    let text = text.trim_end_matches('/');
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let host_ends = rest.find('/').unwrap_or(rest.len());
    let host_begins = rest[..host_ends].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[host_begins..])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::catalog::Field;

    const SHOP: ConnectionKind = ConnectionKind {
        name: "shop",
        summary: "",
        fields: &[
            Field { name: "url", kind: Kind::Plain, required: true },
            Field { name: "password", kind: Kind::Secret, required: true },
            Field { name: "timeout", kind: Kind::Duration, required: false },
        ],
    };

    #[test]
    fn an_identity_names_the_system_and_no_secret() {
        let of = |url: &str, password: &str| {
            let fields = json!({ "url": url, "password": password, "timeout": "3s" });
            identity(&SHOP, fields.as_object().unwrap())
        };
        let expected = json!({ "use": "shop", "url": "https://shop.test/admin" });
        assert_eq!(Value::Object(of("https://shop.test/admin/", "a")), expected);
        assert_eq!(Value::Object(of("https://me:a@b@shop.test/admin", "b")), expected);
        assert_ne!(of("https://other.test", "a"), of("https://shop.test/admin", "a"));
    }
}
