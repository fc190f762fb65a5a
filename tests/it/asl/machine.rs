//! An interpreter of exactly the states language that we write: Task, Choice, Parallel, Pass, Succeed, Fail,
//! with Retry, Catch and JSONata. What branches do at the same time it does one after the other; that no order
//! depends on that is told by what is known to be done before each order, whatever is beside it.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Context, Evaluator, EvaluatorOptions};
use jsonata_core::parser;
use jsonata_core::value::JValue;
use serde_json::{Map, Value, json};

/// An error name and a cause.
pub(super) type Error = (String, String);
/// Who does what is ordered: the arguments in, the answer out.
pub(super) type Answers<'a> = dyn FnMut(&Value) -> Result<Value, Error> + 'a;

/// One order, as it was given for the last time.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// Its arguments.
    pub(super) arguments: Value,
    /// The activity.
    pub(super) resource: String,
    /// The orders that had surely ended before, by their states.
    pub(super) after: BTreeSet<String>,
    /// How often it was given.
    pub(super) times: usize,
}

/// What an execution came to.
#[derive(Debug)]
pub(super) struct Walk {
    /// The orders with the states that gave them.
    pub(super) orders: Vec<(String, Order)>,
    /// How many states were entered, and how many entries a history would have.
    pub(super) states: usize,
    pub(super) events: usize,
    /// The largest data of a state, in bytes.
    pub(super) largest: usize,
    /// How it ended.
    pub(super) end: Result<Value, Error>,
}

/// Walks through a definition.
pub(super) fn walk(definition: &Value, input: &Value, answers: &mut Answers<'_>) -> Walk {
    let mut walker = Walker { answers, orders: Vec::new(), states: 0, events: 1, largest: 0 };
    let end = walker.program(definition, input.clone(), &mut BTreeSet::new());
    let (states, events) = (walker.states, walker.events + 1);
    Walk { orders: walker.orders, states, events, largest: walker.largest, end }
}

struct Walker<'a, 'b> {
    answers: &'a mut Answers<'b>,
    orders: Vec<(String, Order)>,
    states: usize,
    events: usize,
    largest: usize,
}

/// Where to go on, or that this is the end.
type Next = Result<(Option<String>, Value), Error>;

impl Walker<'_, '_> {
    /// One machine, or one branch.
    fn program(
        &mut self,
        program: &Value,
        mut data: Value,
        done: &mut BTreeSet<String>,
    ) -> Result<Value, Error> {
        let mut at = program["StartAt"].as_str().unwrap().to_owned();
        loop {
            let state = &program["States"][&at];
            self.states += 1;
            self.largest = self.largest.max(data.to_string().len());
            let (next, output) = match state["Type"].as_str() {
                Some("Task") => self.task(&at, state, &data, done)?,
                Some("Choice") => self.choice(state, data),
                Some("Parallel") => self.parallel(state, &data, done)?,
                Some("Pass" | "Succeed") => {
                    self.events += 2;
                    (None, data)
                }
                Some("Fail") => {
                    self.events += 1;
                    let text = |key: &str| evaluated(&state[key], &json!({ "input": data }));
                    let text = |key: &str| text(key).as_str().unwrap().to_owned();
                    return Err((text("Error"), text("Cause")));
                }
                other => panic!("state '{at}' is of type {other:?}"),
            };
            data = output;
            match next {
                Some(next) => at = next,
                None => return Ok(data),
            }
        }
    }

    fn task(&mut self, name: &str, state: &Value, data: &Value, done: &mut BTreeSet<String>) -> Next {
        let arguments = evaluated(&state["Arguments"], &json!({ "input": data }));
        let (mut times, after) = (0, done.clone());
        let mut spent = vec![0; state["Retry"].as_array().map_or(0, Vec::len)];
        let answer = loop {
            times += 1;
            self.events += 3;
            let answer = (self.answers)(&arguments);
            let Err((error, _)) = &answer else { break answer };
            let retriers = state["Retry"].as_array().into_iter().flatten();
            let fits = retriers.enumerate().find(|(_, retrier)| equals(&retrier["ErrorEquals"], error));
            match fits {
                Some((at, retrier)) if spent[at] < retrier["MaxAttempts"].as_u64().unwrap() => {
                    spent[at] += 1;
                }
                _ => break answer,
            }
        };
        self.events += 2;
        done.insert(name.to_owned());
        let resource = state["Resource"].as_str().unwrap().to_owned();
        self.orders.push((name.to_owned(), Order { arguments, resource, after, times }));
        match answer {
            Ok(result) => Ok(on(state, &json!({ "input": data, "result": result }))),
            Err(error) => caught(state, data, error),
        }
    }

