//! Tells stand-ins that are served, by whichever process, how to fail from now on. Where they listen is
//! written beside what they hold.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Faults, SandboxError};
use crate::connectors::wire::{self, Redirects};

/// The file with the addresses.
const FILE: &str = "addresses.json";
/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Where the stand-ins of a directory listen.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Addresses {
    pub(super) pim: String,
    pub(super) shop: String,
}

impl Addresses {
    pub(super) fn write(&self, dir: &Path) -> Result<(), SandboxError> {
        let path = dir.join(FILE);
        let failed = SandboxError::io(format!("write {}", path.display()));
        serde_json::to_vec(self)
            .map_err(Into::into)
            .and_then(|text| std::fs::write(path, text))
            .map_err(failed)
    }

    fn read(dir: &Path) -> Result<Self, SandboxError> {
        let text = std::fs::read(dir.join(FILE)).map_err(|_| SandboxError::Absent(dir.to_owned()))?;
        serde_json::from_slice(&text).map_err(|_| SandboxError::Absent(dir.to_owned()))
    }
}

/// Replaces how the stand-ins of a directory fail; `None` leaves one as it is.
///
/// # Errors
/// Nobody serves them, or they do not take it.
pub async fn fail(dir: &Path, pim: Option<&Faults>, shop: Option<&Faults>) -> Result<(), SandboxError> {
    let addresses = Addresses::read(dir)?;
    for (url, faults) in [(&addresses.pim, pim), (&addresses.shop, shop)] {
        if let Some(faults) = faults {
            tell(url, faults).await.ok_or_else(|| SandboxError::Absent(PathBuf::from(dir)))?;
        }
    }
    Ok(())
}

/// `None`: it was not taken.
async fn tell(url: &str, faults: &Faults) -> Option<()> {
    let client = wire::client(ANSWER_MAX, Redirects::Refused).ok()?;
    let answer = wire::send(client.post(format!("{url}/sandbox/faults")).json(faults)).await.ok()?;
    (answer.status == 204).then_some(())
}
