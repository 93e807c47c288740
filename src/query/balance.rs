//! `balance`: what each script of the target received, sent and holds.

use std::collections::BTreeSet;
use std::rc::Rc;

use bitcoin::OutPoint;
use serde::Serialize;

use super::facts::coin::Spending;
use super::facts::script::ScriptListing;
use super::facts::{ScriptInfo, Txids};
use super::target::{Targets, UnknownScript};
use super::{Result, Rows, Snapshot};
use crate::chain::{Height, ScriptHash};
use crate::index::entries::EntryRow;
use crate::index::keys::{CoinKey, TouchKey, TouchKind};
use crate::index::{IndexError, ScriptRows, Touch};

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

/// The rows of all targets after the block at `at`: the entries that were named in the order asked for, then those that `all` adds,
/// unknown ones last.
pub fn balances<'a>(snapshot: &'a Snapshot, targets: &'a Targets, at: Height) -> Rows<'a, BalanceRow> {
    let txids = Rc::new(Txids::new(snapshot));
    let of_others = Rc::clone(&txids);
    let named = targets.entries.iter().map(move |(hash, entry)| {
        let touches = ScriptRows::<Touch>::new(&snapshot.reader, &[(*hash, entry.from)], at)?;
        of_entry(&txids, snapshot, entry, at, touches.map(|touch| touch.map(|touch| (touch.key, touch.row))))
    });
    let others: Rows<'a, BalanceRow> = match targets.others {
        true => Box::new(others(of_others, snapshot, targets, at)),
        false => Box::new(std::iter::empty()),
    };
    let unknown = targets.unknown.iter().map(move |unknown| of_unknown(snapshot, unknown));
    Box::new(named.chain(others).chain(unknown))
}

/// The rows of the flagged entries that weren't named. Entries and touches are both in order of their scripts, so each is passed once.
fn others<'a>(
    txids: Rc<Txids<'a>>,
    snapshot: &'a Snapshot,
    targets: &'a Targets,
    at: Height,
) -> impl Iterator<Item = Result<BalanceRow>> + 'a {
    let named: BTreeSet<ScriptHash> = targets.entries.iter().map(|(hash, _)| *hash).collect();
    let mut touches = snapshot.reader.range::<Touch>(..).peekable();
    let flagged = snapshot.reader.entries().filter(move |entry| match entry {
        Ok((hash, entry)) => entry.flagged && !named.contains(hash),
        Err(_) => true,
    });
    flagged.map(move |entry| {
        let (hash, entry) = entry?;
        while touches.next_if(|touch| matches!(touch, Ok((key, _)) if key.script < hash)).is_some() {}
        let of_script =
            std::iter::from_fn(|| touches.next_if(|touch| !matches!(touch, Ok((key, _)) if key.script != hash)));
        let in_time = of_script.filter(|touch| match touch {
            Ok((key, _)) => (entry.from..=at).contains(&key.at.height),
            Err(_) => true,
        });
        of_entry(&txids, snapshot, &entry, at, in_time)
    })
}

/// The sums of one flagged entry after the block at `at`, from its touches until then.
fn of_entry(
    txids: &Txids<'_>,
    snapshot: &Snapshot,
    entry: &EntryRow,
    at: Height,
    touches: impl Iterator<Item = Result<(TouchKey, Touch), IndexError>>,
) -> Result<BalanceRow> {
    let (mut received, mut sent, mut unspendable) = (0u64, 0u64, 0u64);
    let (mut coins, mut unspent) = (0, 0);
    let (mut first, mut last) = (None, None);
    for touch in touches {
        let (key, Touch { value }) = touch?;
        first = first.or(Some(key.at.height));
        last = Some(key.at.height);
        match key.kind {
            TouchKind::Spending => sent = sent.saturating_add(value),
            TouchKind::Funding => {
                received = received.saturating_add(value);
                coins += 1;
                let outpoint = OutPoint { txid: txids.get(key.at)?, vout: key.io_index };
                let coin = CoinKey { outpoint, height: key.at.height };
                match Spending::of(snapshot, &coin, &entry.script, at)? {
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
        // Coins from before `from` are not among those received, though their spends are among those sent.
        balance_sat: (entry.from == 0).then(|| received.saturating_sub(sent)),
        unspendable_sat: Some(unspendable),
        coins: Some(coins),
        unspent: Some(unspent),
        first_height: first,
        last_height: last,
    })
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
