//! A step: rows that change together, in one atomic batch. Reads through it see its own changes. The changes of a block can be discarded
//! as one before they are kept.

use std::collections::BTreeMap;

use bitcoin::OutPoint;

use super::changes::Changes;
use super::sums;
use crate::index::error::Result;
use crate::index::event_log;
use crate::index::raw::{RawChanges, RawRow, RawRows};
use crate::index::read::view::View;
use crate::index::rows::events::Event;
use crate::index::rows::keys::CoinKey;
use crate::index::rows::row::{IndexKey, IndexRow};
use crate::index::rows::row_set::{KeySet, RowChanges, RowSet};
use crate::index::rows::sums::SumRow;
use crate::index::rows::values::{Coin, Spender};
use crate::index::schema::Family;

/// A batch is written when it holds this many bytes.
const BATCH_BYTES: usize = 4 << 20;

/// Rows that change together: after a crash either all of them have changed or none.
pub struct Step<'a> {
    view: &'a View,
    /// Whether the rows of `sums` are written as they are put, not as the changes move them.
    verbatim: bool,
    /// Changes that will be written.
    kept: Changes,
    /// Changes of the current block, which may yet be discarded.
    open: Changes,
    bytes: usize,
    /// The seq of the next event; `None` until one was put.
    seq: Option<u64>,
    kept_seq: Option<u64>,
}

impl<'a> Step<'a> {
    pub(in crate::index) fn of(view: &'a View) -> Self {
        let (kept, open) = (Changes::default(), Changes::default());
        Self { view, verbatim: false, kept, open, bytes: 0, seq: None, kept_seq: None }
    }

    /// A step that writes rows as they are put, those of `sums` among them: to copy an index, or to mend the sums.
    pub(in crate::index) fn verbatim(view: &'a View) -> Self {
        Self { verbatim: true, ..Self::of(view) }
    }

    /// Sets a row.
    pub fn put<R: IndexRow>(&mut self, key: &R::Key, row: &R) {
        self.raw_put(R::FAMILY, key.key().as_ref(), &row.value());
    }

    /// Removes a row.
    pub fn delete<R: IndexRow>(&mut self, key: &R::Key) {
        self.raw_delete(R::FAMILY, key.key().as_ref());
    }

    /// Sets all of these rows.
    pub fn put_all(&mut self, rows: &RowSet) {
        for (family, key, value) in rows.raw() {
            self.raw_put(family, key, value);
        }
    }

    /// Removes all rows with these keys.
    pub fn delete_all(&mut self, keys: &KeySet) {
        for (family, key) in keys.raw() {
            self.raw_delete(family, key);
        }
    }

    /// Removes and sets rows.
    pub fn change_all(&mut self, changes: &RowChanges) {
        self.delete_all(&changes.gone);
        self.put_all(&changes.put);
    }

    /// The seq of the event that is appended next.
    ///
    /// # Errors
    /// As all reads: the seq of the last event is read.
    pub fn next_seq(&self) -> Result<u64> {
        self.seq.map_or_else(|| event_log::next_seq(self.view), Ok)
    }

    /// Appends an event to the log.
    ///
    /// # Errors
    /// As [`Self::next_seq`].
    pub fn append(&mut self, event: &Event) -> Result<()> {
        let seq = self.next_seq()?;
        self.put(&seq, event);
        self.seq = Some(seq + 1);
        Ok(())
    }

    /// Keeps the changes since the last call: the block is complete.
    pub fn keep(&mut self) {
        for (kept, open) in self.kept.0.iter_mut().zip(&mut self.open.0) {
            // `append` would go through all kept changes for every block.
            kept.extend(std::mem::take(open));
        }
        self.kept_seq = self.seq;
    }

    /// Discards the changes since the last [`Self::keep`].
    pub fn discard(&mut self) {
        self.open = Changes::default();
        self.seq = self.kept_seq;
    }

