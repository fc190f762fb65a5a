//! A number that whoever runs a benchmark may set.

use anyhow::Context;

/// The number in this variable of the environment, `12_000` and `12,000` too; the default when it is not
/// set.
///
/// # Errors
/// It is no number.
pub(crate) fn number(variable: &str, default: u64) -> anyhow::Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.replace(['_', ','], "").parse().with_context(|| format!("{variable}={text}")),
        Err(_) => Ok(default),
    }
}
