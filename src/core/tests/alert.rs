//! What people are told of, in which words, and when it is tried again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::core::alert::{self, Alert, Answer, Concern, PAUSES, Standing, Subscription};
use crate::core::change::Change;
use crate::core::event::{Event, RunEvent};
use crate::core::fault::{Fault, name};
use crate::core::id::RunId;
use crate::core::run::{Run, Status};
use crate::core::steer::{Halt, Relief};
use crate::core::tally::Counts;
use crate::core::time::Timestamp;

fn everything() -> Vec<Subscription> {
    vec![Subscription { on: Concern::ALL.to_vec(), to: "ops".to_owned(), detail_type: None }]
}

fn run() -> Run {
    Run { status: Status::Running, ..Run::queued(RunId(7), "products", "p.yaml", "d", Timestamp(0)) }
}

fn standing(doubts: u64) -> Standing {
    Standing { items: Counts { succeeded: 4, in_doubt: doubts, ..Counts::default() }, doubts }
}

fn told(what: RunEvent, doubts: u64) -> Vec<Alert> {
    let event = Event { at: Timestamp(5_000), what };
    let mut run = run();
    let alerts = alert::of(&mut run, &everything(), &event, &standing(doubts));
    assert_eq!(run.alerts, alerts.len() as u64);
    alerts
}

fn words(what: RunEvent, doubts: u64) -> Vec<&'static str> {
    told(what, doubts).iter().map(|alert| alert.concern.word()).collect()
}

fn fault() -> Fault {
    Fault::new("HttpStatus", "HTTP 503")
}

fn closed(status: Status) -> RunEvent {
    RunEvent::Closed { status, fault: None }
}

fn paused() -> RunEvent {
    let halt = Halt::Connection { connection: "shop".to_owned(), fault: fault(), next: Timestamp(9) };
    RunEvent::Paused { halt }
}

fn said(dead_letters: Option<u64>) -> RunEvent {
    RunEvent::Alert { message: "look here".to_owned(), dead_letters }
}

#[test]
fn each_event_is_about_what_it_is_about() {
    let table: [(RunEvent, &[&str], &[&str]); 13] = [
        (closed(Status::Failed), &["failed"], &["failed", "in_doubt"]),
        (closed(Status::Succeeded), &["finished"], &["finished", "in_doubt"]),
        (closed(Status::Cancelled), &["finished"], &["finished", "in_doubt"]),
        (RunEvent::Interrupted, &[], &["in_doubt"]),
        (paused(), &["paused"], &["paused"]),
        (RunEvent::Paused { halt: Halt::Person { name: "ana".to_owned() } }, &["paused"], &["paused"]),
        (said(Some(51)), &["dead_letters"], &["dead_letters"]),
        (said(None), &["alert"], &["alert"]),
        (RunEvent::Started, &[], &[]),
        (RunEvent::Unpaused { relief: Relief::Person { name: "ana".to_owned() } }, &[], &[]),
        (RunEvent::Tried { connection: "shop".to_owned(), fault: fault(), next: Timestamp(9) }, &[], &[]),
        (RunEvent::Closing { fault: fault(), items: None }, &[], &[]),
        (RunEvent::Cancelling { by: "ana".to_owned() }, &[], &[]),
    ];
    for (what, sure, doubtful) in table {
        assert_eq!(words(what.clone(), 0), sure, "{what:?}");
        assert_eq!(words(what.clone(), 3), doubtful, "{what:?}, with doubts");
        assert_eq!(alert::may_concern(&everything(), &what), !doubtful.is_empty(), "{what:?}");
    }
    assert!(!alert::may_concern(&[], &closed(Status::Failed)), "nobody wants to know");
}

#[test]
fn what_delivering_tells_is_told_to_nobody() {
    let (to, id) = ("ops".to_owned(), "msg_1".to_owned());
    let delivered =
        RunEvent::Delivered { alert: Concern::Failed, to: to.clone(), id: id.clone(), attempt: 1 };
    let lost = RunEvent::Undelivered { alert: Concern::Failed, to, id, attempt: 10, fault: fault() };
    assert_eq!((words(delivered, 1).len(), words(lost, 1).len()), (0, 0));
}

#[test]
fn everybody_is_told_what_they_want_under_an_id_of_their_own() {
    let to =
        |to: &str, on: &[Concern]| Subscription { on: on.to_vec(), to: to.to_owned(), detail_type: None };
    let subscriptions = [
        to("ops", &[Concern::Failed, Concern::InDoubt]),
        to("bus", &[Concern::Failed]),
        to("ana", &[Concern::Paused]),
    ];
    let event = Event { at: Timestamp(5_000), what: closed(Status::Failed) };
    let mut first = run();
    let alerts = alert::of(&mut first, &subscriptions, &event, &standing(1));
    let whom: Vec<(&str, &str)> =
        alerts.iter().map(|alert| (alert.to.as_str(), alert.concern.kind())).collect();
    assert_eq!(whom, [("ops", "run.failed"), ("bus", "run.failed"), ("ops", "effects.in_doubt")]);
    let ids = |alerts: &[Alert]| alerts.iter().map(|alert| alert.id).collect::<Vec<_>>();
    assert_eq!(
        ids(&alerts),
        ids(&alert::of(&mut run(), &subscriptions, &event, &standing(1))),
        "always the same"
    );
    let later = alert::of(&mut first, &subscriptions, &event, &standing(1));
    let mut all = [ids(&alerts), ids(&later)].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 6, "another failure of the run is another alert");
}

