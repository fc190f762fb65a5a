//! Running stand-ins, and workers made for them as the engine makes them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use milepost::connectors::sandbox::{self, Entry, Faults, Options, PimProfile, Sandbox};
use milepost::connectors::{BuildFault, Diagnosis, Patient, Site, Use, build, examine};
use milepost::core::change::Message;
use milepost::core::id::{RunId, Unit};
use milepost::core::outlet::Terms;
use milepost::core::queue::{Carried, Receive, Received, Ticket};
use milepost::core::retry::{Again, Outcome, Retry};
use milepost::core::scope::Scope;
use milepost::core::time::Timestamp;
use milepost::core::version::Version;
use milepost::core::workflow::{Batch, Connection, Step};
use milepost::ports::{Call, Clock, Effect, OwnQueue, Queue, QueueError, StoreError, Worker};
use milepost::store::MemoryStore;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// A mapping that gives the fields of the tests' items as they are.
const IDENTITY: &str = "fields:
  sku: { from: sku }
  name: { from: name }
  price: { from: price }
  published: { from: published }
  colour: { from: colour }
  imageUrls: { from: imageUrls }
  external_id: { from: external_id }
  handle: { from: handle }
  title: { from: title }
  description: { from: description }
  status: { from: status }
  options: { from: options }
  variants: { from: variants }
  metadata: { from: metadata }
  weight: { from: weight }
  mainCategory: { from: mainCategory }
  categories: { from: categories }
  mainImage: { from: mainImage }
  gallery: { from: gallery }
  availableFrom: { from: availableFrom }
  attributes: { from: attributes }
  localized: { from: localized }
  key: { from: key }
  tags: { from: tags }
  type: { from: type }
  collection: { from: collection }
";

/// Stand-ins with their directory.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) sandbox: Sandbox,
}

impl World {
    /// Healthy and empty ones.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = sandbox::start(dir.path(), &Faults::default()).await.unwrap();
        Self { dir, sandbox }
    }

    /// With a PIM that plays another Data Hub.
    pub(crate) async fn playing(profile: PimProfile) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { pim_profile: profile, ..Options::new(dir.path()) };
        let sandbox = sandbox::serve(&options).await.unwrap();
        Self { dir, sandbox }
    }

    /// Stops them and starts them again over the same directory, on new ports.
    pub(crate) async fn restart(self) -> Self {
        let Self { dir, sandbox } = self;
        sandbox.shutdown().await;
        let sandbox = sandbox::start(dir.path(), &Faults::default()).await.unwrap();
        Self { dir, sandbox }
    }

    pub(crate) fn pim(&self) -> Arc<dyn Effect> {
        effect("pimcore.upsert", "sandbox", json!({ "url": self.sandbox.pim_url }))
    }

    pub(crate) fn shop(&self) -> Arc<dyn Effect> {
        effect("medusa.upsert", "sandbox", json!({ "url": self.sandbox.shop_url }))
    }

    /// Makes the stand-in at `url` fail.
    pub(crate) async fn strike(&self, url: &str, faults: &Faults) {
        let client = client();
        let answer = client.post(format!("{url}/sandbox/faults")).json(faults).send().await.unwrap();
        assert_eq!(answer.status(), 204);
    }

    /// The calls that the PIM got.
    pub(crate) fn pim_calls(&self) -> Vec<Entry> {
        sandbox::entries(self.dir.path()).unwrap().0
    }

    /// The calls that the shop got.
    pub(crate) fn shop_calls(&self) -> Vec<Entry> {
        sandbox::entries(self.dir.path()).unwrap().1
    }
}

/// A bare HTTP client.
pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// A worker for an effect that maps with the identity.
pub(crate) fn effect(uses: &str, kind: &str, settings: Value) -> Arc<dyn Effect> {
    match worker(uses, Some((kind, settings)), &json!({ "mapping": "identity.yaml" })) {
        Worker::Effect(effect) => effect,
        _ => panic!("{uses} is not an effect"),
    }
}

/// A worker for the shop's stand-in, with more in its connection and in its `with`.
pub(crate) fn effect_with(world: &World, settings: &Value, with: &Value) -> Arc<dyn Effect> {
    let merged = |mut base: Value, more: &Value| {
        object(more).into_iter().for_each(|(name, value)| base[name] = value);
        base
    };
    let settings = merged(json!({ "url": world.sandbox.shop_url }), settings);
    let with = merged(json!({ "mapping": "identity.yaml" }), with);
    match worker("medusa.upsert", Some(("sandbox", settings)), &with) {
        Worker::Effect(effect) => effect,
        _ => panic!("no effect"),
    }
}

