//! What a run is and what happens next. No IO, no clock, no async, no randomness: time, identities
//! and chance are arguments.
//!
//! Read in this order: `workflow` (what a person wrote, checked), `plan` (the same, ready to
//! decide on), `cell` (the state machine of one step for one unit), `progress` (all cells of one
//! unit), `run` (the state machine of a whole run), `desk` and `decide` (what to do next), `claims`
//! (keys), `outlet` (when a call may leave), `resume` (what a resume will do), `alert` (what people are told).

pub mod alert;
pub mod arrival;
mod asking;
pub mod breaker;
pub mod care;
pub mod catalog;
pub mod cell;
pub mod change;
mod claiming;
pub mod claims;
pub mod closing;
pub mod decide;
pub mod deed;
pub mod desk;
pub mod digest;
pub mod escape;
pub mod event;
pub mod execution;
pub mod fate;
pub mod fault;
mod feed;
pub mod graph;
pub mod hear;
pub mod id;
pub mod identity;
pub mod inflow;
pub mod ledger;
pub mod letter;
pub mod limits;
pub mod mail;
pub mod measures;
pub mod number;
pub mod origin;
pub mod outlet;
pub mod plan;
mod planned;
pub mod progress;
pub mod queue;
mod receiving;
pub mod redefine;
pub mod resume;
pub mod retry;
mod revision;
pub mod run;
pub mod scope;
pub mod selection;
pub mod signal;
pub mod start;
pub mod steer;
pub mod survey;
pub mod tally;
pub mod time;
pub mod token;
pub mod trigger;
pub mod version;
pub mod workflow;

#[cfg(test)]
mod tests;
