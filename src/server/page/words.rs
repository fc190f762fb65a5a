//! Numbers, times and states as they stand on every page.

use std::fmt::{Display, Write as _};

use maud::{Markup, html};

use crate::core::fault::Fault;
use crate::core::run::Status;
use crate::view::{Facts, HoldView, ItemCounts, UnitStatus, When};

/// Characters of an error on one line of a table.
const LINE_MAX: usize = 160;

/// Text as one segment of a path, or one value of a query.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A path under a run.
pub(super) fn at(run: impl Display, place: &str) -> String {
    format!("/runs/{run}{place}")
}

/// Where the story of an item is.
pub(super) fn item_path(run: impl Display, item: &str) -> String {
    format!("/runs/{run}/items/{}", segment(item))
}

/// A query of those fields that have a value, with its question mark.
pub(super) fn query(fields: &[(&str, Option<String>)]) -> String {
    let set = fields.iter().filter_map(|(name, value)| {
        let value = value.as_ref().filter(|value| !value.is_empty())?;
        Some(format!("{name}={}", segment(value)))
    });
    let set: Vec<String> = set.collect();
    if set.is_empty() { String::new() } else { format!("?{}", set.join("&")) }
}

/// A number in groups of three.
pub(super) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number in a table, where none is a dash.
pub(super) fn some(count: u64) -> Markup {
    html! { @if count == 0 { span.none { "–" } } @else { (number(count)) } }
}

/// A duration in its two largest units.
pub(super) fn took(ms: u64) -> String {
    let (seconds, minutes, hours) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    match () {
        () if ms < 1_000 => format!("{ms} ms"),
        () if seconds < 10 => format!("{}.{} s", seconds, ms % 1_000 / 100),
        () if minutes < 1 => format!("{seconds} s"),
        () if hours < 1 => format!("{minutes} min {} s", seconds % 60),
        () => format!("{hours} h {} min", minutes % 60),
    }
}

/// An instant to the second; all of it is in its tooltip.
pub(super) fn instant(when: When) -> Markup {
    exact(&when.to_string())
}

/// The same for an instant that is text already.
pub(super) fn exact(text: &str) -> Markup {
    let shown = text.get(..19).unwrap_or(text).replace('T', " ");
    html! { time datetime=(text) title=(text) { (shown) } }
}

/// The time of day with milliseconds, where the day is clear.
pub(super) fn of_day(text: &str) -> Markup {
    html! { time datetime=(text) title=(text) { (text.get(11..23).unwrap_or(text)) } }
}

/// A state in words, with its colour.
pub(super) fn badge(word: &str) -> Markup {
    html! { span.state.(format!("s-{word}")) { (word.replace('_', " ")) } }
}

/// How often a connection that is held was tried, and when it is next.
pub(super) fn trials(hold: &HoldView) -> Markup {
    html! {
        @match hold.trials {
            0 => "the first trial is at ",
            1 => "one trial failed, the next is at ",
            trials => { (number(trials.into())) " trials failed, the next is at " }
        }
        (instant(hold.next))
    }
}

/// A run's state.
pub(super) fn run_state(status: Status) -> Markup {
    badge(status.word())
}

/// Whether what is shown of a run may change by itself.
pub(super) fn is_live(status: Status) -> bool {
    matches!(status, Status::Queued | Status::Running | Status::Waiting | Status::Paused)
}

/// What went wrong, on one line.
pub(super) fn fault_line(fault: &Fault) -> Markup {
    let short = match fault.message.char_indices().nth(LINE_MAX) {
        Some((end, _)) => format!("{}…", &fault.message[..end]),
        None => fault.message.clone(),
    };
    html! { span.fault title=(fault.message) { b { (fault.name) } " " (short) } }
}

/// What went wrong, all of it.
pub(super) fn fault(fault: &Fault) -> Markup {
    html! { p.fault { b { (fault.name) } " " (fault.message) } }
}

/// The signal that an item waits for at a step, or that it got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Awaited<'a> {
    pub(super) signal: &'a str,
    pub(super) key: &'a str,
}