/// A worker as the engine makes it.
pub(crate) fn worker(uses: &str, connection: Option<(&str, Value)>, with: &Value) -> Worker {
    made(uses, connection, with).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// What is wrong with the fields of a step and its connection.
pub(crate) fn faults(uses: &str, connection: (&str, Value), with: &Value) -> Vec<BuildFault> {
    made(uses, Some(connection), with).err().unwrap_or_default()
}

fn made(uses: &str, connection: Option<(&str, Value)>, with: &Value) -> Result<Worker, Vec<BuildFault>> {
    let settings = connection.as_ref().map(|(_, settings)| object(settings)).unwrap_or_default();
    let connection = connection.map(connected);
    let step = step(uses, connection.is_some(), with);
    let files = BTreeMap::from([("identity.yaml".to_owned(), IDENTITY.as_bytes().to_vec())]);
    built(&step, connection.as_ref(), settings, &files, Path::new("."))
}

/// What is made of a step with these files in this folder.
pub(crate) fn built(
    step: &Step,
    connection: Option<&Connection>,
    settings: Map<String, Value>,
    files: &BTreeMap<String, Vec<u8>>,
    base: &Path,
) -> Result<Worker, Vec<BuildFault>> {
    build(&site(step, connection, settings, files, base))
}

fn site<'a>(
    step: &'a Step,
    connection: Option<&'a Connection>,
    settings: Map<String, Value>,
    files: &'a BTreeMap<String, Vec<u8>>,
    base: &'a Path,
) -> Site<'a> {
    Site {
        step,
        connection,
        settings,
        files,
        base,
        queue: Arc::new(NoQueue),
        signals: Arc::new(MemoryStore::new(Arc::new(NoTime))),
        clock: Arc::new(NoTime),
    }
}

/// What `doctor` says of a step with the identity mapping over a connection.
pub(crate) async fn diagnosed(uses: &str, kind: &str, settings: Value) -> Vec<Diagnosis> {
    let fields = object(&settings);
    let connection = connected((kind, settings));
    let step = step(uses, true, &json!({ "mapping": "identity.yaml" }));
    looked_at(&step, &connection, fields, &BTreeMap::new(), Path::new(".")).await
}

/// What `doctor` says of a step with these files in this folder.
pub(crate) async fn looked_at(
    step: &Step,
    connection: &Connection,
    settings: Map<String, Value>,
    files: &BTreeMap<String, Vec<u8>>,
    base: &Path,
) -> Vec<Diagnosis> {
    let site = site(step, Some(connection), settings.clone(), files, base);
    let uses = vec![Use { site, held: None, source: None }];
    let kind = &connection.kind;
    examine(&Patient { kind, settings: &settings, uses, triggers: Vec::new(), hooks: Vec::new() }).await
}

pub(crate) fn connected((kind, settings): (&str, Value)) -> Connection {
    Connection { kind: kind.to_owned(), terms: Terms::default(), fields: object(&settings) }
}

pub(crate) fn step(uses: &str, is_connected: bool, with: &Value) -> Step {
    Step {
        name: "it".to_owned(),
        uses: uses.to_owned(),
        needs: Vec::new(),
        when: None,
        connection: is_connected.then(|| "there".to_owned()),
        with: object(with),
        retry: Retry::default(),
        timeout: Duration::from_secs(20),
        batch: Batch { max: 50, linger: Duration::ZERO },
        repeat_safe: false,
        idempotency: None,
        line: 1,
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// What a step sees of an item.
pub(crate) fn scope(item: Value) -> Scope {
    Scope {
        run: RunId(1),
        started_at: Timestamp(0),
        version: "0".into(),
        unit: Unit::Item(0),
        input: Arc::new(json!({})),
        item: Arc::new(item),
        digest: Arc::default(),
        steps: json!({}).into(),
        sent: None,
    }
}

/// The call for an item, at its first attempt.
pub(crate) fn call(effect: &dyn Effect, item: Value) -> Call {
    Call {
        run: RunId(1),
        unit: Unit::Item(0),
        attempt: 1,
        key: String::new(),
        effect_id: 1,
        request: effect.prepare(&scope(item)).unwrap(),
        version: Version("0".to_owned()),
    }
}

/// Carries out one attempt for one item.
pub(crate) async fn once(effect: &dyn Effect, item: &Value) -> Outcome {
    let mut verdicts = effect.call(&[call(effect, item.clone())]).await;
    assert_eq!(verdicts.outcomes.len(), 1);
    verdicts.outcomes.remove(0)
}

/// The facts of a success.
pub(crate) fn done(outcome: &Outcome) -> &BTreeMap<String, Value> {
    match outcome {
        Outcome::Done(facts) => facts,
        other => panic!("not done: {other:?}"),
    }
}

/// Whether another attempt makes sense, and the message, of a refusal.
pub(crate) fn refused(outcome: &Outcome) -> (Again, &str) {
    match outcome {
        Outcome::Refused { fault, again } => (*again, &fault.message),
        other => panic!("not refused: {other:?}"),
    }
}

struct NoQueue;

#[async_trait]
impl Queue for NoQueue {
    async fn receive(&self, _: &Receive) -> Result<Received, QueueError> {
        Ok(Received::default())
    }

    async fn delete(&self, _: Vec<Ticket>) -> Result<(), QueueError> {
        Ok(())
    }

    async fn hide(&self, _: Vec<Ticket>, _: Duration) -> Result<(), QueueError> {
        Ok(())
    }
    async fn redrive(&self, _: &Receive) -> Result<Option<u64>, QueueError> {
        Ok(Some(0))
    }
}

#[async_trait]
impl OwnQueue for NoQueue {
    async fn send(&self, _: Vec<Message>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn share(&self, _: Vec<(Message, Carried)>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Nothing here looks at the time.
pub(crate) struct NoTime;

#[async_trait]
impl Clock for NoTime {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    async fn sleep_until(&self, _: Timestamp) {}
}
