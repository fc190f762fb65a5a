//! Entries of PutEvents requests: their bytes, and how a batch becomes requests.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde_json::Value;

use super::super::envelope::{Envelope, Reference, References};
use super::event_id;
use crate::core::id::Unit;
use crate::ports::Call;

/// Entries of one PutEvents request; EventBridge takes no more.
const ENTRIES_MAX: usize = 10;

/// Bytes of one PutEvents request, over all its entries. For most of its life EventBridge took less
/// than 256 KiB, and servers of its API still refuse more; the SDK's model of the API says "less
/// than 1MB" by now. What fits the smaller limit is accepted everywhere.
pub(super) const REQUEST_BYTES_MAX: usize = 256 * 1024 - 1;

/// One entry, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    source: String,
    detail_type: String,
    detail: String,
}

/// How an event brings its content along.
pub(super) enum Body<'a> {
    /// Inside.
    Data(&'a Value),
    /// By a reference.
    Elsewhere(Reference),
}

impl Entry {
    /// The entry of a prepared call.
    pub(super) fn of(call: &Call, body: Body<'_>) -> Self {
        let text = |name: &str| call.request[name].as_str().unwrap_or_default().to_owned();
        let (data, data_ref) = match body {
            Body::Data(data) => (Some(data), None),
            Body::Elsewhere(reference) => (None, Some(reference)),
        };
        let milepost = References {
            run: call.run,
            item: match call.unit {
                Unit::Item(position) => Some(position),
                Unit::Run | Unit::Closing(_) => None,
            },
            event_id: event_id(call),
            digest: text("digest"),
            version: call.version.0.clone(),
        };
        let envelope = Envelope { milepost, data, data_ref };
        let detail = serde_json::to_string(&envelope).expect("memory takes every JSON value");
        Self { source: text("source"), detail_type: text("detail_type"), detail }
    }

    /// Its size as AWS counts it ("Calculating PutEvents event entry size", EventBridge User Guide):
    /// the UTF-8 of source, detail type, detail and resources, and 14 for a time. Ours have no
    /// resources and no time of their own.
    pub(super) fn bytes(&self) -> usize {
        self.source.len() + self.detail_type.len() + self.detail.len()
    }

    /// The same in the SDK's words, for a bus.
    pub(super) fn on(self, bus: &str) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(bus)
            .source(self.source)
            .detail_type(self.detail_type)
            .detail(self.detail)
            .build()
    }
}

/// Splits entries into requests: in their order, each entry in one of them, none with more entries or
/// bytes than EventBridge takes. An entry that is too large for any request is alone in one.
pub(super) fn split<P>(entries: Vec<(P, Entry)>) -> Vec<Vec<(P, Entry)>> {
    let mut requests: Vec<Vec<(P, Entry)>> = Vec::new();
    let mut bytes = 0;
    for placed in entries {
        let more = placed.1.bytes();
        match requests.last_mut() {
            Some(request) if request.len() < ENTRIES_MAX && bytes + more <= REQUEST_BYTES_MAX => {
                bytes += more;
                request.push(placed);
            }
            Some(_) | None => {
                bytes = more;
                requests.push(vec![placed]);
            }
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(source: &str, detail_type: &str, detail: &str) -> Entry {
        Entry { source: source.to_owned(), detail_type: detail_type.to_owned(), detail: detail.to_owned() }
    }

    fn of_bytes(bytes: usize) -> Entry {
        entry("", "", &"x".repeat(bytes))
    }

    #[test]
    fn bytes_are_those_of_utf_8() {
        assert_eq!(entry("s", "t", "{}").bytes(), 4);
        assert_eq!(entry("ü", "日本", "\u{1f600}").bytes(), 2 + 6 + 4);
    }

    #[test]
    fn requests_are_as_full_as_they_may_be() {
        let sizes = |sizes: &[usize]| -> Vec<usize> {
            let entries = sizes.iter().map(|bytes| ((), of_bytes(*bytes))).collect();
            split(entries).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&[1; 25]), [10, 10, 5]);
        assert_eq!(sizes(&[REQUEST_BYTES_MAX, 1]), [1, 1]);
        assert_eq!(sizes(&[REQUEST_BYTES_MAX - 1, 1, 1]), [2, 1]);
        assert_eq!(sizes(&[131_071; 5]), [2, 2, 1], "less than 256 KiB, not as much");
        assert_eq!(sizes(&[131_072; 3]), [1, 1, 1]);
        assert_eq!(sizes(&[REQUEST_BYTES_MAX + 1, 1, 1]), [1, 2]);
    }

    proptest! {
        #[test]
        fn every_entry_is_sent_once_in_its_order_and_no_request_is_too_large(
            sizes in prop::collection::vec(prop_oneof![1..4_000usize, 1..=REQUEST_BYTES_MAX], 0..60),
        ) {
            let entries = sizes.iter().enumerate().map(|(at, bytes)| (at, of_bytes(*bytes))).collect();
            let requests = split(entries);
            let positions: Vec<usize> = requests.iter().flatten().map(|(at, _)| *at).collect();
            prop_assert_eq!(positions, (0..sizes.len()).collect::<Vec<_>>());
            for request in &requests {
                let bytes: usize = request.iter().map(|(_, entry)| entry.bytes()).sum();
                prop_assert!((1..=10).contains(&request.len()), "{} entries", request.len());
                prop_assert!(bytes < 256 * 1024, "{bytes} bytes");
            }
            // None could have taken the first of the next one.
            for (request, next) in requests.iter().zip(requests.iter().skip(1)) {
                let bytes: usize = request.iter().chain(&next[..1]).map(|(_, entry)| entry.bytes()).sum();
                prop_assert!(request.len() == 10 || bytes >= 256 * 1024);
            }
        }
    }
}
