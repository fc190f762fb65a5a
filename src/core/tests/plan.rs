//! How a checked workflow is cut into tracks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, json};

use crate::core::catalog::{Catalog, Descriptor, Place, Role, always, never};
use crate::core::cell::SettleBy;
use crate::core::id::Unit;
use crate::core::outlet::Terms;
use crate::core::plan::{DeleteAfter, Plan, PlanStep, Track};
use crate::core::retry::Retry;
use crate::core::workflow::{Batch, Connection, Step, Tolerance, Workflow};

fn descriptor(uses: &'static str, role: Role) -> Descriptor {
    Descriptor {
        uses,
        summary: "",
        role,
        place: Place::Anywhere,
        connections: &[],
        fields: &[],
        facts: &[],
        batch_default: 1,
        batch_max: 1,
        concurrency: 7,
        harmless: never,
    }
}

fn catalog() -> Catalog {
    let steps = vec![
        descriptor("read", Role::Source),
        descriptor("map", Role::Pure),
        descriptor("upsert", Role::Effect { probes: true }),
        descriptor("post", Role::Effect { probes: false }),
        Descriptor { harmless: always, ..descriptor("log", Role::Effect { probes: false }) },
        descriptor("receive", Role::Receive),
    ];
    Catalog { steps, ..Catalog::default() }
}

pub(super) fn step(name: &str, uses: &str, needs: &[&str]) -> Step {
    Step {
        name: name.to_owned(),
        uses: uses.to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        when: None,
        connection: None,
        with: Map::new(),
        retry: Retry::default(),
        timeout: Duration::from_secs(30),
        batch: Batch { max: 1, linger: Duration::ZERO },
        repeat_safe: false,
        idempotency: None,
        line: 1,
    }
}

pub(super) fn workflow(steps: Vec<Step>) -> Workflow {
    Workflow {
        name: "w".to_owned(),
        description: None,
        input: BTreeMap::new(),
        connections: BTreeMap::new(),
        key_store: None,
        steps,
        tolerate: Tolerance::Count(0),
        timeout: None,
        alert: None,
        alerts: Vec::new(),
        resumable_for: crate::core::care::RESUMABLE_FOR,
        on_failure: vec![step("on_failure[0]", "log", &[]), step("on_failure[1]", "post", &[])],
        files: Vec::new(),
        hooks: Vec::new(),
        triggers: Vec::new(),
    }
}

fn names(track: &Track) -> Vec<&str> {
    track.steps.iter().map(|step| step.name.as_str()).collect()
}

/// The names of the steps that a step needs.
fn needs<'a>(track: &'a Track, name: &str) -> Vec<&'a str> {
    let at = track.position(name).unwrap();
    track.steps[at].needs.iter().map(|need| track.steps[*need].name.as_str()).collect()
}

#[test]
fn what_stands_behind_the_source_is_for_items_and_all_else_for_the_run() {
    let plan = Plan::of(
        &workflow(vec![
            step("shop", "upsert", &["fields"]),
            step("fields", "map", &["source"]),
            step("beside", "log", &[]),
            step("source", "read", &["before"]),
            step("before", "log", &[]),
        ]),
        &catalog(),
    );
    assert_eq!(names(&plan.run), ["beside", "before", "source"]);
    assert_eq!(names(&plan.items), ["source", "fields", "shop"]);
    assert_eq!(names(&plan.closing), ["on_failure[0]", "on_failure[1]"]);
    assert_eq!(needs(&plan.closing, "on_failure[1]"), ["on_failure[0]"], "in the order of the file");
    assert_eq!(plan.track(Unit::Item(3)).steps.len(), 3);
    assert_eq!((plan.source(), plan.track(Unit::Run).position("source")), (Some(2), Some(2)));
}

#[test]
fn the_source_pins_on_the_run_track_and_computes_on_that_of_items() {
    let plan = Plan::of(
        &workflow(vec![step("source", "read", &["before"]), step("before", "log", &[])]),
        &catalog(),
    );
    assert_eq!(plan.run.steps[1].role, Role::Source);
    assert_eq!(needs(&plan.run, "source"), ["before"]);
    let on_items = &plan.items.steps[0];
    assert_eq!((on_items.role, on_items.needs.len()), (Role::Pure, 0));
}

#[test]
fn a_run_step_that_an_item_step_needs_is_done_before_the_gate() {
    let plan = Plan::of(
        &workflow(vec![
            step("source", "read", &[]),
            step("token", "post", &[]),
            step("shop", "upsert", &["source", "token"]),
        ]),
        &catalog(),
    );
    assert_eq!(names(&plan.run), ["token", "source"]);
    assert_eq!(needs(&plan.run, "source"), ["token"]);
    assert_eq!(needs(&plan.items, "shop"), ["source"], "the token is there before there are items");
}

