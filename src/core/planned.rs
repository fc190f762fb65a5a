//! A step of a workflow file as a plan has it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::asking::Asked;
use super::catalog::{Catalog, Descriptor, Role};
use super::cell::SettleBy;
use super::graph::Graph;
use super::plan::{DeleteAfter, Messages, PlanStep};
use super::workflow::{Step, Workflow};

/// The chosen steps as a track sees them, in the order of `chosen`.
pub(super) fn steps_of(
    workflow: &Workflow,
    steps: &[Step],
    chosen: &[usize],
    graph: &Graph,
    catalog: &Catalog,
) -> Vec<PlanStep> {
    let places: HashMap<usize, usize> =
        chosen.iter().enumerate().map(|(place, position)| (*position, place)).collect();
    let local = |at: &usize| places.get(at).copied();
    let named = |name: &str| chosen.iter().position(|other| steps[*other].name == name);
    chosen
        .iter()
        .map(|at| {
            let step = &steps[*at];
            let descriptor = catalog.step(&step.uses);
            PlanStep {
                name: step.name.clone(),
                role: descriptor.map_or(Role::Pure, |known| known.role),
                needs: graph.needs(*at).iter().filter_map(local).collect(),
                implied: Vec::new(),
                leaves_record: false,
                follows: Vec::new(),
                retry: step.retry,
                timeout: step.timeout,
                batch_max: step.batch.max.max(1) as usize,
                linger: step.batch.linger,
                concurrency: concurrency(workflow, step, descriptor),
                connection: step.connection.clone(),
                settle: settle(step, descriptor),
                keyed: step.idempotency.is_some(),
                tolerant: false,
                messages: messages(step, descriptor),
                delete_after: delete_after(step, named),
                revision: 0,
                asked: Asked::Open,
            }
        })
        .collect()
}

/// A queue that is the source stands in the source's parameters.
fn queue_of(step: &Step) -> Option<&Map<String, Value>> {
    step.with.get("source").and_then(|source| source.as_object())
}

fn messages(step: &Step, descriptor: Option<&Descriptor>) -> Messages {
    match descriptor.map(|known| known.role) {
        Some(Role::Receive) => Messages::About,
        Some(Role::Listen) => Messages::Signals,
        Some(Role::Source) if queue_of(step).is_some() => Messages::Bringing,
        Some(_) | None => Messages::None,
    }
}

/// A queue that is the source says it beside its name; its message is the only copy that others can
/// go on with, so it stays to the end when nothing is said.
fn delete_after(step: &Step, named: impl Fn(&str) -> Option<usize>) -> DeleteAfter {
    let queue = queue_of(step);
    let said = queue.unwrap_or(&step.with).get("delete_after").and_then(|name| named(name.as_str()?));
    match (said, queue) {
        (Some(step), _) => DeleteAfter::Step(step),
        (None, Some(_)) => DeleteAfter::Last,
        (None, None) => DeleteAfter::Taken,
    }
}

fn concurrency(workflow: &Workflow, step: &Step, descriptor: Option<&Descriptor>) -> usize {
    let configured = step
        .connection
        .as_ref()
        .and_then(|name| workflow.connections.get(name))
        .and_then(|connection| connection.terms.concurrency);
    configured.or(descriptor.map(|known| known.concurrency)).unwrap_or(1).max(1) as usize
}

fn settle(step: &Step, descriptor: Option<&Descriptor>) -> SettleBy {
    match descriptor {
        Some(known) if known.probes(&step.with) => SettleBy::Probe,
        Some(known @ Descriptor { role: Role::Effect { .. }, .. }) => {
            if step.repeat_safe || (known.harmless)(&step.with) { SettleBy::Repeat } else { SettleBy::Person }
        }
        // Nothing outside changes: pinning again, computing again, waiting again is harmless.
        Some(_) | None => SettleBy::Repeat,
    }
}
