//! The stand-in and the connector held against one schema: what the connector sends is valid, what
//! the stand-in answers has the shape that was asked for, and what the schema does not allow the
//! stand-in refuses.

use apollo_compiler::ast::Type;
use apollo_compiler::executable::{Selection, SelectionSet};
use apollo_compiler::schema::{ExtendedType, FieldDefinition};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use milepost::connectors::sandbox::{API_KEY, PimProfile};
use serde_json::{Value, json};

use crate::desk::{Asked, Desk, Reply};
use crate::world::{World, call, client, done, effect, once};

const PROFILES: [(PimProfile, &str); 2] = [(PimProfile::V1_8, "1.8"), (PimProfile::V2026_2, "2026.2")];

/// The schema of one profile.
fn schema(profile: &str) -> Valid<Schema> {
    let text = include_str!("../fixtures/datahub/product.graphql");
    let text = text.replace(&format!("#{profile} "), "");
    Schema::parse_and_validate(text, "product.graphql").unwrap()
}

/// How many are asked at once: the stand-in syncs its journal once for all that wait.
const TOGETHER: usize = 100;

/// Whoever asks the stand-in.
#[derive(Clone)]
struct Asker {
    client: reqwest::Client,
    url: String,
}

impl Asker {
    fn of(world: &World) -> Self {
        let url = format!("{}/pimcore-graphql-webservices/products", world.sandbox.pim_url);
        Self { client: client(), url }
    }

