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
    /// An output of a transaction that is in no settled block.
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
    let mut unproven = None;
    if let Some((output, block)) = outside.coin(outpoint) {
        match ledger.proves(block, settled)? {
            Ok(()) => return found(ledger, Some(&output), None),
            Err(why) => unproven = Some(format!("{outpoint}: {why}")),
        }
    }
    let Some((transaction, block)) = outside.transaction(outpoint.txid) else {
        // Asked for its name last: only by asking it finds out that it can't tell.
        let why = unproven.unwrap_or_else(|| format!("{outpoint} is not known ({})", outside.name()));
        return Ok(Looked::Found(Err(why)));
    };
    if transaction.compute_txid() != outpoint.txid {
        return Ok(Looked::Found(Err(format!("{} tells another transaction than {}", outside.name(), outpoint.txid))));
    }
    match block {
        Some(block) if ledger.proves(block, settled)?.is_ok() => found(ledger, transaction.output.get(vout), None),
        // In no settled block: what it spends tells of it, as if it waited.
        _ => Ok(Looked::Waiting(transaction)),
    }
}
