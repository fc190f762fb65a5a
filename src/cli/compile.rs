//! `milepost compile`: a workflow for another executor.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use super::exit::Exit;
use super::failure::Failure;
use super::output::{BOLD, CARE, DIM, GOOD, Output};
use super::phrase;
use super::table::{Table, text};
use crate::app::{Compiled, Destination, Engine};
use crate::asl::{Forecast, Note, Serves, Subject, Word};

/// Write a workflow as a state machine of AWS Step Functions, or say what of it stays with the engine
///
/// stdout is the definition. Touches no state and calls nobody: `run --executor step_functions` makes the
/// state machine and its activities by itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost compile workflows/product-sync.yaml --target asl > product-sync.asl.json
  milepost compile workflows/product-sync.yaml --target asl --explain
  milepost compile my.yaml --target asl --explain --json | jq '.forecast'

Exit codes: 0, 2 mistakes in the file, or nothing that Step Functions can drive.")]
pub(super) struct Args {
    /// The workflow file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// For whom
    #[arg(long, value_enum)]
    target: Target,
    /// The profile whose connections count
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// What stays with the engine, what waits, what it takes of AWS's limits; not the definition
    #[arg(long)]
    explain: bool,
    /// As JSON (the definition always is)
    #[arg(long)]
    json: bool,
    /// The region in the ARNs of activities; without it us-east-1
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The account in the ARNs of activities; without it that of the connection's role, else 123456789012
    #[arg(long, value_name = "NUMBER")]
    account: Option<String>,
    /// The engine in the names of activities; without it 'engine'
    #[arg(long, value_name = "NAME")]
    engine: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Target {
    /// Amazon States Language, with JSONata
    Asl,
}

pub(super) fn execute(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let Target::Asl = args.target;
    let to = Destination {
        region: args.region.clone(),
        account: args.account.clone(),
        engine: args.engine.clone(),
    };
    let compiled = Engine::compile(&args.file, args.profile.as_deref(), &to)
        .map_err(|report| Failure::Mistakes(Box::new(report)))?;
    let file = args.file.display().to_string();
    match (args.explain, args.json) {
        (true, true) => output.json(&document(&file, &compiled))?,
        (true, false) => explain(&file, &compiled, output)?,
        (false, _) => output.json(&compiled.machine.definition)?,
    }
    Ok(Exit::Success)
}

/// For people.
fn explain(file: &str, compiled: &Compiled, output: &mut Output) -> Result<(), Failure> {
    let machine = &compiled.machine;
    let good = output.paint(GOOD, "ok");
    let states = phrase::count(states(&machine.definition) as u64, "state", "states");
    let activities = phrase::count(machine.activities.len() as u64, "activity", "activities");
    output.line(&format!("{good}  {file}  {}: {states}, {activities}", compiled.workflow))?;
    for (title, of_group) in GROUPS {
        let notes: Vec<_> = compiled.notes.iter().filter(|(_, note)| of_group(note.word)).collect();
        if notes.is_empty() {
            continue;
        }
        output.line("")?;
        output.line(&output.paint(BOLD, title))?;
        let width = notes.iter().map(|(place, _)| placed(file, *place).len()).max().unwrap_or_default();
        for (place, note) in notes {
            let about = about(note);
            output.line(&format!("  {:width$}  {about}{}", placed(file, *place), note.message))?;
            if !note.hint.is_empty() {
                let hint = output.paint(DIM, &note.hint);
                output.line(&format!("  {:width$}  {hint}", ""))?;
            }
        }
    }
    output.line("")?;
    output.line(&output.paint(BOLD, "What an execution takes of AWS's limits"))?;
    forecast(&machine.forecast, output)?;
    output.line("")?;
    output.line(&format!("next: milepost compile {file} --target asl > {}.asl.json", compiled.workflow))?;
    Ok(())
}

/// Whether notes of a kind stand under a title.
type Belongs = fn(Word) -> bool;

/// Which notes stand under which title.
const GROUPS: [(&str, Belongs); 3] = [
    ("Becomes a Choice", |word| word == Word::Choice),
    ("Stays with the engine, and means what it means embedded", |word| {
        !matches!(
            word,
            Word::Choice | Word::ItemsWait | Word::StepWaits | Word::PauseRounded | Word::DeleteAfter
        )
    }),
    ("Is different under Step Functions", |word| {
        matches!(word, Word::ItemsWait | Word::StepWaits | Word::PauseRounded | Word::DeleteAfter)
    }),
];

fn placed(file: &str, place: Option<(u32, u32)>) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    place.map_or_else(|| name.to_owned(), |(line, _)| format!("{name}:{line}"))
}

fn about(note: &Note) -> String {
    match &note.subject {
        Subject::Step { step, field, .. } if field.is_empty() => format!("'{step}': "),
        Subject::Step { step, field, .. } => format!("'{step}', {field}: "),
        Subject::Connection(name) => format!("connection '{name}': "),
        Subject::Workflow => String::new(),
    }
}

