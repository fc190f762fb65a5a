//! Tests against real parts. `tests/services/run` installs and starts what they need and runs them:
//! a part that is missing is a failure there, never a test that was skipped.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![expect(clippy::print_stdout, reason = "seeds and what was seen are what these tests say")]
#![expect(clippy::result_large_err, reason = "the errors of the SDK are as large as they are")]

#[macro_use]
#[path = "../keys/suite.rs"]
mod suite;
mod akeneo;
mod akeneo_outages;
mod akeneo_products;
mod alike;
mod api;
mod asl;
mod aws;
mod aws_alerts;
mod aws_alike;
mod aws_deliver;
mod aws_deploy;
mod aws_doctor;
mod aws_events;
mod aws_executor;
mod aws_pipeline;
mod aws_proxy;
mod aws_s3;
mod aws_sqs;
mod aws_states;
mod aws_watch;
#[path = "../site/generated/mod.rs"]
mod generated;
mod lambda;
mod medusa;
mod medusa_catalogue;
mod medusa_engines;
mod medusa_outages;
mod medusa_refusals;
mod page;
mod pim;
mod process;
#[path = "../../examples/products/product.rs"]
mod product;
mod prometheus;
mod redis;
mod redis_engines;
#[path = "../site/generated/server.rs"]
mod scripted;
mod served;
#[path = "../site/mod.rs"]
mod site;
