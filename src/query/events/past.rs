//! Finds the record that an event is about, as it was then: the one at its position, or where that was removed or changed since, what the
//! index keeps of it in `former` (`index::schema`).

use std::collections::BTreeMap;
use std::rc::Rc;

use bitcoin::{BlockHash, OutPoint, Txid};

use crate::chain::{Height, ScriptHash};
use crate::index::former::{Former, FormerKey, MovedTaint, Received};
use crate::index::keys::TxPosition;
use crate::index::values::{Coin, InputTaint, Record};
use crate::index::{IndexError, ReadRows, Result, View, meta};

/// A record as it was when an event about it was logged.
pub struct PastRecord {
    /// Its block's hash.
    pub block: BlockHash,
    /// Its block's time, Unix seconds.
    pub time: u32,
    /// Its transaction's id.
    pub txid: Txid,
    /// The record.
    pub record: Record,
    /// The taint that it moved, and the records that made the coins of its tainted inputs; `None` where the index's rows still say it.
    former: Option<(MovedTaint, BTreeMap<u32, TxPosition>)>,
}

impl PastRecord {
    /// The taint that it moved.
    pub fn taint(&self, view: &View, at: TxPosition) -> Result<MovedTaint> {
        match &self.former {
            Some((taint, _)) => Ok(taint.clone()),
            None => current_taint(view, at, self.txid, &self.record),
        }
    }

    /// Where the record is, or was, that made the coin of this input.
    pub fn parent(&self, view: &View, at: TxPosition, vin: u32) -> Result<Option<TxPosition>> {
        if let Some((_, parents)) = &self.former {
            return Ok(parents.get(&vin).copied());
        }
        let Some(input) = self.record.transaction.input.get(vin as usize) else { return Ok(None) };
        Ok(view.positions(input.previous_output.txid)?.into_iter().rfind(|made| *made < at))
    }
}

/// Finds records as they were; keeps the last one, since the events of a transaction stand together.
pub struct PastRecords<'a> {
    view: &'a View,
    /// The position asked about last, and the seqs of the rows of `former` there.
    position: Option<(TxPosition, Vec<u64>)>,
    /// The one found last: its position and the first of those seqs that it is before.
    last: Option<(TxPosition, Option<u64>, Rc<PastRecord>)>,
}

impl<'a> PastRecords<'a> {
    /// Of an index that doesn't change meanwhile.
    pub fn new(view: &'a View) -> Self {
        Self { view, position: None, last: None }
    }

    /// The seq of the change that a retraction with number `seq` belongs to.
    pub fn change(&mut self, at: TxPosition, seq: u64) -> Result<u64> {
        let change = self.seqs(at)?.iter().rfind(|change| **change <= seq).copied();
        change.ok_or_else(|| IndexError::corrupt::<Former>(&FormerKey { at, seq }))
    }

    /// The seq of the first change of the record at a position after the event with number `seq`.
    pub fn next_change(&mut self, at: TxPosition, seq: u64) -> Result<Option<u64>> {
        Ok(self.seqs(at)?.iter().find(|change| **change > seq).copied())
    }

    /// The record at a position before the change `first`, or as it is now.
    pub fn before(&mut self, at: TxPosition, first: Option<u64>) -> Result<Rc<PastRecord>> {
        if let Some((known, before, past)) = &self.last
            && (*known, *before) == (at, first)
        {
            return Ok(Rc::clone(past));
        }
        let past = Rc::new(self.read(at, first)?);
        self.last = Some((at, first, Rc::clone(&past)));
        Ok(past)
    }

    fn seqs(&mut self, at: TxPosition) -> Result<&[u64]> {
        let seqs = match self.position.take() {
            Some((known, seqs)) if known == at => seqs,
            _ => self.view.keys::<Former>(at).map(|key| key.map(|key| key.seq)).collect::<Result<_>>()?,
        };
        Ok(&self.position.insert((at, seqs)).1)
    }

    fn read(&self, at: TxPosition, first: Option<u64>) -> Result<PastRecord> {
        let mut said = None;
        if let Some(seq) = first {
            let end = FormerKey { at, seq: u64::MAX };
            for row in self.view.range::<Former>(FormerKey { at, seq }..=end) {
                let (_, former) = row?;
                said.get_or_insert((former.taint, former.parents));
                if let Some(removed) = former.removed {
                    let txid = removed.record.txid();
                    let (block, time, record) = (removed.block, removed.time, removed.record);
                    return Ok(PastRecord { block, time, txid, record, former: said });
                }
            }
        }
        let header = self.view.known_header(at.height)?;
        let record = self.view.known_record(at)?;
        Ok(PastRecord { block: header.block_hash(), time: header.time, txid: record.txid(), record, former: said })
    }
}

/// The taint that a record of the index moves, by its rows.
fn current_taint(view: &View, at: TxPosition, txid: Txid, record: &Record) -> Result<MovedTaint> {
    let mut taint = MovedTaint::default();
    for (vin, input) in (0..).zip(&record.transaction.input) {
        let taints = match view.spender(&input.previous_output)? {
            Some(spender) if spender.at == at => spender.taint,
            _ => twin_taint(view, &input.previous_output, at.height, record, vin)?,
        };
        if !taints.is_empty() {
            taint.inputs.insert(vin, taints);
        }
    }
    for row in view.prefix::<Coin>(txid) {
        let (key, coin) = row?;
        if key.height == at.height && !coin.columns.is_empty() {
            let received = coin.columns.iter().map(|column| Received {
                rule: column.rule,
                taint: column.taint.amount,
                hops: column.taint.hops,
                fate: column.fate,
            });
            taint.outputs.insert(key.outpoint.vout, received.collect());
        }
    }
    Ok(taint)
}

/// The taint of an input whose outpoint was spent again later (BIP30): the row of the elder coin still has it.
fn twin_taint(view: &View, outpoint: &OutPoint, height: Height, record: &Record, vin: u32) -> Result<Vec<InputTaint>> {
    let Some(spent) = record.spent.get(vin as usize) else { return Ok(Vec::new()) };
    if view.entry(ScriptHash::of(&spent.script_pubkey))?.is_some_and(|entry| entry.is_flagged_at(height)) {
        let rules = meta::trace(view)?.rules;
        return Ok(rules.into_iter().map(|rule| InputTaint { rule, taint: spent.value.to_sat(), hops: 0 }).collect());
    }
    let Some((_, coin)) = view.coin_at(outpoint, height)? else { return Ok(Vec::new()) };
    let columns = coin.columns.iter().filter_map(|column| Some((column.rule, column.carried()?)));
    Ok(columns.map(|(rule, taint)| InputTaint { rule, taint: taint.amount, hops: taint.hops }).collect())
}
