//! The executor of one run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sfn::types::{ExecutionStatus, StateMachineType};
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Mutex as Turn, OnceCell};
use tokio::task::JoinSet;

use super::history::Reader;
use super::line::unreachable;
use super::machine::{Machine, beside};
use super::order;
use super::route::{News, Pace, Route};
use super::switchboard::Switchboard;
use crate::core::execution::{Answer, Errand, Execution, HEARTBEAT, Receipt};
use crate::core::fault::{Fault, name};
use crate::core::id::RunId;
use crate::ports::{Begun, Executor, Heard};

/// How it is refused to begin an execution again that has ended, or has other input (StartExecution).
const TAKEN: &str = "ExecutionAlreadyExists";
/// How it is refused to make a state machine again that is there with another definition (CreateStateMachine).
const OTHER: &str = "StateMachineAlreadyExists";
/// How an execution is refused that is not there (StopExecution).
const UNKNOWN: &str = "ExecutionDoesNotExist";

/// Lets Step Functions drive one run.
pub(super) struct Driver {
    switchboard: Arc<Switchboard>,
    task: Task,
    pace: Pace,
    route: Arc<Route>,
    news: Turn<Ear>,
    /// The ARN of each activity by its name, once they are there.
    activities: OnceCell<BTreeMap<String, String>>,
    /// The execution that is attended by its name, and who sees to its signs of life and its history.
    attendance: Mutex<(String, JoinSet<()>)>,
}

/// Hears what there is, and remembers that nothing more will be heard.
struct Ear {
    news: UnboundedReceiver<News>,
    deaf: Option<Fault>,
}

/// What a driver is made from, beside the switchboard.
pub(super) struct Task {
    pub(super) run: RunId,
    pub(super) machine: Machine,
    /// The ARN of the role that executions have.
    pub(super) role: String,
    /// How long a call is tried while nobody answers.
    pub(super) patience: Duration,
    /// What executions begin with, but for the epoch.
    pub(super) input: Map<String, Value>,
}

impl Driver {
    /// Reaches nobody yet.
    pub(super) fn new(switchboard: Arc<Switchboard>, task: Task, pace: Pace) -> Self {
        let (route, news) = Route::new(task.run, switchboard.line.patient(task.patience));
        let news = Turn::new(Ear { news, deaf: None });
        let (activities, attendance) = (OnceCell::new(), Mutex::default());
        Self { switchboard, task, pace, route: Arc::new(route), news, activities, attendance }
    }

    /// Whether an order waits for an answer.
    #[cfg(test)]
    pub(super) fn holds(&self, receipt: &Receipt) -> bool {
        self.route.errand(receipt).is_some()
    }

    /// The activities, made if they are not there: making one again changes nothing (CreateActivity).
    async fn activities(&self) -> Result<&BTreeMap<String, String>, Fault> {
        let make = || async {
            let line = &self.route.line;
            let client = line.client().await;
            let mut arns = BTreeMap::new();
            for name in self.task.machine.activities() {
                let made = line.ask("CreateActivity", || client.create_activity().name(&name).send()).await;
                arns.insert(name, made.map_err(unreachable)?.activity_arn);
            }
            Ok(arns)
        };
        self.activities.get_or_try_init(make).await
    }

    /// The ARN of something beside the activities.
    async fn beside(&self, kind: &str, name: &str) -> Result<String, Fault> {
        let activity = self.activities().await?.values().next();
        let activity = activity.ok_or_else(|| Fault::new(name::DEFECT, "the machine has no Task"))?;
        Ok(beside(activity, kind, name))
    }

    /// The state machine, made if it is not there, with the role that the connection says now: making it again does
    /// not look at the role (CreateStateMachine).
    async fn state_machine(&self) -> Result<String, Fault> {
        let line = &self.route.line;
        let client = line.client().await;
        let Task { machine, role, .. } = &self.task;
        let definition = machine.placed(self.activities().await?);
        let make = || {
            let asked =
                client.create_state_machine().name(&machine.name).definition(&definition).role_arn(role);
            asked.r#type(StateMachineType::Standard).send()
        };
        let (arn, definition) = match line.ask("CreateStateMachine", make).await {
            Ok(told) => (told.state_machine_arn, None),
            // The same definition, as another version of ours wrote it.
            Err(trouble) if trouble.code() == OTHER => {
                (self.beside("stateMachine", &machine.name).await?, Some(definition.as_str()))
            }
            Err(trouble) => return Err(unreachable(trouble)),
        };
        let look = || client.describe_state_machine().state_machine_arn(&arn).send();
        let found = line.ask("DescribeStateMachine", look).await.map_err(unreachable)?;
        if definition.is_some() || found.role_arn != *role {
            let update = || {
                let asked = client.update_state_machine().state_machine_arn(&arn).role_arn(role);
                asked.set_definition(definition.map(str::to_owned)).send()
            };
            line.ask("UpdateStateMachine", update).await.map_err(unreachable)?;
        }
        Ok(arn)
    }

