//! Against real servers, named by environment variables; a test whose server is not named fails.
//! `cargo test --test services -- --ignored` with `MILEPOST_TEST_REDIS=redis://127.0.0.1:6379`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

#[macro_use]
#[path = "../keys/suite.rs"]
mod suite;
mod engines;
mod redis;
#[path = "../site/mod.rs"]
mod site;
