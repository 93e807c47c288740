//! A cache with a bound: a file of targets names outputs of one transaction here and there, and each of them names its inputs again.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;

/// Values by their keys, of a bounded total size. Old values make room for new ones; using one keeps it.
pub struct BoundedCache<K, V> {
    /// Values used since the halves were last swapped.
    young: HashMap<K, (usize, Rc<V>), foldhash::quality::RandomState>,
    /// Values used before that.
    old: HashMap<K, (usize, Rc<V>), foldhash::quality::RandomState>,
    /// The total size of the young.
    size: usize,
    /// The bound of that.
    half: usize,
}

impl<K: Eq + Hash, V> BoundedCache<K, V> {
    /// A cache of values whose sizes add up to at most `most`; a larger value is kept alone.
    pub fn new(most: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), size: 0, half: most / 2 }
    }

    /// A value, if it is still cached.
    pub fn get<Q>(&mut self, key: &Q) -> Option<Rc<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some((_, value)) = self.young.get(key) {
            return Some(Rc::clone(value));
        }
        let (key, (size, value)) = self.old.remove_entry(key)?;
        self.insert(key, size, Rc::clone(&value));
        Some(value)
    }

    /// Adds a value of that size.
    pub fn insert(&mut self, key: K, size: usize, value: Rc<V>) {
        let replaced = self.young.remove(&key).map_or(0, |(size, _)| size);
        self.size = self.size.saturating_sub(replaced);
        if self.size > 0 && self.size.saturating_add(size) > self.half {
            self.old = std::mem::take(&mut self.young);
            self.size = 0;
        }
        self.size = self.size.saturating_add(size);
        self.young.insert(key, (size, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_makes_room() {
        let mut cache = BoundedCache::new(8);
        let mut reused = BoundedCache::new(8);
        for n in 0..100_u32 {
            cache.insert(n, 1, Rc::new(n));
            reused.insert(n, 1, Rc::new(n));
            assert_eq!(reused.get(&0).as_deref(), Some(&0), "after {n}");
            assert!(cache.young.len() + cache.old.len() <= 8);
        }
        let left: Vec<u32> = (0..100).filter(|n| cache.get(n).is_some()).collect();
        assert!(left.contains(&99) && left.len() >= 4 && left.iter().all(|n| *n > 90), "{left:?}");
    }

    #[test]
    fn sizes_count_and_one_that_is_too_large_is_held_alone() {
        let mut cache = BoundedCache::new(10);
        for (key, size) in [(1, 3), (2, 50), (3, 3), (4, 3), (4, 3)] {
            cache.insert(key, size, Rc::new(key));
            assert_eq!(cache.get(&key).as_deref(), Some(&key));
        }
        assert!(cache.get(&1).is_none() && cache.get(&2).is_none());
        assert_eq!((cache.get(&3).as_deref(), cache.get(&4).as_deref()), (Some(&3), Some(&4)));
    }
}
