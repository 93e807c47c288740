//! From a record to every row it brings: the one place that says so, for doing and undoing alike.

use bitcoin::{OutPoint, Script, Txid};

use super::Step;
use super::keys::{CoinKey, ScriptKey, TouchKey, TouchKind, TxPosition, outpoint_key, txid_key};
use super::schema::Family;
use super::values::{Coin, Record, Spender};
use crate::chain::{Height, ScriptHash};

/// Says from which height a script is flagged; `None` where it isn't.
pub trait Flagged {
    /// The height, if the script is on a list.
    fn flagged_from(&self, script: &Script) -> Option<Height>;

    /// Whether a script is flagged at a height.
    fn is_flagged(&self, script: &Script, height: Height) -> bool {
        self.flagged_from(script).is_some_and(|from| from <= height)
    }
}

/// One row: its family, its key, its value.
pub type DerivedRow = (Family, Vec<u8>, Vec<u8>);

/// The record's own row and all that are computed from it.
pub fn rows(at: TxPosition, txid: Txid, record: &Record, flagged: &impl Flagged) -> Vec<DerivedRow> {
    let mut rows: Vec<DerivedRow> = vec![
        (Family::Records, at.key().to_vec(), record.value()),
        (Family::Txids, txid_key(txid, at).to_vec(), Vec::new()),
    ];
    let coinbase = record.transaction.is_coinbase();
    let touch = |script: ScriptHash, kind, io_index, value: u64| {
        let key = TouchKey { script, at, kind, io_index };
        (Family::Touches, key.key().to_vec(), value.to_be_bytes().to_vec())
    };
    for ((vin, input), spent) in (0..).zip(&record.transaction.input).zip(&record.spent) {
        rows.push((
            Family::Spends,
            outpoint_key(&input.previous_output).to_vec(),
            Spender { at, vin }.value().to_vec(),
        ));
        if flagged.is_flagged(&spent.script_pubkey, at.height) {
            let script = ScriptHash::of(&spent.script_pubkey);
            rows.push(touch(script, TouchKind::Spending, vin, spent.value.to_sat()));
        }
    }
    for (vout, output) in (0..).zip(&record.transaction.output) {
        if !flagged.is_flagged(&output.script_pubkey, at.height) {
            continue;
        }
        let script = ScriptHash::of(&output.script_pubkey);
        let value = output.value.to_sat();
        let key = CoinKey { outpoint: OutPoint { txid, vout }, height: at.height };
        let coin = Coin { value, script, coinbase, columns: Vec::new() };
        rows.push(touch(script, TouchKind::Funding, vout, value));
        rows.push((Family::Coins, key.key().to_vec(), coin.value()));
        rows.push((Family::Scripts, ScriptKey { script, at, vout }.key().to_vec(), Vec::new()));
    }
    rows
}

/// Removes all rows that a record may have brought, whatever is flagged now.
pub fn delete(step: &mut Step<'_>, at: TxPosition, txid: Txid, record: &Record) {
    for (family, key, _) in rows(at, txid, record, &Everything) {
        step.delete(family, &key);
    }
}

/// As if every script were flagged from the first block on.
struct Everything;

impl Flagged for Everything {
    fn flagged_from(&self, _script: &Script) -> Option<Height> {
        Some(0)
    }
}
