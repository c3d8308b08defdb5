//! A map that has one entry nearly always.

use std::{borrow::Borrow, collections::HashMap, hash::Hash};

/// A map whose first entry needs no table: nearly every session has one subscription, and sends to one topic.
#[derive(Debug)]
pub(crate) struct SmallMap<K, V> {
    first: Option<(K, V)>,
    /// There where there were more.
    #[expect(
        clippy::box_collection,
        reason = "a map takes 48 bytes where there is none"
    )]
    others: Option<Box<HashMap<K, V>>>,
}

fn is<K: Borrow<Q>, Q: Eq + ?Sized>(one: &K, key: &Q) -> bool {
    one.borrow() == key
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self {
            first: None,
            others: None,
        }
    }
}

impl<K: Hash + Eq, V> SmallMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        let others = self.others.as_ref().map_or(0, |others| others.len());
        usize::from(self.first.is_some()) + others
    }

    pub(crate) fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match &self.first {
            Some((first, value)) if is(first, key) => Some(value),
            _ => self.others.as_ref()?.get(key),
        }
    }

    pub(crate) fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        match &mut self.first {
            Some((first, value)) if is(&*first, key) => Some(value),
            _ => self.others.as_mut()?.get_mut(key),
        }
    }

    /// Sets a value. Returns the one before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Some(known) = self.get_mut(&key) {
            return Some(std::mem::replace(known, value));
        }
        match &self.first {
            None => self.first = Some((key, value)),
            Some(_) => {
                self.others.get_or_insert_default().insert(key, value);
            }
        }
        None
    }

    /// The value of a key, which has the default one if it has none.
    pub(crate) fn get_or_default(&mut self, key: &K) -> &mut V
    where
        K: Clone,
        V: Default,
    {
        if self.first.is_none() && !self.contains_key(key) {
            let (_, value) = self.first.insert((key.clone(), V::default()));
            return value;
        }
        match &mut self.first {
            Some((first, value)) if *first == *key => value,
            _ => {
                let others = self.others.get_or_insert_default();
                others.entry(key.clone()).or_default()
            }
        }
    }

    pub(crate) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let is_first = |(first, _): &mut (K, V)| is(&*first, key);
        if let Some((_, value)) = self.first.take_if(is_first) {
            return Some(value);
        }
        let removed = self.others.as_mut()?.remove(key);
        self.others.take_if(|others| others.is_empty());
        removed
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let first = self.first.iter().map(|(key, value)| (key, value));
        first.chain(self.others.iter().flat_map(|others| others.iter()))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_like_any_other_map(steps in proptest::collection::vec((0..4_u8, 0..4_u8), 0..40)) {
            let (mut map, mut other) = (SmallMap::default(), HashMap::new());
            for (number, (what, key)) in steps.into_iter().enumerate() {
                match what {
                    0 | 1 => prop_assert_eq!(map.insert(key, number), other.insert(key, number)),
                    2 => prop_assert_eq!(map.remove(&key), other.remove(&key)),
                    _ => {
                        *map.get_or_default(&key) += 1;
                        *other.entry(key).or_default() += 1;
                    }
                }
                prop_assert_eq!(map.len(), other.len());
                for key in 0..4 {
                    prop_assert_eq!(map.get(&key), other.get(&key));
                    prop_assert_eq!(map.get_mut(&key), other.get_mut(&key));
                    prop_assert_eq!(map.contains_key(&key), other.contains_key(&key));
                }
                let mut all: Vec<_> = map.iter().map(|(key, value)| (*key, *value)).collect();
                let mut expected: Vec<_> = other.clone().into_iter().collect();
                all.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(all, expected);
            }
        }
    }
}
