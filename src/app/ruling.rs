//! What a person decides about a run that nobody works on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use serde_json::Value;

use crate::connectors;
use crate::core::cell::Facts;
use crate::core::plan::Plan;
use crate::core::run::Run;
use crate::core::workflow::{Step, Workflow};
use crate::engine::settle::{self, Ruled, Ruling};
use crate::expr::{Expression, Template};
use crate::ports::Journal;
use crate::view::{Decided, Dropping, EffectFilter, Names, Problem, ProblemKind, Settling, code};

use super::Engine;
use super::definition::Definition;

impl Engine {
    /// Records what became of effects in doubt. The next resume goes on from there.
    ///
    /// # Errors
    /// A problem when the run is being worked on, when nothing about a named item is in doubt, or
    /// when a fact is missing that a later step looks at; nothing is recorded then.
    pub async fn settle(&self, reference: &str, settling: &Settling) -> Result<Decided, Problem> {
        let run = self.idle(reference)?;
        let items = self.positions(&run, &settling.items)?;
        let ruling = Ruling::Settled { done: settling.outcome(), step: settling.step.clone() };
        let plan = self.names.plan(&run)?;
        if let Some(step) = &settling.step {
            known_step(&run, &plan, step)?;
        }
        let concerned = settle::concerned(&self.store, &plan, &run, &ruling, &items)
            .map_err(|error| self.ruling_problem(&run, error))?;
        self.check_facts(&run, settling, &concerned)?;
        self.rule(&run, &plan, &ruling, &items).await
    }

    /// Gives dead letters up: they are not redriven, and are not dead letters any more.
    ///
    /// # Errors
    /// A problem when the run is being worked on, or a named item is no dead letter that is meant;
    /// nothing is recorded then.
    pub async fn give_up(&self, reference: &str, dropping: &Dropping) -> Result<Decided, Problem> {
        let run = self.idle(reference)?;
        let items = self.positions(&run, &dropping.items)?;
        let plan = self.names.plan(&run)?;
        if let Some(step) = &dropping.letters.step {
            known_step(&run, &plan, step)?;
        }
        let ruling =
            Ruling::Dropped { letters: dropping.letters.clone(), reason: dropping.reason.clone() };
        self.rule(&run, &plan, &ruling, &items).await
    }

    async fn rule(&self, run: &Run, plan: &Plan, ruling: &Ruling, items: &[u64]) -> Result<Decided, Problem> {
        let now = self.ports.clock.now();
        let ruled = settle::rule(&self.store, plan, run, ruling, items, now).await;
        let Ruled { steps, units } = ruled.map_err(|error| self.ruling_problem(run, error))?;
        Ok(Decided { run: run.id, decided: steps, items: units })
    }

