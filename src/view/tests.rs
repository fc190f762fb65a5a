//! What is shown follows from the records, and sums to the total.

mod effects;

use super::fake::{self, archive};
use super::*;
use crate::core::cell::SettleBy;
use crate::core::id::RunId;
use crate::core::resume::{Doubt, ResumePlan, Share};
use crate::core::run::Status;

const RUNNING: RunId = RunId(2 << 100);
const FAILED: RunId = RunId(1 << 100);

#[test]
fn a_run_without_its_engine_is_interrupted_and_its_open_calls_are_in_doubt() {
    let alive = archive(true).show("@latest").unwrap();
    assert_eq!((alive.run, alive.status), (RUNNING, Status::Running));
    assert_eq!((alive.items.running, alive.items.in_doubt), (1, 0));
    let dead = archive(false).show("@latest").unwrap();
    assert_eq!(dead.status, Status::Interrupted);
    assert_eq!((dead.items.running, dead.items.in_doubt), (0, 1));
    assert_eq!(dead.next[0], format!("milepost resume {RUNNING} --plan"));
}

#[test]
fn counts_sum_to_the_total_for_the_run_and_for_each_step() {
    for live in [true, false] {
        for reference in ["@latest", "@failed"] {
            let run = archive(live).show(reference).unwrap();
            for counts in run.steps.iter().map(|step| step.items).chain([run.items]) {
                let sum: u64 = counts.states().iter().map(|(_, count)| count).sum();
                assert_eq!(sum, counts.total, "{counts:?}");
            }
        }
    }
}

#[test]
fn steps_show_what_is_left_and_what_will_not_come() {
    let run = archive(true).show("@latest").unwrap();
    let seen: Vec<_> = run
        .steps
        .iter()
        .map(|step| (step.step.as_str(), step.status.word(), step.items.pending, step.blocked))
        .collect();
    assert_eq!(seen, [("validate", "running", 1, 0), ("publish", "running", 2, 1), ("pim", "running", 3, 1)]);
    assert_eq!((run.steps[1].batches, run.steps[1].accepted, run.steps[2].attempts), (1, 3, 6));
    let failed = archive(true).show("@failed").unwrap();
    assert_eq!(failed.steps.last().map(|step| step.track), Some(StepTrack::OnFailure));
}

#[test]
fn a_run_is_named_by_its_id_a_prefix_or_a_word() {
    let archive = archive(true);
    let text = FAILED.to_string();
    for reference in [&text, &text[..text.len() - 2], &text[4..], "@failed", &format!(" {text}")] {
        assert_eq!(archive.find(reference).unwrap().id, FAILED, "{reference}");
    }
    let problem = |reference: &str| archive.find(reference).unwrap_err();
    assert_eq!(problem("run_0").code, code::RUN_AMBIGUOUS);
    assert_eq!(problem("run_0").candidates.len(), 2);
    assert_eq!(problem("run_zzz").code, code::RUN_UNKNOWN);
    assert_eq!(problem("run_zzz").candidates[0], format!("{RUNNING} product-sync running"));
    assert_eq!(problem("@newest").code, code::RUN_REFERENCE);
    assert_eq!(problem("").code, code::RUN_UNKNOWN);
}

#[test]
fn failed_names_the_newest_run_that_can_be_resumed() {
    assert_eq!(archive(true).find("@failed").unwrap().id, FAILED);
    assert_eq!(archive(false).find("@failed").unwrap().id, RUNNING);
    let empty =
        Archive::new(std::sync::Arc::new(fake::FakeJournal::default()), std::sync::Arc::new(fake::FakeNames));
    assert_eq!(empty.find("@latest").unwrap_err().code, code::RUN_NONE);
    assert_eq!(empty.find("run_01").unwrap_err().code, code::RUN_NONE);
}

#[test]
fn items_are_filtered_and_paged_and_those_without_a_record_are_pending() {
    let archive = archive(true);
    let all = archive.items("@latest", &ItemFilter::default()).unwrap();
    let seen: Vec<_> =
        all.items.iter().map(|item| format!("{} {} {}", item.item, item.status, item.step)).collect();
    assert_eq!(
        seen,
        [
            "K0 succeeded pim",
            "K1 succeeded pim",
            "K2 dead_lettered pim",
            "K3 running publish",
            "#4 dead_lettered validate",
            "K5 pending validate"
        ]
    );
    assert_eq!(all.next, None);
    let dead = ItemFilter { status: Some(UnitStatus::DeadLettered), limit: Some(1), ..ItemFilter::default() };
    let first = archive.items("@latest", &dead).unwrap();
    assert_eq!((first.items[0].item.as_str(), first.next), ("K2", Some(4)));
    let rest = archive.items("@latest", &ItemFilter { after: first.next, ..dead }).unwrap();
    assert_eq!((rest.items[0].item.as_str(), rest.next), ("#4", None));
    let pim = ItemFilter { step: Some("pim".into()), ..ItemFilter::default() };
    assert_eq!(archive.items("@latest", &pim).unwrap().items.len(), 3);
    let wrong = ItemFilter { step: Some("pin".into()), ..ItemFilter::default() };
    assert_eq!(archive.items("@latest", &wrong).unwrap_err().candidates, ["validate", "publish", "pim"]);
}

