//! A transaction together with its unconfirmed ancestors, walked back to coins that are confirmed.

pub mod origin;
pub mod taint;

use std::collections::HashMap;
use std::rc::Rc;

use bitcoin::{OutPoint, Transaction, Txid};

use super::coins::ledger::Ledger;
use super::evidence::history::spent;
use super::evidence::lookup::ChainLookup;
use super::evidence::proof::SilenceJudge;
use crate::chain::Height;
use crate::index::ReadRows;
use crate::index::keys::CoinKey;
use crate::query::Result;
use crate::query::facts::script::ScriptListing;
use origin::{CoinOrigin, ConfirmedCoin};

/// Unconfirmed ancestors that are walked through; Core's mempool takes no more than 25.
const MAX_ANCESTORS: usize = 1_000;

/// A transaction with its unconfirmed ancestors, as far as they are known.
pub struct Package {
    /// Parents before children; the last is the transaction asked about.
    pub transactions: Vec<PackageTx>,
    /// The height that they are evaluated at.
    pub height: Height,
    numbers: HashMap<Txid, usize>,
}

/// One transaction of a package.
pub struct PackageTx {
    /// The transaction.
    pub transaction: Transaction,
    /// Where each input comes from.
    pub inputs: Vec<InputOrigin>,
    /// The listing of each output's script.
    pub outputs: Vec<Rc<ScriptListing>>,
    /// Whether all that its inputs bring is known, back to confirmed coins.
    pub is_exact: bool,
    /// Why it can't be on the index's chain, if an input is spent there by another transaction.
    conflict: Option<String>,
}

/// Where an input comes from.
pub enum InputOrigin {
    /// A confirmed coin.
    Chain(ConfirmedCoin),
    /// An output of another transaction of the package: its number, the output's index.
    Package(usize, usize),
    /// The coin can't be shown to be clean, nor to be tainted.
    Unknown {
        /// The reason.
        why: String,
        /// Satoshis, if at least the coin is known.
        value: Option<u64>,
    },
}

