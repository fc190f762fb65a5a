//! Wiring: the one part that knows every other. An [`Engine`] holds a state directory, starts and
//! resumes runs, and answers what can be asked about them.

mod act;
mod alerts;
mod assemble;
mod care;
mod clock;
mod compile;
mod crew;
mod definition;
mod discreet;
mod doctor;
mod doing;
mod environment;
mod error;
mod executor;
mod ground;
mod hooks;
mod hush;
mod input;
mod item_keys;
mod keys;
mod live;
mod memory;
mod names;
mod rehearsal;
mod resume;
mod ruling;
mod scribe;
mod served;
mod signal;
mod start;
mod terms;
mod tokens;
mod watch;
mod workshop;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OnceCell};
use tokio::task::JoinHandle;

use crate::config::Options;
use crate::connectors::sandbox::{self, Faults, Sandbox, SandboxError};
use crate::connectors::{self, Executors};
use crate::core::catalog::Catalog;
use crate::core::desk::Limits;
use crate::core::execution::DrivenBy;
use crate::core::id::RunId;
use crate::core::run::Run;
use crate::core::workflow::Workflow;
use crate::engine::assembly::Assembly;
use crate::engine::{self, Beginning, Control, Handle, Ports};
use crate::ports::Clock;
use crate::spec::Report;
use crate::store::{self, MemoryStore, Store, Tokens};
use crate::view::Archive;
use crate::webhook::Secret;

use assemble::Surroundings;
use clock::SystemClock;
use crew::Crew;
use definition::{Definition, DefinitionError};
use environment::Environment;
use error::AssembleError;
use live::{Live, Taken};
use memory::Memory;
use names::PinnedNames;
use scribe::Scribe;
use workshop::Workshop;

pub use alerts::Alerting;
pub use care::{Care, Company, restore};
pub use clock::now;
pub use compile::{Compiled, Destination};
pub use doctor::{doctor, doctor_address};
pub use error::{BackupError, EngineError, OpenError, ResumeError, StartError};
pub use hooks::{HookError, Hooks, NoRoom, Room};
pub use rehearsal::rehearse;
pub use resume::Asked;
pub use scribe::RECORD;
pub use served::examine;
pub use start::Started;
use start::Starting;
use watch::Stuck;
pub use watch::{
    Begins, Collects, Declared, Desk, Finds, Hindrance, Listener, News, Pace, Upkeep, Watched, Watching,
};

/// Items of a run in memory at once. The store gains little beyond some hundreds in flight, and an
/// item takes up to 50 KB with its record, its product and its requests.
const WINDOW: usize = 512;
/// The same of all runs together: a run that begins beside many others gets its share of them, but not fewer
/// than fill its batches.
const WINDOWS: usize = 2_048;
const WINDOW_MIN: usize = 100;
/// An item that waits longer than this gives up its place in memory.
const PATIENCE: Duration = Duration::from_secs(1);

/// An engine that holds a state directory.
pub struct Engine {
    options: Options,
    store: Store,
    ports: Ports,
    names: Arc<PinnedNames>,
    live: Live,
    memory: Memory,
    stuck: Stuck,
    workshop: Workshop,
    tokens: Tokens,
    sandbox: OnceCell<Sandbox>,
    /// What the stand-in of the PIM signs with what it sends to hooks.
    stand_in_secret: Secret,
    /// Whom it sends that to.
    told: tokio::sync::watch::Sender<Vec<sandbox::Listener>>,
    /// Starts under the same key, one after the other.
    starting: Starting,
    /// What drives runs in the engine's place.
    executors: Executors,
    /// Held from the look at the name of the state directory to its commit.
    starting_name: Mutex<()>,
    /// Writes the log, if anybody reads it.
    _scribe: Option<Scribe>,
}

/// A run to start.
#[derive(Clone, Debug)]
pub struct Start {
    /// The workflow file.
    pub file: PathBuf,
    /// The input as it was given.
    pub input: Vec<(String, String)>,
    /// The profile.
    pub profile: Option<String>,
    /// Who asks for it; `None`: a trigger.
    pub by: Option<String>,
    /// Who drives its graph.
    pub driven_by: DrivenBy,
}

