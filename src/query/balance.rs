//! `balance`: what each script of the target received, sent and holds.

use serde::Serialize;

use super::facts::ScriptInfo;
use super::facts::coin::Spending;
use super::facts::script::ScriptListing;
use super::target::{Targets, UnknownScript};
use super::{Result, Rows, Snapshot};
use crate::chain::{Height, ScriptHash};
use crate::index::entries::EntryRow;
use crate::index::keys::{CoinKey, TouchKey, TouchKind};
use crate::index::{RowOfScript, ScriptRows, Touch};

/// One script's sums. For a script that is no entry all of them are unknown.
#[derive(Clone, Debug, Serialize)]
pub struct BalanceRow {
    /// The script that the sums are about.
    #[serde(flatten)]
    pub info: ScriptInfo,
    /// Whether it is a flagged entry, so that the index scanned for it.
    pub known: bool,
    /// Satoshis of all funding touches.
    pub received_sat: Option<u64>,
    /// Satoshis of all spending touches.
    pub sent_sat: Option<u64>,
    /// The one less the other; `None` where coins older than the coverage may exist.
    pub balance_sat: Option<u64>,
    /// Satoshis of the balance that can never be spent: the genesis coinbase, `OP_RETURN`, an overwritten BIP30 twin.
    pub unspendable_sat: Option<u64>,
    /// Coins made.
    pub coins: Option<u64>,
    /// Of these, the unspent ones that can be spent.
    pub unspent: Option<u64>,
    /// The first touch's height.
    pub first_height: Option<Height>,
    /// The last touch's height.
    pub last_height: Option<Height>,
}

/// The rows of all targets after the block at `at`, in the order asked for, unknown ones last.
pub fn balances<'a>(snapshot: &'a Snapshot, targets: &'a Targets, at: Height) -> Rows<'a, BalanceRow> {
    let known = targets.entries.iter().map(move |(hash, entry)| of_entry(snapshot, *hash, entry, at));
    let unknown = targets.unknown.iter().map(move |unknown| of_unknown(snapshot, unknown));
    Box::new(known.chain(unknown))
}

/// The sums of one flagged entry after the block at `at`.
///
/// # Errors
/// What reading reports.
fn of_entry(snapshot: &Snapshot, hash: ScriptHash, entry: &EntryRow, at: Height) -> Result<BalanceRow> {
    let (mut received, mut sent, mut unspendable) = (0u64, 0u64, 0u64);
    let (mut coins, mut unspent) = (0, 0);
    let (mut first, mut last) = (None, None);
    for touch in ScriptRows::<Touch>::new(&snapshot.reader, &[(hash, entry.from)], at)? {
        let RowOfScript { key, row: Touch { value }, .. } = touch?;
        first = first.or(Some(key.at.height));
        last = Some(key.at.height);
        match key.kind {
            TouchKind::Spending => sent = sent.saturating_add(value),
            TouchKind::Funding => {
                received = received.saturating_add(value);
                coins += 1;
                match spending(snapshot, &key, entry, at)? {
                    Spending::Unspent => unspent += 1,
                    Spending::Unspendable => unspendable = unspendable.saturating_add(value),
                    Spending::Spent(_) => {}
                }
            }
        }
    }
    Ok(BalanceRow {
        info: ScriptInfo::of_entry(snapshot.chain(), entry),
        known: true,
        received_sat: Some(received),
        sent_sat: Some(sent),
        balance_sat: (entry.from == 0).then(|| received.saturating_sub(sent)),
        unspendable_sat: Some(unspendable),
        coins: Some(coins),
        unspent: Some(unspent),
        first_height: first,
        last_height: last,
    })
}

/// Whether the coin that a funding touch made was spent.
fn spending(snapshot: &Snapshot, touch: &TouchKey, entry: &EntryRow, at: Height) -> Result<Spending> {
    let txid = snapshot.record(touch.at)?.txid();
    let outpoint = bitcoin::OutPoint { txid, vout: touch.io_index };
    Spending::of(snapshot, &CoinKey { outpoint, height: touch.at.height }, &entry.script, at)
}

/// The row of a script that is no flagged entry.
fn of_unknown(snapshot: &Snapshot, unknown: &UnknownScript) -> Result<BalanceRow> {
    Ok(BalanceRow {
        info: ScriptListing::read(snapshot, &unknown.script)?.info(snapshot.chain()),
        known: false,
        received_sat: None,
        sent_sat: None,
        balance_sat: None,
        unspendable_sat: None,
        coins: None,
        unspent: None,
        first_height: None,
        last_height: None,
    })
}
