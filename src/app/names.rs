//! Names for what records know only by position: read from the pinned definition and source.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;

use crate::connectors;
use crate::core::fault::Fault;
use crate::core::id::{RunId, Unit};
use crate::core::plan::Plan;
use crate::core::progress::Progress;
use crate::core::run::{Revision, Run};
use crate::engine::bodies::Bodies;
use crate::engine::context::{self, Common};
use crate::engine::{key, made};
use crate::ports::{Journal, Pins, Records, StoreError};
use crate::store::Store;
use crate::view::Names;

use super::assemble::{self, Surroundings};
use super::clock::SystemClock;
use super::definition::Definition;
use super::environment::Environment;
use super::item_keys::ItemKeys;

/// Definitions kept at once: a list shows many runs, but of few definitions.
const KEPT_MAX: usize = 64;
/// Whole workflows kept ready for rendering keys: with their mappings they take a megabyte or so.
const READY_MAX: usize = 4;

/// Runs whose item keys are kept ready to be searched: a million keys take some tens of megabytes.
const KEYS_MAX: usize = 2;

/// A run as keys are rendered for it: its pinned workflow, made without secrets.
type Ready = Option<Arc<Common>>;

/// What the plan of a run depends on: runs of one definition have one plan, until one is redefined.
type Key = (String, BTreeMap<String, String>, Option<String>, BTreeMap<String, Revision>);

/// A run, and the index of its records.
type Index = (RunId, String);

/// What is made once, by whoever comes first. Who asks for something else does not wait for it.
type Once<T> = Arc<OnceLock<T>>;

/// What was made, by what it was made from.
type Kept<K, V> = Mutex<HashMap<K, Once<V>>>;

/// Names read from pins. Each run's are read once.
pub(super) struct PinnedNames {
    store: Store,
    plans: Kept<Key, Arc<Plan>>,
    records: Kept<Index, Arc<dyn Records>>,
    ready: Mutex<VecDeque<(Run, Ready)>>,
    keys: Mutex<Keys>,
}

/// The keys of items by the run and the index they were read from, the last read first.
type Keys = VecDeque<(Index, Once<Arc<ItemKeys>>)>;

impl PinnedNames {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            plans: Mutex::default(),
            records: Mutex::default(),
            ready: Mutex::default(),
            keys: Mutex::default(),
        }
    }

    /// The bytes of a record as they stand in the pinned source.
    pub(super) fn content(&self, run: &Run, position: u64) -> Option<Vec<u8>> {
        self.records(run)?.content(position)
    }

    fn records(&self, run: &Run) -> Option<Arc<dyn Records>> {
        let source = run.source.as_ref()?;
        if run.is_open_run() {
            return Some(Arc::new(Bodies::of(Arc::new(self.store.clone()), run.id)));
        }
        let place = place(&self.records, (run.id, source.index.clone()));
        if let Some(records) = place.get() {
            return Some(Arc::clone(records));
        }
        let definition = Definition::from_pins(run, &self.store, &connectors::catalog()).ok()?;
        let records = assemble::source(&definition, &self.surroundings())?.open(source, &self.store).ok()?;
        Some(Arc::clone(place.get_or_init(|| records)))
    }

    /// The keys of all items. Those of a pinned source never change, and are kept once they were read, by
    /// whoever comes first; an open run's are read anew.
    fn keys(&self, run: &Run) -> Arc<ItemKeys> {
        let (Some(records), Some(source)) = (self.records(run), &run.source) else { return Arc::default() };
        let read = || Arc::new(ItemKeys::read(records.as_ref(), source.count));
        if run.is_open_run() {
            return read();
        }
        let key = (run.id, source.index.clone());
        let mut kept = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().find(|(known, _)| *known == key).map(|(_, keys)| Arc::clone(keys));
        let keys = known.unwrap_or_else(|| {
            kept.truncate(KEYS_MAX - 1);
            let keys = Arc::default();
            kept.push_front((key, Arc::clone(&keys)));
            keys
        });
        drop(kept);
        Arc::clone(keys.get_or_init(read))
    }

    fn surroundings(&self) -> Surroundings<'static> {
        let stand_ins = super::stand_ins(super::ABSENT_STAND_IN, super::ABSENT_STAND_IN);
        Surroundings::of(&Environment::Absent, Arc::new(self.store.clone()), Arc::new(SystemClock), stand_ins)
    }

    /// Kept as long as the record of the run stays as it is: what a key may look at follows from it.
    fn ready(&self, run: &Run) -> Ready {
        let mut kept = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, ready)) = kept.iter().find(|(known, _)| known == run) {
            return ready.clone();
        }
        let ready = self.make_ready(run).map(Arc::new);
        kept.truncate(READY_MAX - 1);
        kept.push_front((run.clone(), ready.clone()));
        ready
    }

    fn make_ready(&self, run: &Run) -> Option<Common> {
        let catalog = connectors::catalog();
        let definition = Definition::from_pins(run, &self.store, &catalog).ok()?;
        let assembly = assemble::assemble(&definition, &catalog, &self.surroundings()).ok()?;
        let of_run = self.store.progress(run.id, Unit::Run).ok()?.unwrap_or_default();
        let facts = Value::Object(context::facts(&assembly.plan.run, &of_run));
        let run_facts = OnceLock::from(Arc::new(facts));
        let input = Arc::new(Value::Object(run.input.clone()));
        Some(Common {
            run: run.clone(),
            version: run.newness().into(),
            input,
            assembly: Arc::new(assembly),
            run_facts,
        })
    }
}

