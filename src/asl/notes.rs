//! What is said of a workflow that Step Functions is to drive: what stays with the engine, what waits that
//! did not, what is written otherwise.

use serde_json::Value;

use super::conditions::{Condition, Conditions, is_about_items};
use super::patience;
use super::shape::Shape;
use super::states::execution_secs;
use crate::core::catalog::{Catalog, Role};
use crate::core::outlet::Terms;
use crate::core::workflow::{Step, Workflow};
use crate::expr::{Outside, Template, Why};

/// The step that invokes a Lambda function.
const LAMBDA: &str = "lambda.invoke";

/// Something worth knowing of a workflow that Step Functions is to drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What kind it is.
    pub word: Word,
    /// What it is about.
    pub subject: Subject,
    /// What is so, and why.
    pub message: String,
    /// What can be done about it; empty where nothing has to be.
    pub hint: String,
}

/// What a note, or a refusal, is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// All of the file.
    Workflow,
    /// A step.
    Step {
        /// Its name; `on_failure[0]` and so on.
        step: String,
        /// The key, or the field of `with`; empty: the step itself.
        field: String,
        /// The text in there; empty: all of it.
        token: String,
    },
    /// A connection, by its name.
    Connection(String),
}

impl Subject {
    pub(super) fn step(step: &str) -> Self {
        Self::field(step, "", "")
    }

    pub(super) fn field(step: &str, field: &str, token: &str) -> Self {
        Self::Step { step: step.to_owned(), field: field.to_owned(), token: token.to_owned() }
    }
}

/// The kinds of notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// A condition is a Choice.
    Choice,
    /// A condition stays with the engine.
    ConditionKept,
    /// An expression has an operator that AWS does not have, and stays with the engine.
    NewerOperator,
    /// Expressions stay with the engine.
    Expressions,
    /// Items wait for each other between steps.
    ItemsWait,
    /// A step waits for one that it does not need.
    StepWaits,
    /// Pauses are whole seconds.
    PauseRounded,
    /// Attempts of items are made inside the task.
    ItemAttempts,
    /// When a message is deleted is the engine's.
    DeleteAfter,
    /// A Lambda function is invoked by the engine.
    Lambda,
    /// What a connection bears is the engine's.
    Terms,
    /// Timeouts are the engine's.
    Timeouts,
}

impl Word {
    /// The stable word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Choice => "choice",
            Self::ConditionKept => "condition_kept",
            Self::NewerOperator => "newer_operator",
            Self::Expressions => "expressions",
            Self::ItemsWait => "items_wait",
            Self::StepWaits => "step_waits",
            Self::PauseRounded => "pause_rounded",
            Self::ItemAttempts => "item_attempts",
            Self::DeleteAfter => "delete_after",
            Self::Lambda => "lambda",
            Self::Terms => "terms",
            Self::Timeouts => "timeouts",
        }
    }
}

/// Everything worth knowing: first of steps in the order of the file, then of the whole.
pub(super) fn of(
    workflow: &Workflow,
    catalog: &Catalog,
    shape: &Shape,
    conditions: &Conditions,
) -> Vec<Note> {
    let mut notes = Vec::new();
    for (at, step) in workflow.steps.iter().enumerate() {
        notes.extend(condition(workflow, shape, step, conditions.get(at)));
        notes.extend(of_step(step));
        if shape.places[at].attempts_are_tasks() {
            notes.extend(rounded(step));
        }
        notes.extend(barrier(workflow, shape, at));
    }
    for step in &workflow.on_failure {
        let kept = "the engine looks at it: a step of 'on_failure' is always ordered";
        let note = |_| note(Word::ConditionKept, Subject::field(&step.name, "when", ""), kept, "");
        notes.extend(step.when.as_ref().map(note));
        notes.extend(of_step(step));
        notes.extend(rounded(step));
    }
    notes.extend(of_connections(workflow));
    notes.extend(of_whole(workflow, catalog, shape));
    notes
}

fn note(word: Word, subject: Subject, message: impl Into<String>, hint: impl Into<String>) -> Note {
    Note { word, subject, message: message.into(), hint: hint.into() }
}

fn condition(workflow: &Workflow, shape: &Shape, step: &Step, known: Option<&Condition>) -> Option<Note> {
    let outside = match known? {
        Condition::Exported(text) => {
            let subject = Subject::field(&step.name, "when", "");
            return Some(note(
                Word::Choice,
                subject,
                text.split_whitespace().collect::<Vec<_>>().join(" "),
                "",
            ));
        }
        Condition::Kept(outside) => outside,
    };
    let first = outside.first()?;
    let subject = Subject::field(&step.name, "when", &first.token);
    let (why, hint) = reason(workflow, shape, first, outside);
    Some(note(Word::ConditionKept, subject, format!("the engine looks at it: {why}"), hint))
}

