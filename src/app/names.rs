//! Names for what records know only by position: read from the pinned definition and source.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::connectors;
use crate::core::id::RunId;
use crate::core::plan::Plan;
use crate::core::run::{Revision, Run};
use crate::ports::{Queue, Records, StoreError};
use crate::store::Store;
use crate::view::Names;

use super::assemble::{self, Surroundings};
use super::definition::Definition;
use super::environment::Environment;

/// Definitions kept at once: a list shows many runs, but of few definitions.
const KEPT_MAX: usize = 64;

/// What the plan of a run depends on.
type Key = (RunId, String, BTreeMap<String, Revision>);

/// Names read from pins. Each run's are read once.
pub(super) struct PinnedNames {
    store: Store,
    plans: Mutex<HashMap<Key, Arc<Plan>>>,
    records: Mutex<HashMap<(RunId, String), Arc<dyn Records>>>,
}

impl PinnedNames {
    pub(super) fn new(store: Store) -> Self {
        Self { store, plans: Mutex::default(), records: Mutex::default() }
    }

    /// The bytes of a record as they stand in the pinned source.
    pub(super) fn content(&self, run: &Run, position: u64) -> Option<Vec<u8>> {
        self.records(run)?.content(position)
    }

    fn records(&self, run: &Run) -> Option<Arc<dyn Records>> {
        let source = run.source.as_ref()?;
        let key = (run.id, source.index.clone());
        let mut kept = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(records) = kept.get(&key) {
            return Some(Arc::clone(records));
        }
        let definition = Definition::from_pins(run, &self.store, &connectors::catalog()).ok()?;
        let surroundings = Surroundings {
            environment: &Environment::Absent,
            queue: Arc::new(self.store.clone()) as Arc<dyn Queue>,
            stand_ins: std::collections::BTreeMap::new(),
        };
        let records = assemble::source(&definition, &surroundings)?.open(source, &self.store).ok()?;
        make_room(&mut kept);
        kept.insert(key, Arc::clone(&records));
        Some(records)
    }
}

impl Names for PinnedNames {
    fn plan(&self, run: &Run) -> Result<Arc<Plan>, StoreError> {
        let mut kept = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        // A run that was redefined has another plan.
        let key = (run.id, run.definition.clone(), run.revisions.clone());
        if let Some(plan) = kept.get(&key) {
            return Ok(Arc::clone(plan));
        }
        let catalog = connectors::catalog();
        let definition = Definition::from_pins(run, &self.store, &catalog).map_err(|error| {
            StoreError(format!("the pinned definition of {} cannot be used: {error}", run.id))
        })?;
        let plan = Arc::new(definition.plan(&catalog));
        make_room(&mut kept);
        kept.insert(key, Arc::clone(&plan));
        Ok(plan)
    }

    fn key(&self, run: &Run, position: u64) -> Option<String> {
        self.records(run)?.record(position).key
    }

    fn position(&self, run: &Run, key: &str) -> Option<u64> {
        self.records(run)?.find(key)
    }
}

fn make_room<K: Clone + Eq + std::hash::Hash, V>(kept: &mut HashMap<K, V>) {
    if kept.len() >= KEPT_MAX
        && let Some(any) = kept.keys().next().cloned()
    {
        kept.remove(&any);
    }
}