/// A workflow that passed `check`.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The workflow.
    pub workflow: Workflow,
    /// What is odd but no mistake.
    pub warnings: Report,
}

/// A run that is being driven.
pub struct Running {
    /// Its ID.
    pub id: RunId,
    handle: Handle,
    task: JoinHandle<Result<Run, engine::Error>>,
}

impl Running {
    /// Asks it to stop: no new attempt starts, those under way end, the run is interrupted.
    pub fn stop(&self) {
        self.handle.stop();
    }

    /// Returns when it ended or was stopped. To be awaited once.
    ///
    /// # Errors
    /// [`EngineError`] when the engine could not go on; the run can be resumed.
    pub async fn finished(&mut self) -> Result<Run, EngineError> {
        match (&mut self.task).await {
            Ok(ended) => ended.map_err(EngineError::from),
            Err(error) => Err(EngineError::Run(format!("a defect of Milepost: {error}"))),
        }
    }
}

impl Engine {
    /// Opens a state directory, or makes it.
    ///
    /// # Errors
    /// [`OpenError`] says who holds it or what is wrong with it.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (dir, of_store) = (options.state.clone(), Arc::clone(&clock));
        let store = opened(options, move || Store::open(&dir, of_store)).await?;
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let crew = Crew::start(threads)
            .map_err(|error| OpenError::Broken(format!("no computing threads: {error}")))?;
        let ports = Ports {
            journal: Arc::new(store.clone()),
            keys: Arc::new(store.clone()),
            clock,
            pins: Arc::new(store.clone()),
            compute: Arc::new(crew),
        };
        let names = Arc::new(PinnedNames::new(store.clone()));
        let stand_in_secret = Secret::of(&rand::random::<[u8; 32]>())
            .map_err(|fault| OpenError::Broken(format!("no secret for the stand-ins: {fault}")))?;
        let journal = Arc::clone(&ports.journal);
        let scribe = Scribe::begin(&store, Archive::new(journal, Arc::clone(&names) as _));
        Ok(Self {
            options: options.clone(),
            store,
            ports,
            names,
            live: Live::default(),
            memory: Memory::default(),
            stuck: Stuck::default(),
            workshop: Workshop::open(threads)
                .map_err(|error| OpenError::Broken(format!("no threads for runs: {error}")))?,
            tokens: Tokens::open(&options.state).map_err(|error| OpenError::Broken(error.to_string()))?,
            sandbox: OnceCell::new(),
            stand_in_secret,
            told: tokio::sync::watch::Sender::default(),
            starting: Starting::default(),
            executors: Executors::default(),
            starting_name: Mutex::new(()),
            _scribe: scribe,
        })
    }

    /// The state directory.
    pub fn state(&self) -> &Path {
        &self.options.state
    }

    /// What can be asked about runs.
    pub fn archive(&self) -> Archive {
        let live = self.live.clone();
        let is_live = move |run: RunId| live.handle(run).is_some();
        Archive::new(Arc::clone(&self.ports.journal), Arc::clone(&self.names) as _).with_live(is_live)
    }

    /// Reads and checks a workflow file, without a state directory and without secrets.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn check(file: &Path, profile: Option<&str>) -> Result<Checked, Report> {
        let catalog = connectors::catalog();
        let definition = definition_of(file, profile, &catalog)?;
        Self::try_out(&definition, &catalog)?;
        let warnings = definition.checked.warnings.clone();
        Ok(Checked { workflow: definition.checked.workflow.clone(), warnings })
    }

    /// Makes every step of a definition, only to see what the connectors say.
    fn try_out(definition: &Definition, catalog: &Catalog) -> Result<(), Report> {
        let nobody = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        let stand_ins = stand_ins(ABSENT_STAND_IN, ABSENT_STAND_IN);
        let surroundings = Surroundings::of(&Environment::Absent, nobody, Arc::new(SystemClock), stand_ins);
        let triggers = assemble::triggers(definition, None, catalog, &surroundings);
        let steps = assemble::assemble(definition, catalog, &surroundings);
        let hooks = hooks::try_out(definition);
        let alerts = alerts::try_out(definition, &Environment::Absent);
        let terms = terms::try_out(definition, catalog);
        triggers.map(drop).and(steps.map(drop)).and(hooks).and(alerts).and(terms).map_err(|report| *report)
    }

    async fn assemble(&self, definition: &Definition) -> Result<Assembly, AssembleError> {
        let connections = &definition.checked.workflow.connections;
        let stand_ins = if connections.values().any(assemble::wants_stand_in) {
            let sandbox = self.sandbox().await?;
            stand_ins(&sandbox.pim_url, &sandbox.shop_url)
        } else {
            BTreeMap::new()
        };
        let queue = Arc::new(self.store.clone());
        let clock = Arc::clone(&self.ports.clock);
        let surroundings = Surroundings::of(&Environment::Process, queue, clock, stand_ins);
        let assembly = assemble::assemble(definition, &connectors::catalog(), &surroundings)?;
        alerts::try_out(definition, &Environment::Process)?;
        Ok(assembly)
    }

    /// The stand-ins of this process; started when the first run wants them.
    async fn sandbox(&self) -> Result<&Sandbox, AssembleError> {
        let dir = self.options.state.join("sandbox");
        let started = self.sandbox.get_or_try_init(|| async move {
            let sandbox = sandbox::start(&dir, &Faults::default()).await?;
            sandbox.tell(self.told.subscribe());
            Ok::<_, SandboxError>(sandbox)
        });
        started.await.map_err(|error| AssembleError::Sandbox(error.to_string()))
    }

    fn drive(
        &self,
        run: Run,
        beginning: Beginning,
        assembly: Arc<Assembly>,
        (taken, control): (Taken, Control),
    ) -> Running {
        let (id, handle) = (run.id, taken.handle.clone());
        self.stuck.forget(id);
        let window = (WINDOWS / self.live.count().max(1)).clamp(WINDOW_MIN, WINDOW);
        let limits = Limits { window, patience: PATIENCE };
        let ports = self.ports.clone();
        let task = self.workshop.spawn(async move {
            let ended = engine::drive(run, beginning, assembly, ports, control, limits, rand::random()).await;
            drop(taken);
            ended
        });
        Running { id, handle, task }
    }
}

