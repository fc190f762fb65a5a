//! Stand-ins for the PIM and the shop (placeholder with the signatures of the real one).

use std::path::{Path, PathBuf};

use serde::Serialize;

/// The sandbox cannot work.
#[derive(Debug, thiserror::Error)]
#[error("the stand-ins are not part of this build")]
pub struct SandboxError;

/// How a stand-in fails.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// Share of calls that are answered with 500.
    pub errors: f64,
    /// How long each call takes.
    pub latency_ms: u64,
    /// Out of order until told otherwise.
    pub outage: bool,
    /// Out of order for so many calls.
    pub outage_calls: u64,
    /// Out of order for so long.
    pub outage_ms: u64,
    /// `Retry-After` that goes with 503.
    pub retry_after_s: Option<u64>,
    /// Keys whose writes are refused.
    pub refuse: Vec<String>,
    /// Share of writing calls whose answer is dropped.
    pub drops: f64,
    /// The answers of the next so many writing calls are dropped.
    pub drop_next: u64,
    /// The seed of chance.
    pub seed: Option<u64>,
}

/// How the stand-ins are served.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where their journals live.
    pub dir: PathBuf,
    /// The port of the PIM.
    pub pim_port: u16,
    /// The port of the shop.
    pub shop_port: u16,
    /// How the PIM fails.
    pub pim: Faults,
    /// How the shop fails.
    pub shop: Faults,
}

/// Running stand-ins.
#[derive(Debug)]
pub struct Sandbox {
    /// The address of the PIM.
    pub pim_url: String,
    /// The address of the shop.
    pub shop_url: String,
    /// The seed of the PIM's chance.
    pub pim_seed: u64,
    /// The seed of the shop's chance.
    pub shop_seed: u64,
}

impl Sandbox {
    /// Stops.
    pub async fn shutdown(self) {
        std::future::ready(()).await;
    }
}

/// One product of a stand-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Its key.
    pub key: String,
    /// How often it was written.
    pub writes: u64,
    /// Its state.
    pub state: String,
}

/// What one stand-in holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holdings {
    /// How many products.
    pub products: u64,
    /// How many writes.
    pub writes: u64,
    /// The most writes of one product.
    pub writes_max: u64,
    /// Each product.
    pub items: Vec<Held>,
}

/// What both hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// The PIM.
    pub pim: Holdings,
    /// The shop.
    pub shop: Holdings,
}

/// Serves both.
pub async fn serve(options: &Options) -> Result<Sandbox, SandboxError> {
    let _ = options;
    std::future::ready(Err(SandboxError)).await
}

/// What the stand-ins of a directory hold.
pub fn contents(dir: &Path) -> Result<Contents, SandboxError> {
    let _ = dir;
    Err(SandboxError)
}
