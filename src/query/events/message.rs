//! One event as it is printed: its number, the id of its fact, and what the record says of it. Labels are those of the lists as they
//! were taken in last.

use std::rc::Rc;

use bitcoin::{Address, BlockHash, Network, OutPoint, Script, TxOut, Txid};
use serde::Serialize;
use serde_json::Value;

use super::labels::LabelSearch;
use super::past::{PastRecord, PastRecords};
use crate::chain::Height;
use crate::index::events::{Event, Fact, Happened, Reason, Seen};
use crate::index::former::{MovedTaint, Received};
use crate::index::keys::{TouchKind, TxPosition};
use crate::index::values::{InputTaint, Record};
use crate::index::{IndexError, Result, View};
use crate::trace::Rule;

/// A message: the event with everything that it names.
#[derive(Serialize)]
struct Message {
    seq: u64,
    id: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(flatten)]
    body: Body,
    /// Of a fact: whether an earlier event is about it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    revised: Option<bool>,
    seen: Seen,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body {
    Touch(TouchBody),
    Moved(MovedBody),
    Service(ServiceBody),
    Reorg {
        height: Height,
        block: BlockHash,
        fork: Height,
        stale_tip: BlockHash,
        stale_height: Height,
        labels: [String; 0],
    },
    CaughtUp {
        height: Height,
        block: BlockHash,
    },
}

/// The transaction that a message is about, and its block.
#[derive(Serialize)]
struct Transaction {
    height: Height,
    block: BlockHash,
    time: u32,
    txid: Txid,
    tx_index: u32,
}

#[derive(Serialize)]
struct ScriptNames {
    script: String,
    address: Option<String>,
    labels: Vec<String>,
}

/// Taint and hops under one rule.
#[derive(Serialize)]
struct Held {
    rule: Rule,
    taint_sat: u64,
    hops: u32,
}

#[derive(Serialize)]
struct TouchBody {
    #[serde(flatten)]
    at: Transaction,
    touch: &'static str,
    outpoint: String,
    vin: Option<u32>,
    value_sat: u64,
    #[serde(flatten)]
    script: ScriptNames,
}

#[derive(Serialize)]
struct ServiceBody {
    #[serde(flatten)]
    at: Transaction,
    outpoint: String,
    value_sat: u64,
    #[serde(flatten)]
    script: ScriptNames,
    taint: Vec<Held>,
}

#[derive(Serialize)]
struct MovedBody {
    #[serde(flatten)]
    at: Transaction,
    /// Of the first tainted input.
    vin: Option<u32>,
    from: Option<String>,
    /// Of all tainted inputs together.
    value_sat: u64,
    taint: Vec<Held>,
    labels: Vec<String>,
    labels_complete: bool,
    spent: Vec<TaintedSpend>,
    inputs: usize,
    to: Vec<Paid>,
    outputs: usize,
}

/// A tainted input.
#[derive(Serialize)]
struct TaintedSpend {
    vin: u32,
    outpoint: String,
    value_sat: u64,
    script: String,
    address: Option<String>,
    taint: Vec<Held>,
}

/// A tainted output.
#[derive(Serialize)]
struct Paid {
    outpoint: String,
    value_sat: u64,
    script: String,
    address: Option<String>,
    taint: Vec<Held>,
}

/// Makes messages of events, in the order of the log.
pub struct Renderer<'a> {
    view: &'a View,
    network: Network,
    past: PastRecords<'a>,
    labels: LabelSearch<'a>,
}

impl<'a> Renderer<'a> {
    /// Over an index that doesn't change meanwhile.
    pub fn new(view: &'a View, network: Network) -> Self {
        Self { view, network, past: PastRecords::new(view), labels: LabelSearch::new(view) }
    }

    /// The id of an event's fact: kind, block and transaction, which stay as they are while the log is the same.
    ///
    /// # Errors
    /// As [`Self::message`].
    pub fn id(&mut self, seq: u64, event: &Event) -> Result<String> {
        match event.what {
            Happened::Found { at, fact, .. } => {
                let (_, past) = self.past_record(seq, at, false)?;
                Ok(fact_id(fact, &past))
            }
            Happened::Retracted { at, fact, .. } => {
                let (_, past) = self.past_record(seq, at, true)?;
                Ok(fact_id(fact, &past))
            }
            Happened::Reorg { fork, stale } => Ok(format!("reorg:{}:{fork}", stale.hash)),
            Happened::CaughtUp(tip) => Ok(format!("caught_up:{}", tip.hash)),
        }
    }

