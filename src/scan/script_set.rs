//! A set of scripts that grows. (`script_map` is for scripts that are known beforehand and looked up for each output of the chain.)
//!
//! All scripts lie in one arena; a table of their numbers is probed by a keyed hash, so that scripts can't be ground to collide.

use std::hash::BuildHasher;

use bitcoin::Script;
use foldhash::quality::RandomState;
use hashbrown::HashTable;

/// A set of scripts, numbered from 0 in order of insertion.
#[derive(Default)]
pub struct ScriptSet {
    arena: Vec<u8>,
    /// Offset in the arena of each script's end.
    ends: Vec<usize>,
    table: HashTable<u32>,
    hasher: RandomState,
}

impl ScriptSet {
    /// Adds a script unless it is there already; returns its number.
    pub fn insert(&mut self, script: &Script) -> u32 {
        if let Some(number) = self.find(script.as_bytes()) {
            return number;
        }
        let number = u32::try_from(self.ends.len()).expect("fewer than 2^32 scripts fit in memory");
        let hash = self.hasher.hash_one(script.as_bytes());
        self.arena.extend_from_slice(script.as_bytes());
        self.ends.push(self.arena.len());
        let (arena, ends, hasher) = (&self.arena, &self.ends, &self.hasher);
        self.table.insert_unique(hash, number, |number| hasher.hash_one(slice(arena, ends, *number)));
        number
    }

    /// The number of a script, if it is in the set.
    pub fn find(&self, script: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(script);
        self.table.find(hash, |number| slice(&self.arena, &self.ends, *number) == script).copied()
    }

    /// The scripts with the number `first` and above.
    pub fn since(&self, first: usize) -> impl Iterator<Item = &Script> {
        (first..self.ends.len()).map(|at| {
            let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
            Script::from_bytes(&self.arena[start..self.ends[at]])
        })
    }

    /// The number of scripts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the set is empty.
    #[cfg(feature = "testing")]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

fn slice<'a>(arena: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = number.checked_sub(1).map_or(0, |before| ends[before]);
    &arena[start..ends[number]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::ScriptBuf;

    #[test]
    fn finds_what_was_inserted_and_nothing_else() {
        let scripts: Vec<_> =
            (0..2000u32).map(|n| ScriptBuf::from_bytes(n.to_be_bytes()[(n % 4) as usize..].to_vec())).collect();
        let mut set = ScriptSet::default();
        for script in &scripts {
            set.insert(script);
        }
        let distinct: std::collections::BTreeSet<_> = scripts.iter().collect();
        assert_eq!(set.len(), distinct.len());
        for script in &scripts {
            let number = set.find(script.as_bytes()).expect("inserted");
            assert_eq!(slice(&set.arena, &set.ends, number), script.as_bytes());
        }
        assert_eq!(set.find(b"another"), None);
        assert!(set.since(0).zip(0..).all(|(script, number)| set.find(script.as_bytes()) == Some(number)));
        assert_eq!(set.since(0).count(), set.len());
        let numbered: Vec<_> = set.since(0).skip(7).collect();
        assert_eq!(set.since(7).collect::<Vec<_>>(), numbered);
        assert_eq!([set.len(), set.len() + 1].map(|first| set.since(first).count()), [0, 0]);
    }

    #[test]
    fn an_empty_script_is_a_script() {
        let mut set = ScriptSet::default();
        assert_eq!(set.find(b""), None);
        assert_eq!(set.insert(Script::new()), 0);
        assert_eq!(set.insert(Script::new()), 0);
        assert_eq!(set.find(b""), Some(0));
        assert!(!set.is_empty());
    }
}
