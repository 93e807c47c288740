//! One step: what changes together. Reads within it see its own writes; what a block brings is kept or dropped as one.

use std::collections::BTreeMap;

use bitcoin::Txid;
use rocksdb::{WriteBatch, WriteOptions};

use super::derive;
use super::events::{self, Event};
use super::keys::TxPosition;
use super::read::{RawRow, RawRows};
use super::row_set::RowSet;
use super::rows::{IndexKey, IndexRow};
use super::schema::Family;
use super::values::Record;
use super::{Result, View, synced};

/// A batch is written when it holds this many bytes.
const BATCH_BYTES: usize = 4 << 20;

/// Rows to come, by family: a value, or that there will be none.
#[derive(Default)]
struct Changes([BTreeMap<Vec<u8>, Option<Vec<u8>>>; Family::ALL.len()]);

/// What changes together: a crash sees all of it or none.
pub struct Step<'a> {
    view: &'a View,
    /// What goes into the batch.
    kept: Changes,
    /// What the block at hand adds.
    open: Changes,
    bytes: usize,
    /// The seq of the next message; `None` until one is put.
    seq: Option<u64>,
    kept_seq: Option<u64>,
}

impl<'a> Step<'a> {
    pub(super) fn of(view: &'a View) -> Self {
        Self { view, kept: Changes::default(), open: Changes::default(), bytes: 0, seq: None, kept_seq: None }
    }

    /// Sets a row.
    pub fn put<R: IndexRow>(&mut self, key: &R::Key, row: &R) {
        self.raw_put(R::FAMILY, key.key().as_ref(), &row.value());
    }

    /// Removes a row.
    pub fn delete<R: IndexRow>(&mut self, key: &R::Key) {
        self.raw_delete(R::FAMILY, key.key().as_ref());
    }

    /// Sets a row, in bytes.
    pub fn raw_put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        self.bytes += key.len() + value.len();
        self.open.0[family as usize].insert(key.to_vec(), Some(value.to_vec()));
    }

    /// Removes a row, by the bytes of its key.
    pub fn raw_delete(&mut self, family: Family, key: &[u8]) {
        self.bytes += key.len();
        self.open.0[family as usize].insert(key.to_vec(), None);
    }

    /// Appends a message to the log.
    ///
    /// # Errors
    /// What reading the log's end reports.
    pub fn tell(&mut self, event: &Event) -> Result<()> {
        let seq = match self.seq {
            Some(seq) => seq,
            None => events::next_seq(self.view)?,
        };
        self.put(&seq, event);
        self.seq = Some(seq + 1);
        Ok(())
    }

    /// Keeps what was put since the last call: a block is done.
    pub fn keep(&mut self) {
        for (kept, open) in self.kept.0.iter_mut().zip(&mut self.open.0) {
            // Not `append`, which goes through all that is kept, for each block anew.
            kept.extend(std::mem::take(open));
        }
        self.kept_seq = self.seq;
    }

    /// Drops it: the block is none.
    pub fn forget(&mut self) {
        self.open = Changes::default();
        self.seq = self.kept_seq;
    }

    /// Bytes gathered so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All rows whose keys begin with `prefix`, as they will be, in key order.
    fn merged(&self, family: Family, prefix: &[u8]) -> Result<Vec<RawRow>> {
        let mut rows = self.view.raw_prefix(family, prefix).collect::<Result<BTreeMap<_, _>>>()?;
        for changes in [&self.kept, &self.open] {
            let begins = changes.0[family as usize].range(prefix.to_vec()..);
            for (key, value) in begins.take_while(|(key, _)| key.starts_with(prefix)) {
                match value {
                    Some(value) => rows.insert(key.as_slice().into(), value.as_slice().into()),
                    None => rows.remove(key.as_slice()),
                };
            }
        }
        Ok(rows.into_iter().collect())
    }

    /// Whether enough was gathered for a batch.
    pub fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES
    }

    /// Writes what was gathered and begins anew, if it is enough for a batch: for what need not be written as one.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn flush_if_full(&mut self) -> Result<()> {
        self.flush_if_over(BATCH_BYTES)
    }

    /// As [`Self::flush_if_full`], with another limit.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn flush_if_over(&mut self, limit: usize) -> Result<()> {
        if self.bytes >= limit { self.take().commit(false) } else { Ok(()) }
    }

    /// What was gathered, to be written; what comes from here on is a step of its own.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::of(self.view))
    }

    /// The rows that a record brought, as they are. A `spends` row that names another transaction is not its own: of BIP30's twins the
    /// later one.
    ///
    /// # Errors
    /// As all reads.
    pub fn brought(&self, at: TxPosition, txid: Txid, record: &Record) -> Result<RowSet> {
        let mut rows = RowSet::default();
        for (family, key) in derive::keys(at, txid, record).iter() {
            if let Some(value) = self.raw_get(family, key)?
                && (family != Family::Spends || value.get(..8) == Some(&at.key()[..]))
            {
                rows.insert_raw(family, key.clone(), value);
            }
        }
        Ok(rows)
    }

    /// Writes it all; with `durable`, or where messages are among it, it has reached the disk when this returns.
    ///
    /// # Errors
    /// [`super::IndexError::Full`], [`super::IndexError::Storage`]: then none of it was written.
    pub fn commit(mut self, durable: bool) -> Result<()> {
        self.keep();
        let mut batch = WriteBatch::default();
        for (family, changes) in Family::ALL.into_iter().zip(&self.kept.0) {
            let handle = self.view.handle(family);
            for (key, value) in changes {
                match value {
                    Some(value) => batch.put_cf(handle, key, value),
                    None => batch.delete_cf(handle, key),
                }
            }
        }
        let durable = durable || self.seq.is_some();
        let mut options = WriteOptions::default();
        options.set_sync(durable);
        let written = self.view.database().write_opt(batch, &options);
        written.map_err(|error| View::error(self.view.path(), error))?;
        if durable {
            synced::note(self.view.path(), self.view.sequence());
        }
        Ok(())
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
        let (rows, error) = match self.merged(family, prefix) {
            Ok(rows) => (rows, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        rows.into_iter().map(Ok).chain(error)
    }
}
