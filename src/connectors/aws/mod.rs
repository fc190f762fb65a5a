//! AWS: EventBridge, SQS and S3 through the official SDK. Credentials, region and endpoint come from
//! the SDK's ordinary chain (`AWS_*` variables, profiles, roles): nothing of it stands in a workflow
//! file, and nothing of it is stored.
//!
//! - `s3` reads and writes objects, and reads sources from them.
//! - `session` makes clients; `trouble` says what their errors mean; `envelope` is what travels in an
//!   event.

mod envelope;
pub mod s3;
mod session;
mod trouble;
