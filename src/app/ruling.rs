//! What a person decides about a run that nobody works on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::connectors;
use crate::core::cell::Facts;
use crate::core::id::RunId;
use crate::core::plan::Plan;
use crate::core::run::{Run, Status};
use crate::core::workflow::{Step, Workflow};
use crate::engine::settle::{self, Decision, Ruled, Ruling};
use crate::expr::{Expression, Template};
use crate::view::{Acted, Dropping, EffectFilter, Names, Problem, ProblemKind, ResumeTerms, Settling, code};

use super::Engine;
use super::act::{acted, refused};
use super::live::Taken;

/// What is decided about.
struct Case {
    run: Run,
    plan: Arc<Plan>,
    items: Vec<u64>,
}

impl Engine {
    /// Records what became of effects in doubt. The next resume goes on from there.
    ///
    /// # Errors
    /// A problem when the run is being worked on, when nothing about a named item is in doubt, or
    /// when a fact is missing that a later step looks at; nothing is recorded then.
    pub(super) async fn settle(&self, id: RunId, settling: &Settling, by: String) -> Result<Acted, Problem> {
        let done = settling.done.then(|| settling.facts.clone());
        let what = Decision::Settled { done, step: settling.step.clone() };
        let (_taken, case) = self.case(id, &settling.items, settling.step.as_deref())?;
        let ruling = Ruling { what, by };
        let concerned = settle::concerned(&self.store, &case.plan, &case.run, &ruling, &case.items)
            .map_err(|error| self.moot(&case.run, &ruling.what, &error))?;
        self.check_facts(&case.run, settling, &concerned)?;
        if concerned.is_empty() {
            let detail = format!("no effect of {id} is left to a person");
            return Err(Problem::new(ProblemKind::Refused, code::NOT_IN_DOUBT, detail)
                .next(format!("milepost effects {id} --in-doubt")));
        }
        let ruled = self.rule(&case, &ruling).await?;
        let word = if settling.done { "done" } else { "not done" };
        let (effects, items) = (told(ruled.steps, "effect", "effects"), told(ruled.units, "item", "items"));
        let message = format!("{effects} of {items} settled as {word}");
        let next = match case.run.status {
            // A run that succeeded is resumed only for items that are named.
            Status::Succeeded => {
                let terms = ResumeTerms { items: settling.items.clone(), ..ResumeTerms::default() };
                format!("{} --plan", terms.command(id))
            }
            _ => format!("milepost resume {id} --plan"),
        };
        let next = vec![next];
        Ok(Acted { next, ..acted(&case.run, message) })
    }

    /// Gives dead letters up: they are not redriven, and are not dead letters any more.
    ///
    /// # Errors
    /// A problem when the run is being worked on, or a named item is no dead letter that is meant;
    /// nothing is recorded then.
    pub(super) async fn give_up(&self, id: RunId, dropping: &Dropping, by: String) -> Result<Acted, Problem> {
        let (_taken, case) = self.case(id, &dropping.items, dropping.letters.step.as_deref())?;
        let what = Decision::Dropped { letters: dropping.letters.clone(), reason: dropping.reason.clone() };
        let ruled = self.rule(&case, &Ruling { what, by }).await?;
        if ruled.steps == 0 {
            let detail = format!("no dead letter of {id} is meant by this");
            return Err(Problem::new(ProblemKind::NotFound, code::NOT_A_DEAD_LETTER, detail)
                .next(format!("milepost dead-letters list --run {id}")));
        }
        let letters = told(ruled.steps, "dead letter is", "dead letters are");
        Ok(acted(&case.run, format!("{letters} given up; the record keeps them")))
    }

    /// A run that nobody works on meanwhile, and the items of it that are named.
    fn case(&self, id: RunId, keys: &[String], step: Option<&str>) -> Result<(Taken, Case), Problem> {
        let Some((taken, _)) = self.live.take(id) else {
            let detail = format!("{id} is being worked on; stop it, or wait for its end");
            return Err(refused(detail).next(format!("milepost events {id} --follow")));
        };
        let run = self.recorded(id)?;
        let plan = self.names.plan(&run)?;
        if let Some(step) = step {
            known_step(&run, &plan, step)?;
        }
        let archive = self.archive();
        let items: BTreeSet<u64> =
            keys.iter().map(|key| archive.position(&run, key)).collect::<Result<_, _>>()?;
        Ok((taken, Case { run, plan, items: items.into_iter().collect() }))
    }

    async fn rule(&self, case: &Case, ruling: &Ruling) -> Result<Ruled, Problem> {
        let now = self.ports.clock.now();
        let ruled = settle::rule(&self.store, &case.plan, &case.run, ruling, &case.items, now).await;
        ruled.map_err(|error| self.moot(&case.run, &ruling.what, &error))
    }

    fn moot(&self, run: &Run, what: &Decision, error: &settle::Error) -> Problem {
        let settle::Error::Moot(position) = error else {
            return Problem::new(ProblemKind::Internal, code::INTERNAL, error.to_string())
                .next("milepost list");
        };
        let item = self.names.key(run, *position).unwrap_or_else(|| format!("#{position}"));
        if let Decision::Dropped { .. } = what {
            let detail = format!("{item} is no dead letter of {}, or none that is meant", run.id);
            return Problem::new(ProblemKind::Refused, code::NOT_A_DEAD_LETTER, detail)
                .next(format!("milepost dead-letters list --run {}", run.id));
        }
        let filter = EffectFilter { item: Some(item.clone()), ..EffectFilter::default() };
        let known = self.archive().effects(&run.id.to_string(), &filter).map(|page| page.effects);
        let known = known.unwrap_or_default();
        let stands = known.iter().map(|effect| format!("{} is {}", effect.step, effect.effect.word()));
        let detail = format!("nothing about {item} of {} is in doubt", run.id);
        Problem::new(ProblemKind::Refused, code::NOT_IN_DOUBT, detail)
            .candidates(stands)
            .next(format!("milepost effects {} --in-doubt", run.id))
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
        let definition = self
            .memory
            .pinned(run, &self.store, &catalog)
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

fn told(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
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
