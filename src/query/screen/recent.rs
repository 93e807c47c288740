//! What was used lately, within bounds: a file of targets names the outputs of one transaction here and there, and each names its
//! inputs again.

use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;

/// Values by their keys, of a total size that has a bound. Old ones make room for new ones; using one keeps it.
pub struct Recent<K, V> {
    /// Those used since the halves were last swapped.
    young: HashMap<K, (usize, Rc<V>), foldhash::quality::RandomState>,
    /// Those used before.
    old: HashMap<K, (usize, Rc<V>), foldhash::quality::RandomState>,
    /// The size of the young.
    size: usize,
    /// What that may come to.
    half: usize,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// Room for values of `most` in all, in whatever unit they are measured in; one that is larger by itself has room too.
    pub fn new(most: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), size: 0, half: most / 2 }
    }

    /// A value, if it is still there.
    pub fn get(&mut self, key: &K) -> Option<Rc<V>> {
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
        let mut recent = Recent::new(8);
        let mut used = Recent::new(8);
        for n in 0..100_u32 {
            recent.insert(n, 1, Rc::new(n));
            used.insert(n, 1, Rc::new(n));
            assert_eq!(used.get(&0).as_deref(), Some(&0), "after {n}");
            assert!(recent.young.len() + recent.old.len() <= 8);
        }
        let left: Vec<u32> = (0..100).filter(|n| recent.get(n).is_some()).collect();
        assert!(left.contains(&99) && left.len() >= 4 && left.iter().all(|n| *n > 90), "{left:?}");
    }

    #[test]
    fn sizes_count_and_one_that_is_too_large_is_held_alone() {
        let mut recent = Recent::new(10);
        for (key, size) in [(1, 3), (2, 50), (3, 3), (4, 3), (4, 3)] {
            recent.insert(key, size, Rc::new(key));
            assert_eq!(recent.get(&key).as_deref(), Some(&key));
        }
        assert!(recent.get(&1).is_none() && recent.get(&2).is_none());
        assert_eq!((recent.get(&3).as_deref(), recent.get(&4).as_deref()), (Some(&3), Some(&4)));
    }
}
