//! `balance`: what each script of the target received, sent and holds.

use serde::Serialize;

use super::history::read;
use super::merge::Merge;
use super::target::{Targets, Unknown};
use super::{Result, Snapshot, labels};
use crate::chain::{Height, ScriptHash};
use crate::index::Family;
use crate::index::entries::EntryRow;
use crate::index::keys::{CoinKey, TouchKey, TouchKind};

/// One script's sums. For a script that is no entry all of them are unknown.
#[derive(Clone, Debug, Serialize)]
pub struct BalanceRow {
    /// The script, hex.
    pub script: String,
    /// The same as an address, where it has one.
    pub address: Option<String>,
    /// What lists say of it.
    pub labels: Vec<String>,
    /// Whether the index looks for it.
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

/// The sums of one flagged entry after the block at `at`.
///
/// # Errors
/// What reading reports.
pub fn of_entry(snapshot: &Snapshot, hash: ScriptHash, entry: &EntryRow, at: Height) -> Result<BalanceRow> {
    let (mut received, mut sent, mut unspendable) = (0u64, 0u64, 0u64);
    let (mut coins, mut unspent) = (0, 0);
    let (mut first, mut last) = (None, None);
    for row in Merge::new(&snapshot.reader, Family::Touches, &[(hash, entry.from)], at)? {
        let (key, value) = read(&row?)?;
        first = first.or(Some(key.at.height));
        last = Some(key.at.height);
        match key.kind {
            TouchKind::Spending => sent = sent.saturating_add(value),
            TouchKind::Funding => {
                received = received.saturating_add(value);
                coins += 1;
                match held(snapshot, &key, entry, at)? {
                    Held::Unspent => unspent += 1,
                    Held::Unspendable => unspendable = unspendable.saturating_add(value),
                    Held::Spent => {}
                }
            }
        }
    }
    Ok(BalanceRow {
        script: entry.script.to_hex_string(),
        address: snapshot.address(&entry.script),
        labels: labels::texts(Some(entry)),
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

enum Held {
    Spent,
    Unspent,
    Unspendable,
}

/// What became of the coin a funding touch made.
fn held(snapshot: &Snapshot, key: &TouchKey, entry: &EntryRow, at: Height) -> Result<Held> {
    let txid = snapshot.record(key.at)?.txid();
    let outpoint = bitcoin::OutPoint { txid, vout: key.io_index };
    let coin = CoinKey { outpoint, height: key.at.height };
    if snapshot.is_unspendable(&coin, &entry.script, at)? {
        return Ok(Held::Unspendable);
    }
    let spent = snapshot.reader.spender_of(&coin)?.is_some_and(|spender| spender.at.height <= at);
    Ok(if spent { Held::Spent } else { Held::Unspent })
}

/// The row of a script that is no entry.
pub fn of_unknown(snapshot: &Snapshot, unknown: &Unknown) -> Result<BalanceRow> {
    let entry = snapshot.entry(&unknown.script)?;
    Ok(BalanceRow {
        script: unknown.script.to_hex_string(),
        address: snapshot.address(&unknown.script),
        labels: labels::texts(entry.as_ref()),
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

/// The rows of all targets, in the order asked for, unknown ones last.
pub fn balances<'a>(snapshot: &'a Snapshot, targets: &'a Targets, at: Height) -> super::Rows<'a, BalanceRow> {
    let known = targets.entries.iter().map(move |(hash, entry)| of_entry(snapshot, *hash, entry, at));
    let unknown = targets.unknown.iter().map(move |unknown| of_unknown(snapshot, unknown));
    Box::new(known.chain(unknown))
}
