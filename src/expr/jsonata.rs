//! The evaluator: the only file that knows how `jsonata-core` is driven.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use jsonata_core::evaluator::{Context, Evaluator, EvaluatorError, EvaluatorOptions};
use jsonata_core::value::JValue;
use jsonata_core::{Expression as Compiled, parser};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::ExprFault;
use super::references::{Found, walk};
use super::value::{NotJson, enter, instant, leave};
use crate::core::fault::{Fault, name};
use crate::core::scope::Scope;

/// An expression that computes longer than this is a mistake, not a computation.
const TIMEOUT_MS: u64 = 1_000;
/// Levels of evaluation. Three per recursive call: enough for any tree that is data.
const DEPTH_MAX: usize = 1_500;
/// Entries of one result sequence.
const SEQUENCE_MAX: usize = 100_000;
/// Parsed expressions kept per thread; a workflow has dozens.
const PARSED_MAX: usize = 512;

/// Which parts of the scope an expression looks at. Only those are converted: an item has dozens
/// of fields, and an expression looks at one or two.
#[derive(Clone, Debug, Default)]
pub(super) struct Roots {
    input: Part,
    item: Part,
    steps: Part,
    body: Part,
    headers: Part,
    run: bool,
}

/// What is needed of one root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Nothing,
    Fields(Vec<String>),
    Whole,
}

impl Roots {
    pub(super) fn of(found: &Found) -> Self {
        let whole = found.reaches_back || found.references.iter().any(|reference| reference.names.is_empty());
        let part = |root: &str| {
            let mut fields = Vec::new();
            for (_, field) in found.needed.iter().filter(|(name, _)| name == root) {
                match field {
                    Some(field) => fields.push(field.clone()),
                    None => return Part::Whole,
                }
            }
            match fields.is_empty() {
                _ if whole => Part::Whole,
                true => Part::Nothing,
                false => Part::Fields(fields),
            }
        };
        let run = part("run") != Part::Nothing;
        Self {
            input: part("input"),
            item: part("item"),
            steps: part("steps"),
            body: part("body"),
            headers: part("headers"),
            run,
        }
    }
}

/// Parses the text and says what is in it.
pub(super) fn inspect(text: &str) -> Result<Found, ExprFault> {
    let ast = parser::parse(text).map_err(|error| ExprFault { message: error.to_string() })?;
    let found = walk(&ast);
    match found.refused {
        Some(message) => Err(ExprFault { message }),
        None => Ok(found),
    }
}

/// The value of an expression that [`inspect`] accepted.
pub(super) fn evaluate(
    text: &Arc<str>,
    roots: &Roots,
    pinned: bool,
    scope: &Scope,
) -> Result<Option<Value>, Fault> {
    let compiled = compiled(text)?;
    let data = data(roots, scope);
    let result = if pinned {
        evaluator(text, scope).and_then(|mut evaluator| evaluator.evaluate(compiled.ast(), &data))
    } else {
        compiled.evaluate(&data)
    };
    let value = result.map_err(|error| fault(text, error.message()))?;
    leave(&value).map_err(|wrong| {
        fault(
            text,
            match wrong {
                NotJson::Function => "the result is a function, not a value",
                NotJson::TooDeep => "the result is nested too deeply",
                NotJson::NotFinite => "the result is not a finite number",
            },
        )
    })
}

fn fault(text: &str, message: &str) -> Fault {
    Fault::new(name::MAPPING, format!("'{text}': {message}"))
}

fn options() -> EvaluatorOptions {
    EvaluatorOptions {
        timeout_ms: Some(TIMEOUT_MS),
        cancel: None,
        max_stack_depth: Some(DEPTH_MAX),
        max_sequence_length: Some(SEQUENCE_MAX),
    }
}

/// A part of a scope and what it became.
type Entered = (Arc<Value>, JValue);

thread_local! {
    /// Expressions this thread has parsed. The evaluator's values are not `Send`.
    static PARSED: RefCell<HashMap<Arc<str>, Rc<Compiled>>> = RefCell::new(HashMap::new());
    /// The parts of the last scope: many expressions look at one item in a row.
    static LAST: RefCell<[Option<Entered>; 5]> = const { RefCell::new([const { None }; 5]) };
}