    /// The run, if nobody works on it.
    fn idle(&self, reference: &str) -> Result<Run, Problem> {
        let run = self.archive().find(reference)?;
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner).contains(&run.id);
        if live {
            let detail = format!("{} is being worked on; stop it, or wait for its end", run.id);
            return Err(Problem::new(ProblemKind::Refused, code::RUN_BUSY, detail)
                .next(format!("milepost events {} --follow", run.id)));
        }
        Ok(run)
    }

    fn positions(&self, run: &Run, keys: &[String]) -> Result<Vec<u64>, Problem> {
        let archive = self.archive();
        let positions: Result<BTreeSet<u64>, Problem> =
            keys.iter().map(|key| archive.position(run, key)).collect();
        Ok(positions?.into_iter().collect())
    }

    fn ruling_problem(&self, run: &Run, error: settle::Error) -> Problem {
        let settle::Error::Moot(position) = error else {
            return Problem::new(ProblemKind::Internal, code::INTERNAL, error.to_string())
                .next("milepost list");
        };
        let item = self.names.key(run, position).unwrap_or_else(|| format!("#{position}"));
        let filter = EffectFilter { item: Some(item.clone()), ..EffectFilter::default() };
        let known = self.archive().effects(&run.id.to_string(), &filter).map(|page| page.effects);
        let known = known.unwrap_or_default();
        let stands = known.iter().map(|effect| format!("{} is {}", effect.step, effect.effect.word()));
        Problem::new(
            ProblemKind::Refused,
            code::NOT_IN_DOUBT,
            format!("there is nothing to decide about {item} of {}", run.id),
        )
        .candidates(stands)
        .next(format!("milepost items {} --item {item}", run.id))
    }

    /// Refuses facts that the step does not return, and the lack of facts that later steps look at:
    /// once the doubt is gone, nobody can add them.
    fn check_facts(
        &self,
        run: &Run,
        settling: &Settling,
        concerned: &BTreeMap<String, u64>,
    ) -> Result<(), Problem> {
        if !settling.done {
            return if settling.facts.is_empty() {
                Ok(())
            } else {
                Err(facts_problem(run, "an effect that was not done returned nothing".to_owned()))
            };
        }
        if !settling.facts.is_empty() && concerned.len() > 1 {
            let detail = "these are effects of several steps; say whose facts they are".to_owned();
            let steps = concerned.keys().map(|step| format!("--step {step}"));
            return Err(facts_problem(run, detail).candidates(steps));
        }
        let catalog = connectors::catalog();
        let definition = Definition::from_pins(run, &self.store, &catalog)
            .map_err(|error| Problem::new(ProblemKind::Internal, code::INTERNAL, error.to_string()))?;
        let workflow = &definition.checked.workflow;
        for name in concerned.keys() {
            let Some(step) = workflow.steps.iter().find(|step| step.name == *name) else { continue };
            let returned = catalog.step(&step.uses).map_or(&[][..], |known| known.facts);
            check_names(run, step, returned, &settling.facts)?;
            check_wanted(run, workflow, step, &settling.facts)?;
        }
        Ok(())
    }
}

fn known_step(run: &Run, plan: &Plan, name: &str) -> Result<(), Problem> {
    let mut steps = [&plan.run, &plan.items, &plan.closing].into_iter().flat_map(|track| &track.steps);
    if steps.clone().any(|step| step.name == name) {
        return Ok(());
    }
    let detail = format!("{} has no step '{name}'", run.id);
    Err(Problem::new(ProblemKind::Invalid, code::STEP_UNKNOWN, detail)
        .candidates(steps.by_ref().map(|step| step.name.clone()))
        .next(format!("milepost show {}", run.id)))
}

fn facts_problem(run: &Run, detail: String) -> Problem {
    Problem::new(ProblemKind::Invalid, code::EFFECT_FACTS, detail)
        .next(format!("milepost effects {} --in-doubt", run.id))
}

fn check_names(run: &Run, step: &Step, returned: &[&str], facts: &Facts) -> Result<(), Problem> {
    let Some(odd) = facts.keys().find(|name| !returned.contains(&name.as_str())) else { return Ok(()) };
    let detail = format!("'{}' ({}) returns no '{odd}'", step.name, step.uses);
    Err(facts_problem(run, detail).candidates(returned.iter().map(|known| (*known).to_owned())))
}

fn check_wanted(run: &Run, workflow: &Workflow, settled: &Step, facts: &Facts) -> Result<(), Problem> {
    let missing: BTreeSet<String> = workflow
        .steps
        .iter()
        .flat_map(|step| looks_at(step, &settled.name))
        .filter(|fact| !facts.contains_key(fact))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let given: Vec<String> = missing.iter().map(|fact| format!("--fact {fact}=VALUE")).collect();
    let detail = format!(
        "later steps look at what '{}' returned: give {} (null, if it returned nothing)",
        settled.name,
        given.join(" ")
    );
    Err(facts_problem(run, detail))
}

/// The facts of another step that this one looks at.
fn looks_at(step: &Step, other: &str) -> Vec<String> {
    let key = step.idempotency.as_ref().map(|declared| Value::String(declared.key.clone()));
    let texts = [Some(Value::Object(step.with.clone())), key];
    let templates: Vec<Template> =
        texts.into_iter().flatten().filter_map(|value| Template::parse(&value).ok()).collect();
    let when = step.when.as_deref().and_then(|text| Expression::parse(text).ok());
    let in_condition = when.iter().flat_map(Expression::references);
    let references = templates.iter().flat_map(Template::references).chain(in_condition);
    references
        .filter_map(|reference| match reference.names.as_slice() {
            [root, name, fact, ..] if root == "steps" && name == other => Some(fact.clone()),
            _ => None,
        })
        .collect()
}
