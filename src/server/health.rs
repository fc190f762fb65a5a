//! Whether the process is up, whether it is ready, and what it counts.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Service, problem, reads};
use crate::core::measures::{COMMIT_BOUNDS, ENDINGS, Measures};
use crate::view::{Archive, ItemCounts, Problem, QueueView, RunFilter};

/// The content type of the Prometheus text format, version 0.0.4.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How the server stands.
#[derive(Serialize, JsonSchema)]
pub(super) struct Standing {
    /// `up` or `ready`.
    status: &'static str,
    /// What whoever runs it should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

/// Said while what is listened to is not what the files say.
const OUTDATED: &str = "the triggers or hooks of a workflow file were changed: they count after a restart";
/// Milliseconds in a second.
const MILLIS: u64 = 1_000;

/// The process is up: it answers. Says nothing about the store, so that a slow disk gets nobody killed.
pub(super) async fn up() -> Response {
    Json(Standing { status: "up", detail: None }).into_response()
}

/// The thread that writes works, and what was unfinished when the server began is in line.
pub(super) async fn ready(State(service): State<Service>) -> Response {
    match service.operator.ready().await {
        Ok(()) => {
            let detail = service.operator.is_outdated().then_some(OUTDATED);
            Json(Standing { status: "ready", detail }).into_response()
        }
        Err(problem) => problem::answer(StatusCode::SERVICE_UNAVAILABLE, &problem),
    }
}

pub(super) async fn metrics(State(service): State<Service>) -> Response {
    let (archive, operator) = (service.archive.clone(), service.operator.clone());
    let text =
        reads::waiting(move || exposition(&archive, &operator.measures(), operator.queue().ok().as_ref()));
    match text.await {
        Ok(text) => ([(header::CONTENT_TYPE, PROMETHEUS)], text).into_response(),
        Err(problem) => problem::response(&problem),
    }
}

/// One family of samples.
struct Family<'a>(&'a mut String, &'static str);

impl<'a> Family<'a> {
    fn begin(text: &'a mut String, name: &'static str, kind: &str, help: &str) -> Self {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Self(text, name)
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{}{labels} {value}", self.1);
    }
}

/// As the text format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

fn exposition(archive: &Archive, measures: &Measures, queue: Option<&QueueView>) -> Result<String, Problem> {
    let mut text = String::new();
    Family::begin(&mut text, "milepost_build_info", "gauge", "Which Milepost this is; always 1.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    records(archive, &mut text)?;
    held(archive, &mut text)?;
    ended(measures, queue, &mut text);
    counted(measures, &mut text);
    if let Some(queue) = queue {
        let mut family = Family::begin(
            &mut text,
            "milepost_queue_waiting_runs",
            "gauge",
            "Runs that wait to begin, by workflow.",
        );
        for lane in &queue.workflows {
            family.sample(&[("workflow", &lane.workflow)], lane.waiting.len());
        }
        Family::begin(
            &mut text,
            "milepost_queue_waiting_runs_max",
            "gauge",
            "Most runs of one workflow that may wait.",
        )
        .sample(&[], queue.waiting_max);
        let mut family =
            Family::begin(&mut text, "milepost_runs_at_work", "gauge", "Runs at work now, by workflow.");
        for lane in &queue.workflows {
            family.sample(&[("workflow", &lane.workflow)], lane.at_work.len());
        }
    }
    Ok(text)
}

fn records(archive: &Archive, text: &mut String) -> Result<(), Problem> {
    let list = archive.runs(&RunFilter::default())?;
    let mut runs: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut items: BTreeMap<&str, Vec<ItemCounts>> = BTreeMap::new();
    let mut dead_letters: BTreeMap<&str, u64> = BTreeMap::new();
    let mut in_doubt = 0;
    for run in &list.runs {
        *dead_letters.entry(&run.workflow).or_default() += run.items.dead_lettered;
        *runs.entry((&run.workflow, run.status.word())).or_default() += 1;
        in_doubt += run.items.in_doubt;
        if !run.status.is_ended() {
            items.entry(&run.workflow).or_default().push(run.items);
        }
    }
    let mut family =
        Family::begin(text, "milepost_runs", "gauge", "Runs in the records, by workflow and status.");
    for ((workflow, status), count) in runs {
        family.sample(&[("workflow", workflow), ("status", status)], count);
    }
    let mut family =
        Family::begin(text, "milepost_items", "gauge", "Items of the runs that have not ended, by state.");
    for (workflow, counts) in items {
        for (state, of) in STATES {
            let count: u64 = counts.iter().map(of).sum();
            family.sample(&[("workflow", workflow), ("state", state)], count);
        }
    }
    let (waiting, given_up): (Vec<_>, Vec<_>) =
        archive.alerts(None)?.into_iter().partition(|alert| alert.next.is_some());
    let help = "Alerts that are to be delivered, and those that were given up and are kept.";
    let mut family = Family::begin(text, "milepost_alerts", "gauge", help);
    family.sample(&[("state", "waiting")], waiting.len());
    family.sample(&[("state", "given_up")], given_up.len());
    let help = "Items of all runs in the records that were given up, by workflow.";
    let mut family = Family::begin(text, "milepost_dead_letters", "gauge", help);
    for (workflow, count) in dead_letters {
        family.sample(&[("workflow", workflow)], count);
    }
    Family::begin(text, "milepost_items_in_doubt", "gauge", "Items of all runs with an effect in doubt.")
        .sample(&[], in_doubt);
    Ok(())
}

/// Runs that make no calls over a connection, because it does not answer.
fn held(archive: &Archive, text: &mut String) -> Result<(), Problem> {
    let mut runs: BTreeMap<(String, String), u64> = BTreeMap::new();
    for connection in archive.held_connections()? {
        *runs.entry((connection.workflow, connection.hold.connection)).or_default() += 1;
    }
    let help = "Runs that pause because a connection does not answer, by workflow and connection.";
    let mut family = Family::begin(text, "milepost_runs_held", "gauge", help);
    for ((workflow, connection), count) in runs {
        family.sample(&[("workflow", &workflow), ("connection", &connection)], count);
    }
    Ok(())
}

/// Runs that ended. Workflows that are served are counted from 0 on: an increase from nothing at all is
/// none to Prometheus.
fn ended(measures: &Measures, queue: Option<&QueueView>, text: &mut String) {
    let lanes = queue.iter().flat_map(|queue| &queue.workflows);
    let mut ended: BTreeMap<(&str, &str), u64> =
        lanes.flat_map(|lane| ENDINGS.map(|status| ((lane.workflow.as_str(), status.word()), 0))).collect();
    for ((workflow, status), count) in &measures.ended {
        ended.insert((workflow, status), *count);
    }
    let help = "Runs that ended since the start, by workflow and status; one that goes on ends again.";
    let mut family = Family::begin(text, "milepost_runs_ended_total", "counter", help);
    for ((workflow, status), count) in ended {
        family.sample(&[("workflow", workflow), ("status", status)], count);
    }
}

/// How many stand in one state.
type CountOf = fn(&ItemCounts) -> u64;

/// The states of items, and how many stand in each.
const STATES: [(&str, CountOf); 9] = [
    ("pending", |items| items.pending),
    ("running", |items| items.running),
    ("backoff", |items| items.backoff),
    ("waiting", |items| items.waiting),
    ("in_doubt", |items| items.in_doubt),
    ("succeeded", |items| items.succeeded),
    ("skipped", |items| items.skipped),
    ("dead_lettered", |items| items.dead_lettered),
    ("cancelled", |items| items.cancelled),
];

fn counted(measures: &Measures, text: &mut String) {
    let calls = measures.calls;
    Family::begin(
        text,
        "milepost_requests_total",
        "counter",
        "Requests that connectors sent since the start.",
    )
    .sample(&[], calls.calls);
    let mut family = Family::begin(
        text,
        "milepost_effects_total",
        "counter",
        "Effects that were accepted or refused since the start.",
    );
    family.sample(&[("verdict", "accepted")], calls.accepted);
    family.sample(&[("verdict", "refused")], calls.refused);
    Family::begin(
        text,
        "milepost_setbacks_total",
        "counter",
        "Attempts that did not succeed since the start.",
    )
    .sample(&[], measures.setbacks);
    let mut family = Family::begin(
        text,
        "milepost_hook_deliveries_total",
        "counter",
        "What was sent to hooks since the start, by hook and what came of it.",
    );
    for ((hook, reception), count) in &measures.received {
        family.sample(&[("hook", hook), ("outcome", reception.word())], count);
    }
    let help = "Attempts to deliver alerts since the start, by what came of them.";
    let mut family = Family::begin(text, "milepost_alert_attempts_total", "counter", help);
    let alerts = measures.alerts;
    for (outcome, count) in
        [("delivered", alerts.delivered), ("failed", alerts.failed), ("given_up", alerts.given_up)]
    {
        family.sample(&[("outcome", outcome)], count);
    }
    let help = "When something of a run was last made durable, or the engine began; in seconds since 1970.";
    Family::begin(text, "milepost_last_progress_timestamp_seconds", "gauge", help)
        .sample(&[], measures.progressed_at.0 / MILLIS);
    if let Some(free) = measures.free_bytes {
        let help = "Room that the file system of the state directory has left.";
        Family::begin(text, "milepost_state_free_bytes", "gauge", help).sample(&[], free);
    }
    let name = "milepost_commit_duration_seconds";
    let help = "How long commits took until they were durable.";
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram");
    let mut below = 0;
    for (bound, count) in COMMIT_BOUNDS.iter().zip(measures.commits) {
        below += count;
        let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {below}");
    }
    let all: u64 = measures.commits.iter().sum();
    let _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {all}");
    let _ = writeln!(text, "{name}_sum {}\n{name}_count {all}", measures.commit_seconds);
}
