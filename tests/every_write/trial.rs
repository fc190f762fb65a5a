//! One trial: stand-ins of its own, a store that dies where it is told to, and the workflow.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use milepost::app::rehearse;
use milepost::connectors::sandbox::{self, Faults, Sandbox};
use milepost::core::change::Change;
use milepost::core::desk::Limits;
use milepost::core::id::{RunId, Unit};
use milepost::core::ledger::{self, Verdict};
use milepost::core::run::{Run, Status};
use milepost::core::selection::Selection;
use milepost::core::time::Timestamp;
use milepost::engine::assembly::Assembly;
use milepost::engine::{Control, Ports, Resumption, drive, recover};
use milepost::ports::{Clock, Compute, Journal, Worker};
use milepost::store::{Fate, MemoryStore};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::injector::{Open, Place, Watched};
use crate::product::Products;

const RUN: RunId = RunId(1);
/// The steps that write into the stand-ins.
const SYSTEMS: [&str; 2] = ["pim", "medusa"];

struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "real connectors need real time")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp(u64::try_from(since.as_millis()).unwrap())
    }

    async fn sleep_until(&self, until: Timestamp) {
        tokio::time::sleep(until.since(self.now())).await;
    }
}

/// Computes at once, on the thread that asks.
struct InPlace;

impl Compute for InPlace {
    fn submit(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}

/// The workflow and its products, as files.
pub(crate) struct Stage {
    dir: TempDir,
    items: u64,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let items = std::env::var("ITEMS").map_or(12, |text| text.parse().unwrap());
        let dir = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows"), dir.path());
        let file = dir.path().join("product-sync.yaml");
        let mut text = fs::read_to_string(&file).unwrap();
        for (old, new) in [("initial: 1s", "initial: 1ms"), ("max: 30s", "max: 4ms"), ("50ms", "1ms")] {
            assert!(text.contains(old), "the workflow no longer says {old}");
            text = text.replace(old, new);
        }
        fs::write(&file, text).unwrap();
        let mut products = Vec::new();
        Products::new(items, 11, 0).write_array(&mut products).unwrap();
        fs::write(dir.path().join("products.json"), products).unwrap();
        Self { dir, items }
    }