    /// The event with its number, as it is printed.
    ///
    /// # Errors
    /// As all reads; [`IndexError::Corrupt`] where the index lacks the record that the event is about.
    pub fn message(&mut self, seq: u64, event: &Event) -> Result<Value> {
        let id = self.id(seq, event)?;
        let (kind, body) = match event.what {
            Happened::Found { at, fact, .. } => (fact.kind(), self.body(seq, at, fact, false)?),
            Happened::Retracted { at, fact, .. } => ("retracted", self.body(seq, at, fact, true)?),
            Happened::Reorg { fork, stale } => {
                let body = Body::Reorg {
                    height: stale.height,
                    block: stale.hash,
                    fork,
                    stale_tip: stale.hash,
                    stale_height: stale.height,
                    labels: [],
                };
                ("reorg", body)
            }
            Happened::CaughtUp(tip) => ("caught_up", Body::CaughtUp { height: tip.height, block: tip.hash }),
        };
        let (was, reason) = match event.what {
            Happened::Retracted { fact, reason, .. } => (Some(fact.kind()), Some(reason)),
            _ => (None, None),
        };
        let revised = match event.what {
            Happened::Found { revised, .. } => Some(revised),
            _ => None,
        };
        let message = Message { seq, id, kind, was, reason, body, revised, seen: event.seen };
        Ok(serde_json::to_value(message).expect("strings and numbers"))
    }

    /// What a fact says.
    fn body(&mut self, seq: u64, at: TxPosition, fact: Fact, is_retraction: bool) -> Result<Body> {
        let (seq, past) = self.past_record(seq, at, is_retraction)?;
        match fact {
            Fact::Touch(kind, index) => self.touch(at, &past, kind, index).map(Body::Touch),
            Fact::Moved => self.moved(at, seq, &past).map(Body::Moved),
            Fact::Service(vout) => self.service(at, &past, vout).map(Body::Service),
        }
    }

    /// The record that an event is about, and the seq as of which it is read.
    fn past_record(&mut self, seq: u64, at: TxPosition, is_retraction: bool) -> Result<(u64, Rc<PastRecord>)> {
        // A retraction belongs to the change that made it, and says what the record said before that.
        let seq = if is_retraction { self.past.change(at, seq)?.saturating_sub(1) } else { seq };
        let change = self.past.next_change(at, seq)?;
        Ok((seq, self.past.before(at, change)?))
    }

    fn touch(&self, at: TxPosition, past: &PastRecord, kind: TouchKind, index: u32) -> Result<TouchBody> {
        let (outpoint, vin, output) = match kind {
            TouchKind::Spending => {
                let (outpoint, spent) = input(&past.record, at, index)?;
                (outpoint, Some(index), spent)
            }
            TouchKind::Funding => (OutPoint { txid: past.txid, vout: index }, None, output(&past.record, at, index)?),
        };
        Ok(TouchBody {
            at: transaction(at, past),
            touch: kind.name(),
            outpoint: outpoint.to_string(),
            vin,
            value_sat: output.value.to_sat(),
            script: self.names(&output.script_pubkey)?,
        })
    }

    fn service(&self, at: TxPosition, past: &PastRecord, vout: u32) -> Result<ServiceBody> {
        let output = output(&past.record, at, vout)?;
        let taint = past.taint(self.view, at)?;
        Ok(ServiceBody {
            at: transaction(at, past),
            outpoint: OutPoint { txid: past.txid, vout }.to_string(),
            value_sat: output.value.to_sat(),
            script: self.names(&output.script_pubkey)?,
            taint: taint.outputs.get(&vout).map(|taint| received(taint)).unwrap_or_default(),
        })
    }

