//! The gate and the mappings, as the shipped workflow uses them.

#[path = "../../examples/products/product.rs"]
mod product;

mod language;
mod mistakes;
mod product_sync;
mod second_source;
mod source;
mod source_files;
mod speed;
mod stage;
