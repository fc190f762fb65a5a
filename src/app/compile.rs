//! A workflow file as a state machine of AWS Step Functions, without a state directory and without calling
//! anybody.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::asl::{self, Machine, Naming, Note, Subject};
use crate::connectors;
use crate::core::execution::HEARTBEAT;
use crate::core::workflow::Workflow;
use crate::spec::{self, Report};

use super::{Engine, definition_of};

/// The kind of connection through which Step Functions is reached.
const CONNECTION: &str = "step_functions";
/// What stands for a region, an account and an engine as long as nobody says which.
const PARTITION: &str = "aws";
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "123456789012";
const ENGINE: &str = "engine";

/// Names of activities where nobody says where they lie: of what is given to an executor only the names count.
pub(super) fn placeless(engine: &str) -> Naming {
    Naming::new(&arn(PARTITION, REGION, ACCOUNT), engine)
}

/// The ARN of an activity up to its name.
fn arn(partition: &str, region: &str, account: &str) -> String {
    format!("arn:{partition}:states:{region}:{account}:activity:")
}

/// Where the activities of a state machine are, as far as somebody says.
#[derive(Clone, Debug, Default)]
pub struct Destination {
    /// The region.
    pub region: Option<String>,
    /// The account; without one that of the connection's role.
    pub account: Option<String>,
    /// The name of the engine.
    pub engine: Option<String>,
}

/// A state machine, and what is said of the workflow that it drives.
#[derive(Debug)]
pub struct Compiled {
    /// The workflow's name.
    pub workflow: String,
    /// The state machine.
    pub machine: Machine,
    /// Its notes in the order of the file, each with line and column (from 1) where it is about a place.
    pub notes: Vec<(Option<(u32, u32)>, Note)>,
    /// Names in the ARNs stand for others: nobody said which region or account, or which engine.
    pub is_placeheld: bool,
}

impl Engine {
    /// Compiles a workflow file.
    ///
    /// # Errors
    /// Every mistake in it; or why Step Functions cannot drive it.
    pub fn compile(file: &Path, profile: Option<&str>, to: &Destination) -> Result<Compiled, Report> {
        let catalog = connectors::catalog();
        let definition = definition_of(file, profile, &catalog)?;
        Self::try_out(&definition, &catalog)?;
        let checked = &definition.checked;
        let workflow = &checked.workflow;
        let said = Said::of(workflow);
        let region = to.region.clone();
        let account = to.account.clone().or(said.account);
        let is_placeheld = region.is_none() || account.is_none() || to.engine.is_none();
        let or = |said: Option<String>, place: &str| said.unwrap_or_else(|| place.to_owned());
        let partition = said.partition.as_deref().unwrap_or(PARTITION);
        let arn = arn(partition, &or(region, REGION), &or(account, ACCOUNT));
        let naming = Naming::new(&arn, to.engine.as_deref().unwrap_or(ENGINE));
        let heartbeat = said.heartbeat.unwrap_or(HEARTBEAT);
        let machine = asl::compile(workflow, &catalog, &naming, heartbeat).map_err(|refused| {
            let at = match &refused.subject {
                Subject::Step { step, field, token } => Some((step.as_str(), field.as_str(), token.as_str())),
                Subject::Workflow | Subject::Connection(_) => None,
            };
            checked.not_portable(at, &refused.message, &refused.hint)
        })?;
        let placed = |note: &Note| {
            let place = match &note.subject {
                Subject::Step { step, field, token } => Some(checked.step_position(step, field, token)),
                Subject::Connection(name) => Some(checked.connection_position(name)),
                Subject::Workflow => None,
            };
            (place, note.clone())
        };
        let mut notes: Vec<_> = machine.notes.iter().map(placed).collect();
        // What is about the whole comes last.
        notes.sort_by_key(|(place, note)| (place.is_none(), *place, note.word));
        Ok(Compiled { workflow: workflow.name.clone(), machine, notes, is_placeheld })
    }
}

/// What the only connection to Step Functions says.
#[derive(Default)]
struct Said {
    partition: Option<String>,
    account: Option<String>,
    heartbeat: Option<Duration>,
}

impl Said {
    fn of(workflow: &Workflow) -> Self {
        let mut ours = workflow.connections.values().filter(|known| known.kind == CONNECTION);
        let (Some(only), None) = (ours.next(), ours.next()) else { return Self::default() };
        // What stands in the environment is not looked up: the definition is the same everywhere.
        let text = |name: &str| {
            only.fields
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.contains("${"))
                .map(str::to_owned)
        };
        let role = text("role").unwrap_or_default();
        let of_role = |at: usize| role.split(':').nth(at).filter(|part| !part.is_empty()).map(str::to_owned);
        Self {
            partition: of_role(1),
            account: of_role(4),
            heartbeat: text("heartbeat").and_then(|text| spec::duration(&text).ok()),
        }
    }
}
