//! Where a pinned source was read from.

use serde::{Deserialize, Serialize};

/// What was read, in the words of the system that holds it, so that a person can find the very same
/// content there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Origin {
    /// How many bytes it has, as it is stored there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The entity tag, without its quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The version, where the system keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The checksum that the system gave, as `algorithm:value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// Whether what was read has that checksum; a checksum of checksums cannot be compared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verified: bool,
}