fn forecast(forecast: &Forecast, output: &mut Output) -> Result<(), Failure> {
    let payload = &forecast.payload;
    let bytes = |value: usize| format!("{} bytes", phrase::number(value as u64));
    let count = |value: usize| phrase::number(value as u64);
    let mut table = Table::new(["", "expected", "at most", "limit"]);
    let mut row = |cells: [String; 4]| table.row(cells.map(text));
    row(["data of a state".into(), bytes(payload.input), bytes(payload.largest), bytes(payload.most)]);
    row([
        "history".into(),
        format!("{} events", count(forecast.events)),
        format!("{} events", count(forecast.events_most)),
        format!("{} events", count(forecast.events_max)),
    ]);
    let transitions = [count(forecast.transitions), count(forecast.transitions_most), "-".into()];
    let [expected, most, limit] = transitions;
    row(["transitions".into(), expected, most, limit]);
    row([
        "definition".into(),
        bytes(forecast.definition_bytes),
        bytes(forecast.definition_bytes),
        bytes(1 << 20),
    ]);
    output.line(table.render(output).trim_end())?;
    output.line(&computed(forecast))?;
    if !forecast.fits() {
        let over = "over a limit: with fewer steps side by side, or fewer attempts, it would fit";
        output.line(&output.paint(CARE, over))?;
    }
    Ok(())
}

/// How the figures were computed.
fn computed(forecast: &Forecast) -> String {
    let unknown = match forecast.payload.unknown {
        0 => String::new(),
        count => format!(
            "\n{} not known before the run: each counts as {} bytes.",
            phrase::count(count as u64, "value is", "values are"),
            phrase::number(forecast.payload.assumed as u64)
        ),
    };
    format!(
        "Expected: nothing fails. At most: all is retried as often as it may be, and the run fails.\nItems do \
         not count, however many there are.{unknown}"
    )
}

fn states(definition: &serde_json::Value) -> usize {
    let Some(states) = definition["States"].as_object() else { return 0 };
    let inner = states.values().filter_map(|state| state["Branches"].as_array()).flatten().map(self::states);
    states.len() + inner.sum::<usize>()
}

#[derive(Serialize)]
struct Document<'a> {
    file: &'a str,
    workflow: &'a str,
    ok: bool,
    state_machine: &'a str,
    digest: &'a str,
    states: usize,
    /// Region, account or engine in the ARNs stand for others.
    placeholders: bool,
    activities: Vec<ActivityDocument<'a>>,
    notes: Vec<NoteDocument<'a>>,
    forecast: ForecastDocument,
}

#[derive(Serialize)]
struct ActivityDocument<'a> {
    name: &'a str,
    arn: &'a str,
    r#do: &'static str,
    step: Option<String>,
}

#[derive(Serialize)]
struct NoteDocument<'a> {
    kind: &'static str,
    file: &'a str,
    line: Option<u32>,
    column: Option<u32>,
    step: Option<&'a str>,
    field: Option<&'a str>,
    connection: Option<&'a str>,
    message: &'a str,
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct ForecastDocument {
    fits: bool,
    input_bytes: usize,
    data_bytes_most: usize,
    data_bytes_limit: usize,
    values_assumed: usize,
    value_bytes_assumed: usize,
    definition_bytes: usize,
    events: usize,
    events_most: usize,
    events_limit: usize,
    transitions: usize,
    transitions_most: usize,
}

fn document<'a>(file: &'a str, compiled: &'a Compiled) -> Document<'a> {
    let machine = &compiled.machine;
    let activities = machine.activities.iter().map(|activity| {
        let (r#do, step) = match &activity.serves {
            Serves::Step(step) => ("step", Some(step.clone())),
            Serves::Close => ("close", None),
            Serves::Closing(position) => ("closing", Some(format!("on_failure[{position}]"))),
        };
        ActivityDocument { name: &activity.name, arn: &activity.arn, r#do, step }
    });
    let notes = compiled.notes.iter().map(|(place, note)| noted(file, *place, note));
    let forecast = &machine.forecast;
    Document {
        file,
        workflow: &compiled.workflow,
        ok: true,
        state_machine: &machine.name,
        digest: &machine.digest,
        states: states(&machine.definition),
        placeholders: compiled.is_placeheld,
        activities: activities.collect(),
        notes: notes.collect(),
        forecast: ForecastDocument {
            fits: forecast.fits(),
            input_bytes: forecast.payload.input,
            data_bytes_most: forecast.payload.largest,
            data_bytes_limit: forecast.payload.most,
            values_assumed: forecast.payload.unknown,
            value_bytes_assumed: forecast.payload.assumed,
            definition_bytes: forecast.definition_bytes,
            events: forecast.events,
            events_most: forecast.events_most,
            events_limit: forecast.events_max,
            transitions: forecast.transitions,
            transitions_most: forecast.transitions_most,
        },
    }
}

fn noted<'a>(file: &'a str, place: Option<(u32, u32)>, note: &'a Note) -> NoteDocument<'a> {
    let (step, field, connection) = match &note.subject {
        Subject::Step { step, field, .. } => (Some(step.as_str()), Some(field.as_str()), None),
        Subject::Connection(name) => (None, None, Some(name.as_str())),
        Subject::Workflow => (None, None, None),
    };
    NoteDocument {
        kind: note.word.word(),
        file,
        line: place.map(|(line, _)| line),
        column: place.map(|(_, column)| column),
        step,
        field: field.filter(|field| !field.is_empty()),
        connection,
        message: &note.message,
        hint: Some(note.hint.as_str()).filter(|hint| !hint.is_empty()),
    }
}
