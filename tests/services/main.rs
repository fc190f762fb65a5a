//! Tests against real parts. `tests/services/run` installs and starts what they need and runs them:
//! a part that is missing is a failure there, never a test that was skipped.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod redis;
