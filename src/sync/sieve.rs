//! Which blocks need not be read, ahead of the sweep: asks for their filters, matches them, and stops asking where that doesn't pay.

use bitcoin::BlockHash;
use rayon::prelude::*;

use super::SyncError;
use super::pipeline::ConnectionPool;
use super::sought::{Needed, Sought};
use super::source::Filtering;
use crate::chain::BlockId;
use crate::scan::Matcher;

/// Fewer blocks than this are read without a look at filters, which costs some questions to the node.
pub const SHORT: u32 = 100;
/// With more scripts, hashing them for each block takes as long as reading it: 4 to 13 ns a script, some millisecond a block.
pub const MOST: usize = 50_000;
/// Filters asked for in one go: at first, at least, at most. They are in memory until their blocks are passed: 22 kB each.
const AT_ONCE: (usize, usize, usize) = (128, 64, 512);
/// Blocks that are read without a look, after filters ruled out too few: at first, at most.
const WITHOUT: (usize, usize) = (512, 8192);

/// What is known of a block before it is read.
pub enum Verdict {
    /// It has to be read; `by_filter` where its filter says so.
    Read {
        /// Whether there was a filter.
        by_filter: bool,
    },
    /// It needn't.
    Out(RuledOut),
}

/// A block that doesn't matter to the first so many scripts sought.
pub struct RuledOut {
    /// How many.
    pub version: usize,
    /// Its filter, proven: says whether it matters to those that came after.
    pub filter: Vec<u8>,
}

/// Sorts blocks out for one sweep.
pub struct Sieve<'a> {
    sought: &'a Sought,
    worth: Worth,
    needed: Needed,
    late: usize,
}

impl<'a> Sieve<'a> {
    /// For these scripts; `None` where every block is to be read.
    pub fn new(sought: Option<&'a Sought>, filtering: Filtering) -> Option<Self> {
        let sought = sought.filter(|_| filtering != Filtering::Off)?;
        let worth = Worth::new(filtering == Filtering::Always);
        Some(Self { sought, worth, needed: Needed::since(0), late: sought.late() })
    }

    /// How many blocks to ask for next.
    pub fn at_once(&self) -> usize {
        self.worth.at_once
    }

    /// Says of each of `blocks`, which follow `previous`, whether it has to be read. Uses the threads of the pool it is called in.
    pub fn sift(
        &mut self,
        pool: &ConnectionPool,
        previous: BlockHash,
        blocks: &[BlockId],
    ) -> Result<Vec<Verdict>, SyncError> {
        let read_all = || blocks.iter().map(|_| Verdict::Read { by_filter: false }).collect();
        self.sought.look(&mut self.needed);
        if !self.needed.can_rule_out() || !self.worth.asks(blocks.len()) {
            return Ok(read_all());
        }
        let filters = pool.with(|node| node.filters(previous, blocks)).map_err(SyncError::from_node)?;
        let (version, needed) = (self.needed.next(), &self.needed);
        let judge = |matcher: &mut Matcher, (filter, id): (Option<Vec<u8>>, &BlockId)| match filter {
            None => Verdict::Read { by_filter: false },
            Some(filter) if needed.may_be_in(matcher, *id, &filter) => Verdict::Read { by_filter: true },
            Some(filter) => Verdict::Out(RuledOut { version, filter }),
        };
        let verdicts: Vec<_> = filters.into_par_iter().zip(blocks).map_init(Matcher::default, judge).collect();
        let read = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Read { .. })).count();
        let late = self.sought.late();
        self.worth.learn(blocks.len(), read, late - self.late);
        self.late = late;
        Ok(verdicts)
    }
}

/// Whether, and for how many blocks at once, to ask for filters: by how many blocks the last ones ruled out. Pure.
#[derive(Debug, PartialEq, Eq)]
struct Worth {
    always: bool,
    at_once: usize,
    /// Blocks still to be read without.
    without: usize,
    /// How many those will be next time.
    pause: usize,
}

impl Worth {
    fn new(always: bool) -> Self {
        Self { always, at_once: AT_ONCE.0, without: 0, pause: WITHOUT.0 }
    }

    /// Whether to ask for the filters of the next so many blocks.
    fn asks(&mut self, blocks: usize) -> bool {
        let asks = self.always || self.without == 0;
        self.without = self.without.saturating_sub(blocks);
        asks
    }

    /// Of `asked` blocks, `read` had to be read; `late` of those before them, after all. The latter cost more, since each is waited
    /// for, and are the fewer the shorter the steps.
    fn learn(&mut self, asked: usize, read: usize, late: usize) {
        if late * 16 > asked {
            self.at_once = (self.at_once / 2).max(AT_ONCE.1);
        } else {
            self.at_once = (self.at_once * 2).min(AT_ONCE.2);
        }
        if (read + 2 * late) * 5 > asked * 4 {
            self.without = self.pause;
            self.pause = (self.pause * 2).min(WITHOUT.1);
        } else {
            self.pause = WITHOUT.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_that_rule_out_too_few_are_left_alone_for_longer_and_longer() {
        let mut worth = Worth::new(false);
        let mut pauses = Vec::new();
        for read in [128, 120, 110, 103, 128, 128, 128, 10, 128] {
            assert!(worth.asks(128), "{worth:?}");
            worth.learn(128, read, 0);
            let mut pause = 0;
            while worth.without > 0 {
                assert!(!worth.asks(64));
                pause += 64;
            }
            pauses.push(pause);
        }
        assert_eq!(pauses, [512, 1024, 2048, 4096, 8192, 8192, 8192, 0, 512]);
        let mut always = Worth::new(true);
        always.learn(128, 128, 0);
        assert!(always.asks(64) && always.asks(64));
    }

    #[test]
    fn steps_are_short_where_blocks_come_late_and_long_where_none_does() {
        let mut worth = Worth::new(false);
        let steps = [(0, 256), (0, 512), (0, 512), (40, 256), (40, 128), (9, 64), (9, 64), (4, 128)];
        for (late, at_once) in steps {
            let asked = worth.at_once;
            worth.learn(asked, 0, late);
            assert_eq!(worth.at_once, at_once, "{late} late");
        }
        // Half of the blocks late, and none ruled in: too many.
        worth = Worth::new(false);
        worth.learn(128, 0, 64);
        assert!(!worth.asks(128));
    }
}
