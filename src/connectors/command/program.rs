//! What a step starts: read from the step and its connection.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::protocol::Greeting;
use crate::connectors::{BuildFault, Site, settings};
use crate::core::fault::{Fault, name};

/// The runner of Python handlers.
const RUNNER: &str = include_str!("runner.py");
/// What every process sees of our own environment.
const PASSED: [&str; 3] = ["PATH", "HOME", "LANG"];
/// Most processes of one step.
const PROCESSES_MAX: u64 = 64;

/// What is started, and what it is told first.
pub(super) struct Program {
    /// The step that it works for.
    pub(super) step: String,
    /// The program and its arguments.
    pub(super) words: Vec<String>,
    /// Where it is started.
    pub(super) folder: PathBuf,
    /// Its whole environment.
    pub(super) environment: BTreeMap<String, String>,
    /// What of it is not told, each with what is told in its place.
    pub(super) hidden: Vec<(String, String)>,
    /// The first line to it, with its end.
    pub(super) greeting: Vec<u8>,
    /// How long one item may take, and how long it may take to say hello.
    pub(super) timeout: Duration,
    /// How many of it serve side by side, at least 1.
    pub(super) processes: usize,
    /// Files that it finds on the disk, with the bytes that were pinned.
    pinned: Vec<(String, Vec<u8>)>,
}

impl Program {
    /// Reads the step and its connection.
    ///
    /// # Errors
    /// Every mistake in their fields.
    pub(super) fn read(site: &Site<'_>) -> Result<Self, Vec<BuildFault>> {
        let limits = settings::both(environment(site).map_err(one), processes(&site.settings).map_err(one));
        let (started, (environment, processes)) = settings::both(started(site), limits)?;
        let Started { words, handler, pinned } = started;
        let greeting = Greeting::new(&site.step.name, settings::millis(site.step.timeout), handler);
        let mut greeting = serde_json::to_vec(&greeting)
            .map_err(|error| one(BuildFault::field("handler", error.to_string())))?;
        greeting.push(b'\n');
        Ok(Self {
            step: site.step.name.clone(),
            words,
            folder: site.base.to_owned(),
            hidden: hidden(site, &environment),
            environment,
            greeting,
            timeout: site.step.timeout,
            processes,
            pinned,
        })
    }

    /// A line that the process says for people, without secrets.
    pub(super) fn hushed(&self, line: &str) -> String {
        self.hidden.iter().fold(line.to_owned(), |line, (secret, shown)| line.replace(secret, shown))
    }

    /// Whether the files that it finds on the disk are still those that were pinned.
    ///
    /// # Errors
    /// Names the first one that is not.
    pub(super) fn unchanged(&self) -> Result<(), Fault> {
        for (file, bytes) in &self.pinned {
            let why = match std::fs::read(self.folder.join(file)) {
                Ok(found) if found == *bytes => continue,
                Ok(_) => "is not what it was when the run began".to_owned(),
                Err(error) => format!("cannot be read: {error}"),
            };
            let message = format!(
                "'{file}' {why}; put it back, or resume with --definition current to work with the new one"
            );
            return Err(Fault::new(name::UNREACHABLE, message));
        }
        Ok(())
    }
}

fn one(fault: BuildFault) -> Vec<BuildFault> {
    vec![fault]
}

/// What is started, as the step says it.
struct Started {
    words: Vec<String>,
    handler: Option<Value>,
    pinned: Vec<(String, Vec<u8>)>,
}

fn started(site: &Site<'_>) -> Result<Started, Vec<BuildFault>> {
    let with = &site.step.with;
    let files = settings::texts(with, "files").map_err(one)?;
    match (settings::text(with, "handler").map_err(one)?, with.contains_key("run")) {
        (Some(handler), false) => python(site, handler, &files),
        (None, true) => program(site, files),
        (Some(_), true) => Err(one(BuildFault::field("run", "'run' and 'handler' exclude each other"))),
        (None, false) => Err(one(BuildFault {
            hint: Some("write handler: FILE.py, or run: [PROGRAM, ARGUMENT, …]".to_owned()),
            ..BuildFault::field("run", "there is nothing to start: 'handler' or 'run' is missing")
        })),
    }
}

