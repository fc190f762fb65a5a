//! Numbers, durations and instants as people read them.

use std::time::Duration;

use crate::core::fault::Fault;
use crate::core::run::Origin;
use crate::core::time::Timestamp;
use crate::view::{AlertView, Facts, ItemCounts, PauseView, RunView, UnitStatus, When};

/// `1234567` as `1,234,567`.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun.
pub(super) fn count(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

/// A duration with as much precision as somebody reading it can use.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.as_millis() < 1_000 => format!("{} ms", duration.as_millis()),
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// A time left: nobody needs it to the tenth of a second.
pub(super) fn left(left: Duration) -> String {
    match left.as_secs() {
        0 => "1 s left".to_owned(),
        seconds @ 1..60 => format!("{seconds} s left"),
        seconds => format!("{} left", duration(Duration::from_secs(seconds))),
    }
}

/// An instant to the second, in UTC.
pub(super) fn instant(when: When) -> String {
    let text = when.to_string();
    text.get(..19).map_or(text.clone(), |seconds| format!("{}Z", seconds.replace('T', " ")))
}

/// An alert that was not delivered, and when it is tried next; with what went wrong as `heard` has it.
pub(super) fn untold(alert: &AlertView, heard: impl Fn(&Fault) -> String) -> String {
    let AlertView { alert: kind, to, attempts, next, error, .. } = alert;
    let tried = match attempts {
        0 => "not tried yet".to_owned(),
        some => format!("tried {}", count(u64::from(*some), "time", "times")),
    };
    let next = match next {
        Some(at) if *attempts > 0 => format!(", next {}", instant(*at)),
        Some(_) => String::new(),
        None => ", given up".to_owned(),
    };
    let why = error.as_ref().map(|error| format!(" ({})", heard(error))).unwrap_or_default();
    format!("{kind} to {to}: {tried}{next}{why}")
}

/// Why a run stands still, a line for each reason.
pub(super) fn pause(pause: &PauseView, now: Timestamp) -> Vec<String> {
    let person = pause.by.as_ref().map(|by| format!("by {by} since {}", clock(pause.since)));
    let holds = pause.connections.iter().map(|hold| {
        let next = match hold.next.0.since(now).as_secs() {
            0 => "being tried".to_owned(),
            seconds => format!("next trial in {seconds} s"),
        };
        let error = super::page::shortened(&hold.error.to_string());
        format!(
            "no answer from {} since {}; {next}; nothing is lost ({error})",
            hold.connection,
            clock(hold.since)
        )
    });
    person.into_iter().chain(holds).collect()
}

/// The time of day of an instant, in UTC.
fn clock(when: When) -> String {
    instant(when).split_once(' ').map(|(_, time)| time.to_owned()).unwrap_or_default()
}

/// Now.
pub(super) fn now() -> Timestamp {
    Timestamp(u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default())
}

/// What a system said of the content that it holds.
pub(super) fn origin(origin: &Origin) -> String {
    let bytes = origin.bytes.map(|bytes| count(bytes, "byte", "bytes"));
    let etag = origin.etag.as_ref().map(|etag| format!("etag {etag}"));
    let version = origin.version.as_ref().map(|version| format!("version {version}"));
    let checksum = origin.checksum.as_ref().map(|checksum| {
        let verified = if origin.verified { "verified" } else { "not comparable" };
        format!("{checksum} ({verified})")
    });
    let parts: Vec<String> = [bytes, etag, version, checksum].into_iter().flatten().collect();
    parts.join(", ")
}

/// How long a run took, if it has ended.
pub(super) fn took(view: &RunView) -> Option<String> {
    view.duration_ms.map(|ms| duration(Duration::from_millis(ms)))
}

/// Items by state: `197 succeeded, 3 dead_lettered`, most important last.
pub(super) fn items(counts: &ItemCounts) -> String {
    let mut parts: Vec<String> = Vec::new();
    let done_first = counts.states();
    let order = |status: UnitStatus| u8::from(!matches!(status, UnitStatus::Succeeded | UnitStatus::Skipped));
    let mut states: Vec<_> = done_first.into_iter().filter(|(_, count)| *count > 0).collect();
    states.sort_by_key(|(status, _)| order(*status));
    for (status, count) in states {
        parts.push(format!("{} {status}", number(count)));
    }
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

/// What an effect returned: `id=17 sku="A"`.
pub(super) fn facts(facts: &Facts) -> String {
    facts.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fault::Fault;
    use crate::view::HoldView;

    #[test]
    fn numbers_durations_and_instants_read_well() {
        let numbers = [0, 999, 1_000, 1_234_567].map(number);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        let durations = [7, 1_500, 59_940, 61_000, 3_700_000].map(Duration::from_millis).map(duration);
        assert_eq!(durations, ["7 ms", "1.5 s", "59.9 s", "1 min 1 s", "1 h 1 min"]);
        assert_eq!(instant(When(Timestamp(1_772_359_200_070))), "2026-03-01 10:00:00Z");
    }

    #[test]
    fn items_are_told_by_state() {
        let counts = ItemCounts { total: 200, succeeded: 197, dead_lettered: 3, ..ItemCounts::default() };
        assert_eq!(items(&counts), "197 succeeded, 3 dead_lettered");
        assert_eq!(items(&ItemCounts::default()), "none");
    }

    #[test]
    fn a_pause_says_who_or_what_since_when_and_what_comes_next() {
        let when = |second: u64| When(Timestamp(1_772_359_200_000 + second * 1_000));
        let hold = HoldView {
            connection: "shop".to_owned(),
            since: when(3),
            error: Fault::new("HttpStatus", "HTTP 503"),
            trials: 2,
            next: when(60),
        };
        let paused = PauseView { by: Some("ana".to_owned()), since: when(0), connections: vec![hold] };
        assert_eq!(
            pause(&paused, when(52).0),
            [
                "by ana since 10:00:00Z",
                "no answer from shop since 10:00:03Z; next trial in 8 s; nothing is lost (HttpStatus: HTTP 503)"
            ]
        );
        assert!(pause(&paused, when(60).0)[1].contains("being tried"));
    }
}
