//! A stand-in for the engine: it answers orders as the engine does, and looks at each condition itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use milepost::asl::Machine;
use milepost::core::cell::Facts;
use milepost::core::execution::{AGAIN, AWAY};
use milepost::core::id::{RunId, Unit};
use milepost::core::scope::Scope;
use milepost::core::time::Timestamp;
use milepost::core::workflow::Workflow;
use milepost::expr::Expression;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::machine::Error;
use crate::generated::Case;

/// The name of the error that a step of the stand-in ends with.
pub(super) const FAILED: &str = "HttpStatus";

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    Skipped,
    Failed,
    /// Something before it failed.
    Blocked,
}

/// The engine of one run.
pub(super) struct Engine<'a> {
    pub(super) case: &'a Case,
    pub(super) workflow: &'a Workflow,
    pub(super) machine: &'a Machine,
    pub(super) rng: StdRng,
    pub(super) fates: BTreeMap<String, Fate>,
    /// The facts of run steps.
    facts: BTreeMap<String, Facts>,
    /// Attempts that failed so far, by step.
    attempts: BTreeMap<String, u32>,
    /// How the run was judged, once it was.
    pub(super) judged: Option<Judged>,
}

/// How a run was judged.
#[derive(Clone, Debug)]
pub(super) enum Judged {
    /// It succeeded.
    Good,
    /// It failed, with this error name.
    Failed(String),
}

impl<'a> Engine<'a> {
    pub(super) fn new(case: &'a Case, workflow: &'a Workflow, machine: &'a Machine, rng: StdRng) -> Self {
        Self {
            case,
            workflow,
            machine,
            rng,
            fates: BTreeMap::new(),
            facts: BTreeMap::new(),
            attempts: BTreeMap::new(),
            judged: None,
        }
    }

    /// The input of the run: what the file says.
    pub(super) fn input(&self) -> Value {
        let all = self.workflow.input.iter();
        all.filter_map(|(name, input)| Some((name.clone(), input.default.clone()?))).collect()
    }

    /// Answers an order.
    pub(super) fn answer(&mut self, order: &Value) -> Result<Value, Error> {
        assert_eq!((&order["run"], &order["epoch"]), (&json!(RunId(7).to_string()), &json!(3)));
        match self.rng.random_range(0..20) {
            // It died, and the next one gets the order anew.
            0 => return Err(("States.HeartbeatTimeout".to_owned(), String::new())),
            1 => return Err((AWAY.to_owned(), "not driven here".to_owned())),
            _ => {}
        }
        let step = order["step"].as_str().unwrap_or_default().to_owned();
        match order["do"].as_str() {
            Some("step") => self.step(&step),
            Some("skip") => {
                assert_eq!(self.is_wanted(&step), Some(false), "{step}: seed {}", self.case.seed);
                Ok(self.ends(&step, Fate::Skipped))
            }
            Some("close") => self.close(&order["fault"]),
            Some("closing") if self.rng.random_bool(0.3) => Err(failed("nobody listens")),
            Some("closing") => Ok(json!({ "facts": {} })),
            other => panic!("an order to do {other:?}"),
        }
    }

    fn step(&mut self, step: &str) -> Result<Value, Error> {
        let outline = self.case.steps.iter().find(|known| known.name == step).unwrap();
        let needs: Vec<Fate> = self.needs(step).iter().map(|need| self.fates[need]).collect();
        if needs.iter().any(|fate| matches!(fate, Fate::Failed | Fate::Blocked)) {
            return Ok(self.ends(step, Fate::Blocked));
        }
        if !needs.is_empty() && needs.iter().all(|fate| *fate == Fate::Skipped) {
            return Ok(self.ends(step, Fate::Skipped));
        }
        let wanted = self.is_wanted(step);
        let when = self.step_of(step).when.is_some();
        if outline.on_items {
            // What fails for an item does not fail the step.
            let fate = if when && wanted == Some(false) { Fate::Skipped } else { Fate::Done };
            return Ok(self.ends(step, fate));
        }
        match wanted {
            Some(true) => {}
            Some(false) => return Ok(self.ends(step, Fate::Skipped)),
            None => {
                self.fates.insert(step.to_owned(), Fate::Failed);
                return Err(("MappingError".to_owned(), "'when' must give true or false".to_owned()));
            }
        }
        if self.rng.random_bool(0.15) {
            return self.fails(step);
        }
        let status = [200, 200, 404][self.rng.random_range(0..3)];
        let facts: Facts = match self.step_of(step).uses.as_str() {
            "http.request" => {
                let body = json!({ "call": self.rng.random_range(1..3), "long": "x".repeat(300) });
                [("status".to_owned(), json!(status)), ("body".to_owned(), body)].into()
            }
            _ => Facts::new(),
        };
        self.fates.insert(step.to_owned(), Fate::Done);
        let told = self.machine.facts(step, &facts);
        let is_whole = self.case.yaml.contains(&format!("$exists(steps.`{step}`)"));
        assert!(is_whole || !Value::from(told.clone()).to_string().contains("xxx"), "nobody looks at that");
        self.facts.insert(step.to_owned(), facts);
        Ok(json!({ "facts": told }))
    }