impl<'a> Awaited<'a> {
    /// As the facts of that step tell it; none of a step that has nothing to do with signals.
    pub(super) fn of(facts: &'a Facts) -> Option<Self> {
        let text = |name: &str| facts.get(name)?.as_str();
        Some(Self { signal: text("signal")?, key: text("key")? })
    }
}

/// Counts as a line of words: `197 succeeded, 3 dead lettered`.
pub(super) fn counted(items: &ItemCounts) -> String {
    let states = items.states();
    let some = states.iter().filter(|(_, count)| *count > 0);
    let words: Vec<String> = some.map(|(status, count)| counted_one(*status, *count)).collect();
    if words.is_empty() { "no items yet".to_owned() } else { words.join(", ") }
}

fn counted_one(status: UnitStatus, count: u64) -> String {
    format!("{} {}", number(count), status.word().replace('_', " "))
}

/// States in the order in which a bar is filled.
const FILLED: [UnitStatus; 8] = [
    UnitStatus::Succeeded,
    UnitStatus::Skipped,
    UnitStatus::Running,
    UnitStatus::Backoff,
    UnitStatus::Waiting,
    UnitStatus::InDoubt,
    UnitStatus::DeadLettered,
    UnitStatus::Cancelled,
];

/// The parts of a bar of this width that show how items stand: state, beginning and width. Whatever is there at
/// all is seen.
pub(super) fn parts(items: &ItemCounts, width: f64) -> Vec<(UnitStatus, f64, f64)> {
    const SEEN: f64 = 2.0;
    let states = items.states();
    let count = |status| states.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| *count);
    #[expect(clippy::cast_precision_loss, reason = "for a picture a few digits are enough")]
    let share = |count: u64| count as f64 / (items.total.max(1)) as f64 * width;
    let mut at = 0.0;
    let mut parts = Vec::new();
    for status in FILLED {
        let count = count(status);
        if count > 0 {
            let wide = share(count).max(SEEN);
            let begin = f64::min(at, width - wide);
            parts.push((status, begin, wide));
            at = begin + wide;
        }
    }
    parts
}

/// A bar that shows how items stand.
pub(super) fn bar(items: &ItemCounts) -> Markup {
    html! {
        svg.bar viewBox="0 0 200 6" preserveAspectRatio="none" role="img" aria-label=(counted(items)) {
            rect.f-pending x="0" y="0" width="200" height="6" {}
            @for (status, begin, wide) in parts(items, 200.0) {
                rect.(format!("f-{}", status.word())) x=(format!("{begin:.1}")) y="0" width=(format!("{wide:.1}")) height="6" {}
            }
        }
    }
}

/// Commands to type, each with a button that copies it.
pub(super) fn commands(commands: &[String]) -> Markup {
    html! {
        div.commands {
            @for command in commands {
                p { code { (command) } " " button.copy type="button" data-copy=(command) hidden { "Copy" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_are_short_and_exact() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        let told = [7, 3_250, 59_999, 61_000, 7_290_000].map(took);
        assert_eq!(told, ["7 ms", "3.2 s", "59 s", "1 min 1 s", "2 h 1 min"]);
    }

    #[test]
    fn a_key_is_one_segment_whatever_is_in_it() {
        assert_eq!(item_path("r", "a/b ?&#ü"), "/runs/r/items/a%2Fb%20%3F%26%23%C3%BC");
        assert_eq!(item_path("r", ".."), "/runs/r/items/%2E%2E");
        assert_eq!(query(&[("a", None), ("b", Some("x&y".into())), ("c", Some(String::new()))]), "?b=x%26y");
    }

    #[test]
    fn a_bar_shows_the_smallest_part_and_stays_within_its_width() {
        let items =
            ItemCounts { total: 100_000, succeeded: 99_999, dead_lettered: 1, ..ItemCounts::default() };
        let parts = parts(&items, 200.0);
        let [(_, _, done), (status, begin, wide)] = parts.as_slice() else { panic!("{parts:?}") };
        assert!(*done > 199.0 && *wide >= 2.0 && begin + wide <= 200.0, "{parts:?}");
        assert_eq!(*status, UnitStatus::DeadLettered);
    }
}
