//! Where a coin comes from that a transaction spends: a settled block, an unconfirmed transaction, or nowhere that is known.

use std::rc::Rc;

use bitcoin::{OutPoint, Transaction, TxOut};

use crate::chain::Height;
use crate::index::ReadRows;
use crate::index::keys::CoinKey;
use crate::query::Result;
use crate::query::facts::script::ScriptListing;
use crate::query::screen::coins::ledger::Ledger;
use crate::query::screen::evidence::lookup::{ChainLookup, InBlock};
use crate::query::screen::evidence::proof::SilenceJudge;

/// A confirmed coin that a package spends.
#[derive(Clone)]
pub struct ConfirmedCoin {
    /// Satoshis.
    pub value: u64,
    /// The listing of its script.
    pub listing: Rc<ScriptListing>,
    /// Its row, where the index has one.
    pub key: Option<CoinKey>,
}

/// What came of searching for a coin that is spent.
pub enum CoinOrigin {
    /// It is confirmed in a settled block.
    Confirmed(ConfirmedCoin),
    /// It is an output of this transaction, which is in no settled block.
    Unconfirmed(Transaction),
    /// It can't be shown to be clean, nor to be tainted.
    Unknown {
        /// The reason.
        why: String,
        /// Satoshis, if at least the coin is known.
        value: Option<u64>,
    },
}

/// Searches for a coin: in the index, then among the lookup's unspent coins, then among its transactions; the cheapest first.
///
/// # Errors
/// What reading reports.
pub fn find(
    ledger: &mut Ledger<'_>,
    judge: &SilenceJudge<'_>,
    lookup: &dyn ChainLookup,
    outpoint: OutPoint,
) -> Result<CoinOrigin> {
    let vout = outpoint.vout as usize;
    if let Some(recorded) = ledger.record(outpoint.txid)? {
        let key = ledger.snapshot.reader.coin_at(&outpoint, Height::MAX)?.map(|(key, _)| key);
        let output = recorded.record.transaction.output.get(vout);
        return confirmed(ledger, outpoint, output, key);
    }
    let mut unproven = None;
    if let Some((output, block)) = lookup.coin(outpoint) {
        match judge.doubt_of_block(block)? {
            None => return confirmed(ledger, outpoint, Some(&output), None),
            Some(why) => unproven = Some((format!("{outpoint}: {why}"), output.value.to_sat(), block)),
        }
    }
    let known = lookup.transaction(outpoint.txid).or_else(|| {
        // Its block is known, so the node can say what it is without an index of transactions.
        let (.., block) = unproven.as_ref()?;
        match lookup.in_block(outpoint.txid, block.hash) {
            InBlock::Holds(transaction) => Some((transaction, Some(*block))),
            InBlock::Lacks | InBlock::Stale | InBlock::Unsaid => None,
        }
    });
    let Some((transaction, block)) = known else {
        // The name changes once a call has failed, so it comes last.
        return Ok(match unproven {
            Some((why, value, _)) => CoinOrigin::Unknown { why, value: Some(value) },
            None => CoinOrigin::Unknown { why: format!("{outpoint} is not known ({})", lookup.name()), value: None },
        });
    };
    if transaction.compute_txid() != outpoint.txid {
        let why = format!("{} returned a different transaction for {}", lookup.name(), outpoint.txid);
        return Ok(CoinOrigin::Unknown { why, value: None });
    }
    match block {
        Some(block) if judge.doubt_of_block(block)?.is_none() => {
            confirmed(ledger, outpoint, transaction.output.get(vout), None)
        }
        // In no settled block: the coins that it spends show what it holds, as if it were unconfirmed.
        _ => Ok(CoinOrigin::Unconfirmed(transaction)),
    }
}

fn confirmed(
    ledger: &mut Ledger<'_>,
    outpoint: OutPoint,
    output: Option<&TxOut>,
    key: Option<CoinKey>,
) -> Result<CoinOrigin> {
    let Some(output) = output else {
        return Ok(CoinOrigin::Unknown { why: format!("{outpoint} does not exist"), value: None });
    };
    let listing = ledger.listing(&output.script_pubkey)?;
    Ok(CoinOrigin::Confirmed(ConfirmedCoin { value: output.value.to_sat(), listing, key }))
}
