//! One Data Hub endpoint.

use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::request;
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
    /// The folder that objects are made in.
    pub(super) path: String,
}

/// What a lookup found.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// One object: its id, and the fields that were asked for.
    One(i64, Value),
}

impl Hub {
    /// Looks an object up by SKU, drafts included, with further fields.
    pub(super) async fn find(&self, sku: &str, fields: &[&str]) -> Result<Found, Trouble> {
        let filter = json!({ "sku": sku }).to_string();
        let query = request::listing(&self.class, fields);
        let data = self.ask(&query, json!({ "f": filter })).await.map_err(Trouble::of_read)?;
        let edges = data["found"]["edges"].as_array().map(Vec::as_slice).unwrap_or_default();
        // The database compares without case, so what came back is compared again.
        let exact: Vec<&Value> =
            edges.iter().map(|edge| &edge["node"]).filter(|node| node["sku"] == sku).collect();
        match (exact.as_slice(), edges.len()) {
            ([node], _) => Ok(Found::One(id_of(node)?, (*node).clone())),
            ([], 0 | 1) => Ok(Found::Nothing),
            _ => Err(Trouble::never(format!("several objects have the SKU '{sku}'"))),
        }
    }

    /// Lists the objects of these SKUs that are published, with when each was last changed.
    pub(super) async fn published(&self, skus: &[String]) -> Result<Vec<Value>, Trouble> {
        let wanted: Vec<Value> = skus.iter().map(|sku| json!({ "sku": sku })).collect();
        let filter = json!({ "$or": wanted }).to_string();
        let query = request::published(&self.class);
        let data = self.ask(&query, json!({ "f": filter })).await.map_err(Trouble::of_read)?;
        let edges = data["found"]["edges"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(edges.iter().map(|edge| edge["node"].clone()).collect())
    }

    /// Reads what stands at our path under a key.
    pub(super) async fn at_key(&self, key: &str) -> Result<Found, Trouble> {
        let path = format!("{}/{key}", self.path);
        match self.ask(&request::at(&self.class), json!({ "p": path })).await {
            Ok(data) if data["found"].is_null() => Ok(Found::Nothing),
            Ok(data) => Ok(Found::One(id_of(&data["found"])?, data["found"].clone())),
            Err(Trouble::Absent) => Ok(Found::Nothing),
            Err(trouble) => Err(trouble.of_read()),
        }
    }

    pub(super) async fn create(&self, wanted: &Value) -> Result<Facts, Trouble> {
        let variables = json!({ "k": wanted["key"], "p": self.path });
        let data = self.ask(&request::create(&self.class, wanted), variables).await?;
        verdict::of_mutation(&data["done"], "created")
    }

    pub(super) async fn update(&self, id: i64, wanted: &Value) -> Result<Facts, Trouble> {
        let query = request::update(&self.class, &wanted["input"]);
        let data = self.ask(&query, json!({ "i": id })).await?;
        verdict::of_mutation(&data["done"], "updated")
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

/// Ids come as texts, and go as numbers.
fn id_of(node: &Value) -> Result<i64, Trouble> {
    let id = node["id"].as_str().and_then(|id| id.parse().ok()).or_else(|| node["id"].as_i64());
    id.ok_or_else(|| Trouble::Unsure(Fault::new(name::NO_ANSWER, "an object without an id")).of_read())
}