#[test]
fn it_says_what_happened_and_what_to_type() {
    let body = |alert: &Alert| alert.body(|at| format!("{} ms", at.0));
    let fault = Some(Fault::new("NotTolerated", "3 of 9 items are dead letters"));
    let failed = body(&told(RunEvent::Closed { status: Status::Failed, fault }, 0)[0]);
    assert_eq!((&failed["type"], &failed["timestamp"]), (&json!("run.failed"), &json!("5000 ms")));
    let data = &failed["data"];
    assert_eq!((&data["run"], &data["workflow"]), (&json!(RunId(7)), &json!("products")));
    assert_eq!(data["reason"], "NotTolerated: 3 of 9 items are dead letters");
    assert_eq!((&data["items"]["succeeded"], &data["in_doubt"]), (&json!(4), &json!(0)));
    assert_eq!(data["next"], format!("milepost resume {} --plan", RunId(7)));
    let next = |alerts: Vec<Alert>| alerts.last().map(|alert| alert.data["next"].clone()).unwrap_or_default();
    for (alerts, command) in [
        (told(paused(), 0), "unpause RUN"),
        (told(closed(Status::Succeeded), 0), "show RUN"),
        (told(said(Some(3)), 0), "dead-letters list --run RUN"),
        (told(closed(Status::Succeeded), 2), "effects RUN --in-doubt"),
        (told(said(None), 0), "events RUN"),
    ] {
        let command = command.replace("RUN", &RunId(7).to_string());
        assert_eq!(next(alerts), Value::from(format!("milepost {command}")));
    }
    let mut doubtful = run();
    doubtful.fault = Some(Fault::new(name::IN_DOUBT, "a person must decide"));
    let event = Event { at: Timestamp(1), what: closed(Status::Failed) };
    let alerts = alert::of(&mut doubtful, &everything(), &event, &standing(2));
    assert!(alerts[0].data["next"].as_str().is_some_and(|next| next.ends_with("--in-doubt")), "{alerts:?}");
    assert_eq!(alerts[1].data["reason"], "2 effects may or may not have happened");
    let long = told(RunEvent::Alert { message: "ä".repeat(9_000), dead_letters: None }, 0);
    assert_eq!(long[0].data["reason"].as_str().map(|text| text.chars().count()), Some(2_000));
}

/// What is left of an alert after an attempt, and the event of it.
fn after(alert: Alert, answer: Answer, now: Timestamp, chance: f64) -> (Option<Alert>, Option<RunEvent>) {
    let (mut left, mut event) = (None, None);
    for change in alert.answered(answer, now, chance) {
        match change {
            Change::Alert { alert, .. } => left = alert.map(|alert| *alert),
            Change::Event(_, happened) => event = Some(happened.what),
            other => panic!("{other:?}"),
        }
    }
    (left, event)
}

fn failed(pause: Option<u64>) -> Answer {
    Answer::Failed { fault: fault(), pause: pause.map(Duration::from_secs) }
}

#[test]
fn it_is_tried_again_as_the_schedule_says_and_given_up_at_its_end() {
    for chance in [0.0, 0.5, 0.999] {
        let mut alert = told(closed(Status::Failed), 0).remove(0);
        let mut now = Timestamp(5_000);
        assert_eq!(alert.next, Some(now), "at once");
        for pause in PAUSES {
            let (left, event) = after(alert, failed(None), now, chance);
            alert = left.unwrap();
            assert_eq!((event, &alert.fault), (None, &Some(fault())), "nothing is told of it meanwhile");
            let waits = alert.next.unwrap().since(now);
            assert!(waits >= pause && waits <= pause.mul_f64(1.1), "{waits:?} for {pause:?}");
            now = alert.next.unwrap();
        }
        let since = now.since(Timestamp(5_000)).as_secs() / 3_600;
        assert!((75..=83).contains(&since), "{since} hours");
        let (left, event) = after(alert, failed(None), now, chance);
        let left = left.unwrap();
        assert_eq!((left.next, left.attempts), (None, 10), "kept, and given up");
        assert!(matches!(event, Some(RunEvent::Undelivered { attempt: 10, .. })), "{event:?}");
    }
}

#[test]
fn an_answer_decides() {
    let alert = || told(closed(Status::Failed), 0).remove(0);
    let now = Timestamp(6_000);
    let (left, event) = after(alert(), Answer::Taken, now, 0.0);
    assert_eq!(left, None);
    let id = alert().name();
    let delivered = RunEvent::Delivered { alert: Concern::Failed, to: "ops".to_owned(), id, attempt: 1 };
    assert_eq!(event, Some(delivered));
    let (left, event) = after(alert(), Answer::Unwanted(fault()), now, 0.0);
    assert_eq!(left.unwrap().next, None, "whoever wants no more is left alone");
    assert!(matches!(event, Some(RunEvent::Undelivered { attempt: 1, .. })), "{event:?}");
    for (asked, waits) in [(Some(60), 60), (Some(1), 5), (Some(9_999_999), 24 * 3_600), (None, 5)] {
        let (left, _) = after(alert(), failed(asked), now, 0.0);
        assert_eq!(left.unwrap().next, Some(now.after(Duration::from_secs(waits))), "{asked:?}");
    }
}

#[test]
fn what_is_kept_is_read_again() {
    let alert = told(closed(Status::Failed), 1).remove(1);
    let (left, _) = after(alert, failed(None), Timestamp(6_000), 0.3);
    let written = serde_json::to_value(left.clone().unwrap()).unwrap();
    assert_eq!(serde_json::from_value::<Alert>(written).ok(), left);
    let run = serde_json::to_value(run()).unwrap();
    assert!(run.get("alerts").is_none(), "runs of older builds look like this, too");
}