/// A Python handler: its text goes with the greeting, as it was pinned.
fn python(site: &Site<'_>, handler: &str, files: &[String]) -> Result<Started, Vec<BuildFault>> {
    let with = &site.step.with;
    if Path::new(handler).extension().is_none_or(|extension| extension != "py") {
        return Err(one(BuildFault {
            hint: Some("for a program in another language write run: [PROGRAM, ARGUMENT, …]".to_owned()),
            ..BuildFault::field("handler", format!("'{handler}' is no Python file"))
        }));
    }
    let texts = std::iter::once(handler).chain(files.iter().map(String::as_str));
    let texts: Map<String, Value> = texts
        .map(|name| {
            let bytes = site.files.get(name).map_or(&[][..], Vec::as_slice);
            let text = std::str::from_utf8(bytes).map_err(|_| {
                let field = if name == handler { "handler" } else { "files" };
                one(BuildFault::field(field, format!("the file '{name}' is not UTF-8")))
            })?;
            Ok((name.to_owned(), Value::from(text)))
        })
        .collect::<Result<_, Vec<BuildFault>>>()?;
    let lookup = with.get("lookup").map(|section| section["function"].as_str());
    if lookup == Some(None) {
        return Err(one(BuildFault {
            hint: Some("write lookup: { function: NAME }".to_owned()),
            ..BuildFault::field("lookup", "the function of the handler that looks up is missing")
        }));
    }
    let function = settings::text(with, "function").map_err(one)?.unwrap_or("handler");
    let interpreter = settings::text(&site.settings, "python").map_err(one)?.unwrap_or("python3");
    Ok(Started {
        words: vec![located(interpreter, site.base), "-c".to_owned(), RUNNER.to_owned()],
        handler: Some(json!({
            "file": handler, "function": function, "lookup": lookup.flatten(), "folder": site.base, "files": texts,
        })),
        pinned: Vec::new(),
    })
}

/// Any other program: it finds its files on the disk.
fn program(site: &Site<'_>, files: Vec<String>) -> Result<Started, Vec<BuildFault>> {
    let with = &site.step.with;
    if with.contains_key("function") {
        return Err(one(BuildFault::field("function", "'function' goes with 'handler', which is not there")));
    }
    if with.get("lookup").is_some_and(|section| !section["function"].is_null()) {
        let message = "'function' goes with 'handler', which is not there";
        return Err(one(BuildFault {
            hint: Some("write lookup: {}, and let the program say 'probes' in its hello".to_owned()),
            ..BuildFault::field("lookup.function", message)
        }));
    }
    let mut words = settings::texts(with, "run").map_err(one)?;
    let Some(first) = words.first_mut().filter(|first| !first.trim().is_empty()) else {
        return Err(one(BuildFault {
            hint: Some("write run: [PROGRAM, ARGUMENT, …]".to_owned()),
            ..BuildFault::field("run", "'run' names no program")
        }));
    };
    *first = located(first, site.base);
    let bytes = |name: &String| site.files.get(name).cloned().unwrap_or_default();
    let pinned = files.into_iter().map(|name| (name.clone(), bytes(&name))).collect();
    Ok(Started { words, handler: None, pinned })
}

/// A path begins at the workflow's folder; a bare name is looked for in PATH.
fn located(program: &str, base: &Path) -> String {
    if program.contains('/') { base.join(program).to_string_lossy().into_owned() } else { program.to_owned() }
}

fn environment(site: &Site<'_>) -> Result<BTreeMap<String, String>, BuildFault> {
    let passed = PASSED.into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
    let mut environment: BTreeMap<String, String> = passed.collect();
    let wrong = |message: String| BuildFault {
        hint: Some("write env: { NAME: value }".to_owned()),
        ..BuildFault::field("env", message)
    };
    let named = match site.settings.get("env") {
        None | Some(Value::Null) => return Ok(environment),
        Some(Value::Object(named)) => named,
        Some(_) => return Err(wrong("'env' must be names and values".to_owned())),
    };
    for (name, value) in named {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(wrong(format!("'{name}' in 'env' must be a text")));
            }
        };
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(wrong(format!("'{name}' cannot stand in an environment")));
        }
        environment.insert(name.clone(), value);
    }
    Ok(environment)
}

fn processes(settings: &Map<String, Value>) -> Result<usize, BuildFault> {
    match settings::count(settings, "processes")?.unwrap_or(1) {
        count @ 1..=PROCESSES_MAX => Ok(usize::try_from(count).unwrap_or(1)),
        _ => Err(BuildFault::field("processes", format!("'processes' must be 1 to {PROCESSES_MAX}"))),
    }
}

/// What came from variables of our environment, with how the file names it.
fn hidden(site: &Site<'_>, environment: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let written = site.connection.and_then(|connection| connection.fields.get("env")?.as_object());
    let named = written.into_iter().flatten();
    let secret = named.filter_map(|(name, text)| {
        let shown = text.as_str().filter(|text| text.contains("${env:"))?;
        let value = environment.get(name).filter(|value| value.len() >= 4)?;
        Some((value.clone(), shown.to_owned()))
    });
    let mut hidden: Vec<(String, String)> = secret.collect();
    // A secret may be the beginning of another one.
    hidden.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
    hidden
}
