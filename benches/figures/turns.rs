//! Many times, and what stands for them.

use std::time::Duration;

/// The time that such a part of them does not pass, in milliseconds; 0 when there are none.
pub(crate) fn at(part: f64, times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    let count = f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX));
    let place = (0..times.len())
        .find(|place| f64::from(u32::try_from(place + 1).unwrap_or(u32::MAX)) >= part * count);
    place.map_or(0.0, |place| times[place].as_secs_f64() * 1e3)
}

/// The middle one of several figures; `None` when there are none.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}
