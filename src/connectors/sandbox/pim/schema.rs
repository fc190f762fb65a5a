//! What the endpoint's schema allows, as tables, and the check of an operation against them. An
//! operation is checked as a whole before any of it is carried out, and what is wrong is said in
//! the words of Data Hub's GraphQL library.

use serde_json::Value;

use super::class;
use super::graphql::{Field, Operation};
use super::profile::PimProfile;

/// A name and the type behind it, in GraphQL's notation.
type Typed = (&'static str, &'static str);

/// A field of an output type: its name, its type, its arguments.
type Member = (&'static str, &'static str, &'static [Typed]);

const BY_ADDRESS: &[Typed] = &[("id", "Int"), ("fullpath", "String"), ("defaultLanguage", "String")];
const LANGUAGE: &[Typed] = &[("language", "String")];
const DEFAULT_LANGUAGE: &[Typed] = &[("defaultLanguage", "String")];

const LISTING: &[Typed] = &[
    ("ids", "String"),
    ("fullpaths", "String"),
    ("tags", "String"),
    ("defaultLanguage", "String"),
    ("first", "Int"),
    ("after", "Int"),
    ("sortBy", "[String]"),
    ("sortOrder", "[String]"),
    ("filter", "String"),
    ("published", "Boolean"),
];

const CREATE: &[Typed] = &[
    ("key", "String!"),
    ("path", "String"),
    ("parentId", "Int"),
    ("defaultLanguage", "String"),
    ("published", "Boolean"),
    ("omitMandatoryCheck", "Boolean"),
    ("userId", "Int"),
    ("type", "String"),
    ("input", "UpdateProductInput"),
];

const UPDATE: &[Typed] = &[
    ("id", "Int"),
    ("fullpath", "String"),
    ("parentId", "Int"),
    ("defaultLanguage", "String"),
    ("omitMandatoryCheck", "Boolean"),
    ("omitVersionCreate", "Boolean"),
    ("userId", "Int"),
    ("input", "UpdateProductInput"),
];

/// What `update…` takes besides from 2026.2 on.
const UPDATE_LATER: &[Typed] = &[("key", "String"), ("published", "Boolean")];

/// The output types.
const OUTPUTS: &[(&str, &[Member])] = &[
    (
        "Query",
        &[
            ("getProduct", "object_Product", BY_ADDRESS),
            ("getProductListing", "ProductConnection", LISTING),
            ("getAsset", "asset", BY_ADDRESS),
        ],
    ),
    (
        "Mutations",
        &[
            ("createProduct", "CreateProductResult", CREATE),
            ("updateProduct", "UpdateProductResult", UPDATE),
            ("deleteProduct", "DeleteProductResult", &[("id", "Int"), ("fullpath", "String")]),
        ],
    ),
    ("CreateProductResult", RESULT),
    ("UpdateProductResult", RESULT),
    ("DeleteProductResult", &[("success", "Boolean", &[]), ("message", "String", &[])]),
    ("ProductConnection", &[("edges", "[ProductEdge]", &[]), ("totalCount", "Int", &[])]),
    ("ProductEdge", &[("cursor", "String", &[]), ("node", "object_Product", &[])]),
    ("object_Product", SYSTEM),
    ("object_Category", &[("id", "ID", &[]), ("fullpath", "String", &[]), ("name", "String", LANGUAGE)]),
    (
        "QuantityValue",
        &[("value", "Float", &[]), ("unit", "QuantityValueUnit", &[]), ("toString", "String", LANGUAGE)],
    ),
    ("QuantityValueUnit", &[("id", "ID", &[]), ("abbreviation", "String", &[]), ("longname", "String", &[])]),
    ("hotspotimage", &[("image", "asset", &[])]),
    (
        "asset",
        &[
            ("id", "ID", &[]),
            ("filename", "String", &[]),
            ("fullpath", "String", &[("thumbnail", "String"), ("format", "String"), ("deferred", "Boolean")]),
            ("mimetype", "String", &[]),
        ],
    ),
];

const RESULT: &[Member] = &[
    ("success", "Boolean", &[]),
    ("message", "String", &[]),
    ("output", "object_Product", DEFAULT_LANGUAGE),
];

/// The system fields of an object, and the columns that the site has added to the query schema.
const SYSTEM: &[Member] = &[
    ("id", "ID", &[]),
    ("creationDate", "Int", &[]),
    ("modificationDate", "Int", &[]),
    ("version", "Int", &[]),
    ("objectType", "String", &[]),
    ("classname", "String", &[]),
    ("index", "Int", &[]),
    ("key", "String", &[]),
    ("fullpath", "String", &[]),
    ("published", "Boolean", &[]),
];

/// The input types, without that of the class.
const INPUTS: &[(&str, &[Typed])] = &[
    ("LocalizedString", &[("en", "String"), ("de", "String")]),
    ("QuantityValueInput", &[("value", "Float"), ("unit", "String"), ("unitId", "String")]),
    ("ImageInput", &[("id", "Int")]),
    ("ImageGalleryInput", &[("replace", "Boolean"), ("images", "[ImageInput]")]),
    (
        "ElementDescriptorInput",
        &[("type", "String"), ("id", "Int"), ("fullpath", "String"), ("metadata", "[MetadataPair]")],
    ),
    ("MetadataPair", &[("name", "String"), ("value", "String")]),
    ("ElementTag", &[("id", "ID"), ("path", "String")]),
];

/// The name of a type without its list and its mark of what must be there.
pub(super) fn bare(of: &str) -> &str {
    of.trim_matches(['[', ']', '!'])
}

/// The type of a field of an output type, with its arguments.
fn member(of: &str, name: &str, profile: PimProfile) -> Option<(&'static str, Vec<Typed>)> {
    if name == "__typename" {
        return Some(("String", Vec::new()));
    }
    let (_, members) = OUTPUTS.iter().find(|(known, _)| *known == of)?;
    if let Some((_, gives, takes)) = members.iter().find(|(known, ..)| *known == name) {
        let later = name == "updateProduct" && profile >= PimProfile::V2026_2;
        let more = if later { UPDATE_LATER } else { &[] };
        return Some((gives, [takes, more].concat()));
    }
    let kind = class::kind(name).filter(|_| of == "object_Product")?;
    let takes = if kind == class::Kind::Localized { LANGUAGE } else { &[] };
    Some((kind.types().1?, takes.to_vec()))
}

/// The type of a member of an input type; `None` where there is no such member.
fn input(of: &str, name: &str) -> Option<&'static str> {
    if of == "UpdateProductInput" {
        return class::kind(name).map(|kind| kind.types().0);
    }
    let (_, members) = INPUTS.iter().find(|(known, _)| *known == of)?;
    members.iter().find(|(known, _)| *known == name).map(|(_, of)| *of)
}

