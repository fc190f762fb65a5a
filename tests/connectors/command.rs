//! Local processes as they are and as they should not be: real ones, in Python and in the shell.

mod effects;
mod programs;
mod transforms;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use milepost::connectors::{BuildFault, Diagnosis};
use milepost::core::fault::Fault;
use milepost::core::id::Unit;
use milepost::core::scope::Scope;
use milepost::core::workflow::Step;
use milepost::ports::{Effect, Prepare, Worker};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::world::{built, connected, looked_at, scope, step};

/// A folder with a handler, and a connection to local processes.
pub(crate) struct Desk {
    dir: TempDir,
    settings: Value,
    pub(crate) timeout: Duration,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, settings: json!({}), timeout: Duration::from_secs(20) }
    }

    /// A folder with this handler.
    pub(crate) fn with(handler: &str) -> Self {
        let desk = Self::new();
        desk.put("handler.py", handler);
        desk
    }

    pub(crate) fn connection(mut self, settings: Value) -> Self {
        self.settings = settings;
        self
    }

    pub(crate) fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The text in a file of the folder.
    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The step and the files that it names.
    fn step(&self, uses: &str, with: &Value) -> (Step, BTreeMap<String, Vec<u8>>) {
        let mut step = step(uses, true, with);
        step.timeout = self.timeout;
        let listed = with["files"].as_array().into_iter().flatten().chain(with.get("handler"));
        let read = |name: &Value| {
            let name = name.as_str().unwrap().to_owned();
            let bytes = fs::read(self.path(&name)).unwrap();
            (name, bytes)
        };
        let files = listed.map(read).collect();
        (step, files)
    }

    fn made(&self, uses: &str, with: &Value) -> Result<Worker, Vec<BuildFault>> {
        let (step, files) = self.step(uses, with);
        let connection = connected(("process", self.settings.clone()));
        built(&step, Some(&connection), self.settings.as_object().unwrap().clone(), &files, self.dir.path())
    }

    pub(crate) fn transform(&self, with: &Value) -> Arc<dyn Prepare> {
        match self.made("command.map", with) {
            Ok(Worker::Pure(pure)) => pure,
            Ok(_) => panic!("not pure"),
            Err(faults) => panic!("{faults:?}"),
        }
    }

    /// A transform by the function `handler` of the handler.
    pub(crate) fn handler(&self) -> Arc<dyn Prepare> {
        self.transform(&json!({ "handler": "handler.py" }))
    }

    pub(crate) fn effect(&self, with: &Value) -> Arc<dyn Effect> {
        match self.made("command", with) {
            Ok(Worker::Effect(effect)) => effect,
            Ok(_) => panic!("no effect"),
            Err(faults) => panic!("{faults:?}"),
        }
    }

    /// The field and the words of the first mistake.
    pub(crate) fn mistake(&self, uses: &str, with: &Value) -> (Option<String>, String) {
        let Err(mut faults) = self.made(uses, with) else { panic!("no mistake in {with}") };
        let fault = faults.remove(0);
        (fault.field, fault.message)
    }

    pub(crate) async fn doctor(&self, with: &Value) -> Diagnosis {
        let (step, files) = self.step("command", with);
        let connection = connected(("process", self.settings.clone()));
        let settings: Map<String, Value> = self.settings.as_object().unwrap().clone();
        looked_at(&step, &connection, settings, &files, self.dir.path()).await.remove(0)
    }
}

/// Items side by side, each with its position.
pub(crate) fn scopes(items: impl IntoIterator<Item = Value>) -> Vec<Scope> {
    let positioned = |(at, item): (usize, Value)| Scope { unit: Unit::Item(at as u64), ..scope(item) };
    items.into_iter().enumerate().map(positioned).collect()
}

/// Each output, or the name of the error.
pub(crate) fn words(made: &[Result<Value, Fault>]) -> Vec<String> {
    made.iter().map(|made| made.as_ref().map_or_else(|fault| fault.name.clone(), Value::to_string)).collect()
}

/// Waits until a process is gone; it must not take long.
pub(crate) fn gone(pid: &Value) {
    let waited =
        Command::new("timeout").args(["20", "tail", "-f", "/dev/null", "--pid", &pid.to_string()]).status();
    assert!(waited.unwrap().success(), "the process {pid} is still there");
}
