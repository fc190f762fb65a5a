//! Webhooks: whether what was sent is from whom it says, and what it means as a signal. No IO, no clock:
//! raw bytes, headers and the time go in, a verdict comes out.
//!
//! `verify` proves a delivery by the scheme that its source is configured with; nothing in the delivery
//! chooses how it is looked at, because one header name carries four schemes. `reading` makes a signal of
//! what was proven. `sign` is the other side of the first scheme, for those who send.
//!
//! | scheme | headers | what is signed | time |
//! | --- | --- | --- | --- |
//! | `standard` | `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<base64> …` | `id.time.body` | 300 s both ways |
//! | `hmac` | one of the source's | the body | none |
//! | `symfony` | `webhook-event`, `webhook-id`, `webhook-signature: sha256=<hex>` | event, ID and body, joined | none |
//! | `token` | one of the source's | nothing: the secret itself is sent | none |

mod headers;
mod reading;
mod secret;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

pub use headers::Headers;
pub use reading::{Reading, Told};
pub use secret::{Secret, SecretFault};
pub use sign::signature;
pub use verify::{Delivery, Encoding, Proven, Refused, Scheme, Source, TOLERANCE};