    async fn start(&self, execution: &Execution) -> Result<Begun, Fault> {
        let machine = self.state_machine().await?;
        let line = &self.route.line;
        let client = line.client().await;
        let mut input = self.task.input.clone();
        input.insert("epoch".to_owned(), Value::from(execution.epoch));
        let input = Value::Object(input).to_string();
        let start = || {
            let asked = client.start_execution().state_machine_arn(&machine).name(&execution.name);
            asked.input(&input).send()
        };
        match line.ask("StartExecution", start).await {
            Ok(_) => Ok(Begun::UnderWay),
            Err(trouble) if trouble.code() == TAKEN => self.found(&self.arn(execution).await?).await,
            Err(trouble) => Err(unreachable(trouble)),
        }
    }

    /// Whether an execution that was begun before is under way.
    async fn found(&self, arn: &str) -> Result<Begun, Fault> {
        let line = &self.route.line;
        let client = line.client().await;
        let look = || client.describe_execution().execution_arn(arn).send();
        let found = line.ask("DescribeExecution", look).await.map_err(unreachable)?;
        Ok(if found.status == ExecutionStatus::Running { Begun::UnderWay } else { Begun::Over })
    }

    /// The ARN of an execution: of this machine, or of an earlier one of the workflow.
    async fn arn(&self, execution: &Execution) -> Result<String, Fault> {
        self.beside("execution", &format!("{}:{}", execution.machine, execution.name)).await
    }

    /// Keeps orders alive and mirrors the history, until the run is driven no longer. For an execution that is attended
    /// already nothing changes, or its history would be told twice.
    async fn attend(&self, execution: &Execution) -> Result<(), Fault> {
        let reader = Reader::new(self.arn(execution).await?, execution.mirrored);
        let heartbeat = self.task.machine.heartbeat().unwrap_or(HEARTBEAT);
        let mut attendance = self.attendance.lock().unwrap_or_else(PoisonError::into_inner);
        if attendance.0 == execution.name {
            return Ok(());
        }
        let mut tasks = JoinSet::new();
        let route = Arc::clone(&self.route);
        tasks.spawn(async move { route.beat(heartbeat).await });
        let (route, pace) = (Arc::clone(&self.route), self.pace);
        tasks.spawn(async move { route.mirror(reader, pace).await });
        // Whoever attended another one ends with that.
        *attendance = (execution.name.clone(), tasks);
        Ok(())
    }
}

#[async_trait]
impl Executor for Driver {
    fn machine(&self) -> String {
        self.task.machine.name.clone()
    }

    async fn begin(&self, execution: &Execution) -> Result<Begun, Fault> {
        let activities = self.activities().await?.values().cloned().collect();
        // Before it is begun: its first order may be there at once, and nobody would be at home.
        self.switchboard.connect(&self.route, activities);
        let begun = self.start(execution).await;
        match begun {
            Ok(Begun::UnderWay) => self.attend(execution).await?,
            Ok(Begun::Over) | Err(_) => self.switchboard.disconnect(&self.route),
        }
        begun
    }

    async fn next(&self) -> Result<Heard, Fault> {
        let mut ear = self.news.lock().await;
        if let Some(fault) = &ear.deaf {
            return Err(fault.clone());
        }
        // The route is ours, and has not ended.
        let heard = ear.news.recv().await.unwrap_or_else(|| Err(Fault::new(name::DEFECT, "nobody speaks")));
        if let Err(fault) = &heard {
            ear.deaf = Some(fault.clone());
        }
        heard
    }

    async fn answer(&self, receipt: &Receipt, answer: Answer) -> Result<(), Fault> {
        let Some(errand) = self.route.errand(receipt) else { return Ok(()) };
        if matches!((&errand, &answer), (Errand::Close { .. }, Answer::Done { .. })) {
            // Before it is said: the end of the execution may be heard at once.
            self.route.close();
        }
        self.route.line.say(receipt, order::said(answer)).await?;
        self.route.forget(receipt);
        self.route.stir();
        Ok(())
    }

    async fn stop(&self, execution: &Execution, why: &Fault) -> Result<(), Fault> {
        let arn = self.arn(execution).await?;
        let line = &self.route.line;
        let client = line.client().await;
        let stop = || {
            let asked = client.stop_execution().execution_arn(&arn).error(&why.name);
            asked.cause(&why.message).send()
        };
        match line.ask("StopExecution", stop).await {
            Ok(_) => Ok(()),
            Err(trouble) if trouble.code() == UNKNOWN => Ok(()),
            Err(trouble) => Err(unreachable(trouble)),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.switchboard.disconnect(&self.route);
        // Whoever ends with the process gives nothing back: the heartbeats that are missed then say the same.
        if let (true, Ok(runtime)) = (self.route.is_held(), Handle::try_current()) {
            let route = Arc::clone(&self.route);
            runtime.spawn(async move { route.give_back().await });
        }
    }
}
