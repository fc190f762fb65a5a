//! The gate and the mappings, as the shipped workflow uses them.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests may, as tests may")]

#[path = "../../examples/products/product.rs"]
mod product;

mod language;
mod mistakes;
mod money_and_text;
mod product_sync;
mod second_source;
mod source;
mod source_files;
mod speed;
mod stage;
