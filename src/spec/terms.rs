//! What a connection bears: calls at once, their rate, and when it is left alone.

use std::time::Duration;

use super::codes;
use super::fields::{Object, count, duration, mistyped};
use super::node::Node;
use super::report::{Mistake, Notes};
use crate::core::breaker::Patience;
use crate::core::limits::Rate;
use crate::core::outlet::Terms;

/// The keys that every connection has beside `use`.
pub(super) const KEYS: [&str; 4] = ["concurrency", "rate", "pause_after", "probe_every"];

/// More calls at once than this are a mistake.
const CONCURRENCY_MAX: u64 = 1_000;
/// More failures in a row than this are a mistake for `0`, "never".
const PAUSE_AFTER_MAX: u64 = 100_000;
/// A higher rate is no bound: no connection does so many calls.
const CALLS_MAX: u32 = 1_000_000;
const UNITS: [(&str, Duration); 3] =
    [("s", Duration::from_secs(1)), ("m", Duration::from_mins(1)), ("h", Duration::from_hours(1))];

/// Reads them.
pub(super) fn terms(section: &Object<'_>, notes: &mut Notes<'_>) -> Terms {
    let mut number = |name: &str, least: u64, most: u64| {
        let read = section.get(name).and_then(|node| count(node, &format!("'{name}'"), least, most, notes));
        read.and_then(|number| u32::try_from(number).ok())
    };
    let concurrency = number("concurrency", 1, CONCURRENCY_MAX);
    let pause_after = number("pause_after", 0, PAUSE_AFTER_MAX);
    let rate = section.get("rate").and_then(|node| rate(node, notes));
    let probe_every =
        section.get("probe_every").and_then(|node| longer_than_nothing(node, "'probe_every'", notes));
    let usual = Patience::default();
    let patience = Patience {
        pause_after: pause_after.unwrap_or(usual.pause_after),
        probe_every: probe_every.unwrap_or(usual.probe_every),
    };
    Terms { concurrency, rate, patience }
}

/// A duration that is not zero.
pub(super) fn longer_than_nothing(node: &Node, what: &str, notes: &mut Notes<'_>) -> Option<Duration> {
    let duration = duration(node, what, notes)?;
    if duration.is_zero() {
        let message = format!("{what} must be longer than nothing");
        notes.push(Mistake::new(codes::OUT_OF_RANGE, node.span, message));
    }
    Some(duration)
}

/// Reads `10/s`, `300/m`, `5000/h`.
fn rate(node: &Node, notes: &mut Notes<'_>) -> Option<Rate> {
    let expected = "a number of calls in a time, such as 10/s, 300/m or 5000/h";
    let Some(written) = node.written() else { return mistyped(node, "'rate'", expected, notes) };
    match parse(written) {
        Ok(rate) => Some(rate),
        Err(hint) => {
            let message = "'rate' is not a number of calls in a time";
            notes.push(Mistake::new(codes::RATE, node.span, message).hint(hint));
            None
        }
    }
}

fn parse(text: &str) -> Result<Rate, String> {
    let usual = "write calls and a time: 10/s, 300/m or 5000/h";
    let number = text.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
    let Ok(calls) = number.parse::<u32>() else { return Err(usual.to_owned()) };
    let Some((amount, unit)) = text.split_once('/') else {
        return Err(format!("a time is missing: write {calls}/s, {calls}/m or {calls}/h"));
    };
    if amount.trim() != number {
        return Err(format!("write a whole number of calls: {calls}/s; less than one a second: {calls}/m"));
    }
    let Some((_, per)) = UNITS.iter().find(|(name, _)| *name == unit.trim()) else {
        let near = UNITS.iter().find(|(name, _)| unit.trim().to_lowercase().starts_with(name));
        let near = near.map_or("s", |(name, _)| *name);
        return Err(format!("'{}' is not s, m or h: write {calls}/{near}", unit.trim()));
    };
    if calls == 0 || calls > CALLS_MAX {
        return Err(format!("between 1 and {CALLS_MAX} calls"));
    }
    Ok(Rate { calls, per: *per })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_calls_in_a_time() {
        let read = |text| parse(text).map(|rate| (rate.calls, rate.per.as_secs()));
        assert_eq!(read("10/s"), Ok((10, 1)));
        assert_eq!(read("300 / m"), Ok((300, 60)));
        assert_eq!(read("5000/h"), Ok((5_000, 3_600)));
    }

    #[test]
    fn wrong_ones_say_what_to_write() {
        for (text, hint) in [
            ("10", "write 10/s"),
            ("10/sec", "write 10/s"),
            ("10/Minute", "write 10/m"),
            ("10/d", "not s, m or h"),
            ("0.5/s", "less than one a second"),
            ("0/s", "between 1 and"),
            ("fast", "10/s, 300/m"),
            ("", "10/s, 300/m"),
            ("-3/s", "10/s, 300/m"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(hint), "{text}: {said}");
        }
    }
}
