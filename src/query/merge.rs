//! Rows of many scripts in chain order, in bounded memory: keys of `touches` and `scripts` begin with the script, and what
//! follows sorts as the chain does.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::Result;
use crate::chain::{Height, ScriptHash};
use crate::index::{Family, View};

/// Rows held in memory for all scripts together.
const BUFFERED_ROWS: usize = 1 << 16;

/// One row: the number of its script, its key, its value.
pub struct MergedRow {
    /// Which of the scripts asked for.
    pub script: usize,
    /// The whole key.
    pub key: Box<[u8]>,
    /// The value.
    pub value: Box<[u8]>,
}

/// The rows of some scripts, merged.
pub struct Merge<'a> {
    view: &'a View,
    family: Family,
    at: Height,
    chunk: usize,
    lanes: Vec<Lane>,
    heads: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
}

struct Lane {
    script: ScriptHash,
    buffer: VecDeque<crate::index::RawRow>,
    /// Where to read on; `None` at the end.
    next: Option<Vec<u8>>,
}

impl<'a> Merge<'a> {
    /// The rows that `family` (`touches` or `scripts`) has of `scripts`, of each from its height on, up to height `at`.
    ///
    /// # Errors
    /// What reading reports.
    pub fn new(view: &'a View, family: Family, scripts: &[(ScriptHash, Height)], at: Height) -> Result<Self> {
        let chunk = (BUFFERED_ROWS / scripts.len().max(1)).clamp(1, 4096);
        let lane = |(script, from): &(ScriptHash, Height)| {
            let start = [&script.0[..], &from.to_be_bytes()].concat();
            Lane { script: *script, buffer: VecDeque::new(), next: Some(start) }
        };
        let lanes = scripts.iter().map(lane).collect();
        let mut merge = Self { view, family, at, chunk, lanes, heads: BinaryHeap::new() };
        for number in 0..merge.lanes.len() {
            merge.advance(number)?;
        }
        Ok(merge)
    }

    /// Puts the lane's next row among the heads.
    fn advance(&mut self, number: usize) -> Result<()> {
        let lane = &mut self.lanes[number];
        if lane.buffer.is_empty()
            && let Some(start) = lane.next.take()
        {
            let end = end_key(lane.script, self.at);
            for row in self.view.raw_range(self.family, &start, Some(end)).take(self.chunk) {
                lane.buffer.push_back(row?);
            }
            if lane.buffer.len() == self.chunk
                && let Some((key, _)) = lane.buffer.back()
            {
                lane.next = Some([&**key, &[0]].concat());
            }
        }
        if let Some((key, _)) = lane.buffer.front() {
            self.heads.push(Reverse((key[ScriptHash::LENGTH..].to_vec(), number)));
        }
        Ok(())
    }
}

/// The first key of a script above height `at`.
fn end_key(script: ScriptHash, at: Height) -> Vec<u8> {
    let mut end = script.0.to_vec();
    match at.checked_add(1) {
        Some(above) => end.extend_from_slice(&above.to_be_bytes()),
        None => end.extend_from_slice(&[0xff; 14]),
    }
    end
}

impl Iterator for Merge<'_> {
    type Item = Result<MergedRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((_, number)) = self.heads.pop()?;
        let (key, value) = self.lanes[number].buffer.pop_front()?;
        if let Err(error) = self.advance(number) {
            self.heads.clear();
            return Some(Err(error));
        }
        Some(Ok(MergedRow { script: number, key, value }))
    }
}
