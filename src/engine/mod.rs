//! Makes it happen: reads units in, prepares their steps, commits, calls, waits.
//!
//! One task drives one run ([`drive::drive`]). It owns the [`crate::core::desk::Desk`] and repeats:
//! *decide, commit, act, listen*. Everything that takes time happens elsewhere and comes back as a
//! note: computing on the compute port, calls and polls as tasks. Recovery is the same path: load,
//! decide again.

pub mod alerts;
pub mod assembly;
mod astray;
mod beginning;
pub mod bodies;
mod call;
mod carry;
mod claim;
mod compute;
mod conduct;
pub mod context;
mod control;
pub mod drive;
mod fetch;
mod finish;
mod finished;
mod gate;
mod inflow;
pub mod key;
mod listen;
pub mod made;
mod mail;
mod note;
mod orders;
mod poll;
pub mod prepare;
mod record;
pub mod recover;
mod redrive;
mod review;
pub mod settle;
mod steer;
mod together;

pub use alerts::Delivery;
pub use beginning::{Beginning, Resumption};
pub use control::{Control, Declined, Handle, Request};
pub use drive::{Error, Ports, drive};
pub use redrive::redrive;