    /// One attempt failed: another one follows, or it failed for good.
    fn fails(&mut self, step: &str) -> Result<Value, Error> {
        let most = self.step_of(step).retry.attempts;
        let effect = !matches!(self.step_of(step).uses.as_str(), "delay");
        let attempts = self.attempts.entry(step.to_owned()).or_default();
        *attempts += 1;
        if *attempts < most && effect {
            return Err((AGAIN.to_owned(), "HttpStatus: 503".to_owned()));
        }
        self.fates.insert(step.to_owned(), Fate::Failed);
        Err(failed("503"))
    }

    fn close(&mut self, fault: &Value) -> Result<Value, Error> {
        assert!(fault.is_null(), "no step was given up by the executor: {fault}");
        let failed_step = self.fates.values().any(|fate| *fate == Fate::Failed);
        let error = match self.rng.random_range(0..4) {
            _ if failed_step => Some(FAILED.to_owned()),
            0 => Some("ToleranceExceeded".to_owned()),
            _ => None,
        };
        self.judged = Some(error.clone().map_or(Judged::Good, Judged::Failed));
        error.map_or(Ok(json!({ "facts": {} })), |error| Err((error, "judged".to_owned())))
    }

    fn ends(&mut self, step: &str, fate: Fate) -> Value {
        self.fates.insert(step.to_owned(), fate);
        json!({ "facts": {} })
    }

    fn step_of(&self, step: &str) -> &milepost::core::workflow::Step {
        self.workflow.steps.iter().find(|known| known.name == step).unwrap()
    }

    /// What a step needs on its own track, as the engine sees it.
    pub(super) fn needs(&self, step: &str) -> Vec<String> {
        let outlines = &self.case.steps;
        let own = outlines.iter().find(|known| known.name == step).unwrap();
        let on_track = |need: &&String| {
            let need = outlines.iter().find(|known| known.name == **need).unwrap();
            !own.on_items || need.on_items || need.name == "gate"
        };
        own.needs.iter().filter(on_track).cloned().collect()
    }

    /// All that must be done before a step: what it needs, and for the gate what its items need.
    pub(super) fn all_before(&self, step: &str) -> BTreeSet<String> {
        let outlines = &self.case.steps;
        let of = |name: &str| outlines.iter().find(|known| known.name == name).unwrap();
        let mut todo = of(step).needs.clone();
        if step == "gate" {
            let on_items = outlines.iter().filter(|known| known.on_items).flat_map(|known| &known.needs);
            todo.extend(on_items.filter(|need| !of(need).on_items && *need != "gate").cloned());
        }
        let mut before = BTreeSet::new();
        while let Some(need) = todo.pop() {
            todo.extend(self.all_before(&need));
            before.insert(need);
        }
        before
    }

    /// What the engine makes of the condition; `None`: it fails. Of items it is taken for true.
    fn is_wanted(&self, step: &str) -> Option<bool> {
        let Some(when) = &self.step_of(step).when else { return Some(true) };
        let when = Expression::parse(when).unwrap();
        let about_items =
            |name: &str| self.case.steps.iter().any(|known| known.name == name && known.on_items);
        let on_items = when.references().iter().any(|reference| match reference.names.as_slice() {
            [root, name, ..] => root == "item" || (root == "steps" && about_items(name)),
            _ => false,
        });
        if on_items {
            return Some(true);
        }
        let returned = self.facts.iter().filter(|(_, facts)| !facts.is_empty());
        let steps: Value = returned.map(|(name, facts)| (name.clone(), json!(facts))).collect();
        let scope = Scope {
            run: RunId(7),
            started_at: Timestamp(0),
            version: "0".into(),
            unit: Unit::Run,
            input: Arc::new(self.input()),
            item: Arc::new(Value::Null),
            digest: Arc::new(OnceLock::new()),
            steps: steps.into(),
            sent: None,
        };
        when.evaluate(&scope).ok().flatten().and_then(|value| value.as_bool())
    }
}

fn failed(cause: &str) -> Error {
    (FAILED.to_owned(), cause.to_owned())
}
