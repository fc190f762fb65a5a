//! A secret that both sides know. Its text is not kept: only what is needed to prove it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Fewest bytes of a secret: shorter ones can be guessed.
const BYTES_MIN: usize = 16;
/// What a secret of Standard Webhooks begins with.
const STANDARD_PREFIX: &str = "whsec_";

/// Why a text is no secret. It does not say the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// It is too short.
    #[error("it has fewer than 16 bytes")]
    Short,
    /// Of Standard Webhooks it would be base64.
    #[error("after 'whsec_' it is not base64")]
    NotBase64,
    /// Whoever exported it exported more.
    #[error("it begins or ends with a space or a line break")]
    Padded,
}

/// A secret.
#[derive(Clone)]
pub struct Secret {
    mac: Hmac<Sha256>,
    digest: [u8; 32],
}

impl Secret {
    /// A secret that is used as it is written.
    ///
    /// # Errors
    /// It is too short, or has blanks around it.
    pub fn text(text: &str) -> Result<Self, SecretFault> {
        if text.trim() != text {
            return Err(SecretFault::Padded);
        }
        Self::of(text.as_bytes())
    }

    /// A secret as Standard Webhooks write it: base64, with or without `whsec_` before it.
    ///
    /// # Errors
    /// The same, or it is not base64.
    pub fn standard(text: &str) -> Result<Self, SecretFault> {
        if text.trim() != text {
            return Err(SecretFault::Padded);
        }
        let encoded = text.strip_prefix(STANDARD_PREFIX).unwrap_or(text);
        Self::of(&STANDARD.decode(encoded).map_err(|_| SecretFault::NotBase64)?)
    }

    /// A secret of these bytes.
    ///
    /// # Errors
    /// They are too few.
    pub fn of(bytes: &[u8]) -> Result<Self, SecretFault> {
        if bytes.len() < BYTES_MIN {
            return Err(SecretFault::Short);
        }
        // Keys of every length are taken; it cannot be too short any more.
        let mac = Hmac::new_from_slice(bytes).map_err(|_| SecretFault::Short)?;
        Ok(Self { mac, digest: Sha256::digest(bytes).into() })
    }

    /// The HMAC-SHA256 of these parts, one behind the other.
    pub(super) fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Its digest: what is compared instead of a secret that is sent.
    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