/// Opens a state directory on a thread where waiting is allowed.
async fn opened<T: Send + 'static>(
    options: &Options,
    open: impl FnOnce() -> Result<T, store::OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    match tokio::task::spawn_blocking(open).await {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(store::OpenError::Held { holder, .. })) => {
            Err(OpenError::Held { pid: holder.map(|holder| holder.pid), socket: options.socket() })
        }
        Ok(Err(
            error @ (store::OpenError::Damaged { .. }
            | store::OpenError::MovedAside { .. }
            | store::OpenError::Lost { .. }
            | store::OpenError::Unsound { .. }
            | store::OpenError::Behind { .. }),
        )) => Err(OpenError::Damaged(error.to_string())),
        Ok(Err(error)) => Err(OpenError::Broken(error.to_string())),
        Err(error) => Err(OpenError::Broken(format!("a defect of Milepost: {error}"))),
    }
}

/// A workflow file, read and checked.
fn definition_of(file: &Path, profile: Option<&str>, catalog: &Catalog) -> Result<Definition, Report> {
    let name = file.display().to_string();
    Definition::from_disk(file, profile, catalog).map_err(|error| match error {
        DefinitionError::Mistakes(report) => *report,
        DefinitionError::Unreadable(file, why) => Report::unreadable(&file.display().to_string(), &why),
        DefinitionError::Store(error) => Report::unreadable(&name, &error.to_string()),
    })
}

/// What `check` puts in the place of stand-ins, which it does not start.
const ABSENT_STAND_IN: &str = "http://absent.invalid";

fn stand_ins(pim: &str, shop: &str) -> BTreeMap<&'static str, String> {
    // Signals are those of the PIM: it announces what it publishes.
    BTreeMap::from([("pimcore", pim.to_owned()), ("signal", pim.to_owned()), ("medusa", shop.to_owned())])
}
