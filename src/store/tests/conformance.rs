//! What the journal and the pins promise, held against both stores.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use serde_json::json;

use crate::core::cell::State as S;
use crate::core::change::Change;
use crate::core::id::{RunId, Unit};
use crate::core::progress::Progress;
use crate::core::run::{Run, Status};
use crate::core::start::{Fingerprint, StartKey};
use crate::core::tally::{Calls, Tally};
use crate::core::time::Timestamp;
use crate::ports::newest_first;

use super::{
    HandClock, LATER, Ports, RUN, cell, event, failed_cell, item, long_item, on_both_stores, run_of,
};

type Subject = Arc<dyn Ports>;

on_both_stores!(
    an_empty_store_has_nothing,
    a_run_is_put_as_a_whole,
    runs_come_newest_first,
    a_start_key_is_put_with_its_run_and_forgotten_alone,
    what_is_in_one_commit_is_there_together,
    items_come_back_as_they_were,
    items_stream_from_any_position,
    a_long_record_grows_and_shrinks,
    tallies_add_up,
    tallies_of_long_tracks_add_up,
    units_of_different_tracks_are_apart,
    a_run_of_many_steps_keeps_each,
    calls_may_come_before_progress,
    the_watermark_is_the_last_one,
    events_are_numbered_per_run,
    marks_are_put_and_forgotten_by_trigger_and_subject,
    pins_are_found_by_content,
    pins_are_written_in_pieces,
);

async fn an_empty_store_has_nothing(store: Subject, _: Arc<HandClock>) {
    store.commit(Vec::new()).await.unwrap();
    assert_eq!(store.run(RUN).unwrap(), None);
    assert_eq!(store.runs().unwrap(), []);
    assert_eq!(store.progress(RUN, Unit::Run).unwrap(), None);
    assert_eq!(store.progress(RUN, Unit::Item(5)).unwrap(), None);
    assert_eq!(store.items(RUN, 0, 10).unwrap(), []);
    assert_eq!(store.tally(RUN, Unit::Item(0)).unwrap(), Tally::default());
    assert_eq!(store.tally(RUN, Unit::Run).unwrap(), Tally::default());
    assert_eq!(store.watermark(RUN).unwrap(), 0);
    assert_eq!(store.events(RUN, 0, 10).unwrap(), []);
}

async fn a_run_is_put_as_a_whole(store: Subject, _: Arc<HandClock>) {
    let mut run = run_of(RUN);
    store.commit(vec![Change::Run(Box::new(run.clone()))]).await.unwrap();
    assert_eq!(store.run(RUN).unwrap(), Some(run.clone()), "floats included");
    run.status = Status::Failed;
    run.ended_at = Some(Timestamp(9));
    run.input.insert("long".to_owned(), json!("x".repeat(20_000)));
    store.commit(vec![Change::Run(Box::new(run.clone()))]).await.unwrap();
    assert_eq!(store.run(RUN).unwrap(), Some(run));
    assert_eq!(store.run(LATER).unwrap(), None);
}

async fn a_start_key_is_put_with_its_run_and_forgotten_alone(store: Subject, _: Arc<HandClock>) {
    let asked = Fingerprint { definition: "d".to_owned(), input: "i".to_owned() };
    let key = |name: &str, until| StartKey { key: name.to_owned(), run: RUN, asked: asked.clone(), until };
    let (plain, odd) = (key("nightly", None), key("nightly/ü \0", Some(Timestamp(9))));
    let run = Change::Run(Box::new(run_of(RUN)));
    store.commit(vec![run, Change::StartKey(plain.clone()), Change::StartKey(odd.clone())]).await.unwrap();
    assert_eq!(store.started_under("nightly").unwrap(), Some(plain.clone()));
    assert_eq!(store.started_under(&odd.key).unwrap(), Some(odd.clone()));
    assert_eq!(store.started_under("night").unwrap(), None, "a beginning is another key");
    store
        .commit(vec![Change::ForgetStartKey(plain.key), Change::ForgetStartKey("x".to_owned())])
        .await
        .unwrap();
    assert_eq!(store.started_under("nightly").unwrap(), None);
    assert!(store.run(RUN).unwrap().is_some() && store.started_under(&odd.key).unwrap().is_some());
}

