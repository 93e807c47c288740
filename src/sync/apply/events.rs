//! Events: what a record's rows say that users wait for, as facts with stable ids: touches, coins that moved, services reached.
//!
//! Facts are read from the rows of a record, old or new. A fact that only the new rows say is logged, one that only the old ones say
//! is retracted, and one that both say with different numbers is logged again.

use std::collections::BTreeMap;

use bitcoin::OutPoint;

use crate::chain::ScriptHash;
use crate::index::events::{Event, EventTaint, Fact, MAX_NAMED_OUTPUTS, Reason, Seen, TaintedOutput, TxContext};
use crate::index::keys::{CoinKey, TouchKey, TouchKind};
use crate::index::values::{Coin, InputTaint, Record, Spender};
use crate::index::{IndexError, ReadRows, Result, RowSet, Touch, View};
use crate::trace::{Fate, RuleTaint};

/// Facts by their ids.
pub type Facts = BTreeMap<String, Fact>;

/// The facts that the rows of a record say, with the labels that its entries have now.
///
/// # Errors
/// As all reads; [`IndexError::Corrupt`] for a row that is not laid out as the schema says.
pub fn facts(view: &View, place: TxContext, record: &Record, rows: &RowSet) -> Result<Facts> {
    let mut facts = Facts::new();
    let coins = rows.rows::<Coin>().collect::<Result<Vec<_>>>()?;
    for row in rows.rows::<Touch>() {
        let (key, Touch { value }) = row?;
        facts.extend([touch(view, place, record, &key, value)?]);
    }
    for row in rows.rows::<Spender>() {
        let (_, spender) = row?;
        if !spender.brought.is_empty() {
            facts.extend([moved(place, record, &spender, &coins)]);
        }
    }
    for (key, coin) in &coins {
        if coin.columns.iter().any(reaches_service) {
            facts.extend([service(view, place, record, key.outpoint, coin)?]);
        }
    }
    Ok(facts)
}

/// The events that lead from the facts `old` to the facts `new`.
pub fn changes(old: &Facts, new: &Facts, seen: Seen, reason: Reason) -> Vec<Event> {
    let retracted = old.iter().filter(|(id, _)| !new.contains_key(*id)).map(|(id, fact)| Event {
        id: id.clone(),
        fact: Fact::Retracted { was: fact.kind().to_owned(), reason },
        seen,
    });
    let changed = new.iter().filter(|(id, fact)| old.get(*id) != Some(fact));
    retracted.chain(changed.map(|(id, fact)| Event { id: id.clone(), fact: fact.clone(), seen })).collect()
}

fn reaches_service(column: &RuleTaint) -> bool {
    matches!(column.fate, Fate::Service | Fate::FlaggedService)
}

fn id(kind: &str, place: TxContext, io: &str, index: u32) -> String {
    format!("{kind}:{}:{}:{io}{index}", place.block, place.txid)
}

fn labels(view: &View, script: ScriptHash) -> Result<Vec<String>> {
    Ok(view.entry(script)?.map(|entry| entry.label_texts()).unwrap_or_default())
}

fn touch(view: &View, at: TxContext, record: &Record, key: &TouchKey, value_sat: u64) -> Result<(String, Fact)> {
    let corrupt = || IndexError::corrupt::<Touch>(key);
    let index = key.io_index as usize;
    let (script, outpoint, vin, io) = match key.kind {
        TouchKind::Spending => {
            let spent = record.spent.get(index).ok_or_else(corrupt)?;
            let input = record.transaction.input.get(index).ok_or_else(corrupt)?;
            (&spent.script_pubkey, input.previous_output, Some(key.io_index), "in")
        }
        TouchKind::Funding => {
            let output = record.transaction.output.get(index).ok_or_else(corrupt)?;
            (&output.script_pubkey, OutPoint { txid: at.txid, vout: key.io_index }, None, "out")
        }
    };
    let fact = Fact::Touch {
        at,
        touch: key.kind.name().into(),
        outpoint: outpoint.to_string(),
        vin,
        value_sat,
        script: script.to_hex_string(),
        labels: labels(view, key.script)?,
    };
    Ok((id("touch", at, io, key.io_index), fact))
}

fn moved(at: TxContext, record: &Record, spender: &Spender, coins: &[(CoinKey, Coin)]) -> (String, Fact) {
    let vin = spender.vin as usize;
    let tainted = coins.iter().filter(|(_, coin)| !coin.columns.is_empty());
    let input = record.transaction.input.get(vin);
    let fact = Fact::Moved {
        at,
        vin: spender.vin,
        from: input.map(|input| input.previous_output.to_string()).unwrap_or_default(),
        value_sat: record.spent.get(vin).map_or(0, |spent| spent.value.to_sat()),
        taint: spender.brought.iter().map(of_input).collect(),
        to: tainted.clone().take(MAX_NAMED_OUTPUTS).map(|(key, coin)| taken(record, key.outpoint, coin)).collect(),
        outputs: tainted.count() as u64,
    };
    (id("moved", at, "in", spender.vin), fact)
}

fn service(view: &View, at: TxContext, record: &Record, outpoint: OutPoint, coin: &Coin) -> Result<(String, Fact)> {
    let fact = Fact::Service {
        at,
        outpoint: outpoint.to_string(),
        value_sat: coin.value,
        script: script_hex(record, outpoint),
        labels: labels(view, coin.script)?,
        taint: by_rule(coin),
    };
    Ok((id("service", at, "out", outpoint.vout), fact))
}

fn taken(record: &Record, outpoint: OutPoint, coin: &Coin) -> TaintedOutput {
    TaintedOutput {
        outpoint: outpoint.to_string(),
        value_sat: coin.value,
        script: script_hex(record, outpoint),
        taint: by_rule(coin),
    }
}

/// The script of an output that the record makes.
fn script_hex(record: &Record, outpoint: OutPoint) -> String {
    let output = record.transaction.output.get(outpoint.vout as usize);
    output.map(|output| output.script_pubkey.to_hex_string()).unwrap_or_default()
}

fn of_input(brought: &InputTaint) -> EventTaint {
    EventTaint { rule: brought.rule, taint_sat: brought.taint, hops: brought.hops }
}

fn by_rule(coin: &Coin) -> Vec<EventTaint> {
    let columns = coin.columns.iter();
    columns
        .map(|column| EventTaint { rule: column.rule, taint_sat: column.taint.amount, hops: column.taint.hops })
        .collect()
}
