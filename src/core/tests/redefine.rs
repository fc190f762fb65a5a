//! What an edited definition, or another outside system, means for each step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::core::catalog::Role;
use crate::core::cell::SettleBy;
use crate::core::plan::{Plan, PlanStep, Track};
use crate::core::redefine::{Doing, Records, Ruling, Side, Verdict, raised, verdicts};
use crate::core::run::Cause;
use crate::core::workflow::{Idempotency, IdempotencyMode, Step, Workflow};

use super::{effect, pure, step};

/// read, map, publish, consume, pim, shop; the item of all after `map` is its output, and the shop
/// looks at what the PIM returned.
struct Definition {
    workflow: Workflow,
    plan: Plan,
    doings: BTreeMap<String, Doing>,
}

const NAMES: [&str; 6] = ["read", "map", "publish", "consume", "pim", "shop"];

fn written(name: &str, line: u32) -> Step {
    let step = super::plan::step(name, &format!("{name}.it"), &[]);
    Step { connection: Some(name.to_owned()), line, ..step }
}

fn definition() -> Definition {
    let steps: Vec<Step> = (1..).zip(NAMES).map(|(line, name)| written(name, line)).collect();
    let track: Vec<PlanStep> = vec![
        pure("read", &[]),
        pure("map", &[0]),
        effect("publish", &[1], SettleBy::Repeat),
        step("consume", Role::Receive, &[2]),
        effect("pim", &[3], SettleBy::Probe),
        effect("shop", &[4], SettleBy::Probe),
    ];
    let doing = |name: &&str| Doing {
        digest: format!("{name} does this"),
        item_from: (!["read", "map"].contains(name)).then(|| "map".to_owned()),
        sees_item: true,
        sees_facts: *name == "shop",
    };
    Definition {
        workflow: super::plan::workflow(steps),
        plan: super::plan(Track::new(vec![step("read", Role::Source, &[])]), Track::new(track)),
        doings: NAMES.iter().map(|name| ((*name).to_owned(), doing(name))).collect(),
    }
}

fn records() -> Records {
    let steps = NAMES.iter().map(|name| (*name).to_owned()).collect();
    Records { gate: true, run: true, items: true, steps, doubtful: BTreeSet::new() }
}

fn side(one: &Definition) -> Side<'_> {
    Side { workflow: &one.workflow, plan: &one.plan, doings: &one.doings }
}

fn ruled(edit: impl Fn(&mut Definition), records: &Records, replaced: &[&str]) -> Vec<Verdict> {
    let (old, mut new) = (definition(), definition());
    edit(&mut new);
    let replaced = replaced.iter().map(|name| (*name).to_owned()).collect();
    verdicts(side(&old), side(&new), records, &replaced)
}

fn rerun(edit: impl Fn(&mut Definition)) -> Vec<(String, Cause)> {
    raised(&ruled(edit, &records(), &[])).into_iter().collect()
}

fn refused(verdicts: &[Verdict]) -> Vec<(&str, Option<u32>, &str)> {
    let of = |verdict: &'_ Verdict| matches!(verdict.ruling, Ruling::Incompatible(_));
    verdicts
        .iter()
        .filter(|one| of(one))
        .map(|one| (one.step.as_str(), one.line, one.ruling.reason()))
        .collect()
}

fn does_else(new: &mut Definition, name: &str) {
    new.doings.get_mut(name).unwrap().digest = "something else".to_owned();
}

fn named(pairs: &[(&str, Cause)]) -> Vec<(String, Cause)> {
    pairs.iter().map(|(name, cause)| ((*name).to_owned(), *cause)).collect()
}

#[test]
fn the_same_definition_keeps_everything() {
    assert_eq!(rerun(|_| ()), []);
}

#[test]
fn whoever_takes_in_something_else_is_done_anew_and_nobody_else() {
    let (definition, upstream) = (Cause::Definition, Cause::Upstream);
    assert_eq!(rerun(|new| does_else(new, "shop")), named(&[("shop", definition)]));
    let pim = named(&[("pim", definition), ("shop", upstream)]);
    assert_eq!(rerun(|new| does_else(new, "pim")), pim, "the shop looks at what the PIM returned");
    let blind = |new: &mut Definition| {
        does_else(new, "pim");
        new.doings.get_mut("shop").unwrap().sees_facts = false;
    };
    assert_eq!(rerun(blind), named(&[("pim", definition)]), "its item is the same, and it sees nothing else");
    let publish = named(&[("consume", upstream), ("publish", definition), ("shop", upstream)]);
    assert_eq!(rerun(|new| does_else(new, "publish")), publish, "the message is another one");
    let all = [
        ("consume", upstream),
        ("map", definition),
        ("pim", upstream),
        ("publish", upstream),
        ("shop", upstream),
    ];
    assert_eq!(rerun(|new| does_else(new, "map")), named(&all));
    let again = named(&[("consume", definition), ("publish", definition), ("shop", upstream)]);
    assert_eq!(rerun(|new| does_else(new, "consume")), again, "what is waited for anew is sent anew");
}