async fn marks_are_put_and_forgotten_by_trigger_and_subject(store: Subject, _: Arc<HandClock>) {
    let long = "x".repeat(5_000);
    let put = |pairs: &[(&str, Option<&str>)]| -> BTreeMap<String, Option<String>> {
        pairs.iter().map(|(subject, seen)| ((*subject).to_owned(), seen.map(str::to_owned))).collect()
    };
    store.mark("a", put(&[("one", Some("1")), (&long, Some("2"))])).await.unwrap();
    store.mark("b", put(&[("one", Some("3"))])).await.unwrap();
    store.mark("a", put(&[("one", Some("4")), (&long, None), ("never", None)])).await.unwrap();
    assert_eq!(store.marks("a").unwrap(), BTreeMap::from([("one".to_owned(), "4".to_owned())]));
    assert_eq!(store.marks("b").unwrap(), BTreeMap::from([("one".to_owned(), "3".to_owned())]));
    assert_eq!(store.marks("c").unwrap(), BTreeMap::new());
}

async fn runs_come_newest_first(store: Subject, _: Arc<HandClock>) {
    for run in [LATER, RUN] {
        store.commit(vec![Change::Run(Box::new(run_of(run)))]).await.unwrap();
    }
    let ids: Vec<_> = store.runs().unwrap().into_iter().map(|run: Run| run.id).collect();
    assert_eq!(ids, [LATER, RUN]);
    let page = |before, limit| -> Vec<RunId> {
        store.runs_before(before, limit).unwrap().iter().map(|run| run.id).collect()
    };
    assert_eq!((page(None, 1), page(None, 0)), (vec![LATER], vec![]));
    assert_eq!((page(Some(LATER), 9), page(Some(RUN), 9)), (vec![RUN], vec![]));
    assert_eq!((page(Some(RunId(0)), 9), page(Some(RunId(u128::MAX)), 9)), (vec![], vec![LATER, RUN]));
    assert_eq!(store.run_count().unwrap(), 2);
    let one_by_one: Vec<RunId> = newest_first(&*store, None).map(|run| run.unwrap().id).take(9).collect();
    assert_eq!(one_by_one, ids);
}

async fn what_is_in_one_commit_is_there_together(store: Subject, _: Arc<HandClock>) {
    let changes = vec![
        Change::Run(Box::new(run_of(RUN))),
        Change::Event(RUN, event("one")),
        Change::Progress(RUN, Unit::Item(3), item(&[S::Running])),
        Change::Progress(RUN, Unit::Item(3), item(&[S::Succeeded])),
        Change::Progress(RUN, Unit::Item(300), item(&[S::Pending])),
        Change::Watermark(RUN, 3),
    ];
    store.commit(changes).await.unwrap();
    assert!(store.run(RUN).unwrap().is_some());
    assert_eq!(store.events(RUN, 0, 9).unwrap(), [(0, event("one"))]);
    assert_eq!(store.progress(RUN, Unit::Item(3)).unwrap(), Some(item(&[S::Succeeded])));
    assert_eq!(store.tally(RUN, Unit::Item(0)).unwrap().units.total(), 2);
    assert_eq!(store.watermark(RUN).unwrap(), 3);
}

async fn items_come_back_as_they_were(store: Subject, _: Arc<HandClock>) {
    let at = Timestamp(super::START + 60_000);
    let states = [
        S::Pending,
        S::Running,
        S::Backoff(at),
        S::Waiting(at),
        S::InDoubt(None),
        S::InDoubt(Some(at)),
        S::Succeeded,
        S::Skipped(crate::core::cell::SkipReason::Condition),
        S::Skipped(crate::core::cell::SkipReason::AlreadyApplied),
        S::Skipped(crate::core::cell::SkipReason::Stale),
        S::DeadLettered,
        S::Cancelled,
    ];
    let mut progress = item(&states);
    *progress.cell_mut(1) = crate::core::cell::Cell::default();
    progress.cell_mut(2).looks = 900;
    *progress.cell_mut(6) = cell(
        S::Succeeded,
        &[("pim_id", json!(4711)), ("ids", json!(["prod_01JD3ZK5V8N7Q2R4S6T8W0XYZA", null, -3, 2.5]))],
    );
    *progress.cell_mut(10) = failed_cell();
    for position in [0, 15, 16, u64::from(u32::MAX)] {
        let unit = Unit::Item(position);
        store.commit(vec![Change::Progress(RUN, unit, progress.clone())]).await.unwrap();
        assert_eq!(store.progress(RUN, unit).unwrap(), Some(progress.clone()));
    }
    let empty = Progress::default();
    store.commit(vec![Change::Progress(RUN, Unit::Item(1), empty.clone())]).await.unwrap();
    assert_eq!(store.progress(RUN, Unit::Item(1)).unwrap(), Some(empty), "a record without cells is one");
}

