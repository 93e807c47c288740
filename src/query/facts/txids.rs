//! Ids of recorded transactions, by position: a record of thousands of outputs is read and hashed once, not once for each row of it.

use std::cell::RefCell;
use std::collections::HashMap;

use bitcoin::Txid;

use crate::index::keys::TxPosition;
use crate::query::{Result, Snapshot};

/// Ids kept at most, some 4 MB.
const KEPT: usize = 1 << 16;

/// The ids that were read.
pub struct Txids<'a> {
    snapshot: &'a Snapshot,
    known: RefCell<HashMap<TxPosition, Txid>>,
}

impl<'a> Txids<'a> {
    /// None yet.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, known: RefCell::default() }
    }

    /// The id of the transaction that is recorded at a position.
    ///
    /// # Errors
    /// What reading reports.
    pub fn get(&self, at: TxPosition) -> Result<Txid> {
        if let Some(txid) = self.known.borrow().get(&at) {
            return Ok(*txid);
        }
        let txid = self.snapshot.record(at)?.txid();
        self.keep(at, txid);
        Ok(txid)
    }

    /// Keeps the id of a record that was read for something else.
    pub fn keep(&self, at: TxPosition, txid: Txid) {
        let mut known = self.known.borrow_mut();
        // Rows come in chain order or script by script: the latest ids are as good as any to begin anew with.
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(at, txid);
    }
}
