//! Signing as Standard Webhooks do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::secret::Secret;

/// The value of `webhook-signature` for a body that is sent under this ID at this time, in seconds since
/// 1970 (Standard Webhooks, section "Signature scheme").
pub fn signature(secret: &Secret, id: &str, seconds: u64, body: &[u8]) -> String {
    let time = seconds.to_string();
    let tag = secret.tag(&[id.as_bytes(), b".", time.as_bytes(), b".", body]);
    format!("v1,{}", STANDARD.encode(tag))
}
