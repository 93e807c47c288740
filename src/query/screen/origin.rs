//! Where a coin that a transaction spends comes from: the index, somebody outside, or another transaction that waits.

use std::rc::Rc;

use bitcoin::{OutPoint, Transaction, TxOut};

use super::ledger::Ledger;
use super::outside::Outside;
use crate::chain::Height;
use crate::index::keys::CoinKey;
use crate::query::Result;
use crate::query::trace::place::Place;

/// A coin: value, script, row; or why nobody knows it.
pub type Found = std::result::Result<(u64, Rc<Place>, Option<CoinKey>), String>;

/// What came of looking for a coin.
pub enum Looked {
    /// A coin of the chain.
    Found(Found),
    /// An output of a transaction that waits to be confirmed.
    Waiting(Transaction),
}

/// Looks for a coin in the index, then outside.
///
/// # Errors
/// What reading reports.
pub fn look(ledger: &mut Ledger<'_>, outside: &dyn Outside, settled: Height, outpoint: OutPoint) -> Result<Looked> {
    let found = |ledger: &mut Ledger<'_>, output: Option<&TxOut>, key| {
        let Some(output) = output else { return Ok(Looked::Found(Err(format!("{outpoint} does not exist")))) };
        Ok(Looked::Found(Ok((output.value.to_sat(), ledger.place(&output.script_pubkey)?, key))))
    };
    let vout = outpoint.vout as usize;
    if let Some((_, record)) = ledger.record(outpoint.txid)? {
        let key = ledger.coin(outpoint, Height::MAX)?.map(|(key, _)| key);
        return found(ledger, record.transaction.output.get(vout), key);
    }
    if let Some((output, block)) = outside.coin(outpoint) {
        return match ledger.proves(block, settled)? {
            Ok(()) => found(ledger, Some(&output), None),
            Err(why) => Ok(Looked::Found(Err(format!("{outpoint}: {why}")))),
        };
    }
    match outside.transaction(outpoint.txid) {
        Some((transaction, _)) if transaction.compute_txid() != outpoint.txid => {
            Ok(Looked::Found(Err(format!("{} tells another transaction than {}", outside.name(), outpoint.txid))))
        }
        Some((transaction, None)) => Ok(Looked::Waiting(transaction)),
        Some((transaction, Some(block))) => match ledger.proves(block, settled)? {
            Ok(()) => found(ledger, transaction.output.get(vout), None),
            Err(why) => Ok(Looked::Found(Err(format!("{outpoint}: {why}")))),
        },
        None => Ok(Looked::Found(Err(format!("{outpoint} is not known ({})", outside.name())))),
    }
}