/// Checks an operation. The error is the text of a GraphQL error.
pub(super) fn check(operation: &Operation, profile: PimProfile) -> Result<(), String> {
    let root = if operation.mutation { "Mutations" } else { "Query" };
    selection(root, &operation.fields, profile)
}

fn selection(of: &str, fields: &[Field], profile: PimProfile) -> Result<(), String> {
    for field in fields {
        let name = field.name.as_str();
        let Some((gives, takes)) = member(of, name, profile) else {
            return Err(format!("Cannot query field \"{name}\" on type \"{of}\"."));
        };
        arguments(of, field, &takes)?;
        let inner = bare(gives);
        let is_object = OUTPUTS.iter().any(|(known, _)| *known == inner);
        match (is_object, field.fields.is_empty()) {
            (true, true) => {
                return Err(format!(
                    "Field \"{name}\" of type \"{gives}\" must have a selection of subfields. \
                     Did you mean \"{name} {{ ... }}\"?"
                ));
            }
            (false, false) => {
                return Err(format!(
                    "Field \"{name}\" must not have a selection since type \"{gives}\" has no subfields."
                ));
            }
            (true, false) => selection(inner, &field.fields, profile)?,
            (false, true) => {}
        }
    }
    Ok(())
}

fn arguments(of: &str, field: &Field, takes: &[Typed]) -> Result<(), String> {
    let name = field.name.as_str();
    for (argument, given) in &field.arguments {
        let Some((_, wanted)) = takes.iter().find(|(known, _)| known == argument) else {
            return Err(format!("Unknown argument \"{argument}\" on field \"{name}\" of type \"{of}\"."));
        };
        value(wanted, given)?;
    }
    match takes.iter().find(|(known, of)| of.ends_with('!') && !field.arguments.contains_key(*known)) {
        None => Ok(()),
        Some((argument, of)) => Err(format!(
            "Field \"{name}\" argument \"{argument}\" of type \"{of}\" is required but not provided."
        )),
    }
}

/// Checks a value of an input. One value stands for a list of one.
fn value(of: &str, given: &Value) -> Result<(), String> {
    if given.is_null() {
        let required = of.ends_with('!');
        return if required { Err(format!("Expected value of type \"{of}\", found null.")) } else { Ok(()) };
    }
    match (of.starts_with('['), given) {
        (true, Value::Array(members)) => members.iter().try_for_each(|member| value(bare(of), member)),
        _ => single(bare(of), given),
    }
}

fn single(of: &str, given: &Value) -> Result<(), String> {
    let (fits, what) = match of {
        "String" => (given.is_string(), "a non string value"),
        "Float" => (given.is_number(), "non numeric value"),
        "Int" => (given.as_i64().is_some_and(|given| i32::try_from(given).is_ok()), "non-integer value"),
        "Boolean" => (given.is_boolean(), "a non boolean value"),
        "ID" => (given.is_string() || given.is_i64(), "value"),
        "NamedTexts" => (given.is_object(), "value"),
        _ => return members(of, given),
    };
    if fits { Ok(()) } else { Err(format!("{of} cannot represent {what}: {given}")) }
}

fn members(of: &str, given: &Value) -> Result<(), String> {
    let Value::Object(given) = given else {
        return Err(format!("Expected value of type \"{of}\", found {given}."));
    };
    given.iter().try_for_each(|(name, given)| match input(of, name) {
        Some(wanted) => value(wanted, given),
        None => Err(format!("Field \"{name}\" is not defined by type \"{of}\".")),
    })
}
