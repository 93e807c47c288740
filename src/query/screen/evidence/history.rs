//! How far back the history of coins reaches, where entries were not scanned from the first block on.
//!
//! Taint that moved at a height that was not scanned is not in the index, and neither is anything that came of it. So a coin is proven
//! clean only if every transaction that it descends from lies where all entries were scanned, or below the heights that the caller
//! asks about.

use std::collections::HashSet;

use bitcoin::{OutPoint, Transaction, Txid};

use super::lookup::{ChainLookup, InBlock};
use super::proof::{BlindHeights, SilenceJudge};
use crate::chain::Height;
use crate::index::ReadRows;
use crate::query::{Result, Snapshot};

/// Ancestors that are looked at for one target: each may cost several calls to the node.
const MAX_ANCESTORS: usize = 1_000;

/// The coins that a transaction spends: none for a coinbase.
pub fn spent(transaction: &Transaction) -> impl Iterator<Item = OutPoint> + '_ {
    let inputs = if transaction.is_coinbase() { &[] } else { &transaction.input[..] };
    inputs.iter().map(|input| input.previous_output)
}

/// Why the history of these coins reaches into blind heights, or may; `None` where it doesn't.
///
/// # Errors
/// What reading reports.
pub fn doubt(
    snapshot: &Snapshot,
    judge: &SilenceJudge<'_>,
    lookup: &dyn ChainLookup,
    coins: impl IntoIterator<Item = OutPoint>,
) -> Result<Option<String>> {
    let Some(BlindHeights { since, from }) = judge.blind() else { return Ok(None) };
    let mut ahead: Vec<OutPoint> = coins.into_iter().collect();
    let mut seen: HashSet<Txid> = HashSet::new();
    while let Some(outpoint) = ahead.pop() {
        if !seen.insert(outpoint.txid) {
            continue;
        }
        if seen.len() > MAX_ANCESTORS {
            return Ok(Some(format!(
                "it descends from more than {MAX_ANCESTORS} transactions, and some entries are scanned only from height {from}"
            )));
        }
        let Some((height, spends)) = ancestor(snapshot, judge, lookup, outpoint)? else {
            return Ok(Some(format!(
                "the history of {outpoint} is not known ({}), and some entries are scanned only from height {from}",
                lookup.name()
            )));
        };
        if height >= from {
            ahead.extend(spends);
        } else if height >= since {
            return Ok(Some(format!(
                "it descends from a coin of height {height}, but some entries are scanned only from height {from}"
            )));
        }
    }
    Ok(None)
}

/// The height of the transaction that made a coin, and the coins that it spends. Where that height is below all that matter, or is
/// blind itself, the coins may be left out.
fn ancestor(
    snapshot: &Snapshot,
    judge: &SilenceJudge<'_>,
    lookup: &dyn ChainLookup,
    outpoint: OutPoint,
) -> Result<Option<(Height, Vec<OutPoint>)>> {
    // Of BIP30's twins the elder: its history is the longer one.
    if let Some(at) = snapshot.reader.positions(outpoint.txid)?.first() {
        let record = snapshot.record(*at)?;
        return Ok(Some((at.height, spent(&record.transaction).collect())));
    }
    if let Some((transaction, Some(block))) = lookup.transaction(outpoint.txid)
        && transaction.compute_txid() == outpoint.txid
        && judge.doubt_of_block(block)?.is_none()
    {
        return Ok(Some((block.height, spent(&transaction).collect())));
    }
    let Some((_, block)) = lookup.coin(outpoint) else { return Ok(None) };
    if judge.doubt_of_block(block)?.is_some() {
        return Ok(None);
    }
    if judge.blind().is_some_and(|blind| block.height < blind.from) {
        return Ok(Some((block.height, Vec::new())));
    }
    match lookup.in_block(outpoint.txid, block.hash) {
        InBlock::Holds(transaction) if transaction.compute_txid() == outpoint.txid => {
            Ok(Some((block.height, spent(&transaction).collect())))
        }
        _ => Ok(None),
    }
}

/// The reason where it isn't known what a transaction pays and spends.
pub fn unknown(judge: &SilenceJudge<'_>, lookup: &dyn ChainLookup) -> String {
    let from = judge.scanned_from();
    format!(
        "what it pays and what it spends is not known ({}), and some entries are scanned only from height {from}",
        lookup.name()
    )
}