impl Package {
    /// Collects `transaction` and its unconfirmed ancestors, to be evaluated as if they were in a block at `height`.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn new(
        ledger: &mut Ledger<'_>,
        judge: &SilenceJudge<'_>,
        lookup: &dyn ChainLookup,
        transaction: Transaction,
        height: Height,
    ) -> Result<Self> {
        let mut package = Self { transactions: Vec::new(), numbers: HashMap::new(), height };
        let mut origins: HashMap<OutPoint, CoinOrigin> = HashMap::new();
        // Without recursion: a made-up chain of ancestors may be longer than the stack is deep. Each goes in after its parents.
        let mut ahead = vec![transaction];
        while let Some(transaction) = ahead.last().cloned() {
            let txid = transaction.compute_txid();
            if package.numbers.contains_key(&txid) {
                ahead.pop();
                continue;
            }
            let mut parents: HashMap<Txid, Transaction> = HashMap::new();
            for outpoint in spent(&transaction) {
                let parent = outpoint.txid;
                let known = package.numbers.contains_key(&parent) || parents.contains_key(&parent);
                if known || origins.contains_key(&outpoint) {
                    continue;
                }
                let is_full = package.transactions.len() + ahead.len() + parents.len() >= MAX_ANCESTORS;
                match origin::find(ledger, judge, lookup, outpoint)? {
                    CoinOrigin::Unconfirmed(_) if is_full => {
                        let why = format!("more than {MAX_ANCESTORS} unconfirmed ancestors");
                        origins.insert(outpoint, CoinOrigin::Unknown { why, value: None });
                    }
                    CoinOrigin::Unconfirmed(transaction) => drop(parents.insert(parent, transaction)),
                    origin => drop(origins.insert(outpoint, origin)),
                }
            }
            if parents.is_empty() {
                ahead.pop();
                package.add(ledger, txid, transaction, &origins)?;
            }
            ahead.extend(parents.into_values());
        }
        Ok(package)
    }

    fn add(
        &mut self,
        ledger: &mut Ledger<'_>,
        txid: Txid,
        transaction: Transaction,
        origins: &HashMap<OutPoint, CoinOrigin>,
    ) -> Result<()> {
        let inputs: Vec<InputOrigin> = spent(&transaction).map(|outpoint| self.origin(&outpoint, origins)).collect();
        let outputs = transaction.output.iter().map(|output| ledger.listing(&output.script_pubkey));
        let outputs = outputs.collect::<Result<_>>()?;
        let is_exact = inputs.iter().all(|origin| match origin {
            InputOrigin::Chain(_) => true,
            InputOrigin::Package(parent, _) => self.transactions[*parent].is_exact,
            InputOrigin::Unknown { .. } => false,
        });
        let conflict = conflict(ledger, txid, &transaction)?;
        self.numbers.insert(txid, self.transactions.len());
        self.transactions.push(PackageTx { transaction, inputs, outputs, is_exact, conflict });
        Ok(())
    }

    fn origin(&self, outpoint: &OutPoint, origins: &HashMap<OutPoint, CoinOrigin>) -> InputOrigin {
        match (self.numbers.get(&outpoint.txid), origins.get(outpoint)) {
            (Some(parent), _) if (outpoint.vout as usize) < self.transactions[*parent].outputs.len() => {
                InputOrigin::Package(*parent, outpoint.vout as usize)
            }
            (None, Some(CoinOrigin::Confirmed(coin))) => InputOrigin::Chain(coin.clone()),
            (None, Some(CoinOrigin::Unknown { why, value })) => {
                InputOrigin::Unknown { why: why.clone(), value: *value }
            }
            _ => InputOrigin::Unknown { why: format!("{outpoint} does not exist"), value: None },
        }
    }

    /// How many inputs of the last transaction spend from flagged scripts, as far as these are known.
    pub fn flagged_inputs(&self) -> u64 {
        let inputs = self.transactions.last().map_or(&[][..], |last| &last.inputs);
        let flagged =
            |origin: &&InputOrigin| self.listing(origin).is_some_and(|listing| listing.flagged_from.is_some());
        inputs.iter().filter(flagged).count() as u64
    }

    /// Whether the script of every coin that the last transaction spends is known.
    pub fn knows_inputs(&self) -> bool {
        let inputs = self.transactions.last().map_or(&[][..], |last| &last.inputs);
        inputs.iter().all(|origin| self.listing(origin).is_some())
    }

    /// The confirmed coins that the package spends.
    pub fn confirmed_coins(&self) -> Vec<OutPoint> {
        let inputs = self.transactions.iter().flat_map(|of| spent(&of.transaction).zip(&of.inputs));
        inputs.filter(|(_, origin)| matches!(origin, InputOrigin::Chain(_))).map(|(outpoint, _)| outpoint).collect()
    }

    /// All coins that it spends.
    pub fn spent(&self) -> impl Iterator<Item = OutPoint> + '_ {
        self.transactions.iter().flat_map(|of| spent(&of.transaction))
    }

    /// The keys of those that the index has.
    pub fn coins(&self) -> Vec<CoinKey> {
        let inputs = self.transactions.iter().flat_map(|of| &of.inputs);
        let keys = inputs.filter_map(|origin| match origin {
            InputOrigin::Chain(coin) => coin.key,
            InputOrigin::Package(..) | InputOrigin::Unknown { .. } => None,
        });
        keys.collect()
    }

    /// Why some input isn't known; `None` where all are.
    pub fn unknown_input(&self) -> Option<&str> {
        self.transactions.iter().flat_map(|of| &of.inputs).find_map(|origin| match origin {
            InputOrigin::Unknown { why, .. } => Some(why.as_str()),
            InputOrigin::Chain(_) | InputOrigin::Package(..) => None,
        })
    }

    /// Why one of the transactions can't be on the index's chain; `None` where each may be.
    pub fn conflict(&self) -> Option<&str> {
        self.transactions.iter().find_map(|of| of.conflict.as_deref())
    }

    /// The listing of the script that an input spends from, where that is known.
    pub fn listing<'p>(&'p self, origin: &'p InputOrigin) -> Option<&'p ScriptListing> {
        match origin {
            InputOrigin::Chain(coin) => Some(&coin.listing),
            InputOrigin::Package(parent, vout) => Some(&self.transactions[*parent].outputs[*vout]),
            InputOrigin::Unknown { .. } => None,
        }
    }
}

/// Which record spends a coin that a transaction spends, if another one does.
fn conflict(ledger: &Ledger<'_>, txid: Txid, transaction: &Transaction) -> Result<Option<String>> {
    for outpoint in spent(transaction) {
        let Some(spender) = ledger.snapshot.reader.spender(&outpoint)? else { continue };
        let by = ledger.snapshot.record(spender.at)?.txid();
        if by != txid {
            let height = spender.at.height;
            return Ok(Some(format!("it spends {outpoint}, which {by} has spent at height {height}")));
        }
    }
    Ok(None)
}
