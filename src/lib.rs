//! Milepost: a self-hosted workflow engine in one binary.
//!
//! ```text
//! workflow file ─► spec ─► core ─► engine ─► connectors
//!                           ▲         │
//!                           │         ▼
//!                           └────── store ─► view ─► cli, server
//! ```

// Tests that are shared with those outside call us by our name.
#[cfg(test)]
extern crate self as milepost;

pub mod app;
pub mod asl;
pub mod cli;
pub mod client;
pub mod config;
pub mod connectors;
pub mod core;
pub mod engine;
pub mod expr;
pub mod mapping;
pub mod ports;
pub mod server;
pub mod spec;
pub mod store;
pub mod view;
pub mod webhook;