async fn items_stream_from_any_position(store: Subject, _: Arc<HandClock>) {
    let positions: Vec<u64> = (0..100).filter(|position| position % 3 != 0).chain([5_000, 70_000]).collect();
    let put = |position: &u64| Change::Progress(RUN, Unit::Item(*position), item(&[S::Succeeded]));
    store.commit(positions.iter().map(put).collect()).await.unwrap();
    store.commit(vec![Change::Progress(LATER, Unit::Item(1), item(&[S::Running]))]).await.unwrap();
    for from in [0, 1, 15, 16, 17, 50, 99, 100, 5_000, 5_001, 70_001] {
        for limit in [0, 1, 10, 1_000] {
            let found: Vec<u64> =
                store.items(RUN, from, limit).unwrap().into_iter().map(|(position, _)| position).collect();
            let expected: Vec<u64> =
                positions.iter().copied().filter(|position| *position >= from).take(limit).collect();
            assert_eq!(found, expected, "from {from}, at most {limit}");
        }
    }
}

async fn a_long_record_grows_and_shrinks(store: Subject, _: Arc<HandClock>) {
    let put = |position, progress| Change::Progress(RUN, Unit::Item(position), progress);
    store.commit((0..16).map(|position| put(position, long_item(150))).collect()).await.unwrap();
    for bytes in [150, 1_000, 1_200, 30_000, 2_000, 10, 3_000] {
        store.commit(vec![put(7, long_item(bytes))]).await.unwrap();
        assert_eq!(store.progress(RUN, Unit::Item(7)).unwrap(), Some(long_item(bytes)));
        let all = store.items(RUN, 0, 99).unwrap();
        assert_eq!(all.len(), 16);
        assert_eq!(all[7].1, long_item(bytes));
        assert_eq!(all[8].1, long_item(150), "its neighbours stay");
    }
    let changes = vec![put(7, long_item(5_000)), put(7, long_item(10)), put(7, long_item(900))];
    store.commit(changes).await.unwrap();
    assert_eq!(store.progress(RUN, Unit::Item(7)).unwrap(), Some(long_item(900)));
}

async fn tallies_add_up(store: Subject, _: Arc<HandClock>) {
    let unit = Unit::Item;
    let put = |position, states: &[S]| Change::Progress(RUN, unit(position), item(states));
    store.commit((0..40).map(|position| put(position, &[S::Running, S::Pending])).collect()).await.unwrap();
    store.commit((0..30).map(|position| put(position, &[S::Succeeded, S::Running])).collect()).await.unwrap();
    store
        .commit(vec![put(3, &[S::Succeeded, S::DeadLettered]), put(4, &[S::Succeeded, S::Succeeded])])
        .await
        .unwrap();
    let calls = Calls { batches: 1, calls: 2, accepted: 3, refused: 4 };
    store.commit(vec![Change::Calls(RUN, unit(0), 1, calls); 2]).await.unwrap();
    let tally = store.tally(RUN, unit(99)).unwrap();
    assert_eq!(tally.units.total(), 40);
    assert_eq!((tally.units.running, tally.units.dead_lettered, tally.units.succeeded), (38, 1, 1));
    assert_eq!((tally.steps[0].units.running, tally.steps[0].units.succeeded), (10, 30));
    assert_eq!(tally.steps[1].units.total(), 40);
    assert_eq!(tally.steps[1].calls, Calls { batches: 2, calls: 4, accepted: 6, refused: 8 });
}

async fn tallies_of_long_tracks_add_up(store: Subject, _: Arc<HandClock>) {
    let states = vec![S::Succeeded; 100];
    for position in 0..3 {
        let changes = vec![Change::Progress(RUN, Unit::Item(position), item(&states))];
        store.commit(changes).await.unwrap();
    }
    let tally = store.tally(RUN, Unit::Item(0)).unwrap();
    assert_eq!(tally.steps.len(), 100);
    assert!(tally.steps.iter().all(|step| step.units.succeeded == 3 && step.attempts == 3));
}

async fn units_of_different_tracks_are_apart(store: Subject, _: Arc<HandClock>) {
    let units = [Unit::Run, Unit::Closing(1), Unit::Closing(2), Unit::Item(0)];
    for (number, unit) in units.into_iter().enumerate() {
        let states = vec![S::Succeeded; number + 1];
        store.commit(vec![Change::Progress(RUN, unit, item(&states))]).await.unwrap();
    }
    for (number, unit) in units.into_iter().enumerate() {
        assert_eq!(store.progress(RUN, unit).unwrap().unwrap().cells.len(), number + 1);
        assert_eq!(store.progress(LATER, unit).unwrap(), None);
    }
    assert_eq!(store.tally(RUN, Unit::Run).unwrap().units.total(), 1);
    assert_eq!(store.tally(RUN, Unit::Closing(9)).unwrap().units.total(), 2, "all closings");
    assert_eq!(store.tally(RUN, Unit::Item(9)).unwrap().units.total(), 1);
    assert_eq!(store.items(RUN, 0, 9).unwrap().len(), 1);
}