#[test]
fn a_workflow_without_a_source_has_run_steps_only() {
    let plan = Plan::of(&workflow(vec![step("a", "log", &[]), step("b", "log", &["a"])]), &catalog());
    assert_eq!((names(&plan.run), plan.items.steps.len(), plan.source()), (vec!["a", "b"], 0, None));
}

#[test]
fn an_effect_is_settled_in_the_best_way_there_is() {
    let settle = |uses: &str, repeat_safe| {
        let step = Step { repeat_safe, ..step("s", uses, &[]) };
        Plan::of(&workflow(vec![step]), &catalog()).run.steps[0].settle
    };
    assert_eq!(settle("upsert", true), SettleBy::Probe, "a look is better than a repeat");
    assert_eq!(settle("post", true), SettleBy::Repeat);
    assert_eq!(settle("log", false), SettleBy::Repeat, "harmless by its nature");
    assert_eq!(settle("post", false), SettleBy::Person);
    assert_eq!(settle("receive", false), SettleBy::Repeat, "waiting again changes nothing");
}

#[test]
fn a_connection_bounds_the_calls_of_its_steps() {
    let of = |concurrency| {
        let post = Step { connection: Some("c".to_owned()), ..step("post", "post", &[]) };
        let mut workflow = workflow(vec![post]);
        let terms = Terms { concurrency, ..Terms::default() };
        let connection = Connection { kind: "k".to_owned(), terms, fields: Map::new() };
        workflow.connections.insert("c".to_owned(), connection);
        Plan::of(&workflow, &catalog()).run.steps[0].concurrency
    };
    assert_eq!((of(None), of(Some(2)), of(Some(0))), (7, 2, 1));
}

#[test]
fn a_message_is_held_until_the_step_that_is_named() {
    let mut consume = step("consume", "receive", &["source"]);
    consume.with.insert("delete_after".to_owned(), json!("pim"));
    let plan = Plan::of(
        &workflow(vec![step("source", "read", &[]), consume, step("pim", "upsert", &["consume"])]),
        &catalog(),
    );
    let pim = plan.items.position("pim").unwrap();
    assert_eq!(plan.items.steps[1].delete_after, DeleteAfter::Step(pim));
    assert_eq!(plan.items.steps[pim].delete_after, DeleteAfter::Taken);
}

#[test]
fn the_message_that_brings_an_item_is_held_to_the_end_unless_a_step_is_named() {
    let of = |queue| {
        let mut source = step("source", "read", &[]);
        source.with.insert("source".to_owned(), queue);
        let steps = vec![source, step("pim", "upsert", &["source"])];
        Plan::of(&workflow(steps), &catalog()).items.steps[0].delete_after
    };
    assert_eq!(of(json!({ "queue": "q" })), DeleteAfter::Last);
    assert_eq!(of(json!({ "queue": "q", "delete_after": "pim" })), DeleteAfter::Step(1));
    assert_eq!(of(json!("a.json")), DeleteAfter::Taken);
}

#[test]
fn a_pure_step_with_which_a_message_goes_leaves_a_record() {
    let left = |delete_after| {
        let consume = PlanStep { delete_after, ..super::step("consume", Role::Receive, &[]) };
        let steps = vec![consume, super::pure("kept", &[0]), super::effect("shop", &[1], SettleBy::Probe)];
        Track::new(steps).steps[1].leaves_record
    };
    assert!(left(DeleteAfter::Step(1)), "or it would go before that is durable");
    assert!(!left(DeleteAfter::Step(2)) && !left(DeleteAfter::Last) && !left(DeleteAfter::Taken));
}

#[test]
fn only_a_pure_step_that_no_record_follows_leaves_one() {
    let plan = Plan::of(
        &workflow(vec![
            step("source", "read", &[]),
            step("kept", "map", &["source"]),
            step("last", "map", &["kept"]),
            step("implied", "map", &["source"]),
            step("shop", "upsert", &["implied"]),
        ]),
        &catalog(),
    );
    let leaves = |name: &str| plan.items.steps[plan.items.position(name).unwrap()].leaves_record;
    assert_eq!(["source", "kept", "last", "implied", "shop"].map(leaves), [false, true, true, false, false]);
    let shop = &plan.items.steps[plan.items.position("shop").unwrap()];
    let implied: Vec<&str> = shop.implied.iter().map(|at| plan.items.steps[*at].name.as_str()).collect();
    assert_eq!(implied, ["source", "implied"]);
}