#[test]
fn an_item_is_shown_with_its_facts_and_its_story() {
    let archive = archive(true);
    let story = archive.item("@latest", "K2").unwrap();
    insta::assert_snapshot!(serde_json::to_string(&story.item).unwrap(), @r#"{"item":"K2","position":2,"status":"dead_lettered","reason":"Refused","step":"pim","attempts":3,"error":{"name":"Refused","message":"/price: must be at most 99999 but is 120000"},"facts":{"publish":{"event_id":"e2"}}}"#);
    let steps: Vec<_> = story.steps.iter().map(|step| (step.status.word(), step.attempts)).collect();
    assert_eq!(steps, [("succeeded", 0), ("succeeded", 1), ("dead_lettered", 3)]);
    assert_eq!(archive.item("@latest", "#4").unwrap().item.position, 4);
    assert_eq!(archive.item("@latest", "K99").unwrap_err().code, code::ITEM_UNKNOWN);
}

#[test]
fn events_are_paged_by_number() {
    let archive = archive(true);
    let first = archive.events("@latest", 0, Some(2)).unwrap();
    assert_eq!((first.events.len(), first.next), (2, 2));
    let rest = archive.events("@latest", first.next, None).unwrap();
    assert_eq!((rest.events[0].item.as_deref(), rest.next), (Some("K2"), 3));
    let none = archive.events("@latest", rest.next, None).unwrap();
    assert_eq!((none.events.len(), none.next), (0, 3));
    insta::assert_snapshot!(serde_json::to_string(&first.events[1]).unwrap(), @r#"{"event":1,"at":"2026-03-01T10:00:00.000Z","kind":"pinned","source":{"uri":"product-sync/sample.json","items":6},"rejected":1}"#);
}

#[test]
fn dead_letters_and_doubts_are_grouped_by_cause() {
    let causes = archive(false).causes("@latest", 2).unwrap();
    assert_eq!((causes.causes.len(), causes.others), (2, 1));
    let first = &causes.causes[0];
    assert_eq!((first.step.as_str(), first.items, first.example.as_str()), ("pim", 1, "K2"));
}

#[test]
fn a_plan_names_items_by_their_keys() {
    let plan = ResumePlan {
        run: FAILED,
        hash: "4f1c".into(),
        reuse: vec![Share { step: "publish".into(), items: 3, reason: String::new() }],
        execute: vec![
            Share { step: "pim".into(), items: 1, reason: "failed".into() },
            Share { step: "pim".into(), items: 2, reason: "never ran".into() },
        ],
        in_doubt: vec![Doubt {
            step: "publish".into(),
            item: Some(3),
            attempt: 1,
            settle_by: SettleBy::Repeat,
        }],
        doubts: 1,
        done: 0,
        stays: vec![Share { step: "validate".into(), items: 1, reason: "the record is invalid".into() }],
        changes: crate::core::redefine::Changes::default(),
    };
    let view = archive(false).plan_view(&plan).unwrap();
    assert_eq!((view.doubts, view.items, view.is_empty()), (1, 6, false));
    insta::assert_snapshot!(serde_json::to_string(&view).unwrap(), @r#"{"run":"run_00000100000000000000000000","plan":"4f1c","reuse":[{"step":"publish","items":3}],"execute":[{"step":"pim","items":1,"reason":"failed"},{"step":"pim","items":2,"reason":"never ran"}],"in_doubt":[{"step":"publish","item":"K3","effect":"attempt 1","settle_by":"repeat"}],"doubts":1,"items_done":0,"items":6,"left":[{"step":"validate","items":1,"reason":"the record is invalid"}],"definition":[],"connections":[]}"#);
}

#[test]
fn the_list_is_newest_first_and_filtered() {
    let archive = archive(true);
    let all = archive.runs(&RunFilter::default()).unwrap();
    assert_eq!(all.runs.iter().map(|run| run.run).collect::<Vec<_>>(), [RUNNING, FAILED]);
    let failed = RunFilter { status: Some(Status::Failed), limit: Some(5), ..RunFilter::default() };
    assert_eq!(archive.runs(&failed).unwrap().total, 1);
    let other = RunFilter { workflow: Some("other".into()), ..RunFilter::default() };
    assert!(archive.runs(&other).unwrap().runs.is_empty());
    insta::assert_snapshot!(serde_json::to_string(&all.runs[1]).unwrap(), @r#"{"run":"run_00000100000000000000000000","workflow":"product-sync","status":"failed","started_at":"2026-03-01T10:00:00.000Z","ended_at":"2026-03-01T10:00:03.200Z","items":{"total":6,"pending":1,"running":1,"backoff":0,"waiting":0,"in_doubt":0,"succeeded":2,"skipped":0,"dead_lettered":2,"cancelled":0}}"#);
}
