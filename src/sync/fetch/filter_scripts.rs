//! The scripts that block filters are matched against: those of a sweep's own entries, and those of the coins it follows, which are
//! added as it finds them.
//!
//! Blocks are ruled out ahead of the sweep, by the scripts known at that moment. When such a block is applied, its filter is matched
//! again with the scripts added since: so none is missed, and nothing starts over.

use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use bitcoin::Script;

use super::source::Filtering;
use crate::chain::BlockId;
use crate::lock;
use crate::scan::{Matcher, Needles, ScriptSet};

/// With more scripts than this every block is read. Each matches any filter by chance once in 784,931 times, so that nearly half of
/// all filters would match some of them; and hashing them takes longer than reading a block by any lane.
const TOO_MANY_SCRIPTS: usize = 500_000;

/// All scripts to match filters against. None is ever removed.
pub struct FilterScripts {
    list: RwLock<ScriptList>,
    /// How many it may hold.
    most: usize,
    late: AtomicUsize,
}

#[derive(Default)]
struct ScriptList {
    scripts: ScriptSet,
    /// Whether there were too many: then filters no longer rule out anything.
    overflown: bool,
}

/// The scripts from a number on, prepared for matching, as of the last [`FilterScripts::update`].
pub struct FilterQuery {
    first: usize,
    next: usize,
    overflown: bool,
    needles: Needles,
}

impl FilterQuery {
    /// The scripts from number `first` on; empty before the first update.
    pub fn since(first: usize) -> Self {
        Self { first, next: first, overflown: false, needles: Needles::new([]) }
    }

    /// The number it begins with.
    pub fn first(&self) -> usize {
        self.first
    }

    /// The number that the next script will have.
    pub fn next(&self) -> usize {
        self.next
    }

    /// Whether filters can rule out any block.
    pub fn can_rule_out(&self) -> bool {
        !self.overflown && self.needles.left_out() == 0
    }

    /// Whether a block may concern these scripts, by its filter.
    pub fn may_be_in(&self, matcher: &mut Matcher, block: BlockId, filter: &[u8]) -> bool {
        // Bytes that are no filter rule out nothing.
        !self.can_rule_out() || matcher.matches(filter, block.hash, &self.needles).unwrap_or(true)
    }
}

impl FilterScripts {
    /// An empty list; `None` where no filters are to be used. Where they must be, it holds any number of scripts.
    pub fn new(filtering: Filtering) -> Option<Self> {
        match filtering {
            Filtering::Off => None,
            Filtering::WherePays => Some(Self::with_capacity(TOO_MANY_SCRIPTS)),
            Filtering::Always => Some(Self::with_capacity(usize::MAX)),
        }
    }

    fn with_capacity(most: usize) -> Self {
        Self { list: RwLock::default(), most, late: AtomicUsize::new(0) }
    }

    /// Whether filters are used even where reading the blocks would be quicker.
    pub fn always(&self) -> bool {
        self.most == usize::MAX
    }

    /// Whether it can hold `scripts` scripts.
    pub fn can_hold(&self, scripts: usize) -> bool {
        scripts <= self.most
    }

    /// Adds a script, if it is new.
    pub fn add(&self, script: &Script) {
        // Most scripts are known already, and a reader doesn't keep the thread that matches filters waiting.
        {
            let list = lock::read(&self.list);
            if list.overflown || list.scripts.find(script.as_bytes()).is_some() {
                return;
            }
        }
        let mut list = lock::write(&self.list);
        if list.scripts.len() >= self.most {
            list.overflown = true;
        } else {
            list.scripts.insert(script);
        }
    }

    /// Adds to `query` the scripts that are new since its last update.
    pub fn update(&self, query: &mut FilterQuery) {
        let list = lock::read(&self.list);
        for script in list.scripts.since(query.next) {
            query.needles.insert(script);
        }
        query.next = list.scripts.len();
        query.overflown = list.overflown;
    }

    /// Counts a block that had been ruled out and must be read after all.
    pub fn came_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    /// How many such blocks there were.
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

    /// A filter of one value, which is 0: a script is in it only if it hashes to 0.
    const ALMOST_NOTHING: [u8; 4] = [1, 0, 0, 0];

    #[test]
    fn a_query_gets_the_scripts_added_since_and_none_twice() {
        let list = FilterScripts::with_capacity(3);
        let (mut all, mut since) = (FilterQuery::since(0), FilterQuery::since(1));
        for (n, next) in [(1, 1), (2, 2), (1, 2), (3, 3)] {
            list.add(&script(n));
            list.update(&mut all);
            assert_eq!((all.first(), all.next(), all.needles.len()), (0, next, next));
        }
        list.update(&mut since);
        assert_eq!((since.first(), since.next(), since.needles.len(), since.can_rule_out()), (1, 3, 2, true));
        let block = BlockId { height: 1, hash: bitcoin::BlockHash::hash(b"any") };
        let mut matcher = Matcher::default();
        assert!(!since.may_be_in(&mut matcher, block, &ALMOST_NOTHING));
        assert!(since.may_be_in(&mut matcher, block, &[0xff]), "bytes that are no filter rule out nothing");
    }

    #[test]
    fn nothing_is_ruled_out_for_too_many_scripts_or_for_one_that_filters_leave_out() {
        let block = BlockId { height: 1, hash: bitcoin::BlockHash::hash(b"any") };
        for (scripts, rules_out) in [
            (vec![script(1), script(2)], true),
            (vec![script(1), script(2), script(3)], false),
            (vec![ScriptBuf::new()], false),
            (vec![script(1), ScriptBuf::from_bytes(vec![0x6a, 1, 2])], false),
        ] {
            let list = FilterScripts::with_capacity(2);
            scripts.iter().for_each(|script| list.add(script));
            let mut query = FilterQuery::since(0);
            list.update(&mut query);
            assert_eq!(query.can_rule_out(), rules_out, "{scripts:?}");
            let matched = query.may_be_in(&mut Matcher::default(), block, &ALMOST_NOTHING);
            assert_eq!(!matched, rules_out, "{scripts:?}");
        }
    }
}