#[test]
fn a_condition_that_may_turn_out_otherwise_is_passed_on() {
    let conditional = |new: &mut Definition| {
        new.workflow.steps[4].when = Some("item.price > 3".to_owned());
        does_else(new, "pim");
        new.doings.get_mut("shop").unwrap().sees_facts = false;
    };
    let (definition, upstream) = (Cause::Definition, Cause::Upstream);
    assert_eq!(rerun(conditional), named(&[("pim", definition), ("shop", upstream)]));
}

#[test]
fn a_step_that_never_ran_may_become_anything() {
    let none = Records { gate: false, run: false, items: false, ..Records::default() };
    let edit = |new: &mut Definition| {
        does_else(new, "read");
        does_else(new, "pim");
        new.workflow.steps[4].uses = "other.it".to_owned();
    };
    assert!(ruled(edit, &none, &[]).iter().all(|verdict| verdict.ruling == Ruling::Valid));
}

#[test]
fn records_that_would_lose_their_step_are_a_reason_to_refuse() {
    let renamed = |new: &mut Definition| {
        new.workflow.steps[4].name = "catalogue".to_owned();
        new.plan.items.steps[4].name = "catalogue".to_owned();
    };
    let told = ruled(renamed, &records(), &[]);
    let expected = [
        ("catalogue", Some(5), "it is new and stands before 'shop', which has records: put it behind"),
        ("pim", None, "it was removed or renamed, and has records"),
    ];
    assert_eq!(refused(&told), expected);
    let swapped = |new: &mut Definition| {
        new.plan.items.steps.swap(4, 5);
        (new.plan.items.steps[4].needs, new.plan.items.steps[5].needs) = (vec![3], vec![4]);
    };
    let told = ruled(swapped, &records(), &[]);
    assert_eq!(
        refused(&told),
        [("shop", Some(6), "its place among the recorded steps changed: keep them in their order")]
    );
    let other = |new: &mut Definition| new.workflow.steps[4].uses = "other.it".to_owned();
    let told = ruled(other, &records(), &[]);
    assert_eq!(
        refused(&told),
        [("pim", Some(5), "it was 'pim.it' when it was recorded, and is 'other.it' now")]
    );
    let told = ruled(|new| does_else(new, "read"), &records(), &[]);
    assert_eq!(refused(&told)[0].0, "read", "the items were read by it");
    let told = ruled(|new| new.workflow.name = "x".to_owned(), &records(), &[]);
    assert_eq!(refused(&told)[0].0, "workflow");
}

#[test]
fn a_step_behind_the_others_may_be_added() {
    let added = |new: &mut Definition| {
        new.workflow.steps.push(written("mail", 7));
        let mut steps = new.plan.items.steps.clone();
        steps.push(effect("mail", &[5], SettleBy::Probe));
        new.plan.items = Track::new(steps);
        new.doings.insert("mail".to_owned(), Doing::default());
    };
    assert!(ruled(added, &records(), &[]).iter().all(|verdict| verdict.ruling == Ruling::Valid));
}

#[test]
fn a_doubt_is_settled_before_its_key_or_its_system_changes() {
    let doubtful = Records { doubtful: ["pim", "publish"].map(str::to_owned).into(), ..records() };
    let key = |step: &mut Step| {
        step.idempotency = Some(Idempotency {
            key: "${{ item.sku }}".to_owned(),
            mode: IdempotencyMode::Latest,
            version: None,
            claim: Duration::from_secs(1),
            keep: Duration::from_secs(1),
        });
    };
    let told = ruled(|new| key(&mut new.workflow.steps[4]), &doubtful, &[]);
    assert_eq!(refused(&told).len(), 1);
    assert!(refused(&told)[0].2.contains("its idempotency key changed: settle that first"), "{told:?}");
    assert_eq!(refused(&ruled(|new| key(&mut new.workflow.steps[4]), &records(), &[])), []);
    let told = ruled(|_| (), &doubtful, &["pim", "publish"]);
    let names: Vec<&str> = refused(&told).iter().map(|one| one.0).collect();
    assert_eq!(names, ["pim"], "a repeat of the publish is harmless");
    assert_eq!(refused(&ruled(|new| does_else(new, "pim"), &doubtful, &[])), [], "the same key tells");
}

#[test]
fn work_over_another_system_is_done_anew() {
    let told = raised(&ruled(|_| (), &records(), &["pim"]));
    assert_eq!(
        told.into_iter().collect::<Vec<_>>(),
        named(&[("pim", Cause::Connection), ("shop", Cause::Upstream)])
    );
}
