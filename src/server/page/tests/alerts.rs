//! Alerts that nobody got, on the page of their run.

use std::sync::Arc;

use super::{HOSTILE, assert_sound, get, page};
use crate::core::alert::{Alert, Concern};
use crate::core::change::Change;
use crate::core::fault::Fault;
use crate::core::run::{Run, Status};
use crate::core::time::Timestamp;
use crate::view::Archive;
use crate::view::fake::{FakeJournal, FakeNames, START, fill, run};

/// An alert that failed twice.
pub(super) fn put(run: &Run, number: u64, next: Option<Timestamp>) -> Change {
    let alert = Alert {
        run: run.id,
        number,
        id: number.into(),
        concern: Concern::Failed,
        to: HOSTILE.to_owned(),
        detail_type: None,
        at: START,
        data: serde_json::Value::Null,
        attempts: 2,
        next,
        fault: Some(Fault::new("HttpStatus", HOSTILE)),
    };
    Change::Alert { run: run.id, number, alert: Some(Box::new(alert)) }
}

#[tokio::test]
async fn what_nobody_was_told_is_on_the_page_with_why_and_when_it_is_tried_next() {
    let journal = Arc::new(FakeJournal::default());
    let [told, untold] = [run(2 << 100, Status::Failed), run(4 << 100, Status::Failed)];
    for run in [&told, &untold] {
        fill(&journal, run);
    }
    journal.put(put(&untold, 0, None));
    for number in 1..15 {
        journal.put(put(&untold, number, Some(START)));
    }
    let page = page(Archive::new(journal, Arc::new(FakeNames)));
    let path = format!("/runs/{}", untold.id);
    let got = get(&page, &path).await;
    assert_sound(&path, &got.body);
    let shown = got.body.split_once("Alerts that were not delivered").unwrap().1;
    let shown = shown.split("<h2>").next().unwrap();
    assert_eq!(shown.matches("run.failed").count(), 12, "{shown}");
    assert_eq!(shown.matches("given up").count(), 1, "{shown}");
    assert!(shown.contains("HttpStatus") && shown.contains("3 alerts more"), "{shown}");
    assert!(!shown.contains("<script>"), "{shown}");
    let got = get(&page, &format!("/runs/{}", told.id)).await;
    assert!(!got.body.contains("not delivered"), "everybody was told");
}
