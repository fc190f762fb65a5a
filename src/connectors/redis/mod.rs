//! Idempotency keys in Redis, for engines that share them.
//!
//! - `client` speaks to the server: one connection, bounded waiting, a new one after any error.
//! - `keys` is the port: reads rows, lets the core judge, and writes back only what nobody else has
//!   changed meanwhile.
//!
//! Redis must keep what it is given: `maxmemory-policy noeviction`, and persistence where keys are to
//! outlive a restart. TLS is not spoken.

mod client;
mod keys;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::examine::Diagnosis;
use super::{BuildFault, settings};
use crate::core::catalog::{ConnectionKind, Field, Kind};
use crate::ports::Keys;
use client::Client;
use keys::RedisKeys;

/// Before every key, when the connection does not say `prefix`.
const PREFIX: &str = "milepost:key:";

/// What a Redis connection takes.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: "redis",
    summary: "idempotency keys that several engines share",
    fields: &[
        Field { name: "url", kind: Kind::Plain, required: true },
        Field { name: "password", kind: Kind::Secret, required: false },
        Field { name: "prefix", kind: Kind::Plain, required: false },
    ],
};

/// Makes the store of keys. Speaks to nobody yet.
///
/// # Errors
/// What is wrong with the connection's fields.
pub fn keys(fields: &Map<String, Value>) -> Result<Arc<dyn Keys>, BuildFault> {
    let prefix = settings::text(fields, "prefix")?.unwrap_or(PREFIX);
    Ok(Arc::new(RedisKeys::new(client(fields)?, prefix)))
}

fn client(fields: &Map<String, Value>) -> Result<Client, BuildFault> {
    let url = settings::required(fields, "url")?;
    Client::new(url, settings::text(fields, "password")?)
}

/// Whether the server answers, and keeps what it is given.
pub(crate) async fn examine(fields: &Map<String, Value>) -> Diagnosis {
    let client = match client(fields) {
        Ok(client) => client,
        Err(fault) => return Diagnosis::wrong(format!("Redis: {}", fault.message), "correct the connection"),
    };
    let mut question = ::redis::pipe();
    question.cmd("INFO").arg("memory");
    let memory: String = match client.ask::<Vec<String>>(&question).await {
        Ok(told) => told.concat(),
        Err(error) => return Diagnosis::wrong(error.0, "see that it runs, and check url and password"),
    };
    let policy = memory.lines().find_map(|line| line.trim().strip_prefix("maxmemory_policy:"));
    let (what, next) = ("Redis answers", "redis-cli CONFIG SET maxmemory-policy noeviction");
    match policy {
        Some("noeviction") => Diagnosis::good(format!("{what}, and evicts nothing")),
        Some(policy) => Diagnosis::wrong(format!("{what}, and evicts keys when it is full ({policy})"), next),
        None => Diagnosis::unknown(format!("{what}, and does not say whether it evicts keys"), next),
    }
}
