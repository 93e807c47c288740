//! Transactions that the index does not hold: nothing in it touched them, or it hasn't reached them, or they don't exist.

use bitcoin::{OutPoint, Transaction, TxOut, Txid};

use super::findings::{Findings, OutputTally};
use super::ledger::Ledger;
use super::lookup::ChainLookup;
use super::proof::{Evidence, Ruling, SilenceJudge};
use super::row::{ScreenRow, Verdict};
use super::unconfirmed::{self, Package};
use crate::chain::{BlockId, Height};
use crate::query::Result;
use crate::query::by_rule::ByRule;

/// Outputs of a transaction that are looked up one by one, where the lookup doesn't know the transaction itself.
const PROBED: u32 = 10;

/// Screens what the index does not hold.
pub struct Unrecorded<'s, 'a> {
    /// The index.
    pub ledger: &'s mut Ledger<'a>,
    /// What its silence proves.
    pub judge: &'s SilenceJudge<'a>,
    /// Where such transactions are looked up.
    pub lookup: &'s dyn ChainLookup,
}

impl Unrecorded<'_, '_> {
    /// The row of a transaction, or of one of its outputs; `height` is where the caller says that it is confirmed.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn transaction(
        &mut self,
        target: &str,
        txid: Txid,
        vout: Option<u32>,
        height: Option<Height>,
    ) -> Result<ScreenRow> {
        if let Some(height) = height {
            return self.vouched(target, height);
        }
        if let Some((output, block)) = vout.and_then(|vout| self.lookup.coin(OutPoint { txid, vout })) {
            let ruling = self.judge.confirmed(Evidence::Node(block))?;
            let row = self.outputs(target, &[output], ruling)?;
            // Above what is settled, the coins that it spends may still show taint.
            if row.verdict != Verdict::Unknown || self.lookup.transaction(txid).is_none() {
                return Ok(row);
            }
        }
        match self.lookup.transaction(txid) {
            Some((transaction, _)) if transaction.compute_txid() != txid => {
                let why = format!("{} returned a different transaction", self.lookup.name());
                Ok(ScreenRow::nothing_known(target, why))
            }
            Some((transaction, block)) => self.known(target, transaction, block, vout),
            None if vout.is_some() => Ok(self.not_found(target, "unspent coin and no transaction")),
            None => self.probed(target, txid),
        }
    }

    /// The row of a transaction that was given in full.
    pub fn raw(&mut self, transaction: Transaction, height: Option<Height>) -> Result<ScreenRow> {
        let txid = transaction.compute_txid();
        let target = txid.to_string();
        if let Some(height) = height {
            let ruling = self.judge.confirmed(Evidence::Caller(height))?;
            return self.confirmed(&target, &transaction, None, ruling);
        }
        let mut block = self.lookup.transaction(txid).and_then(|(_, block)| block);
        // A coinbase is never unconfirmed, so it has to be found in a block.
        if block.is_none() && transaction.is_coinbase() {
            block = self.probe(txid).map(|(_, block)| block);
            if block.is_none() {
                return Ok(self.not_found(&target, "transaction"));
            }
        }
        self.known(&target, transaction, block, None)
    }

    /// The row of a coin that a record spends at a height, though the index didn't see it made.
    pub fn spent_coin(&mut self, target: &str, output: &TxOut, spent_at: Height) -> Result<ScreenRow> {
        let ruling = self.judge.confirmed(Evidence::SpendingRecord(spent_at))?;
        self.outputs(target, std::slice::from_ref(output), ruling)
    }

    /// The row of confirmed outputs: their scripts are all that can be against them.
    fn outputs(&mut self, target: &str, outputs: &[TxOut], ruling: Ruling) -> Result<ScreenRow> {
        let found = self.findings(outputs, None, &ruling)?;
        Ok(ScreenRow::new(target, found, ruling))
    }

    /// The row of a confirmed transaction, or of one of its outputs: its scripts and the keys that its inputs show are all that can be
    /// against it.
    fn confirmed(
        &mut self,
        target: &str,
        transaction: &Transaction,
        only: Option<usize>,
        ruling: Ruling,
    ) -> Result<ScreenRow> {
        let outputs = only.map_or(&transaction.output[..], |only| &transaction.output[only..=only]);
        let spending = only.is_none().then_some(transaction);
        let found = self.findings(outputs, spending, &ruling)?;
        Ok(ScreenRow::new(target, found, ruling))
    }

    fn findings(&mut self, outputs: &[TxOut], spending: Option<&Transaction>, ruling: &Ruling) -> Result<Findings> {
        let mut tally = OutputTally::new(&self.ledger.snapshot.trace.rules);
        for output in outputs {
            let listing = self.ledger.listing(&output.script_pubkey)?;
            tally.add(self.ledger, &listing, output.value.to_sat(), &[])?;
        }
        if let Some(transaction) = spending {
            tally.add_keys_shown(self.ledger, transaction)?;
        }
        let found = tally.findings();
        Ok(Findings {
            // On a flagged script it is tainted, but the index, which starts later or hasn't reached it, has no coin of it.
            taint_sat: found.taint_sat.filter(|_| !found.is_listed),
            flagged_inputs: ruling.is_clean().then_some(0),
            flagged_outputs: found.flagged_outputs.filter(|_| found.is_listed || ruling.is_clean()),
            ..found
        })
    }

    /// The row where the caller says that the transaction is confirmed at a height.
    fn vouched(&self, target: &str, height: Height) -> Result<ScreenRow> {
        let ruling = self.judge.confirmed(Evidence::Caller(height))?;
        let found = Findings {
            taint_sat: Some(ByRule::none(&self.ledger.snapshot.trace.rules)),
            flagged_inputs: ruling.is_clean().then_some(0),
            flagged_outputs: ruling.is_clean().then_some(0),
            ..Findings::default()
        };
        Ok(ScreenRow::new(target, found, ruling))
    }

    /// The row where the whole transaction is known, with its block if it is confirmed.
    fn known(
        &mut self,
        target: &str,
        transaction: Transaction,
        block: Option<BlockId>,
        vout: Option<u32>,
    ) -> Result<ScreenRow> {
        let only = match vout {
            Some(vout) if transaction.output.get(vout as usize).is_none() => {
                return Ok(ScreenRow::nothing_known(target, format!("the transaction has no output {vout}")));
            }
            only => only.map(|vout| vout as usize),
        };
        let unsettled = match block {
            Some(block) => match self.judge.doubt_of_block(block)? {
                None => {
                    let ruling = self.judge.confirmed(Evidence::Node(block))?;
                    return self.confirmed(target, &transaction, only, ruling);
                }
                doubt => doubt,
            },
            None => None,
        };
        let package = Package::new(self.ledger, self.judge, self.lookup, transaction)?;
        unconfirmed::row(self.ledger, self.judge, target, &package, only, unsettled)
    }

    /// The row where the outputs have to be looked up one by one: any of them shows that the transaction is confirmed.
    fn probed(&mut self, target: &str, txid: Txid) -> Result<ScreenRow> {
        let Some((output, block)) = self.probe(txid) else { return Ok(self.not_found(target, "transaction")) };
        let ruling = self.judge.confirmed(Evidence::Node(block))?;
        // The value of one output isn't that of the transaction.
        let found = Findings { value_sat: None, ..self.findings(&[output], None, &ruling)? };
        Ok(ScreenRow::new(target, found, ruling))
    }

    /// The first unspent output of a transaction, with its block.
    fn probe(&self, txid: Txid) -> Option<(TxOut, BlockId)> {
        (0..PROBED).find_map(|vout| self.lookup.coin(OutPoint { txid, vout }))
    }

    fn not_found(&self, target: &str, what: &str) -> ScreenRow {
        let why = format!(
            "existence not proven: {} has no {what} with that id; pass --height, or run the node with txindex=1",
            self.lookup.name()
        );
        ScreenRow::nothing_known(target, why)
    }
}
