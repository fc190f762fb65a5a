//! Whether a delivery is from whom it says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::headers::Headers;
use super::secret::Secret;
use crate::core::digest::hex;
use crate::core::time::Timestamp;

/// How far the sender's clock may be from ours, in seconds, both ways, where a time is signed.
pub const TOLERANCE: u64 = 300;
/// Most signatures of one delivery that are looked at: a sender that rotates its secrets sends two.
const SIGNATURES_MAX: usize = 16;
/// Digits of a time in seconds: more is no time of ours.
const SECONDS_DIGITS_MAX: usize = 12;

const ID: &str = "webhook-id";
const TIME: &str = "webhook-timestamp";
const EVENT: &str = "webhook-event";
const SIGNATURE: &str = "webhook-signature";
/// What stands before the signature in Symfony's own scheme.
const SYMFONY_PREFIX: &str = "sha256=";

/// How a sender proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Standard Webhooks, with symmetric secrets.
    Standard,
    /// HMAC-SHA256 of the body in one header, as GitHub, Shopify and many others do.
    Hmac {
        /// The header.
        header: String,
        /// What stands before the signature.
        prefix: String,
        /// How the signature is written.
        encoding: Encoding,
    },
    /// Symfony's own scheme, which it had before it learned Standard Webhooks.
    Symfony,
    /// The secret itself in one header.
    Token {
        /// The header.
        header: String,
    },
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// In hexadecimal.
    Hex,
    /// In base64.
    Base64,
}

/// Whose deliveries are taken, and how they are proven.
#[derive(Clone, Debug)]
pub struct Source {
    scheme: Scheme,
    secrets: Vec<Secret>,
    id_header: Option<String>,
}

/// What was sent: nothing of it is believed yet.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The headers.
    pub headers: &'a Headers,
    /// The body, byte by byte as it came.
    pub body: &'a [u8],
}

/// A delivery that is from whom it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// What the sender calls it: the same each time that it sends it again.
    pub id: String,
}

/// Why a delivery is not believed. The sender is not told; whoever runs the engine may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A header that the scheme needs is missing, came twice, or cannot be read.
    #[error("the header '{0}' is missing, or cannot be read")]
    Unsigned(&'static str),
    /// It was not made with a secret of ours.
    #[error("it is not signed with a secret of this hook")]
    Forged,
    /// It is signed, and the time that is signed is too long ago, or still to come.
    #[error("it was signed more than 300 s ago, or later than now")]
    Stale,
}

impl Source {
    /// Deliveries that are proven with any of these secrets: two while one replaces the other. With
    /// `id_header` a scheme that signs no ID takes it from there.
    pub fn new(scheme: Scheme, secrets: Vec<Secret>, id_header: Option<String>) -> Self {
        Self { scheme, secrets, id_header }
    }

    /// How many secrets there are.
    pub fn secrets(&self) -> usize {
        self.secrets.len()
    }

    /// The headers that prove who sent them, or carry the secret itself.
    pub(super) fn proofs(&self) -> [&str; 1] {
        match &self.scheme {
            Scheme::Standard | Scheme::Symfony => [SIGNATURE],
            Scheme::Hmac { header, .. } | Scheme::Token { header } => [header],
        }
    }

    /// Whether a delivery is from whom it says. Takes as long whatever is wrong with a signature.
    ///
    /// # Errors
    /// [`Refused`]: nothing of it may be believed, not even its ID.
    pub fn verify(&self, delivery: Delivery<'_>, now: Timestamp) -> Result<Proven, Refused> {
        let Delivery { headers, body } = delivery;
        match &self.scheme {
            Scheme::Standard => self.standard(headers, body, now),
            Scheme::Symfony => self.symfony(headers, body),
            Scheme::Hmac { header, prefix, encoding } => {
                let written = headers.one(header).ok_or(Refused::Unsigned("of the signature"))?;
                let given = written.strip_prefix(prefix.as_str()).and_then(|text| encoding.decode(text));
                self.signed(&[body], given.as_slice())?;
                self.named(headers, body)
            }
            Scheme::Token { header } => {
                let written = headers.one(header).ok_or(Refused::Unsigned("of the token"))?;
                let given = <[u8; 32]>::from(Sha256::digest(written.as_bytes()));
                let is_known = |known: Choice, secret: &Secret| known | secret.digest().ct_eq(&given);
                accepted(self.secrets.iter().fold(Choice::from(0), is_known))?;
                self.named(headers, body)
            }
        }
    }

