//! Workflows as state machines: what a machine orders, walked through without Step Functions.

mod command;
mod engine;
mod machine;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use milepost::asl::{self, Machine, Naming};
use milepost::connectors;
use milepost::core::id::RunId;
use milepost::core::workflow::Workflow;
use milepost::spec::{self, Files, Text};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::generated::{Case, generated};
use crate::scripted::Server;
use crate::site::Site;
use engine::{Engine, Fate, Judged};
use machine::{Walk, walk};

/// How many graphs are walked through.
const GRAPHS: u64 = 500;

struct Beside<'a>(&'a [(String, String)]);

impl Files for Beside<'_> {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, text)| text.clone().into_bytes()).ok_or_else(|| format!("there is no {name}"))
    }
}

fn checked(yaml: &str, files: &[(String, String)]) -> Workflow {
    let text = Text { name: "workflow.yaml", bytes: yaml.as_bytes() };
    match spec::check(text, None, &connectors::catalog(), &Beside(files)) {
        Ok(checked) => checked.workflow,
        Err(report) => panic!("{yaml}\n{}", report.render(false)),
    }
}

fn compiled(workflow: &Workflow) -> Machine {
    let naming = Naming::new("arn:aws:states:us-east-1:123456789012:activity:", "test");
    asl::compile(workflow, &connectors::catalog(), &naming, milepost::core::execution::HEARTBEAT).unwrap()
}

#[test]
fn every_graph_is_ordered_as_it_needs_and_ends_as_it_was_judged() {
    let mut seen = [0; 5];
    for seed in 0..GRAPHS {
        let case = generated(seed);
        let workflow = checked(&case.yaml, &case.files);
        let machine = compiled(&workflow);
        let mut engine = Engine::new(&case, &workflow, &machine, StdRng::seed_from_u64(seed));
        let input = machine.input(RunId(7), 3, &engine.input());
        let walked = walk(&machine.definition, &input, &mut |order| engine.answer(order));
        println!("seed {seed}: {} orders, {:?}", walked.orders.len(), walked.end);
        ordered_as_needed(&case, &engine, &walked);
        closed_as_judged(&workflow, &engine, &walked);
        within_the_forecast(&machine, &walked);
        named_as_aws_allows(&machine.definition, &mut BTreeSet::new());
        let has = |what: &str| machine.definition.to_string().contains(what);
        let told = [
            has("\"Parallel\""),
            has("\"Choice\""),
            walked.end.is_err(),
            has("side by side"),
            !machine.notes.is_empty(),
        ];
        told.iter().zip(&mut seen).for_each(|(told, seen)| *seen += u64::from(*told));
    }
    println!("with Parallel, Choice, failed: {seen:?}");
    assert!(seen.iter().all(|seen| *seen > GRAPHS / 10), "the graphs are too much alike: {seen:?}");
}

/// Each step exactly once, after all that it needs; or not at all, when something before it has failed.
fn ordered_as_needed(case: &Case, engine: &Engine<'_>, walked: &Walk) {
    let names: BTreeSet<&str> = walked.orders.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), walked.orders.len(), "nothing is ordered twice");
    let state = |step: &str| if names.contains(step) { step.to_owned() } else { format!("{step} (skipped)") };
    for step in &case.steps {
        let orders: Vec<_> = walked
            .orders
            .iter()
            .filter(|(_, order)| {
                order.arguments["step"] == step.name.as_str() && order.arguments["do"] != "closing"
            })
            .collect();
        let before = engine.all_before(&step.name);
        match orders.as_slice() {
            [(_, order)] => {
                let missing: Vec<&String> =
                    before.iter().filter(|need| !order.after.contains(&state(need))).collect();
                assert!(missing.is_empty(), "seed {}: {} before {missing:?}", case.seed, step.name);
                if order.arguments["do"] == "skip" {
                    assert_eq!(engine.fates[&step.name], Fate::Skipped);
                }
            }
            [] => {
                let failed = before.iter().any(|need| engine.fates.get(need) == Some(&Fate::Failed));
                assert!(failed, "seed {}: {} is not ordered", case.seed, step.name);
            }
            _ => panic!("seed {}: {} is ordered twice", case.seed, step.name),
        }
    }
}

/// The judgement once, after all else; then the steps of `on_failure` in their order, when it failed.
fn closed_as_judged(workflow: &Workflow, engine: &Engine<'_>, walked: &Walk) {
    let seed = engine.case.seed;
    let ends: Vec<String> = walked
        .orders
        .iter()
        .skip_while(|(_, order)| order.arguments["do"] != "close")
        .map(|(_, order)| order.arguments["step"].as_str().unwrap_or("close").to_owned())
        .collect();
    let judged = engine.judged.clone().expect("it was judged");
    let failed = matches!(judged, Judged::Failed(_));
    let closing = workflow.on_failure.iter().map(|step| step.name.clone());
    let expected: Vec<String> =
        std::iter::once("close".to_owned()).chain(closing.filter(|_| failed)).collect();
    assert_eq!(ends, expected, "seed {seed}");
    match (&walked.end, judged) {
        (Ok(_), Judged::Good) => {}
        (Err((error, cause)), Judged::Failed(name)) => {
            assert_eq!((error, cause.as_str()), (&name, "judged"), "seed {seed}");
        }
        (end, judged) => panic!("seed {seed}: judged as {judged:?} and ended as {end:?}"),
    }
}

