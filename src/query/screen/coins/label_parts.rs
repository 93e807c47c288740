//! The part of some coins' taint that comes from the scripts of one label, so that a sanction shows apart from a scam: what a trace of that
//! label alone would find on them. Taint is passed through the coins' ancestry once a label, and little is kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::ancestry::{Ancestor, Ancestry, CoinPlace};
use super::coin_parts::{CoinParts, KEPT_PARTS, LabelHoldings, LabelTaint, LabelTaints, part_bytes};
use super::label_names::LabelNames;
use super::ledger::Ledger;
use crate::index::keys::CoinKey;
use crate::index::meta::TraceParameters;
use crate::query::Result;
use crate::trace::{OutputKind, RuleTaint, TracedInput, TracedOutput, pass};

/// Bytes of the parts that are kept of one ancestry: a quarter, so that those of the targets before stay too.
const KEPT_OF_ANCESTRY: usize = KEPT_PARTS / 4;

/// Gives `visit` what each of `coins` holds in the trace of each label that the taint of some of them comes from, one label after
/// another.
///
/// # Errors
/// What reading, or `visit`, reports.
pub fn for_each_label<'a>(
    ledger: &mut Ledger<'a>,
    coins: &[CoinKey],
    mut visit: impl FnMut(&mut Ledger<'a>, &str, &LabelHoldings) -> Result<()>,
) -> Result<()> {
    let ancestry = Ancestry::of(ledger, coins)?;
    let starts = starts(ledger, &ancestry);
    let mut kept = Kept::new(&ancestry, starts.len(), ledger.snapshot.trace.rules.len());
    let mut pass = LabelPass {
        ancestry: &ancestry,
        parameters: &ledger.snapshot.trace,
        held: HashMap::default(),
        pending: Pending::new(ancestry.transactions.len()),
        asked: HashMap::default(),
    };
    for (label, transactions) in &starts {
        pass.trace(*label, transactions, &ledger.labels, &mut kept);
        let mut holdings = LabelHoldings::default();
        for (key, place) in &ancestry.asked {
            let held = match place {
                CoinPlace::Nowhere => None,
                CoinPlace::Output(_, output) => pass.asked.remove(output),
                CoinPlace::Known(parts) => parts.0.get(label).cloned(),
            };
            holdings.extend(held.map(|held| (*key, held)));
        }
        let name = ledger.labels.name(*label).to_owned();
        visit(ledger, &name, &holdings)?;
    }
    for (key, parts) in kept.coins(&ancestry) {
        let bytes = parts.bytes();
        ledger.keep_parts(key, bytes, Rc::new(parts));
    }
    Ok(())
}

/// The transactions at which each label's taint comes in, by the label's number.
fn starts(ledger: &Ledger<'_>, ancestry: &Ancestry) -> BTreeMap<u32, Vec<usize>> {
    let mut starts: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (number, of) in ancestry.transactions.iter().enumerate() {
        let mut labels: BTreeSet<u32> = BTreeSet::new();
        for input in ancestry.inputs(of) {
            labels.extend(input.flagged.into_iter().flat_map(|set| ledger.labels.of_set(set)));
            if let CoinPlace::Known(parts) = &input.coin {
                labels.extend(parts.0.keys());
            }
        }
        for output in &ancestry.outputs[of.outputs.clone()] {
            labels.extend(output.flagged.into_iter().flat_map(|set| ledger.labels.of_set(set)));
        }
        for label in labels {
            starts.entry(label).or_default().push(number);
        }
    }
    for (_, place) in &ancestry.asked {
        if let CoinPlace::Known(parts) = place {
            for label in parts.0.keys() {
                starts.entry(*label).or_default();
            }
        }
    }
    starts
}

/// Passes the taint of one label after another through an ancestry.
struct LabelPass<'a> {
    ancestry: &'a Ancestry,
    parameters: &'a TraceParameters,
    /// What the outputs hold that are yet to be spent.
    held: HashMap<usize, LabelTaints, foldhash::quality::RandomState>,
    /// The transactions that are yet to be passed.
    pending: Pending,
    /// What the outputs asked about hold.
    asked: HashMap<usize, LabelTaints, foldhash::quality::RandomState>,
}

