//! A bounded cache in two generations: what is not used while one generation fills is forgotten.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Holds at most about twice its bound, and forgets only in [`Cache::settle`], so that what a
/// batch has touched stays until the batch is written.
pub(super) struct Cache<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    bound: usize,
}

impl<K: Hash + Eq, V> Cache<K, V> {
    pub(super) fn new(bound: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), bound }
    }

    /// The entry, which counts as a use.
    pub(super) fn get<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.young.insert(key, value);
        }
        self.young.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) -> &mut V {
        self.old.remove(&key);
        self.young.entry(key).insert_entry(value).into_mut()
    }

    pub(super) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    /// Forgets all entries but those with these keys.
    pub(super) fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.young.retain(|key, _| keep(key));
        self.old.retain(|key, _| keep(key));
    }

    /// Forgets what was not used for a generation, if this one is full.
    pub(super) fn settle(&mut self) {
        if self.young.len() >= self.bound {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut cache = Cache::new(2);
        for number in 0..10 {
            cache.insert(number, ());
            assert!(cache.get(&0).is_some(), "used in every generation");
            cache.settle();
        }
        assert!(cache.get(&5).is_none());
        assert!(cache.remove(&0).is_some() && cache.get(&0).is_none());
    }
}
