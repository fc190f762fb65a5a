//! Whether twice the items take more than twice the time, or more memory.

use crate::case::{Case, PEAK, Readings, SECONDS};
use crate::table::Line;

/// Items of each run.
const SIZES: [u64; 4] = [500_000, 1_000_000, 2_000_000, 4_000_000];
/// The cases.
const OF: [&str; 2] = ["P1-1M", "W2-100k"];
/// Times the time, and times the memory, at most.
const TIME_MAX: f64 = 2.1;
const MEMORY_MAX: f64 = 1.1;

/// A line for each doubling, in time and in memory; `measure` makes one run.
pub(crate) fn lines(
    divisor: u64,
    mut measure: impl FnMut(&'static Case, u64) -> anyhow::Result<Readings>,
) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for case in OF.into_iter().filter_map(Case::named) {
        let mut before: Option<(u64, Readings)> = None;
        for size in SIZES {
            let size = (size / divisor).max(1);
            let readings = measure(case, size)?;
            if let Some((smaller, less)) = before {
                let short = case.name.split('-').next().unwrap_or_default();
                let name = format!("growth of {short}");
                let mut line = |reading: &str, unit: &str, most: f64| {
                    let figure = readings[reading] / less[reading];
                    lines.push(Line {
                        case: name.clone(),
                        what: format!(
                            "from {smaller} to {size} items: {:.1} to {:.1}",
                            less[reading], readings[reading]
                        ),
                        figure,
                        unit: unit.to_owned(),
                        cpu_micros: None,
                        floor: None,
                        ratio: None,
                        target: format!("≤ {most}"),
                        met: Some(figure <= most),
                    });
                };
                line(SECONDS, "× the seconds", TIME_MAX);
                line(PEAK, "× the MiB", MEMORY_MAX);
            }
            before = Some((size, readings));
        }
    }
    Ok(lines)
}
