//! The texts of the operations. They name no type of a site, because the names of generated types
//! change between versions of Data Hub: the input goes as a literal and not as a variable.

use serde_json::{Map, Value};

use super::kinds;

/// One writing operation of an upsert: what it sets, in which language, and the published state
/// that it leaves behind.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pass {
    /// The language of localized fields; `None`: the site's own default.
    pub(super) language: Option<String>,
    /// The fields.
    pub(super) input: Map<String, Value>,
    /// Whether the object is then published; `None` leaves it as it is.
    pub(super) published: Option<bool>,
}

/// The query that lists at most two objects by a filter, drafts included.
pub(super) fn listing(class: &str) -> String {
    format!(
        "query($f:String!){{found:get{class}Listing(filter:$f,first:2,published:false)\
         {{edges{{node{{id sku}}}}}}}}"
    )
}

/// The query that reads what has to be compared with a request, and whether the object is
/// published: then it is also listed where drafts are left out, whatever columns the site shows.
pub(super) fn comparison(class: &str, request: &Value) -> String {
    let plain = members(request, "input").filter(|(name, _)| *name != "sku");
    let plain = plain.map(|(name, wanted)| kinds::selection(name, wanted));
    let texts = texts(request);
    let localized = texts
        .iter()
        .enumerate()
        .map(|(at, (field, language, _))| format!("{}:{field}(language:\"{language}\")", alias(at)));
    let asked: Vec<String> = plain.chain(localized).collect();
    let asked = asked.join(" ");
    format!(
        "query($f:String!){{found:get{class}Listing(filter:$f,first:2,published:false)\
         {{edges{{node{{id sku version modificationDate {asked}}}}}}}\
         shown:get{class}Listing(filter:$f,first:2){{edges{{node{{id}}}}}}}}"
    )
}

/// Whether what [`comparison`] read is what the request wants.
pub(super) fn same(node: &Value, request: &Value) -> bool {
    members(request, "input").all(|(name, wanted)| kinds::same(&node[name], wanted))
        && texts(request).iter().enumerate().all(|(at, (_, _, wanted))| kinds::same(&node[alias(at)], wanted))
}

fn members<'a>(request: &'a Value, name: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    request[name].as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// Every localized text, with its field and its language.
fn texts(request: &Value) -> Vec<(&str, &str, &Value)> {
    let fields = members(request, "localized");
    fields
        .flat_map(|(field, texts)| {
            let texts = texts.as_object().into_iter().flatten();
            texts.map(move |(language, text)| (field, language.as_str(), text))
        })
        .collect()
}

fn alias(at: usize) -> String {
    format!("localized_{at}")
}

/// The query that lists what is published by a filter, all of it: drafts are left out when nothing is
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

/// The mutation that creates. Without the argument `published` Data Hub would publish.
pub(super) fn create(class: &str, pass: &Pass) -> String {
    let published = pass.published == Some(true);
    let (language, input) = (language(pass), literal(&pass.input));
    format!(
        "mutation($k:String!,$p:String!){{done:create{class}(key:$k,path:$p,published:{published}\
         {language},input:{input}){{success message output{{id version modificationDate}}}}}}"
    )
}

/// The mutation that updates; it publishes by argument, if it says anything about that.
pub(super) fn update(class: &str, pass: &Pass) -> String {
    let published = pass.published.map(|published| format!(",published:{published}")).unwrap_or_default();
    let (language, input) = (language(pass), literal(&pass.input));
    format!(
        "mutation($i:Int!){{done:update{class}(id:$i{published}{language},input:{input})\
         {{success message output{{id version modificationDate}}}}}}"
    )
}

fn language(pass: &Pass) -> String {
    pass.language.as_ref().map(|language| format!(",defaultLanguage:\"{language}\"")).unwrap_or_default()
}

fn literal(members: &Map<String, Value>) -> String {
    let mut literal = String::from("{");
    write_members(members, &mut literal);
    literal.push('}');
    literal
}

/// Writes a value as a GraphQL literal. JSON's texts and numbers are GraphQL's.
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
