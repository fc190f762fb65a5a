//! One Data Hub endpoint.

use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::document::{self, Pass};
use super::profile::{Profile, Publishing};
use super::request::Terms;
use super::verdict::{self, Trouble};
use crate::connectors::wire;
use crate::core::cell::Facts;
use crate::core::fault::{Fault, name};

/// An endpoint with its key and what the connection says about objects.
pub(super) struct Hub {
    pub(super) client: Client,
    /// The whole address of the endpoint.
    pub(super) url: String,
    pub(super) api_key: SecretString,
    pub(super) class: String,
    /// The folder that objects are made in, without a slash at the end.
    pub(super) path: String,
    pub(super) profile: Profile,
    pub(super) terms: Terms,
    /// How the site named its locale collectors: what stands before and after the name of the
    /// field. `None`: it has none, and each language is a call of its own.
    pub(super) collector: Option<(String, String)>,
}

/// What a lookup found.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// An object whose SKU differs in case only, which the database takes for the same.
    Alike(String),
    /// One object: its id, and the fields that were asked for.
    One(i64, Value),
}

impl Hub {
    /// Looks an object up by SKU, drafts included.
    pub(super) async fn find(&self, sku: &str) -> Result<Found, Trouble> {
        let data = self.filtered(&document::listing(&self.class), sku).await?;
        found(&data, sku)
    }

    /// Looks an object up with everything that a request would set, and whether it is published.
    pub(super) async fn compare(&self, request: &Value) -> Result<(Found, bool), Trouble> {
        let sku = request["sku"].as_str().unwrap_or_default();
        let data = self.filtered(&document::comparison(&self.class, request), sku).await?;
        let found = found(&data, sku)?;
        let shown = match &found {
            Found::One(_, node) => nodes(&data["shown"]).any(|shown| shown["id"] == node["id"]),
            Found::Nothing | Found::Alike(_) => false,
        };
        Ok((found, shown))
    }

    async fn filtered(&self, query: &str, sku: &str) -> Result<Value, Trouble> {
        // A filter is JSON inside of a text.
        let filter = json!({ "sku": sku }).to_string();
        self.ask(query, json!({ "f": filter })).await.map_err(Trouble::of_read)
    }

    /// Lists the objects of these SKUs that are published, with when each was last changed.
    pub(super) async fn published(&self, skus: &[String]) -> Result<Vec<Value>, Trouble> {
        let wanted: Vec<Value> = skus.iter().map(|sku| json!({ "sku": sku })).collect();
        let filter = json!({ "$or": wanted }).to_string();
        let query = document::published(&self.class);
        let data = self.ask(&query, json!({ "f": filter })).await.map_err(Trouble::of_read)?;
        Ok(nodes(&data["found"]).cloned().collect())
    }

    /// Reads what stands at our path under a key.
    pub(super) async fn at_key(&self, key: &str) -> Result<Found, Trouble> {
        let path = format!("{}/{key}", self.path);
        match self.ask(&document::at(&self.class), json!({ "p": path })).await {
            Ok(data) if data["found"].is_null() => Ok(Found::Nothing),
            Ok(data) => Ok(Found::One(id_of(&data["found"])?, data["found"].clone())),
            Err(Trouble::Absent) => Ok(Found::Nothing),
            Err(trouble) => Err(trouble.of_read()),
        }
    }

    pub(super) async fn create(&self, key: &str, pass: &Pass) -> Result<Facts, Trouble> {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        let query = document::create(&self.class, pass);
        let data = self.ask(&query, json!({ "k": key, "p": path })).await?;
        verdict::of_mutation(&data["done"], "created")
    }

    pub(super) async fn update(&self, id: i64, pass: &Pass) -> Result<Facts, Trouble> {
        let mut pass = pass.clone();
        if self.profile.publishing == Publishing::Input
            && let Some(published) = pass.published.take()
        {
            pass.input.insert("published".to_owned(), Value::Bool(published));
        }
        let query = document::update(&self.class, &pass);
        match self.ask(&query, json!({ "i": id })).await {
            Ok(data) => verdict::of_mutation(&data["done"], "updated"),
            Err(Trouble::Schema(fault)) if fault.message.contains("\"published\"") => {
                Err(Trouble::Schema(unpublishable(self.profile, &fault)))
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Sends one operation; returns `data`. When a mutation says how it ended, that counts, even
    /// beside errors.
    async fn ask(&self, query: &str, variables: Value) -> Result<Value, Trouble> {
        // Data Hub's output cache may answer an identical request, a mutation too, with what it
        // answered before; the executor ignores this member, the cache key does not.
        let attempt = uuid::Uuid::now_v7().to_string();
        let body = json!({ "query": query, "variables": variables, "extensions": { "attempt": attempt } });
        let sending =
            self.client.post(&self.url).header("X-API-Key", self.api_key.expose_secret()).json(&body);
        let answer = wire::send(sending).await.map_err(Trouble::of_broken)?;
        if answer.status != 200 {
            return Err(Trouble::of_status(&answer));
        }
        let Some(mut body) = answer.json() else {
            return Err(Trouble::Unsure(Fault::new(name::NO_ANSWER, "the answer is not JSON")));
        };
        let tells = body["data"]["done"]["success"].is_boolean();
        if let (false, Some(error)) = (tells, body["errors"].get(0)) {
            return Err(verdict::of_error(error["message"].as_str().unwrap_or_default()));
        }
        Ok(body["data"].take())
    }
}

fn nodes(listing: &Value) -> impl Iterator<Item = &Value> {
    listing["edges"].as_array().into_iter().flatten().map(|edge| &edge["node"])
}

/// The object of a listing with exactly this SKU. The database compares without case, so what came
/// back is compared again; at most two came back, so what is not among two may still be there.
fn found(data: &Value, sku: &str) -> Result<Found, Trouble> {
    if !data["found"]["edges"].is_array() {
        return Err(Trouble::Unsure(Fault::new(name::NO_ANSWER, "the listing has no edges")).of_read());
    }
    let all: Vec<&Value> = nodes(&data["found"]).collect();
    let exact: Vec<&Value> = all.iter().copied().filter(|node| node["sku"] == sku).collect();
    match (exact.as_slice(), all.as_slice()) {
        ([node], _) => Ok(Found::One(id_of(node)?, (*node).clone())),
        ([], []) => Ok(Found::Nothing),
        ([], [other]) => Ok(Found::Alike(other["sku"].as_str().unwrap_or_default().to_owned())),
        _ => {
            let ids: Vec<String> = all.iter().map(|node| node["id"].to_string()).collect();
            let ids = ids.join(" and ");
            Err(Trouble::never(format!("ambiguous: the objects {ids} have the SKU '{sku}'")))
        }
    }
}

/// What to do where updates cannot publish.
fn unpublishable(profile: Profile, fault: &Fault) -> Fault {
    let hint = match profile.publishing {
        Publishing::Input => {
            "add the system column 'published' to the mutation schema of the endpoint, or set publish: keep"
        }
        Publishing::Argument => "the endpoint is older than the profile of the connection says",
    };
    Fault::new(fault.name.clone(), format!("{} ({hint})", fault.message))
}

/// Ids come as texts, and go as numbers.
fn id_of(node: &Value) -> Result<i64, Trouble> {
    let id = node["id"].as_str().and_then(|id| id.parse().ok()).or_else(|| node["id"].as_i64());
    id.ok_or_else(|| Trouble::Unsure(Fault::new(name::NO_ANSWER, "an object without an id")).of_read())
}