    /// The outpoints of which this changes a coin or what spends it, some of them more than once.
    pub fn moved_coins(&self) -> impl Iterator<Item = OutPoint> {
        // Keys that don't read name no coin.
        [&self.kept, &self.open].into_iter().flat_map(|changes| {
            let coins = changes.of(Coin::FAMILY).keys().filter_map(|key| CoinKey::from_key(key).ok());
            let spends = changes.of(Spender::FAMILY).keys().filter_map(|key| OutPoint::from_key(key).ok());
            coins.map(|key| key.outpoint).chain(spends)
        })
    }

    /// Whether enough changes have gathered for a batch.
    pub fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES
    }

    /// Commits the changes so far if they are enough for a batch, and begins anew: for changes that need not be written as one.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn flush_if_full(&mut self) -> Result<()> {
        self.flush_if_over(BATCH_BYTES)
    }

    /// As [`Self::flush_if_full`], with a limit in bytes.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn flush_if_over(&mut self, limit: usize) -> Result<()> {
        if self.bytes >= limit { self.take().commit(false) } else { Ok(()) }
    }

    /// The changes so far as a step of their own; this one begins anew. It has to be committed before this one appends an event: the seq
    /// of the next event is read from what is written.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let rest = Self { verbatim: self.verbatim, ..Self::of(self.view) };
        std::mem::replace(self, rest)
    }

    /// Writes all changes. With `durable`, or if there are events among them, they have reached the disk when this returns.
    ///
    /// # Errors
    /// [`crate::index::IndexError::Full`], [`crate::index::IndexError::Storage`]: then none of them was written.
    pub fn commit(mut self, durable: bool) -> Result<()> {
        self.keep();
        // In the same batch as the rows that they count, so that a crash sees both or neither.
        if !self.verbatim {
            for (key, sum) in sums::moved(self.view, &self.kept)? {
                match sum.0 {
                    0 => self.delete::<SumRow>(&key),
                    _ => self.put(&key, &sum),
                }
            }
            self.keep();
        }
        let changes = Family::ALL.into_iter().zip(&self.kept.0).flat_map(|(family, changes)| {
            changes.iter().map(move |(key, value)| (family, key.as_slice(), value.as_deref()))
        });
        // Events are printed once they are written: a crash must not take one back.
        self.view.database().write(changes, durable || self.seq.is_some())
    }

    fn raw_prefix_with_changes(&self, family: Family, prefix: &[u8]) -> Result<Vec<RawRow>> {
        let mut rows = self.view.raw_prefix(family, prefix).collect::<Result<BTreeMap<_, _>>>()?;
        for changes in [&self.kept, &self.open] {
            let from = changes.0[family as usize].range(prefix.to_vec()..);
            for (key, value) in from.take_while(|(key, _)| key.starts_with(prefix)) {
                match value {
                    Some(value) => rows.insert(key.as_slice().into(), value.as_slice().into()),
                    None => rows.remove(key.as_slice()),
                };
            }
        }
        Ok(rows.into_iter().collect())
    }
}

impl RawChanges for Step<'_> {
    fn raw_put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        self.bytes += key.len() + value.len();
        self.open.0[family as usize].insert(key.to_vec(), Some(value.to_vec()));
    }

    fn raw_delete(&mut self, family: Family, key: &[u8]) {
        self.bytes += key.len();
        self.open.0[family as usize].insert(key.to_vec(), None);
    }
}

impl<'a> RawRows for Step<'a> {
    fn raw_get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let change = self.open.0[family as usize].get(key).or_else(|| self.kept.0[family as usize].get(key));
        match change {
            Some(value) => Ok(value.clone()),
            None => self.view.raw_get(family, key),
        }
    }

    fn raw_prefix<'s>(&'s self, family: Family, prefix: &[u8]) -> impl Iterator<Item = Result<RawRow>> + use<'s, 'a> {
        let (rows, error) = match self.raw_prefix_with_changes(family, prefix) {
            Ok(rows) => (rows, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        rows.into_iter().map(Ok).chain(error)
    }
}
