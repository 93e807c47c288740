//! One step: what changes together. Reads within it see its own writes; what a block brings is kept or dropped as one.

use std::collections::BTreeMap;

use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, TxOut, Txid};
use rocksdb::{WriteBatch, WriteOptions};

use super::derive::{self, Rows};
use super::events::{self, Event};
use super::keys::{CoinKey, TxPosition, outpoint_key, txid_from_key};
use super::schema::Family;
use super::values::{Coin, Record, Spender};
use super::{Result, View, synced};
use crate::chain::Height;

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
    pub fn put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        self.bytes += key.len() + value.len();
        self.open.0[family as usize].insert(key.to_vec(), Some(value.to_vec()));
    }

    /// Removes a row.
    pub fn delete(&mut self, family: Family, key: &[u8]) {
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
        self.put(Family::Events, &seq.to_be_bytes(), &serde_json::to_vec(event).expect("strings and numbers"));
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

    /// A row's value, as it will be.
    ///
    /// # Errors
    /// What reading reports, as in all reads.
    pub fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let change = self.open.0[family as usize].get(key).or_else(|| self.kept.0[family as usize].get(key));
        match change {
            Some(value) => Ok(value.clone()),
            None => self.view.get(family, key),
        }
    }

    /// All rows whose keys begin with `prefix`, as they will be, in key order.
    ///
    /// # Errors
    /// What reading reports.
    pub fn prefix(&self, family: Family, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let mut rows = BTreeMap::new();
        for row in self.view.prefix(family, prefix) {
            let (key, value) = row?;
            rows.insert(key.into_vec(), value.into_vec());
        }
        for changes in [&self.kept, &self.open] {
            let begins = changes.0[family as usize].range(prefix.to_vec()..);
            for (key, value) in begins.take_while(|(key, _)| key.starts_with(prefix)) {
                match value {
                    Some(value) => rows.insert(key.clone(), value.clone()),
                    None => rows.remove(key),
                };
            }
        }
        Ok(rows)
    }

    /// The record at a position.
    ///
    /// # Errors
    /// What reading reports.
    pub fn record(&self, at: TxPosition) -> Result<Option<Record>> {
        let Some(value) = self.get(Family::Records, &at.key())? else { return Ok(None) };
        Record::from_value(&value).map(Some).map_err(|_| View::corrupt(Family::Records, &at.key()))
    }

    /// The records of a block, by their transactions' indices.
    ///
    /// # Errors
    /// What reading reports.
    pub fn records(&self, height: Height) -> Result<BTreeMap<u32, Record>> {
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let corrupt = |_| View::corrupt(Family::Records, &key);
            let at = TxPosition::from_key(&key).map_err(corrupt)?;
            Ok((at.tx_index, Record::from_value(&value).map_err(corrupt)?))
        };
        self.prefix(Family::Records, &height.to_be_bytes())?.into_iter().map(read).collect()
    }

    /// Where a transaction is recorded, lowest height first.
    ///
    /// # Errors
    /// What reading reports.
    pub fn positions(&self, txid: Txid) -> Result<Vec<TxPosition>> {
        let rows = self.prefix(Family::Txids, txid.as_byte_array())?;
        let read = |key: &Vec<u8>| txid_from_key(key).map(|(_, at)| at).map_err(|_| View::corrupt(Family::Txids, key));
        rows.keys().map(read).collect()
    }

    /// The output itself, where a record holds its transaction.
    ///
    /// # Errors
    /// What reading reports.
    pub fn output(&self, outpoint: &OutPoint) -> Result<Option<TxOut>> {
        // Twins have the same outputs: any will do.
        let Some(at) = self.positions(outpoint.txid)?.first().copied() else { return Ok(None) };
        let Some(value) = self.get(Family::Records, &at.key())? else { return Ok(None) };
        Record::output(&value, outpoint.vout).map_err(|_| View::corrupt(Family::Records, &at.key()))
    }

    /// The coin that a transaction at `height` spends by this outpoint: of BIP30's twins the last made by then.
    ///
    /// # Errors
    /// What reading reports.
    pub fn coin(&self, outpoint: &OutPoint, height: Height) -> Result<Option<Coin>> {
        for (key, value) in self.prefix(Family::Coins, &outpoint_key(outpoint))?.into_iter().rev() {
            let corrupt = |_| View::corrupt(Family::Coins, &key);
            if CoinKey::from_key(&key).map_err(corrupt)?.height <= height {
                return Coin::from_value(&value).map(Some).map_err(corrupt);
            }
        }
        Ok(None)
    }

    /// The input that spent a coin made at `height`.
    ///
    /// # Errors
    /// What reading reports.
    pub fn spender(&self, outpoint: &OutPoint, height: Height) -> Result<Option<Spender>> {
        let key = outpoint_key(outpoint);
        let Some(value) = self.get(Family::Spends, &key)? else { return Ok(None) };
        let spender = Spender::from_value(&value).map_err(|_| View::corrupt(Family::Spends, &key))?;
        Ok(Some(spender).filter(|spender| spender.at.height >= height))
    }

    /// The rows that a record brought, as they are. A `spends` row that tells of another transaction is not its own: of BIP30's twins
    /// the later one.
    ///
    /// # Errors
    /// What reading reports.
    pub fn brought(&self, at: TxPosition, txid: Txid, record: &Record) -> Result<Rows> {
        let mut rows = Rows::new();
        for (family, key) in derive::keys(at, txid, record) {
            if let Some(value) = self.get(family, &key)?
                && (family != Family::Spends || value.get(..8) == Some(&at.key()[..]))
            {
                rows.insert((family, key), value);
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
