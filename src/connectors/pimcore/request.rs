//! What a mapped item becomes, and the texts of the operations.

use serde_json::{Map, Value, json};

use crate::core::fault::{Fault, name};

/// Longest key; Pimcore cuts what is longer.
const KEY_CHARS_MAX: usize = 255;

/// Makes the request of a mapped item.
pub(super) fn of(mapped: Value) -> Result<Value, Fault> {
    let Value::Object(mut input) = mapped else {
        return Err(Fault::new(name::MAPPING, "the mapping must give an object"));
    };
    let sku = match input.get("sku") {
        Some(Value::String(sku)) if !sku.trim().is_empty() => sku.clone(),
        _ => return Err(Fault::new(name::MAPPING, "the mapping must give 'sku' as text")),
    };
    let key = match input.remove("key") {
        Some(Value::String(key)) => key,
        _ => sku.clone(),
    };
    let key = normalised(&key);
    if key.is_empty() {
        return Err(Fault::new(name::MAPPING, format!("nothing is left of the key of '{sku}'")));
    }
    let published = input.remove("published");
    check_names(&Value::Object(input.clone()))?;
    let mut request = json!({ "sku": sku, "key": key, "input": input });
    if let Some(Value::Bool(published)) = published {
        request["published"] = Value::Bool(published);
    }
    Ok(request)
}

/// A key as Pimcore would rewrite it (`Element\Service::getValidKey`): control characters and
/// characters of four bytes go, `/ < >` become a dash, at most 255 characters stay. Written that
/// way by us, the object is found under the key that we know.
pub(super) fn normalised(key: &str) -> String {
    let mut normalised = String::with_capacity(key.len());
    for found in key.chars() {
        match found {
            '/' | '<' | '>' => normalised.push('-'),
            found if found.is_control() || found.len_utf8() == 4 => {}
            found => normalised.push(found),
        }
    }
    let cut: String = normalised.trim().chars().take(KEY_CHARS_MAX).collect();
    cut.trim_end().to_owned()
}

/// Whether a text may stand in a GraphQL document as a name.
pub(super) fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    let is_start = |found: char| found.is_ascii_alphabetic() || found == '_';
    characters.next().is_some_and(is_start)
        && characters.all(|found| is_start(found) || found.is_ascii_digit())
}

/// Members are written as GraphQL names, so each must be one, at every depth.
fn check_names(value: &Value) -> Result<(), Fault> {
    match value {
        Value::Object(members) => members.iter().try_for_each(|(member, value)| {
            if !is_name(member) {
                return Err(Fault::new(name::MAPPING, format!("'{member}' is not the name of a field")));
            }
            check_names(value)
        }),
        Value::Array(members) => members.iter().try_for_each(check_names),
        _ => Ok(()),
    }
}

/// The query that lists at most two objects by a filter, with fields beside `id` and `sku`.
pub(super) fn listing(class: &str, fields: &[&str]) -> String {
    let fields = fields.join(" ");
    format!(
        "query($f:String!){{found:get{class}Listing(filter:$f,first:2,published:false)\
         {{edges{{node{{id sku {fields}}}}}}}}}"
    )
}

/// The query that lists what is published by a filter, all of it. Drafts are left out when nothing is
/// said about them.
pub(super) fn published(class: &str) -> String {
    format!(
        "query($f:String!){{found:get{class}Listing(filter:$f){{edges{{node{{sku modificationDate}}}}}}}}"
    )
}

/// The query that reads one object by its path.
pub(super) fn at(class: &str) -> String {
    format!("query($p:String!){{found:get{class}(fullpath:$p){{id sku}}}}")
}

/// The mutation that creates.
pub(super) fn create(class: &str, request: &Value) -> String {
    let mut input = String::new();
    write_literal(&request["input"], &mut input);
    // Without the argument Data Hub publishes.
    let published = request["published"].as_bool().unwrap_or(true);
    format!(
        "mutation($k:String!,$p:String!){{done:create{class}(key:$k,path:$p,published:{published},input:{input})\
         {{success message output{{id version modificationDate}}}}}}"
    )
}

/// The mutation that updates.
pub(super) fn update(class: &str, input: &Value) -> String {
    let mut literal = String::new();
    write_literal(input, &mut literal);
    format!(
        "mutation($i:Int!){{done:update{class}(id:$i,input:{literal})\
         {{success message output{{id version modificationDate}}}}}}"
    )
}

/// Writes a value as a GraphQL literal. The input goes as a literal and not as a variable,
/// because a variable needs the name of its type, and generated type names change between
/// versions of Data Hub. JSON's texts and numbers are GraphQL's.
fn write_literal(value: &Value, into: &mut String) {
    match value {
        Value::Object(members) => {
            into.push('{');
            write_members(members, into);
            into.push('}');
        }
        Value::Array(members) => {
            into.push('[');
            for member in members {
                write_literal(member, into);
                into.push(' ');
            }
            into.push(']');
        }
        scalar => into.push_str(&scalar.to_string()),
    }
}

fn write_members(members: &Map<String, Value>, into: &mut String) {
    for (name, value) in members {
        into.push_str(name);
        into.push(':');
        write_literal(value, into);
        into.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_pimcore_would_rewrite_them() {
        assert_eq!(normalised("A/1 <b>"), "A-1 -b-");
        assert_eq!(normalised(" a\u{7}b\u{1f600}c\n"), "abc");
        assert_eq!(normalised(&"ü".repeat(300)).chars().count(), 255);
        assert_eq!(normalised("\u{1f600}"), "");
    }

    #[test]
    fn a_request_has_sku_key_and_input_and_refuses_what_is_no_name() {
        let request = of(json!({ "sku": "A/1", "published": false, "name": "x" })).unwrap();
        let wanted = json!({
            "sku": "A/1", "key": "A-1", "input": { "sku": "A/1", "name": "x" }, "published": false
        });
        assert_eq!(request, wanted);
        assert!(of(json!({ "name": "x" })).is_err());
        assert!(of(json!({ "sku": 5 })).is_err());
        let injected = of(json!({ "sku": "A", "weight": { "x:1} evil{": 1 } }));
        assert!(injected.unwrap_err().message.contains("is not the name of a field"));
    }
}