impl LabelPass<'_> {
    fn trace(&mut self, label: u32, starts: &[usize], labels: &LabelNames, kept: &mut Kept) {
        self.held.clear();
        self.asked.clear();
        starts.iter().for_each(|number| self.pending.add(*number));
        while let Some(number) = self.pending.next() {
            let ancestry = self.ancestry;
            let of = &ancestry.transactions[number];
            for (output, columns) in self.pass(of, label, labels) {
                let made = &ancestry.outputs[output];
                kept.keep(output, label, &columns);
                if made.is_asked {
                    self.asked.insert(output, columns.clone());
                }
                if let Some(spender) = made.spender.filter(|spender| *spender > number) {
                    self.pending.add(spender);
                    self.held.insert(output, columns);
                }
            }
            for input in ancestry.inputs(of) {
                if let CoinPlace::Output(_, output) = input.coin {
                    self.held.remove(&output);
                }
            }
        }
    }

    /// What the outputs of a transaction hold that are needed.
    fn pass(&self, of: &Ancestor, label: u32, labels: &LabelNames) -> Vec<(usize, LabelTaints)> {
        let inputs: Vec<(u64, bool, Option<&LabelTaints>)> = self
            .ancestry
            .inputs(of)
            .iter()
            .map(|input| {
                let held = match &input.coin {
                    CoinPlace::Nowhere => None,
                    CoinPlace::Output(_, output) => self.held.get(output),
                    CoinPlace::Known(parts) => parts.0.get(&label),
                };
                (input.value, labels.has(input.flagged, label), held)
            })
            .collect();
        let outputs = &self.ancestry.outputs[of.outputs.clone()];
        let traced: Vec<TracedOutput> = outputs
            .iter()
            .map(|output| {
                let kind = match (labels.has(output.flagged, label), output.kind) {
                    (true, OutputKind::Service) => OutputKind::FlaggedService,
                    (true, _) => OutputKind::Source,
                    (false, kind) => kind,
                };
                TracedOutput { value: output.value, kind }
            })
            .collect();
        let mut passed: Vec<Vec<Option<RuleTaint>>> = Vec::with_capacity(self.parameters.rules.len());
        for (number, rule) in self.parameters.rules.iter().enumerate() {
            let inputs = inputs.iter().map(|(value, whole, held)| {
                let held = held.and_then(|held| held[number].as_ref()).filter(|held| held.is_followed);
                TracedInput { value: *value, whole: *whole, taint: held.map(|held| &held.taint) }
            });
            let inputs: Vec<TracedInput<'_>> = inputs.collect();
            passed.push(pass(*rule, self.parameters.gates(), &inputs, &traced).outputs);
        }
        let mut made = Vec::new();
        for (vout, output) in outputs.iter().enumerate() {
            if output.is_needed() && passed.iter().any(|columns| columns[vout].is_some()) {
                let can_be_spent = output.is_followed && !(traced[vout].kind.is_source() && output.is_unspendable);
                let columns = passed.iter_mut().map(|columns| {
                    let column = columns[vout].take()?;
                    Some(LabelTaint { is_followed: column.is_followed() && can_be_spent, taint: column.taint })
                });
                made.push((of.outputs.start + vout, columns.collect()));
            }
        }
        made
    }
}

/// Transactions by their numbers, given out from the lowest on.
struct Pending {
    words: Vec<u64>,
    /// No number below this word is among them.
    first: usize,
}

impl Pending {
    fn new(count: usize) -> Self {
        Self { words: vec![0; count.div_ceil(64)], first: 0 }
    }

    fn add(&mut self, number: usize) {
        self.words[number / 64] |= 1 << (number % 64);
        self.first = self.first.min(number / 64);
    }

    fn next(&mut self) -> Option<usize> {
        let (ahead, word) = self.words[self.first..].iter_mut().enumerate().find(|(_, word)| **word != 0)?;
        let bit = word.trailing_zeros() as usize;
        *word &= *word - 1;
        self.first += ahead;
        Some(self.first * 64 + bit)
    }
}

/// What the last coins of an ancestry hold: the next target may descend from them.
struct Kept {
    /// The lowest of the transactions whose outputs are kept, by where these begin among all outputs.
    outputs: HashMap<usize, CoinParts, foldhash::quality::RandomState>,
}

impl Kept {
    fn new(ancestry: &Ancestry, labels: usize, rules: usize) -> Self {
        let most = KEPT_OF_ANCESTRY / (size_of::<CoinKey>() + labels * part_bytes(rules)).max(1);
        let outputs = ancestry.transactions.iter().rev().flat_map(|of| of.outputs.clone());
        let needed = outputs.filter(|output| ancestry.outputs[*output].is_needed());
        Self { outputs: needed.take(most).map(|output| (output, CoinParts::default())).collect() }
    }

    fn keep(&mut self, output: usize, label: u32, columns: &LabelTaints) {
        if let Some(parts) = self.outputs.get_mut(&output) {
            parts.0.insert(label, columns.clone());
        }
    }

    /// The kept coins, in chain order.
    fn coins(mut self, ancestry: &Ancestry) -> Vec<(CoinKey, CoinParts)> {
        let mut coins = Vec::new();
        for of in &ancestry.transactions {
            for (vout, output) in (0..).zip(of.outputs.clone()) {
                if let Some(parts) = self.outputs.remove(&output) {
                    let outpoint = bitcoin::OutPoint { txid: of.txid, vout };
                    coins.push((CoinKey { outpoint, height: of.at.height }, parts));
                }
            }
        }
        coins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pending_transactions_come_from_the_lowest_on_and_once() {
        let mut pending = Pending::new(200);
        [130, 5, 64, 5, 199].into_iter().for_each(|number| pending.add(number));
        assert_eq!((pending.next(), pending.next()), (Some(5), Some(64)));
        pending.add(131);
        pending.add(65);
        let rest: Vec<usize> = std::iter::from_fn(|| pending.next()).collect();
        assert_eq!(rest, [65, 130, 131, 199]);
        pending.add(0);
        assert_eq!((pending.next(), pending.next()), (Some(0), None));
        assert_eq!(Pending::new(0).next(), None);
    }
}