    fn standard(&self, headers: &Headers, body: &[u8], now: Timestamp) -> Result<Proven, Refused> {
        let header = |name: &'static str| headers.one(name).ok_or(Refused::Unsigned(name));
        let (id, time, written) = (header(ID)?, header(TIME)?, header(SIGNATURE)?);
        let of_ours = written.split(' ').filter_map(|signature| signature.strip_prefix("v1,"));
        let given: Vec<Vec<u8>> =
            of_ours.take(SIGNATURES_MAX).filter_map(|text| Encoding::Base64.decode(text)).collect();
        let seconds = seconds(time).filter(|_| !id.is_empty()).ok_or(Refused::Unsigned(TIME))?;
        self.signed(&[id.as_bytes(), b".", time.as_bytes(), b".", body], &given)?;
        if (now.0 / 1_000).abs_diff(seconds) > TOLERANCE {
            return Err(Refused::Stale);
        }
        Ok(Proven { id: id.to_owned() })
    }

    /// Event, ID and body are joined without anything between them: the same bytes are signed when letters
    /// move from one into another. So what is signed names it, not the ID as it is cut out.
    fn symfony(&self, headers: &Headers, body: &[u8]) -> Result<Proven, Refused> {
        let header = |name: &'static str| headers.one(name).ok_or(Refused::Unsigned(name));
        let (event, id, written) = (header(EVENT)?, header(ID)?, header(SIGNATURE)?);
        let given = written.strip_prefix(SYMFONY_PREFIX).and_then(|text| Encoding::Hex.decode(text));
        let signed = [event.as_bytes(), id.as_bytes(), body];
        self.signed(&signed, given.as_slice())?;
        Ok(Proven { id: digest(&signed) })
    }

    /// Without an ID in a header, the same body is the same delivery.
    fn named(&self, headers: &Headers, body: &[u8]) -> Result<Proven, Refused> {
        let Some(name) = &self.id_header else { return Ok(Proven { id: digest(&[body]) }) };
        let id = headers.one(name).filter(|id| !id.is_empty()).ok_or(Refused::Unsigned("of the ID"))?;
        Ok(Proven { id: id.to_owned() })
    }

    /// Every secret is tried against every signature, also behind one that fits.
    fn signed(&self, parts: &[&[u8]], given: &[Vec<u8>]) -> Result<(), Refused> {
        let mut fits = Choice::from(0);
        for secret in &self.secrets {
            let tag = secret.tag(parts);
            for given in given {
                fits |= tag.as_slice().ct_eq(given);
            }
        }
        accepted(fits)
    }
}

impl Encoding {
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Base64 => STANDARD.decode(text).ok(),
            Self::Hex => {
                let digit = |at: usize| char::from(*text.as_bytes().get(at)?).to_digit(16);
                let byte = |at: usize| u8::try_from(digit(at)? << 4 | digit(at + 1)?).ok();
                (0..text.len()).step_by(2).map(byte).collect()
            }
        }
    }
}

fn accepted(fits: Choice) -> Result<(), Refused> {
    if bool::from(fits) { Ok(()) } else { Err(Refused::Forged) }
}

/// A whole number of seconds, without sign, blank or fraction.
fn seconds(text: &str) -> Option<u64> {
    let is_number = text.len() <= SECONDS_DIGITS_MAX && text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn digest(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    hex(&digest.finalize())
}
