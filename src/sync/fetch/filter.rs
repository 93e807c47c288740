//! Which blocks need not be read, ahead of the sweep: has their filters matched, as long as that pays (`worth`).

use std::time::{Duration, Instant};

use bitcoin::BlockHash;

use super::payoff::Worth;
use super::pipeline::ConnectionPool;
use super::sought::{Needed, Sought};
use super::source::{Filtering, Said};
use crate::chain::BlockId;
use crate::scan::Matcher;
use crate::sync::SyncError;

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
    /// Blocks handed on last to be read without a look, and when.
    unasked: Option<(usize, Instant)>,
}

impl<'a> Sieve<'a> {
    /// For these scripts, where reading a block takes some `read`; `None` where every block is to be read.
    pub fn new(sought: Option<&'a Sought>, filtering: Filtering, read: Duration) -> Option<Self> {
        let sought = sought.filter(|_| filtering != Filtering::Off)?;
        let mut needed = Needed::since(0);
        sought.look(&mut needed);
        let worth = Worth::new(filtering == Filtering::Always, needed.next(), read);
        Some(Self { sought, worth, needed, late: sought.late(), unasked: None })
    }

    /// How many blocks to ask for next.
    pub fn at_once(&self) -> usize {
        self.worth.at_once()
    }

    /// Says of each of `blocks`, which follow `previous`, whether it has to be read. Uses the threads of the pool it is called in.
    pub fn sift(
        &mut self,
        pool: &ConnectionPool,
        previous: BlockHash,
        blocks: &[BlockId],
    ) -> Result<Vec<Verdict>, SyncError> {
        self.sought.look(&mut self.needed);
        if let Some((blocks, since)) = self.unasked.take() {
            self.worth.learn_read(blocks, since.elapsed());
        }
        if !self.needed.can_rule_out() || !self.worth.asks(blocks.len()) {
            self.unasked = Some((blocks.len(), Instant::now()));
            return Ok(blocks.iter().map(|_| Verdict::Read { by_filter: false }).collect());
        }
        pool.with(|node| node.find(blocks));
        let began = Instant::now();
        let (version, needed) = (self.needed.next(), &self.needed);
        let judge = |matcher: &mut Matcher, id, filter: &[u8]| needed.may_be_in(matcher, id, filter);
        let said = pool.with(|node| node.sift(previous, blocks, &judge)).map_err(SyncError::from_node)?;
        let verdict = |said: Option<Said>| match said {
            None => Verdict::Read { by_filter: false },
            Some(Said::MayMatter) => Verdict::Read { by_filter: true },
            Some(Said::Out(filter)) => Verdict::Out(RuledOut { version, filter }),
        };
        let verdicts: Vec<_> = said.into_iter().map(verdict).collect();
        let read = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Read { .. })).count();
        let late = self.sought.late();
        self.worth.learn_look(blocks.len(), began.elapsed(), read, late - self.late);
        self.late = late;
        Ok(verdicts)
    }
}
