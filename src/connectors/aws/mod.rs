//! AWS: EventBridge, SQS, S3 and Lambda through the official SDK. Credentials, region and endpoint come from
//! the SDK's ordinary chain (`AWS_*` variables, profiles, roles): nothing of it stands in a workflow
//! file, and nothing of it is stored.
//!
//! - `s3` reads and writes objects, and reads sources from them.
//! - `session` makes clients; `trouble` says what their errors mean; `envelope` is what travels in an
//!   event.
//! - `doctor` examines what a workflow names.
//! - `eventbridge` publishes; `sqs` receives; `lambda` invokes functions.
//! - `trigger` hears of uploads.
//! - `states` lets Step Functions drive the graph of a run.

mod doctor;
mod envelope;
mod eventbridge;
pub mod lambda;
pub mod s3;
mod session;
pub mod sqs;
pub mod states;
mod trigger;
mod trouble;

use crate::core::catalog::{ConnectionKind, Field, Kind};

pub(crate) use doctor::{examine, examine_states};
pub use eventbridge::build_publish;
pub(crate) use eventbridge::courier;
pub use trigger::{S3_CREATED, build_s3_created};

/// What a connection to AWS takes. `event_bus`: the bus that events are published to. `queue`: the
/// queue that messages are received from, by name or URL, where it is not called what the steps call
/// it. `oversize: s3`: what an event has no room for goes to `bucket`; without it such an item is a
/// dead letter.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: "aws",
    summary: "an EventBridge bus, SQS queues and Lambda functions",
    fields: &[
        Field { name: "event_bus", kind: Kind::Plain, required: false },
        Field { name: "queue", kind: Kind::Plain, required: false },
        Field { name: "oversize", kind: Kind::OneOf(&["s3"]), required: false },
        Field { name: "bucket", kind: Kind::Plain, required: false },
    ],
};
