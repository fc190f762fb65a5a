//! Writes generated products as a JSON array: the same count and seed give the same bytes.
//!
//! ```text
//! cargo run --release --example products -- 200 --seed 7 > workflows/product-sync/sample.json
//! cargo run --release --example products -- 1000000 --seed 1 --invalid 0 --lines > products.ndjson
//! ```

mod product;

use std::io::{self, BufWriter, Write};

use clap::Parser;

/// Generated products on standard output.
#[derive(Parser)]
struct Arguments {
    /// How many.
    count: u64,
    /// Where chance begins.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many of them break the schema.
    #[arg(long, default_value_t = 3)]
    invalid: u64,
    /// One product per line instead of an array.
    #[arg(long)]
    lines: bool,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    match write(&arguments, &mut out) {
        // The reader has seen enough: `… | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn write(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let products = product::Products::new(arguments.count, arguments.seed, arguments.invalid);
    if arguments.lines {
        for position in 0..arguments.count {
            serde_json::to_writer(&mut *out, &products.product(position))?;
            out.write_all(b"\n")?;
        }
    } else {
        products.write_array(out)?;
    }
    out.flush()
}