fn reason(workflow: &Workflow, shape: &Shape, first: &Outside, all: &[Outside]) -> (String, &'static str) {
    let token = match first.token.as_str() {
        "" => "a part of it".to_owned(),
        token => format!("'{token}'"),
    };
    if is_about_items(workflow, shape, first) {
        return (format!("{token} differs from item to item"), "");
    }
    match first.why {
        Why::Newer => {
            let tokens: Vec<String> = all.iter().map(|outside| format!("'{}'", outside.token)).collect();
            let why = format!("AWS's JSONata 2.0.6 lacks {}", tokens.join(" and "));
            (why, "for a Choice write: $exists(x) ? x : y")
        }
        Why::Absent => {
            (format!("{token} is known to the engine alone"), "a Choice sees 'input', and 'steps' of the run")
        }
        Why::Fails => (
            format!("{token} fails on some values, which a Choice cannot catch"),
            "for a Choice compare with = or in, or an input that says its type",
        ),
        Why::Unknown => (format!("{token} is not known to do the same at AWS"), ""),
    }
}

fn of_step(step: &Step) -> Vec<Note> {
    let mut notes = newer_operators(step);
    if step.with.contains_key("delete_after") {
        let subject = Subject::field(&step.name, "delete_after", "");
        let waits =
            "a message is deleted once its item is taken: none is kept hidden until all items have passed";
        let hint = "an item that is given up later leaves no message to the queue's dead-letter queue";
        notes.push(note(Word::DeleteAfter, subject, waits, hint));
    }
    if step.uses == LAMBDA {
        let subject = Subject::field(&step.name, "uses", "");
        let why = "the engine invokes the function: only so its effect has a durable intent";
        notes.push(note(Word::Lambda, subject, why, ""));
    }
    notes
}

fn newer_operators(step: &Step) -> Vec<Note> {
    let key = step.idempotency.iter().map(|declared| ("idempotency", Value::from(declared.key.as_str())));
    let with = step.with.iter().map(|(field, value)| (field.as_str(), value.clone()));
    let mut notes = Vec::new();
    for (field, value) in with.chain(key) {
        let Ok(template) = Template::parse(&value) else { continue };
        let mut tokens: Vec<&str> =
            template.expressions().iter().flat_map(|expression| expression.newer_operators()).collect();
        tokens.dedup();
        let Some(first) = tokens.first() else { continue };
        let subject = Subject::field(&step.name, field, first);
        let why = format!("'{first}' is not in AWS's JSONata 2.0.6; the engine evaluates it, so it may stay");
        notes.push(note(Word::NewerOperator, subject, why, ""));
    }
    notes
}

fn rounded(step: &Step) -> Option<Note> {
    patience::is_rounded(&step.retry).then(|| {
        let why = format!(
            "pauses of {:?} to {:?} become whole seconds, at least one",
            step.retry.initial, step.retry.max
        );
        note(Word::PauseRounded, Subject::field(&step.name, "retry", ""), why, "")
    })
}

fn barrier(workflow: &Workflow, shape: &Shape, at: usize) -> Option<Note> {
    let barrier = shape.barriers.iter().find(|barrier| barrier.step == at)?;
    let names: Vec<String> =
        barrier.waits_for.iter().map(|other| format!("'{}'", workflow.steps[*other].name)).collect();
    let subject = Subject::step(&workflow.steps[at].name);
    let why = format!(
        "waits for {} without needing it: the graph is no series of parallel parts",
        names.join(", ")
    );
    Some(note(Word::StepWaits, subject, why, ""))
}

fn of_connections(workflow: &Workflow) -> Vec<Note> {
    let said = workflow.connections.iter().filter(|(_, known)| known.terms != Terms::default());
    let why = "what it bears is kept by the engine, inside the Tasks that name it";
    said.map(|(name, _)| note(Word::Terms, Subject::Connection(name.clone()), why, "")).collect()
}

fn of_whole(workflow: &Workflow, catalog: &Catalog, shape: &Shape) -> Vec<Note> {
    let mut notes = Vec::new();
    let on_items: Vec<usize> = (0..workflow.steps.len()).filter(|at| shape.places[*at].on_items).collect();
    let is_of_items = |name: &String| on_items.iter().any(|at| workflow.steps[*at].name == *name);
    let second =
        on_items.iter().map(|at| &workflow.steps[*at]).find(|step| step.needs.iter().any(is_of_items));
    if let Some(step) = second {
        let why = "begins when all items have passed the step before it; embedded, items flow";
        notes.push(note(Word::ItemsWait, Subject::step(&step.name), why, ""));
    }
    let retried = on_items.iter().map(|at| &workflow.steps[*at]).find(|step| {
        let effect = catalog.step(&step.uses).is_some_and(|known| matches!(known.role, Role::Effect { .. }));
        effect && step.retry.attempts > 1
    });
    if let Some(step) = retried {
        let why = "attempts of items are made inside the Task, item by item";
        notes.push(note(Word::ItemAttempts, Subject::step(&step.name), why, ""));
    }
    let expressions = "every other expression is evaluated by the engine";
    notes.push(note(Word::Expressions, Subject::Workflow, expressions, ""));
    let own = "timeouts of calls: the engine then looks what became of the call; a Task has a heartbeat";
    let whole = execution_secs(workflow).map_or(String::new(), |seconds| {
        format!("; the execution ends after {seconds} s ('timeout' and 'resumable_for')")
    });
    notes.push(note(Word::Timeouts, Subject::Workflow, format!("{own}{whole}"), ""));
    notes
}