fn compiled(text: &Arc<str>) -> Result<Rc<Compiled>, Fault> {
    PARSED.with_borrow_mut(|parsed| {
        if let Some(known) = parsed.get(text) {
            return Ok(Rc::clone(known));
        }
        let compiled = Compiled::compile_with_options(text, options())
            .map_err(|error| fault(text, &error.to_string()))?;
        if parsed.len() >= PARSED_MAX {
            parsed.clear();
        }
        let compiled = Rc::new(compiled);
        parsed.insert(Arc::clone(text), Rc::clone(&compiled));
        Ok(compiled)
    })
}

/// The object that the expression looks at.
fn data(roots: &Roots, scope: &Scope) -> JValue {
    let sent = scope.sent.as_ref();
    let parts = [
        ("input", &roots.input, Some(&scope.input)),
        ("item", &roots.item, Some(&scope.item)),
        ("steps", &roots.steps, (roots.steps != Part::Nothing).then(|| scope.steps.value())),
        ("body", &roots.body, sent.map(|sent| &sent.body)),
        ("headers", &roots.headers, sent.map(|sent| &sent.headers)),
    ];
    let run = roots.run.then(|| {
        let id = ("id".to_owned(), JValue::from(scope.run.to_string()));
        let started_at = ("started_at".to_owned(), JValue::from(instant(scope.started_at)));
        ("run".to_owned(), JValue::object([id, started_at].into_iter().collect()))
    });
    LAST.with_borrow_mut(|last| {
        let converted = parts.into_iter().zip(last).filter_map(|((root, part, value), last)| {
            entered(part, value?, last).map(|converted| (root.to_owned(), converted))
        });
        JValue::object(converted.chain(run).collect())
    })
}

/// Converted as far as needed, or taken from the last time when it is the very same value: the
/// kept `Arc` makes sure that its address means this value and no other.
fn entered(part: &Part, value: &Arc<Value>, last: &mut Option<Entered>) -> Option<JValue> {
    if *part == Part::Nothing {
        return None;
    }
    if let Some((known, converted)) = last
        && Arc::ptr_eq(known, value)
    {
        return Some(converted.clone());
    }
    if let (Part::Fields(names), Value::Object(fields)) = (part, &**value) {
        let chosen = fields.iter().filter(|(name, _)| names.contains(name));
        return Some(JValue::object(chosen.map(|(name, inner)| (name.clone(), enter(inner))).collect()));
    }
    let converted = enter(value);
    *last = Some((Arc::clone(value), converted.clone()));
    Some(converted)
}

/// An evaluator whose time and chance follow from the scope (rule R12).
fn evaluator(text: &Arc<str>, scope: &Scope) -> Result<Evaluator, EvaluatorError> {
    let mut evaluator = Evaluator::with_options(Context::new(), options());
    #[expect(clippy::cast_precision_loss, reason = "milliseconds stay below 2^53 for 285,000 years")]
    let millis = scope.started_at.0 as f64;
    evaluator.register_fn_override("millis", move |_: &[JValue]| Ok(JValue::Number(millis)))?;
    evaluator.register_fn_override("now", move |args: &[JValue]| written(millis, args))?;
    let seed = format!("{} {} {text}", scope.run, scope.unit);
    let draws = Cell::new(0u64);
    evaluator.register_fn_override("random", move |_: &[JValue]| {
        draws.set(draws.get() + 1);
        Ok(JValue::Number(chance(&seed, draws.get())))
    })?;
    Ok(evaluator)
}

/// `$now(picture, timezone)`: what `$fromMillis` makes of the start of the run.
fn written(millis: f64, args: &[JValue]) -> Result<JValue, EvaluatorError> {
    let mut context = Context::new();
    let names = ["picture", "zone"];
    for (name, arg) in names.iter().zip(args) {
        context.bind((*name).to_owned(), arg.clone());
    }
    context.bind("at".to_owned(), JValue::Number(millis));
    let call = ["$fromMillis($at)", "$fromMillis($at, $picture)", "$fromMillis($at, $picture, $zone)"];
    let text = call[args.len().min(names.len())];
    let ast = parser::parse(text).map_err(|error| EvaluatorError::EvaluationError(error.to_string()))?;
    Evaluator::with_options(context, options()).evaluate(&ast, &JValue::Null)
}

/// A number in `0.0..1.0` that follows from the seed.
fn chance(seed: &str, draw: u64) -> f64 {
    let digest = Sha256::new().chain_update(seed).chain_update(draw.to_be_bytes()).finalize();
    let bits = digest.iter().take(8).fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let share = (bits >> 11) as f64 / (1u64 << 53) as f64;
    share
}
