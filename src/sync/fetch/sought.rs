//! The scripts that filters are asked for: those of a sweep's own entries, and those of the coins it follows, which become more
//! while it goes up.
//!
//! Whoever rules blocks out ahead of the sweep knows the scripts of some moment. Whoever applies those blocks later has their
//! filters matched again for the scripts added since, so that none is missed and nothing starts over.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use bitcoin::Script;

use crate::chain::BlockId;
use crate::scan::{Matcher, Needles, ScriptSet};

/// With more scripts every block is read: of so many, nearly half seem to be in any filter, one in 784,931 each, and to hash them
/// takes longer than to read a block by any lane.
pub const MOST: usize = 500_000;

/// All scripts sought so far; they only become more.
pub struct Sought {
    list: RwLock<List>,
    /// How many it may hold.
    most: usize,
    late: AtomicUsize,
}

#[derive(Default)]
struct List {
    scripts: ScriptSet,
    /// Whether there were more than it may hold: then it says nothing any more.
    overflown: bool,
}

/// The scripts from some number on, ready to be matched, as of the last look.
pub struct Needed {
    first: usize,
    next: usize,
    overflown: bool,
    needles: Needles,
}

impl Needed {
    /// Those that come from number `first` on; none before the first look.
    pub fn since(first: usize) -> Self {
        Self { first, next: first, overflown: false, needles: Needles::new([]) }
    }

    /// The number that it begins with.
    pub fn first(&self) -> usize {
        self.first
    }

    /// The number that the next script will have.
    pub fn next(&self) -> usize {
        self.next
    }

    /// Whether filters can rule out anything.
    pub fn can_rule_out(&self) -> bool {
        !self.overflown && self.needles.left_out() == 0
    }

    /// Whether a block may matter to them, by its filter.
    pub fn may_be_in(&self, matcher: &mut Matcher, block: BlockId, filter: &[u8]) -> bool {
        // Bytes that are no filter rule out nothing.
        !self.can_rule_out() || matcher.matches(filter, block.hash, &self.needles).unwrap_or(true)
    }
}

impl Sought {
    /// Room for `most` scripts.
    pub fn new(most: usize) -> Self {
        Self { list: RwLock::default(), most, late: AtomicUsize::new(0) }
    }

    /// Adds a script, if it isn't there.
    pub fn add(&self, script: &Script) {
        {
            let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
            if list.overflown || list.scripts.find(script.as_bytes()).is_some() {
                return;
            }
        }
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        if list.scripts.len() >= self.most {
            list.overflown = true;
        } else {
            list.scripts.insert(script);
        }
    }

    /// Brings `needed` up to date.
    pub fn look(&self, needed: &mut Needed) {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        for script in list.scripts.since(needed.next) {
            needed.needles.insert(script);
        }
        needed.next = list.scripts.len();
        needed.overflown = list.overflown;
    }

    /// Counts a block that was ruled out first and had to be read after all.
    pub fn came_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were.
    pub fn late(&self) -> usize {
        self.late.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::ScriptBuf;
    use bitcoin::hashes::Hash;

    use super::*;

    fn script(n: u8) -> ScriptBuf {
        ScriptBuf::from_bytes(vec![0x51, n])
    }

    /// A filter of one value, which is 0: whatever is sought is in it only if it hashes to 0.
    const ALMOST_NOTHING: [u8; 4] = [1, 0, 0, 0];

    #[test]
    fn what_was_added_since_is_looked_for_and_nothing_twice() {
        let sought = Sought::new(3);
        let (mut all, mut since) = (Needed::since(0), Needed::since(1));
        for (n, next) in [(1, 1), (2, 2), (1, 2), (3, 3)] {
            sought.add(&script(n));
            sought.look(&mut all);
            assert_eq!((all.first(), all.next(), all.needles.len()), (0, next, next));
        }
        sought.look(&mut since);
        assert_eq!((since.first(), since.next(), since.needles.len(), since.can_rule_out()), (1, 3, 2, true));
        let block = BlockId { height: 1, hash: bitcoin::BlockHash::hash(b"any") };
        let mut matcher = Matcher::default();
        assert!(!since.may_be_in(&mut matcher, block, &ALMOST_NOTHING));
        assert!(since.may_be_in(&mut matcher, block, &[0xff]), "what is no filter rules out nothing");
    }

    #[test]
    fn nothing_is_ruled_out_for_more_scripts_than_there_is_room_for_or_for_one_that_filters_leave_out() {
        let block = BlockId { height: 1, hash: bitcoin::BlockHash::hash(b"any") };
        for (scripts, rules_out) in [
            (vec![script(1), script(2)], true),
            (vec![script(1), script(2), script(3)], false),
            (vec![ScriptBuf::new()], false),
            (vec![script(1), ScriptBuf::from_bytes(vec![0x6a, 1, 2])], false),
        ] {
            let sought = Sought::new(2);
            scripts.iter().for_each(|script| sought.add(script));
            let mut needed = Needed::since(0);
            sought.look(&mut needed);
            assert_eq!(needed.can_rule_out(), rules_out, "{scripts:?}");
            let matched = needed.may_be_in(&mut Matcher::default(), block, &ALMOST_NOTHING);
            assert_eq!(!matched, rules_out, "{scripts:?}");
        }
    }
}
