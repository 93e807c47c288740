//! Rows of many scripts in chain order, in bounded memory: keys of `touches` and `scripts` begin with the script, and what follows
//! sorts as the chain does.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Bound;

use super::view::View;
use crate::chain::{Height, ScriptHash};
use crate::index::error::Result;
use crate::index::rows::row::{IndexRow, ScriptOrdered};

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
    scripts: Vec<MergedScript<R>>,
    heads: BinaryHeap<Reverse<(<R::Key as ScriptOrdered>::InChain, usize)>>,
}

struct MergedScript<R: IndexRow> {
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
        let scripts = scripts.iter().map(|(script, from)| MergedScript {
            script: *script,
            buffer: VecDeque::new(),
            next: Some(Bound::Included(R::Key::first(*script, *from))),
        });
        let mut rows = Self { view, at, chunk, scripts: scripts.collect(), heads: BinaryHeap::new() };
        for number in 0..rows.scripts.len() {
            rows.advance(number)?;
        }
        Ok(rows)
    }

    /// Puts the script's next row among the heads.
    fn advance(&mut self, number: usize) -> Result<()> {
        let script = &mut self.scripts[number];
        if script.buffer.is_empty()
            && let Some(start) = script.next.take()
        {
            let end = Bound::Included(R::Key::last(script.script, self.at));
            for row in self.view.range::<R>((start, end)).take(self.chunk) {
                script.buffer.push_back(row?);
            }
            if script.buffer.len() == self.chunk
                && let Some((key, _)) = script.buffer.back()
            {
                script.next = Some(Bound::Excluded(*key));
            }
        }
        if let Some((key, _)) = script.buffer.front() {
            self.heads.push(Reverse((key.in_chain(), number)));
        }
        Ok(())
    }
}

impl<R: IndexRow<Key: ScriptOrdered>> Iterator for ScriptRows<'_, R> {
    type Item = Result<RowOfScript<R>>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((_, number)) = self.heads.pop()?;
        let (key, row) = self.scripts[number].buffer.pop_front()?;
        if let Err(error) = self.advance(number) {
            // A caller that reads on gets nothing, rather than rows with a gap.
            self.heads.clear();
            return Some(Err(error));
        }
        Some(Ok(RowOfScript { script: number, key, row }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Step;
    use crate::index::rows::keys::{ScriptKey, TxPosition};
    use crate::index::rows::values::ScriptCoin;

    #[test]
    fn rows_of_many_scripts_come_in_chain_order_from_their_heights_on() {
        let folder = tempfile::tempdir().unwrap();
        let view = View::open_writable(folder.path(), true).unwrap();
        let scripts = [[1; 32], [2; 32], [3; 32]].map(ScriptHash);
        let mut step = Step::of(&view);
        for (number, height, tx_index, vout) in [
            (0, 5, 1, 0),
            (0, 7, 0, 2),
            (1, 5, 0, 9),
            (1, 6, 3, 1),
            (1, 6, 3, 0),
            (2, 6, 2, 0),
            (2, u32::MAX, u32::MAX, u32::MAX),
        ] {
            let at = TxPosition { height, tx_index };
            step.put(&ScriptKey { script: scripts[number], at, vout }, &ScriptCoin);
        }
        step.commit(false).unwrap();
        let rows = |asked: &[(ScriptHash, Height)], at| {
            let rows = ScriptRows::<ScriptCoin>::new(&view, asked, at).unwrap().map(|row| {
                let RowOfScript { script, key, row: ScriptCoin } = row.unwrap();
                (script, key.at.height, key.at.tx_index, key.vout)
            });
            rows.collect::<Vec<_>>()
        };
        let asked = [(scripts[0], 6), (scripts[1], 0), (scripts[2], 0)];
        let below_7 = [(1, 5, 0, 9), (2, 6, 2, 0), (1, 6, 3, 0), (1, 6, 3, 1)];
        assert_eq!(rows(&asked, 6), below_7);
        assert_eq!(rows(&asked, 7), [&below_7[..], &[(0, 7, 0, 2)]].concat());
        assert_eq!(rows(&asked[2..], u32::MAX), [(0, 6, 2, 0), (0, u32::MAX, u32::MAX, u32::MAX)]);
        assert_eq!(rows(&[], 9), []);
    }
}