    async fn ask(&self, query: &str, variables: &Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let answer = self.client.post(&self.url).header("apikey", API_KEY).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    /// The answers to all of these, in their order.
    async fn all(&self, queries: &[String]) -> Vec<Value> {
        let mut answers = Vec::new();
        for some in queries.chunks(TOGETHER) {
            let asking = some.iter().cloned().map(|query| {
                let asker = self.clone();
                tokio::spawn(async move { asker.ask(&query, &Value::Null).await })
            });
            for asked in asking.collect::<Vec<_>>() {
                answers.push(asked.await.unwrap());
            }
        }
        answers
    }
}

/// Checks that an answer has exactly what was selected, of the types that the schema gives.
fn check(schema: &Schema, selected: &SelectionSet, answer: &Value, place: &str) {
    let members = answer.as_object().unwrap_or_else(|| panic!("{place}: {answer} is not an object"));
    let mut asked = Vec::new();
    for selection in &selected.selections {
        let Selection::Field(field) = selection else { panic!("{place}: only fields are asked for") };
        let name = field.alias.as_ref().unwrap_or(&field.name).to_string();
        let value = members.get(&name).unwrap_or_else(|| panic!("{place}.{name} is not answered"));
        let of = &field.definition.ty;
        check_value(schema, of, &field.selection_set, value, &format!("{place}.{name}"));
        asked.push(name);
    }
    let extra: Vec<&String> = members.keys().filter(|name| !asked.contains(name)).collect();
    assert!(extra.is_empty(), "{place}: answered without being asked: {extra:?}");
}

fn check_value(schema: &Schema, of: &Type, selected: &SelectionSet, value: &Value, place: &str) {
    match (of, value) {
        (_, Value::Null) => assert!(!of.is_non_null(), "{place} is null"),
        (Type::List(inner) | Type::NonNullList(inner), Value::Array(values)) => {
            for value in values {
                check_value(schema, inner, selected, value, place);
            }
        }
        (Type::List(_) | Type::NonNullList(_), other) => panic!("{place}: {other} is not a list"),
        (Type::Named(name) | Type::NonNullNamed(name), value) => {
            let fits = match name.as_str() {
                "String" | "ID" => value.is_string(),
                "Int" => value.is_i64(),
                "Float" => value.is_number(),
                "Boolean" => value.is_boolean(),
                "NamedTexts" => value.is_object(),
                _ => return check(schema, selected, value, place),
            };
            assert!(fits, "{place}: {value} is not a {name}");
        }
    }
}

/// A relay before the stand-in, which the connector takes for Data Hub.
async fn relay(world: &World) -> Desk {
    let (to, client) = (world.sandbox.pim_url.clone(), client());
    Desk::start(move |asked: Asked| {
        let (url, client) = (format!("{to}{}", asked.path), client.clone());
        let key = asked.headers.get("x-api-key").cloned().unwrap_or_default();
        async move {
            let sent = client.post(url).header("X-API-Key", key).body(asked.body).send().await.unwrap();
            let (status, body) = (sent.status().as_u16(), sent.text().await.unwrap());
            Some((status, body)) as Reply
        }
    })
    .await
}

fn whole() -> Value {
    json!({
        "sku": "W/1", "published": true, "price": 9.90, "description": "plain \"text\"\n", "imageUrls": ["u", "v"],
        "status": null, "attributes": { "Color": "red", "Size": "1" },
        "weight": { "value": 1.5, "unit": "kg" }, "availableFrom": "1795305600",
        "mainCategory": { "type": "object", "fullpath": "/Categories/Garden" },
        "categories": [{ "type": "object", "id": "900001" }],
        "mainImage": { "id": 101 }, "gallery": { "images": [{ "id": 101 }, { "id": 102 }] },
        "localized": { "name": { "en": "Cup", "de": "Tasse" } },
    })
}

#[tokio::test]
async fn what_the_connector_sends_is_valid_and_answered_as_asked() {
    for (profile, name) in PROFILES {
        let schema = schema(name);
        let world = World::playing(profile).await;
        let desk = relay(&world).await;
        for collector in [json!(null), json!("*_translated")] {
            let settings = json!({
                "url": desk.url, "endpoint": "products", "api_key": API_KEY, "profile": name,
                "languages": ["en", "de"], "locale_collector": collector,
            });
            let pim = effect("pimcore.upsert", "pimcore", settings);
            pim.probe(&call(&*pim, whole())).await;
            done(&once(&*pim, &whole()).await);
            done(&once(&*pim, &whole()).await);
            pim.probe(&call(&*pim, whole())).await;
            let mut taken = whole();
            taken["sku"] = json!("W-1");
            once(&*pim, &taken).await;
        }
        let asked = desk.asked();
        let has = |text: &str| asked.iter().filter(|asked| asked.query().contains(text)).count();
        assert!(has("createProduct") >= 2 && has("updateProduct") >= 4 && has("getProduct(") >= 2);
        assert_eq!(has("updateProduct(id:$i,published:true") > 0, name == "2026.2");
        let fresh = World::playing(profile).await;
        let direct = Asker::of(&fresh);
        for asked in asked {
            let query = asked.query();
            let document = ExecutableDocument::parse_and_validate(&schema, &query, "sent.graphql")
                .unwrap_or_else(|errors| panic!("{query}\n{errors}"));
            let answer = direct.ask(&query, &asked.json()["variables"]).await;
            let operation = document.operations.iter().next().unwrap();
            check(&schema, &operation.selection_set, &answer["data"], "data");
        }
    }
}

/// The types of the schema that are answered, with their fields.
fn outputs(schema: &Schema) -> Vec<(String, Vec<FieldDefinition>)> {
    let types = schema.types.iter().filter(|(name, _)| !name.starts_with("__"));
    types
        .filter_map(|(name, of)| match of {
            ExtendedType::Object(of) => {
                Some((name.to_string(), of.fields.values().map(|field| (***field).clone()).collect()))
            }
            _ => None,
        })
        .collect()
}

/// A selection of everything below a type; nothing for a leaf.
fn everything(schema: &Schema, of: &str) -> String {
    match schema.types.get(of) {
        Some(ExtendedType::Object(of)) => {
            let fields = of
                .fields
                .iter()
                .map(|(name, field)| format!("{name} {}", everything(schema, field.ty.inner_named_type())));
            format!("{{ {} __typename }}", fields.collect::<Vec<_>>().join(" "))
        }
        _ => String::new(),
    }
}

/// A literal of an input type, with every member.
fn literal(schema: &Schema, of: &Type) -> String {
    if of.is_list() {
        return format!("[{}]", literal(schema, of.item_type()));
    }
    match (of.inner_named_type().as_str(), schema.types.get(of.inner_named_type())) {
        ("Int", _) => "2".to_owned(),
        ("Float", _) => "1.5".to_owned(),
        ("Boolean", _) => "true".to_owned(),
        ("NamedTexts", _) => "{a: \"b\"}".to_owned(),
        (_, Some(ExtendedType::InputObject(of))) => {
            let members =
                of.fields.iter().map(|(name, field)| format!("{name}: {}", literal(schema, &field.ty)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(" "))
        }
        _ => "\"x\"".to_owned(),
    }
}

/// Whether the stand-in calls an operation a mistake of the client.
fn refuses(answer: &Value) -> bool {
    answer.get("data").is_none() && answer["errors"][0]["message"].is_string()
}

/// Whether the schema allows an operation.
fn allows(schema: &Valid<Schema>, query: &str) -> bool {
    ExecutableDocument::parse_and_validate(schema, query, "tried.graphql").is_ok()
}

#[tokio::test]
async fn all_that_the_schema_has_is_answered_and_nothing_else() {
    for (profile, name) in PROFILES {
        let schema = schema(name);
        let world = World::playing(profile).await;
        let asker = Asker::of(&world);
        let mut tried = (0, 0);
        for root in ["Query", "Mutations"] {
            let (_, fields) = outputs(&schema).into_iter().find(|(name, _)| name == root).unwrap();
            let operator = if root == "Query" { "query" } else { "mutation" };
            for field in fields {
                let selection = everything(&schema, field.ty.inner_named_type());
                let given: Vec<(String, String)> = field
                    .arguments
                    .iter()
                    .map(|argument| (argument.name.to_string(), literal(&schema, &argument.ty)))
                    .collect();
                let operation = |given: &[(String, String)], selection: &str| {
                    let given: Vec<String> =
                        given.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                    format!("{operator} {{ {}({}) {selection} }}", field.name, given.join(" "))
                };
                let mut operations = vec![operation(&given, &selection)];
                for at in 0..given.len() {
                    // Without it, under a name that nobody has, and with values of other types.
                    let mut changed = given.clone();
                    changed.remove(at);
                    operations.push(operation(&changed, &selection));
                    for (name, value) in [
                        ("nonsense", given[at].1.as_str()),
                        (&given[at].0, "7"),
                        (&given[at].0, "\"seven\""),
                        (&given[at].0, "word"),
                        (&given[at].0, "true"),
                        (&given[at].0, "2.5"),
                        (&given[at].0, "null"),
                        (&given[at].0, "{nonsense: 1}"),
                        (&given[at].0, "[1, \"x\"]"),
                    ] {
                        let mut changed = given.clone();
                        changed[at] = (name.to_owned(), value.to_owned());
                        operations.push(operation(&changed, &selection));
                    }
                }
                operations.push(operation(&given, ""));
                operations.push(operation(&given, "{ nonsense }"));
                operations.push(format!("{operator} {{ {}Nonsense {selection} }}", field.name));
                operations.extend(inputs(&schema, &given).map(|given| operation(&given, &selection)));
                let answers = asker.all(&operations).await;
                for (query, answer) in operations.iter().zip(answers) {
                    let allowed = allows(&schema, query);
                    assert_eq!(refuses(&answer), !allowed, "{name}: {query}\n{answer}");
                    if allowed {
                        let document = ExecutableDocument::parse_and_validate(&schema, query, "q").unwrap();
                        let selected = &document.operations.iter().next().unwrap().selection_set;
                        check(&schema, selected, &answer["data"], "data");
                    }
                    tried = if allowed { (tried.0 + 1, tried.1) } else { (tried.0, tried.1 + 1) };
                }
            }
        }
        assert!(tried.0 > 40 && tried.1 > 200, "{tried:?}");
    }
}

/// The arguments with each member of the input in turn given a value of another type, or a name
/// that the schema does not have.
fn inputs<'a>(
    schema: &'a Schema,
    given: &'a [(String, String)],
) -> impl Iterator<Item = Vec<(String, String)>> + 'a {
    let at = given.iter().position(|(name, _)| name == "input");
    let ExtendedType::InputObject(of) = &schema.types["UpdateProductInput"] else { panic!("no input") };
    let values = [
        "7",
        "2.5",
        "\"x\"",
        "word",
        "true",
        "null",
        "{id: 5}",
        "{value: 1 unit: \"kg\"}",
        "{id: \"5\"}",
        "[{id: 5}]",
        "[\"x\"]",
    ];
    // What a scalar of the site's own takes is not said by a schema.
    let members = of.fields.iter().filter(|(_, field)| field.ty.inner_named_type() != "NamedTexts");
    let members = members.map(|(name, _)| name.to_string()).chain(["nonsense".to_owned()]);
    members.flat_map(move |name| values.map(|value| (name.clone(), value))).filter_map(
        move |(name, value)| {
            let mut changed = given.to_vec();
            changed[at?].1 = format!("{{{name}: {value}}}");
            Some(changed)
        },
    )
}

