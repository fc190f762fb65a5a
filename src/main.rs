//! Arguments in, exit code out.

use std::process::ExitCode;

/// Products are made on one thread and freed on another all day; the system's allocator spends a
/// third of the processor time on that (measured with `cargo bench`), this one a fraction.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    milepost::cli::main()
}
