//! Rows of many scripts in chain order, in bounded memory: keys of `touches` and `scripts` begin with the script, and what follows
//! sorts as the chain does.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Bound;

use super::rows::{IndexRow, ScriptOrdered};
use super::{Result, View};
use crate::chain::{Height, ScriptHash};

/// Rows held in memory for all scripts together.
const BUFFERED_ROWS: usize = 1 << 16;

/// A row of one of the scripts asked for.
pub struct RowOfScript<R: IndexRow> {
    /// The place of the script among those asked for.
    pub script: usize,
    /// The row's key.
    pub key: R::Key,
    /// The row.
    pub row: R,
}

/// The rows of some scripts, merged.
pub struct ScriptRows<'a, R: IndexRow<Key: ScriptOrdered>> {
    view: &'a View,
    at: Height,
    chunk: usize,
    lanes: Vec<Lane<R>>,
    heads: BinaryHeap<Reverse<(<R::Key as ScriptOrdered>::InChain, usize)>>,
}

struct Lane<R: IndexRow> {
    script: ScriptHash,
    buffer: VecDeque<(R::Key, R)>,
    /// Where to read on; `None` at the end.
    next: Option<Bound<R::Key>>,
}

impl<'a, R: IndexRow<Key: ScriptOrdered>> ScriptRows<'a, R> {
    /// The rows of `scripts`, of each from its height on, up to height `at`.
    ///
    /// # Errors
    /// As all reads.
    pub fn new(view: &'a View, scripts: &[(ScriptHash, Height)], at: Height) -> Result<Self> {
        let chunk = (BUFFERED_ROWS / scripts.len().max(1)).clamp(1, 4096);
        let lanes = scripts.iter().map(|(script, from)| Lane {
            script: *script,
            buffer: VecDeque::new(),
            next: Some(Bound::Included(R::Key::first(*script, *from))),
        });
        let mut rows = Self { view, at, chunk, lanes: lanes.collect(), heads: BinaryHeap::new() };
        for number in 0..rows.lanes.len() {
            rows.advance(number)?;
        }
        Ok(rows)
    }

    /// Puts the lane's next row among the heads.
    fn advance(&mut self, number: usize) -> Result<()> {
        let lane = &mut self.lanes[number];
        if lane.buffer.is_empty()
            && let Some(start) = lane.next.take()
        {
            let end = Bound::Included(R::Key::last(lane.script, self.at));
            for row in self.view.range::<R>((start, end)).take(self.chunk) {
                lane.buffer.push_back(row?);
            }
            if lane.buffer.len() == self.chunk
                && let Some((key, _)) = lane.buffer.back()
            {
                lane.next = Some(Bound::Excluded(*key));
            }
        }
        if let Some((key, _)) = lane.buffer.front() {
            self.heads.push(Reverse((key.in_chain(), number)));
        }
        Ok(())
    }
}

impl<R: IndexRow<Key: ScriptOrdered>> Iterator for ScriptRows<'_, R> {
    type Item = Result<RowOfScript<R>>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((_, number)) = self.heads.pop()?;
        let (key, row) = self.lanes[number].buffer.pop_front()?;
        if let Err(error) = self.advance(number) {
            self.heads.clear();
            return Some(Err(error));
        }
        Some(Ok(RowOfScript { script: number, key, row }))
    }
}