#[tokio::test]
async fn fields_in_every_depth_are_those_of_the_schema() {
    for (profile, name) in PROFILES {
        let schema = schema(name);
        let world = World::playing(profile).await;
        done(&once(&*world.pim(), &whole()).await);
        let asker = Asker::of(&world);
        // The way from the root to each type.
        let product = "getProductListing(published: false) { edges { node";
        let ways = [
            ("ProductConnection", "getProductListing", 0),
            ("ProductEdge", "getProductListing { edges", 1),
            ("object_Product", product, 2),
            ("object_Category", &format!("{product} {{ categories"), 3),
            ("QuantityValue", &format!("{product} {{ weight"), 3),
            ("QuantityValueUnit", &format!("{product} {{ weight {{ unit"), 4),
            ("hotspotimage", &format!("{product} {{ gallery"), 3),
            ("asset", &format!("{product} {{ mainImage"), 3),
        ];
        let mut tried = Vec::new();
        for (of, way, depth) in ways {
            let (_, fields) = outputs(&schema).into_iter().find(|(name, _)| name == of).unwrap();
            for field in fields {
                let inner = everything(&schema, field.ty.inner_named_type());
                let own = if inner.is_empty() { "{ id }" } else { "" };
                for (selected, allowed) in [
                    (format!("{} {inner}", field.name), true),
                    (format!("alias: {} {inner}", field.name), true),
                    (format!("{}Nonsense", field.name), false),
                    (format!("{} {own}", field.name), false),
                    (format!("{}(nonsense: 1) {inner}", field.name), false),
                ] {
                    tried.push((format!("{{ {way} {{ {selected} }} {} }}", "}".repeat(depth)), allowed));
                }
            }
        }
        let queries: Vec<String> = tried.iter().map(|(query, _)| query.clone()).collect();
        for ((query, allowed), answer) in tried.iter().zip(asker.all(&queries).await) {
            let document = ExecutableDocument::parse_and_validate(&schema, query, "tried.graphql");
            assert_eq!(document.is_ok(), *allowed, "{name}: {query}");
            assert_eq!(refuses(&answer), !allowed, "{name}: {query}\n{answer}");
            if let Ok(document) = document {
                let selected = &document.operations.iter().next().unwrap().selection_set;
                check(&schema, selected, &answer["data"], "data");
            }
        }
    }
}