async fn a_run_of_many_steps_keeps_each(store: Subject, _: Arc<HandClock>) {
    let mut progress = item(&[S::Pending; 50]);
    for step in 0..50 {
        let state = if step % 7 == 0 { S::DeadLettered } else { S::Succeeded };
        *progress.cell_mut(step) =
            cell(state, &[("answer", json!(format!("{step} {}", "y".repeat(step * 20))))]);
        let calls = Calls { batches: 1, calls: 1, accepted: 1, refused: 0 };
        let changes = vec![
            Change::Progress(RUN, Unit::Run, progress.clone()),
            Change::Calls(RUN, Unit::Run, step, calls),
        ];
        store.commit(changes).await.unwrap();
        assert_eq!(store.progress(RUN, Unit::Run).unwrap(), Some(progress.clone()));
    }
    let tally = store.tally(RUN, Unit::Run).unwrap();
    assert_eq!(tally.steps.len(), 50);
    assert!(tally.steps.iter().all(|step| step.units.total() == 1 && step.calls.calls == 1));
    assert_eq!(tally.steps[7].units.dead_lettered, 1);
}

async fn calls_may_come_before_progress(store: Subject, _: Arc<HandClock>) {
    let calls = Calls { batches: 1, calls: 1, accepted: 0, refused: 1 };
    for unit in [Unit::Run, Unit::Closing(1), Unit::Item(0)] {
        store.commit(vec![Change::Calls(RUN, unit, 0, calls)]).await.unwrap();
        assert_eq!(store.progress(RUN, unit).unwrap(), None, "calls are no progress");
        assert_eq!(store.tally(RUN, unit).unwrap().steps[0].calls, calls);
        store.commit(vec![Change::Progress(RUN, unit, item(&[S::Succeeded]))]).await.unwrap();
        let tally = store.tally(RUN, unit).unwrap();
        assert_eq!((tally.units.succeeded, tally.steps[0].calls), (1, calls));
    }
}

async fn the_watermark_is_the_last_one(store: Subject, _: Arc<HandClock>) {
    for position in [10, 700, 701] {
        store.commit(vec![Change::Watermark(RUN, position)]).await.unwrap();
    }
    assert_eq!((store.watermark(RUN).unwrap(), store.watermark(LATER).unwrap()), (701, 0));
}

async fn events_are_numbered_per_run(store: Subject, _: Arc<HandClock>) {
    for number in 0..5 {
        let changes = vec![
            Change::Event(RUN, event(&format!("a{number}"))),
            Change::Event(LATER, event(&"long ".repeat(2_000))),
            Change::Event(RUN, event(&format!("b{number}"))),
        ];
        store.commit(changes).await.unwrap();
    }
    let events = store.events(RUN, 3, 4).unwrap();
    assert_eq!(events, [(3, event("b1")), (4, event("a2")), (5, event("b2")), (6, event("a3"))]);
    assert_eq!(store.events(LATER, 4, 99).unwrap(), [(4, event(&"long ".repeat(2_000)))]);
    assert_eq!(store.events(LATER, 5, 99).unwrap(), []);
}

async fn pins_are_found_by_content(store: Subject, _: Arc<HandClock>) {
    let address = store.put(b"the definition").unwrap();
    assert_eq!(store.put(b"the definition").unwrap(), address, "twice is once");
    assert_ne!(store.put(b"another").unwrap(), address);
    assert_eq!(store.get(&address).unwrap(), b"the definition");
    assert!(store.get(&"0".repeat(64)).is_err());
    assert!(store.open("../somewhere").is_err());
}

async fn pins_are_written_in_pieces(store: Subject, _: Arc<HandClock>) {
    let mut writer = store.create().unwrap();
    let mut other = store.create().unwrap();
    for piece in [&b"the "[..], b"", b"definition"] {
        writer.write_all(piece).unwrap();
        other.write_all(b"never finished").unwrap();
    }
    drop(other);
    let address = writer.finish().unwrap();
    assert_eq!(address, store.put(b"the definition").unwrap());
    let mut file = store.open(&address).unwrap();
    file.seek(SeekFrom::Start(4)).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "definition");
}