/// Every state once in the whole machine, and none with a name that AWS refuses.
fn named_as_aws_allows(program: &Value, names: &mut BTreeSet<String>) {
    for (name, state) in program["States"].as_object().unwrap() {
        assert!(name.chars().count() <= 80, "{name}");
        assert!(names.insert(name.clone()), "two states are called {name}");
        for branch in state["Branches"].as_array().into_iter().flatten() {
            named_as_aws_allows(branch, names);
        }
    }
}

fn within_the_forecast(machine: &Machine, walked: &Walk) {
    let forecast = &machine.forecast;
    assert!(walked.largest <= forecast.payload.largest, "{} bytes: {forecast:?}", walked.largest);
    assert!(walked.events <= forecast.events_most, "{} events: {forecast:?}", walked.events);
    let retried: usize = walked.orders.iter().map(|(_, order)| order.times - 1).sum();
    assert!(walked.states + retried <= forecast.transitions_most, "{forecast:?}");
    let bytes = machine.definition.to_string().len();
    assert_eq!(bytes, forecast.definition_bytes);
    for (_, order) in &walked.orders {
        let known = machine.activities.iter().find(|activity| activity.arn == order.resource);
        assert!(known.is_some_and(|activity| activity.name.len() <= 80), "{}", order.resource);
    }
}

#[test]
fn when_nothing_fails_the_forecast_is_exact() {
    for seed in 0..40 {
        let case = generated(seed);
        let workflow = checked(&case.yaml, &case.files);
        let machine = compiled(&workflow);
        let mut orders = 0;
        let input = machine.input(RunId(7), 0, &json!({ "flag": true, "mode": "a", "count": 5 }));
        let walked = walk(&machine.definition, &input, &mut |_| {
            orders += 1;
            Ok(json!({ "facts": {} }))
        });
        let steps = workflow.steps.len() + 1;
        assert_eq!(orders, steps);
        let seen = (walked.events, walked.states);
        assert_eq!(seen, (machine.forecast.events, machine.forecast.transitions), "seed {seed}");
    }
}

#[test]
fn what_the_executor_gave_up_is_told_at_the_judgement() {
    let yaml = "workflow: w\nsteps:\n  one: { uses: nothing }\n  two: { uses: nothing }\n";
    let machine = compiled(&checked(yaml, &[]));
    let mut told = Value::Null;
    let walked = walk(&machine.definition, &machine.input(RunId(1), 0, &json!({})), &mut |order| {
        if order["do"] == "close" {
            told = order["fault"].clone();
        }
        let gone = || Err(("States.HeartbeatTimeout".to_owned(), String::new()));
        if order["step"] == "two" { gone() } else { Ok(json!({ "facts": {} })) }
    });
    assert_eq!(told["name"], "States.HeartbeatTimeout");
    let times = walked.orders.iter().find(|(name, _)| name == "two").map(|(_, order)| order.times);
    assert_eq!(times, Some(101), "it was waited for, and not for ever");
}

#[test]
fn the_same_workflow_gives_the_same_machine_and_another_condition_another_one() {
    let case = generated(11);
    let of = |yaml: &str| compiled(&checked(yaml, &case.files));
    let (one, same) = (of(&case.yaml), of(&case.yaml));
    assert_eq!(one.definition.to_string(), same.definition.to_string());
    assert_eq!((&one.digest, &one.name), (&same.digest, &same.name));
    let other = of(&case.yaml.replace("workflow: generated-11", "workflow: generated-12"));
    assert_ne!(one.digest, other.digest);
}

/// What a case comes to in the binary: the exit code, and how often each address was asked.
fn carried_out(case: &Case) -> (Option<i32>, BTreeMap<String, usize>) {
    let (site, server) = (Site::new(), Server::start(&case.script));
    fs::write(site.path("case.yaml"), &case.yaml).unwrap();
    for (name, text) in &case.files {
        fs::write(site.path(name), text).unwrap();
    }
    let told = site.milepost(&["run", "case.yaml", "--input", &format!("url={}", server.url)]);
    assert!(matches!(told.code, Some(0 | 1)), "seed {}: {told:?}", case.seed);
    (told.code, server.calls())
}

#[test]
fn a_generated_case_comes_to_the_same_end_every_time() {
    let mut codes = BTreeSet::new();
    for seed in 0..6 {
        let case = generated(seed);
        let (one, other) = (carried_out(&case), carried_out(&case));
        println!("seed {seed}: {one:?}");
        assert_eq!(one, other, "seed {seed}: nothing can be compared with what comes out by chance");
        codes.insert(one.0);
    }
    assert_eq!(codes.len(), 2, "some succeed and some fail");
}