    fn choice(&mut self, state: &Value, data: Value) -> (Option<String>, Value) {
        self.events += 2;
        for choice in state["Choices"].as_array().unwrap() {
            match evaluated(&choice["Condition"], &json!({ "input": data })) {
                Value::Bool(true) => return (choice["Next"].as_str().map(str::to_owned), data),
                Value::Bool(false) => {}
                other => panic!("a condition gives {other}"),
            }
        }
        (Some(state["Default"].as_str().unwrap().to_owned()), data)
    }

    fn parallel(&mut self, state: &Value, data: &Value, done: &mut BTreeSet<String>) -> Next {
        self.events += 4;
        let before = done.clone();
        let mut results = Vec::new();
        for branch in state["Branches"].as_array().unwrap() {
            let mut own = before.clone();
            match self.program(branch, data.clone(), &mut own) {
                Ok(output) => results.push(output),
                Err(error) => return caught(state, data, error),
            }
            done.append(&mut own);
        }
        let result = Value::Array(results);
        self.largest = self.largest.max(result.to_string().len());
        Ok(on(state, &json!({ "input": data, "result": result })))
    }
}

fn on(state: &Value, states: &Value) -> (Option<String>, Value) {
    (state["Next"].as_str().map(str::to_owned), evaluated(&state["Output"], states))
}

fn caught(state: &Value, data: &Value, error: Error) -> Next {
    let catchers = state["Catch"].as_array().into_iter().flatten();
    let Some(catcher) = catchers.into_iter().find(|catcher| equals(&catcher["ErrorEquals"], &error.0)) else {
        return Err(error);
    };
    let states = json!({ "input": data, "errorOutput": { "Error": error.0, "Cause": error.1 } });
    Ok((Some(catcher["Next"].as_str().unwrap().to_owned()), evaluated(&catcher["Output"], &states)))
}

fn equals(names: &Value, error: &str) -> bool {
    names.as_array().unwrap().iter().any(|name| name == error || name == "States.ALL")
}

/// A value with every `{% %}` in it evaluated; `$states` is bound.
fn evaluated(value: &Value, states: &Value) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("{%").and_then(|text| text.strip_suffix("%}")) {
            Some(expression) => jsonata(expression, states),
            None => value.clone(),
        },
        Value::Object(fields) => {
            fields.iter().map(|(name, inner)| (name.clone(), evaluated(inner, states))).collect()
        }
        Value::Array(items) => items.iter().map(|item| evaluated(item, states)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn jsonata(expression: &str, states: &Value) -> Value {
    let ast = parsed(expression);
    let mut context = Context::new();
    context.bind("states".to_owned(), enter(states));
    let result =
        Evaluator::with_options(context, EvaluatorOptions::default()).evaluate(&ast, &JValue::Undefined);
    match result.map(|value| leave(&value)) {
        Ok(Some(value)) => value,
        // AWS fails the execution then.
        other => panic!("{expression} gives {other:?} of {states}"),
    }
}

/// Most expressions are the same in every machine.
fn parsed(expression: &str) -> Rc<AstNode> {
    thread_local! {
        static PARSED: RefCell<HashMap<String, Rc<AstNode>>> = RefCell::default();
    }
    let parse = || Rc::new(parser::parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}")));
    PARSED.with_borrow_mut(|known| Rc::clone(known.entry(expression.to_owned()).or_insert_with(parse)))
}

fn enter(value: &Value) -> JValue {
    match value {
        Value::Null => JValue::Null,
        Value::Bool(yes) => JValue::Bool(*yes),
        Value::Number(number) => JValue::Number(number.as_f64().unwrap()),
        Value::String(text) => JValue::from(text.as_str()),
        Value::Array(items) => JValue::array(items.iter().map(enter).collect()),
        Value::Object(fields) => {
            JValue::object(fields.iter().map(|(name, inner)| (name.clone(), enter(inner))).collect())
        }
    }
}

fn leave(value: &JValue) -> Option<Value> {
    Some(match value {
        JValue::Undefined => return None,
        JValue::Null => Value::Null,
        JValue::Bool(yes) => Value::Bool(*yes),
        // A whole one without a point, as JSONata writes it.
        JValue::Number(number) => serde_json::from_str(&number.to_string()).unwrap(),
        JValue::String(text) => Value::String(text.to_string()),
        JValue::Array(items) => items.iter().filter_map(leave).collect(),
        JValue::Object(fields) => {
            let fields = fields.iter().filter_map(|(name, inner)| Some((name.clone(), leave(inner)?)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        JValue::Lambda(_) | JValue::Builtin { .. } | JValue::Regex { .. } => panic!("a function is no value"),
    })
}
