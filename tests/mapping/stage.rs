//! What the engine would give: a scope, a folder for pins, a built step.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use milepost::connectors::{BuildFault, Site, build};
use milepost::core::change::Message;
use milepost::core::fault::Fault;
use milepost::core::id::{RunId, Unit};
use milepost::core::queue::{Carried, Receive, Received, Ticket};
use milepost::core::retry::Retry;
use milepost::core::scope::{Scope, Steps};
use milepost::core::survey::Survey;
use milepost::core::time::Timestamp;
use milepost::core::workflow::{Batch, Step};
use milepost::mapping::{self, Mapping};
use milepost::ports::{
    Clock, Interest, OwnQueue, PinWriter, Pinned, Pins, Queue, QueueError, Records, Source, StoreError,
    Worker,
};
use milepost::store::MemoryStore;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub(crate) fn scope(item: Value) -> Scope {
    scope_of(Arc::new(item))
}

pub(crate) fn scope_of(item: Arc<Value>) -> Scope {
    Scope {
        run: RunId(7),
        started_at: Timestamp(1_700_000_000_000),
        version: "0".into(),
        unit: Unit::Item(0),
        input: Arc::new(Value::Null),
        item,
        digest: Arc::default(),
        steps: Steps::default(),
        sent: None,
    }
}

pub(crate) fn workflows() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows")
}

/// A shipped mapping with the files it names.
pub(crate) fn shipped(name: &str) -> Mapping {
    let text = fs::read_to_string(workflows().join(name)).unwrap();
    let files = mapping::names(&text)
        .into_iter()
        .map(|other| (other.clone(), fs::read(workflows().join(&other)).unwrap()))
        .collect();
    Mapping::compile(&text, name, &files).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// The real products where they are at hand, else generated ones; all valid.
pub(crate) fn products() -> Vec<Value> {
    if let Some(path) = std::env::var_os("MILEPOST_REAL_PRODUCTS") {
        return serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    }
    let products = crate::product::Products::new(700, 11, 0);
    (0..700).map(|position| products.product(position)).collect()
}

/// Files by digest in a folder of their own.
pub(crate) struct Folder {
    path: tempfile::TempDir,
    next: AtomicU64,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { path: tempfile::tempdir().unwrap(), next: AtomicU64::new(0) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.path.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }
}

fn failed(error: &io::Error) -> StoreError {
    StoreError(error.to_string())
}

impl Pins for Folder {
    fn put(&self, bytes: &[u8]) -> Result<String, StoreError> {
        let mut writer = self.create()?;
        writer.write_all(bytes).map_err(|error| failed(&error))?;
        writer.finish()
    }

    fn create(&self) -> Result<Box<dyn PinWriter>, StoreError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.path().join(format!("pin-{number}"));
        let file = File::create(&path).map_err(|error| failed(&error))?;
        Ok(Box::new(Pin { path, file, digest: Sha256::new() }))
    }

    fn get(&self, address: &str) -> Result<Vec<u8>, StoreError> {
        fs::read(self.path().join(address)).map_err(|error| failed(&error))
    }

    fn open(&self, address: &str) -> Result<File, StoreError> {
        File::open(self.path().join(address)).map_err(|error| failed(&error))
    }

    fn scratch(&self) -> Result<File, StoreError> {
        tempfile::tempfile().map_err(|error| failed(&error))
    }
}

struct Pin {
    path: PathBuf,
    file: File,
    digest: Sha256,
}

impl Write for Pin {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl PinWriter for Pin {
    fn finish(self: Box<Self>) -> Result<String, StoreError> {
        let address = format!("{:x}", self.digest.finalize());
        fs::rename(&self.path, self.path.with_file_name(&address)).map_err(|error| failed(&error))?;
        Ok(address)
    }
}

/// No test here receives anything.
struct NoQueue;

#[async_trait]
impl Queue for NoQueue {
    async fn receive(&self, _: &Receive) -> Result<Received, QueueError> {
        Err(StoreError("no queue here".to_owned()).into())
    }

    async fn delete(&self, _: Vec<Ticket>) -> Result<(), QueueError> {
        Err(StoreError("no queue here".to_owned()).into())
    }

    async fn hide(&self, _: Vec<Ticket>, _: Duration) -> Result<(), QueueError> {
        Err(StoreError("no queue here".to_owned()).into())
    }
    async fn redrive(&self, _: &Receive) -> Result<Option<u64>, QueueError> {
        Err(StoreError("no queue here".to_owned()).into())
    }
}

#[async_trait]
impl OwnQueue for NoQueue {
    async fn send(&self, _: Vec<Message>) -> Result<(), StoreError> {
        Err(StoreError("no queue here".to_owned()))
    }

    async fn share(&self, _: Vec<(Message, Carried)>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A worker made as the engine makes it.
pub(crate) fn worker(
    uses: &str,
    with: &Value,
    files: &BTreeMap<String, Vec<u8>>,
    base: &Path,
) -> Result<Worker, Vec<BuildFault>> {
    let step = Step {
        name: "step".to_owned(),
        uses: uses.to_owned(),
        needs: Vec::new(),
        when: None,
        connection: None,
        with: with.as_object().unwrap().clone(),
        retry: Retry::default(),
        timeout: Duration::from_secs(1),
        batch: Batch { max: 1, linger: Duration::ZERO },
        repeat_safe: false,
        idempotency: None,
        line: 1,
    };
    build(&Site {
        step: &step,
        connection: None,
        settings: Map::new(),
        files,
        base,
        queue: Arc::new(NoQueue),
        signals: Arc::new(MemoryStore::new(Arc::new(NoTime))),
        clock: Arc::new(NoTime),
    })
}

pub(crate) fn source(with: &Value, files: &BTreeMap<String, Vec<u8>>, base: &Path) -> Arc<dyn Source> {
    match worker("json.validate", with, files, base) {
        Ok(Worker::Source(source)) => source,
        Ok(_) => panic!("not a source"),
        Err(faults) => panic!("{faults:#?}"),
    }
}

/// A pinned source.
pub(crate) struct Gate {
    pub(crate) pinned: Pinned,
    pub(crate) records: Arc<dyn Records>,
}

/// Pins a text under a name, without unique values.
pub(crate) fn pin(folder: &Folder, name: &str, bytes: impl AsRef<[u8]>, with: Value) -> Result<Gate, Fault> {
    let mut with = with;
    with["source"] = Value::String(folder.write(name, bytes));
    let source = source(&with, &BTreeMap::new(), folder.path());
    let pinned = source
        .pin(&scope(Value::Null), folder, &|_, _| Survey::default(), &Interest::default())
        .map_err(|unread| unread.fault)?;
    let records = source.open(&pinned.source, folder)?;
    Ok(Gate { pinned, records })
}

impl Gate {
    /// What became of each record: its key, or the fault's words.
    pub(crate) fn verdicts(&self) -> Vec<String> {
        let records = (0..self.pinned.source.count).map(|position| self.records.record(position));
        records
            .map(|record| match record.value {
                Ok(_) => record.key.unwrap_or_default(),
                Err(fault) => fault.to_string(),
            })
            .collect()
    }
}

/// Nothing here looks at the time.
struct NoTime;

#[async_trait]
impl Clock for NoTime {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    async fn sleep_until(&self, _: Timestamp) {}
}