impl Names for PinnedNames {
    fn plan(&self, run: &Run) -> Result<Arc<Plan>, StoreError> {
        let key = (run.definition.clone(), run.files.clone(), run.profile.clone(), run.revisions.clone());
        let place = place(&self.plans, key);
        if let Some(plan) = place.get() {
            return Ok(Arc::clone(plan));
        }
        let catalog = connectors::catalog();
        let definition = Definition::from_pins(run, &self.store, &catalog).map_err(|error| {
            StoreError(format!("the pinned definition of {} cannot be used: {error}", run.id))
        })?;
        let plan = Arc::new(definition.plan(&catalog));
        Ok(Arc::clone(place.get_or_init(|| plan)))
    }

    fn key(&self, run: &Run, position: u64) -> Option<String> {
        self.records(run)?.record(position).key
    }

    fn position(&self, run: &Run, key: &str) -> Option<u64> {
        self.records(run)?.find(key)
    }

    fn called(&self, run: &Run, text: &str) -> Vec<u64> {
        let wanted = text.to_lowercase();
        let called = |(_, key): &(u64, &str)| key.contains(&wanted);
        self.keys(run).positions().filter(called).map(|(position, _)| position).collect()
    }

    fn made(&self, run: &Run, position: u64, progress: &Progress) -> Vec<(String, Result<Value, Fault>)> {
        let Some(ready) = self.ready(run) else { return Vec::new() };
        made::made(&ready, Unit::Item(position), self.records(run).as_deref(), progress)
    }

    fn definition(&self, run: &Run) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let named = run.files.iter().map(|(name, address)| Ok((name.clone(), self.store.get(address)?)));
        let first = std::iter::once(self.store.get(&run.definition).map(|bytes| (run.file.clone(), bytes)));
        first.chain(named).collect()
    }

    fn record(&self, run: &Run, position: u64) -> Option<Value> {
        let bytes = self.content(run, position)?;
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Some(serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
    }

    fn effect_keys(
        &self,
        run: &Run,
        unit: Unit,
        progress: &Progress,
        steps: &[usize],
    ) -> Vec<Option<String>> {
        let Some(ready) = self.ready(run) else { return vec![None; steps.len()] };
        let records = self.records(run);
        key::keys(&ready, unit, records.as_deref(), progress, steps)
    }
}

/// Where something is kept, or will be once it is made.
fn place<K: Clone + Eq + Hash, V>(kept: &Kept<K, V>, key: K) -> Once<V> {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if !kept.contains_key(&key)
        && kept.len() >= KEPT_MAX
        && let Some(any) = kept.keys().next().cloned()
    {
        kept.remove(&any);
    }
    Arc::clone(kept.entry(key).or_default())
}