    pub(crate) fn items(&self) -> u64 {
        self.items
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

pub(crate) struct Trial<'a> {
    stage: &'a Stage,
    /// The stand-ins outlive every engine.
    _outside: Runtime,
    dir: TempDir,
    sandbox: Sandbox,
    clock: Arc<dyn Clock>,
    store: MemoryStore,
    open: Arc<Open>,
    place: Option<Place>,
    writes: Option<u64>,
    /// As the last life had it.
    assembly: Option<Arc<Assembly>>,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(stage: &'a Stage, place: Option<Place>) -> Self {
        let (outside, dir) = (runtime(), tempfile::tempdir().unwrap());
        let sandbox = outside.block_on(sandbox::start(dir.path(), &Faults::default())).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = MemoryStore::new(Arc::clone(&clock));
        outside.block_on(store.commit(vec![Change::Run(Box::new(new_run(stage)))])).unwrap();
        Self {
            stage,
            _outside: outside,
            dir,
            sandbox,
            clock,
            store,
            open: Open::new(),
            place,
            writes: None,
            assembly: None,
        }
    }

    /// Writes that the first life asked for.
    pub(crate) fn writes_of_first_life(&self) -> u64 {
        self.writes.unwrap()
    }

    /// One life of the engine. When it died, returns nothing, and everything that it had sent has
    /// come to its end outside.
    pub(crate) fn live(&mut self, fates: impl FnMut(u64) -> Fate + Send + 'static) -> Option<Run> {
        let store = Arc::new(self.store.survivor(fates));
        let ports = Ports {
            journal: Arc::clone(&store) as Arc<dyn Journal>,
            keys: Arc::clone(&store) as Arc<dyn milepost::ports::Keys>,
            clock: Arc::clone(&self.clock),
            pins: Arc::clone(&store) as Arc<dyn milepost::ports::Pins>,
            compute: Arc::new(InPlace),
        };
        let assembly = self.assemble(Arc::clone(&store));
        self.assembly = Some(Arc::clone(&assembly));
        let (run, open) = (self.store.run(RUN).unwrap().unwrap(), Arc::clone(&self.open));
        let engine = runtime();
        let ended = engine.block_on(async move {
            let ended = work(run, assembly, ports).await;
            open.none().await;
            ended
        });
        drop(engine);
        self.writes.get_or_insert(store.writes());
        self.store = store.survivor(|_| Fate::Kept);
        // The last write may have been kept without anybody hearing of it.
        ended.or_else(|| self.store.run(RUN).unwrap().filter(|run| run.status.is_ended()))
    }

    fn assemble(&self, store: Arc<MemoryStore>) -> Arc<Assembly> {
        let file = self.stage.path("product-sync.yaml");
        let made =
            rehearse(&file, store, Arc::new(SystemClock), (&self.sandbox.pim_url, &self.sandbox.shop_url));
        let mut assembly = made.unwrap_or_else(|_| panic!("the shipped workflow has mistakes"));
        let names = assembly.plan.items.steps.iter().map(|step| step.name.clone());
        for (name, station) in names.zip(&mut assembly.items) {
            if let Worker::Effect(inner) = &station.worker {
                let watched = Watched {
                    inner: Arc::clone(inner),
                    open: Arc::clone(&self.open),
                    place: self.place.filter(|place| place.step == name),
                    was_made: AtomicBool::new(false),
                };
                station.worker = Worker::Effect(Arc::new(watched));
            }
        }
        Arc::new(assembly)
    }

    /// How often each product was written, by system.
    fn written(&self) -> BTreeMap<(usize, String), u64> {
        let (pim, shop) = sandbox::entries(self.dir.path()).unwrap();
        let mut counts = BTreeMap::new();
        for (system, entries) in [pim, shop].into_iter().enumerate() {
            for key in entries.into_iter().flat_map(|entry| entry.wrote) {
                // Both know a product by a key that ends with its number.
                let number = key.rsplit('-').next().unwrap().to_owned();
                *counts.entry((system, number)).or_default() += 1;
            }
        }
        counts
    }

    /// What the records say of every effect, beside how often the stand-ins saw it.
    fn told(&self) -> Vec<(u64, &'static str, Option<Verdict>, u64)> {
        let assembly = self.assembly.as_ref().expect("there was a life before");
        let Some(source) = self.store.run(RUN).unwrap().unwrap().source else { return Vec::new() };
        let records = assembly.source().unwrap().open(&source, &self.store).unwrap();
        let (track, written) = (&assembly.plan.items, self.written());
        let mut told = Vec::new();
        for item in 0..source.count {
            let key = records.record(item).key.unwrap();
            let progress = self.store.progress(RUN, Unit::Item(item)).unwrap();
            for (system, name) in SYSTEMS.into_iter().enumerate() {
                let step = track.position(name).unwrap();
                let cell = progress.as_ref().map(|progress| &progress.cells[step]);
                let entry = cell.and_then(|cell| ledger::entry(&track.steps[step], cell, false));
                let count = written.get(&(system, key.clone())).copied().unwrap_or(0);
                told.push((item, name, entry.map(|entry| entry.verdict), count));
            }
        }
        told
    }

    /// The ledger's word for each effect is what the stand-ins' own journal says.
    pub(crate) fn check_ledger(&self) {
        for (item, step, verdict, written) in self.told() {
            let agrees = match verdict {
                Some(Verdict::Done) => written == 1,
                Some(Verdict::InDoubt) => written <= 1,
                Some(Verdict::Refused | Verdict::NotNeeded) | None => written == 0,
                Some(Verdict::Intended) => false,
            };
            assert!(agrees, "item {item}, {step}: the ledger says {verdict:?}, written {written} times");
        }
    }

    /// Every product is in both systems, written at most so often, and the ledger says so.
    pub(crate) fn check_end(&self, most: u64) {
        let told = self.told();
        assert_eq!(told.len() as u64, 2 * self.stage.items);
        for (item, step, verdict, written) in told {
            let right = verdict == Some(Verdict::Done) && (1..=most).contains(&written);
            assert!(right, "item {item}, {step}: the ledger says {verdict:?}, written {written} times");
        }
        let held = sandbox::contents(self.dir.path()).unwrap();
        assert_eq!([held.pim.products, held.shop.products], [self.stage.items; 2]);
    }
}

async fn work(run: Run, assembly: Arc<Assembly>, ports: Ports) -> Option<Run> {
    let resumption = if run.status == Status::Queued {
        None
    } else {
        let plan = recover::plan(ports.journal.as_ref(), &assembly.plan, &run, &Selection::All).unwrap().hash;
        recover::revive(ports.journal.as_ref(), &assembly.plan, &run, ports.clock.now(), &Selection::All)
            .await
            .ok()?;
        Some(Resumption { plan, ..Resumption::from("") })
    };
    let limits = Limits { window: 64, patience: Duration::from_secs(1) };
    let (_handle, control) = Control::new();
    drive(run, resumption, assembly, ports, control, limits, 1).await.ok()
}

fn new_run(stage: &Stage) -> Run {
    let source = stage.path("products.json").to_string_lossy().into_owned();
    Run {
        input: Map::from_iter([("source".to_owned(), Value::String(source))]),
        ..Run::queued(
            RUN,
            "product-sync",
            &stage.path("product-sync.yaml").to_string_lossy(),
            "d",
            Timestamp(1_000),
        )
    }
}