    fn moved(&mut self, at: TxPosition, seq: u64, past: &Rc<PastRecord>) -> Result<MovedBody> {
        let MovedTaint { inputs, outputs } = past.taint(self.view, at)?;
        let tainted = inputs.keys().map(|vin| input(&past.record, at, *vin)).collect::<Result<Vec<_>>>()?;
        let labels = self.labels.of_sources(at, seq)?;
        let spent = inputs.iter().zip(&tainted).map(|((vin, taint), (outpoint, output))| TaintedSpend {
            vin: *vin,
            outpoint: outpoint.to_string(),
            value_sat: output.value.to_sat(),
            script: output.script_pubkey.to_hex_string(),
            address: self.address(&output.script_pubkey),
            taint: carried_in(taint),
        });
        let spent: Vec<_> = spent.collect();
        let to = outputs.iter().map(|(vout, taint)| {
            let output = output(&past.record, at, *vout)?;
            Ok(Paid {
                outpoint: OutPoint { txid: past.txid, vout: *vout }.to_string(),
                value_sat: output.value.to_sat(),
                script: output.script_pubkey.to_hex_string(),
                address: self.address(&output.script_pubkey),
                taint: received(taint),
            })
        });
        let to = to.collect::<Result<Vec<_>>>()?;
        let first = spent.first();
        Ok(MovedBody {
            at: transaction(at, past),
            vin: first.map(|spent| spent.vin),
            from: first.map(|spent| spent.outpoint.clone()),
            value_sat: spent.iter().fold(0, |sum, spent| sum.saturating_add(spent.value_sat)),
            taint: total(inputs.values().flatten()),
            labels: labels.texts.into_iter().collect(),
            labels_complete: labels.complete,
            inputs: spent.len(),
            spent,
            outputs: to.len(),
            to,
        })
    }

    fn names(&self, script: &Script) -> Result<ScriptNames> {
        let labels = self.labels.of_script(script)?;
        Ok(ScriptNames { script: script.to_hex_string(), address: self.address(script), labels })
    }

    fn address(&self, script: &Script) -> Option<String> {
        Address::from_script(script, self.network).ok().map(|address| address.to_string())
    }
}

fn fact_id(fact: Fact, past: &PastRecord) -> String {
    let side = match fact {
        Fact::Touch(TouchKind::Spending, vin) => format!(":in{vin}"),
        Fact::Touch(TouchKind::Funding, vout) | Fact::Service(vout) => format!(":out{vout}"),
        Fact::Moved => String::new(),
    };
    format!("{}:{}:{}{side}", fact.kind(), past.block, past.txid)
}

fn transaction(at: TxPosition, past: &PastRecord) -> Transaction {
    let PastRecord { block, time, txid, .. } = *past;
    Transaction { height: at.height, block, time, txid, tx_index: at.tx_index }
}

/// The outpoint that an input spends, and its output.
fn input(record: &Record, at: TxPosition, vin: u32) -> Result<(OutPoint, &TxOut)> {
    let found = record.transaction.input.get(vin as usize).zip(record.spent.get(vin as usize));
    let (input, spent) = found.ok_or_else(|| IndexError::corrupt::<Record>(&at))?;
    Ok((input.previous_output, spent))
}

fn output(record: &Record, at: TxPosition, vout: u32) -> Result<&TxOut> {
    record.transaction.output.get(vout as usize).ok_or_else(|| IndexError::corrupt::<Record>(&at))
}

fn carried_in(taint: &[InputTaint]) -> Vec<Held> {
    taint.iter().map(|taint| Held { rule: taint.rule, taint_sat: taint.taint, hops: taint.hops }).collect()
}

fn received(taint: &[Received]) -> Vec<Held> {
    taint.iter().map(|taint| Held { rule: taint.rule, taint_sat: taint.taint, hops: taint.hops }).collect()
}

/// The taint of all inputs together by rule, with the fewest hops.
fn total<'t>(taint: impl Iterator<Item = &'t InputTaint>) -> Vec<Held> {
    let mut sums: Vec<Held> = Vec::new();
    for of_input in taint {
        match sums.iter_mut().find(|sum| sum.rule == of_input.rule) {
            Some(sum) => {
                sum.taint_sat = sum.taint_sat.saturating_add(of_input.taint);
                sum.hops = sum.hops.min(of_input.hops);
            }
            None => sums.push(Held { rule: of_input.rule, taint_sat: of_input.taint, hops: of_input.hops }),
        }
    }
    sums.sort_by_key(|sum| sum.rule);
    sums
}
