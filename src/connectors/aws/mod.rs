//! AWS: EventBridge, SQS and S3 through the official SDK. Credentials, region and endpoint come from
//! the SDK's ordinary chain (`AWS_*` variables, profiles, roles): nothing of it stands in a workflow
//! file, and nothing of it is stored.
//!
//! - `session` makes clients; `trouble` says what their errors mean; `envelope` is what travels in an
//!   event.

mod envelope;
mod session;
pub mod sqs;
mod trouble;

use crate::core::catalog::{ConnectionKind, Field, Kind};

/// What AWS as a bus takes: EventBridge and SQS.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: "aws",
    summary: "EventBridge and SQS; credentials and region come from the environment",
    fields: &[
        Field { name: "event_bus", kind: Kind::Plain, required: false },
        Field { name: "queue", kind: Kind::Plain, required: false },
        Field { name: "oversize", kind: Kind::OneOf(&["error", "s3"]), required: false },
        Field { name: "bucket", kind: Kind::Plain, required: false },
    ],
};
