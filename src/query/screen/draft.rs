//! A transaction that no block of the index holds, as if it came next: its inputs are walked back to coins that the index knows.

use std::collections::HashMap;
use std::rc::Rc;

use bitcoin::{OutPoint, Transaction, Txid};

use super::by_label::{Holdings, gates};
use super::ledger::{Behind, Ledger, carried, union};
use super::origin::{Found, Looked, look};
use super::outside::Outside;
use crate::chain::Height;
use crate::index::keys::CoinKey;
use crate::query::Result;
use crate::query::trace::place::Place;
use crate::trace::{OutputKind, Rule, RuleTaint, Taint, TracedInput, TracedOutput, pass};

/// Unconfirmed ancestors looked at; Core's mempool takes no more than 25.
const MOST: usize = 1_000;

/// A transaction with its unconfirmed ancestors, worked out as far as they can be.
pub struct Draft {
    /// Parents before children; the last is the one asked about.
    transactions: Vec<Drafted>,
    numbers: HashMap<Txid, usize>,
    /// What their outputs hold, with every flagged script a source.
    held: Vec<Vec<Held>>,
    /// The height they would be confirmed at.
    height: Height,
}

/// One of them.
struct Drafted {
    transaction: Transaction,
    inputs: Vec<Origin>,
    /// What lists say of each output's script.
    outputs: Vec<Rc<Place>>,
}

/// Where an input comes from.
enum Origin {
    /// A coin of the chain, with its script and value; its row, where the index has one.
    Chain(u64, Rc<Place>, Option<CoinKey>),
    /// An output of another of these transactions.
    Draft(usize, usize),
    /// Nobody knows the coin, for this reason.
    Unknown(String),
}

/// What an output holds, by tracked rule, and what lies behind it.
#[derive(Clone, Default)]
pub struct Held {
    /// One for each rule under which it holds taint.
    pub columns: Vec<RuleTaint>,
    /// The labels behind it.
    pub behind: Behind,
}

/// Who counts as a source.
#[derive(Clone, Copy)]
pub enum Sight<'a> {
    /// Every flagged script.
    All,
    /// The scripts of one label, with what its trace says of coins.
    Label(&'a str, &'a Holdings),
}

impl Sight<'_> {
    fn is_source(self, place: &Place, height: Height) -> bool {
        place.is_flagged(height)
            && match self {
                Self::All => true,
                Self::Label(label, _) => place.labels.iter().any(|of| of == label),
            }
    }

    /// What a coin of the chain brings along when it is spent, by rule.
    fn carried(self, ledger: &Ledger<'_>, rules: &[Rule], key: &CoinKey) -> Result<Vec<Option<Taint>>> {
        let held = match self {
            Self::All => ledger.snapshot.reader.coin(key)?.map(|coin| carried(rules, &coin)),
            Self::Label(_, holdings) => holdings.get(key).map(|held| {
                let followed = |held: &Option<(Taint, bool)>| Some(held.as_ref().filter(|held| held.1)?.0.clone());
                held.iter().map(followed).collect()
            }),
        };
        Ok(held.unwrap_or_else(|| vec![None; rules.len()]))
    }
}

/// What an input brings: satoshis, whether all of them count, taint by rule, and the labels behind it.
struct Brings {
    value: u64,
    whole: bool,
    taints: Vec<Option<Taint>>,
    behind: Behind,
}

impl Brings {
    fn has_taint(&self) -> bool {
        (self.whole && self.value > 0) || self.taints.iter().flatten().any(|taint| taint.amount > 0)
    }
}

impl Draft {
    /// Works out `transaction` and its unconfirmed ancestors, as if they were in the block above the settled height.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn new(
        ledger: &mut Ledger<'_>,
        outside: &dyn Outside,
        settled: Height,
        transaction: Transaction,
    ) -> Result<Self> {
        let height = settled.saturating_add(1);
        let mut draft = Self { transactions: Vec::new(), numbers: HashMap::new(), held: Vec::new(), height };
        let mut found: HashMap<OutPoint, Found> = HashMap::new();
        // Without recursion, for a chain that somebody made up may be long. Each goes in when its parents are in.
        let mut ahead = vec![transaction];
        while let Some(transaction) = ahead.last().cloned() {
            let txid = transaction.compute_txid();
            if draft.numbers.contains_key(&txid) {
                ahead.pop();
                continue;
            }
            let mut parents: HashMap<Txid, Transaction> = HashMap::new();
            for outpoint in spent(&transaction) {
                let parent = outpoint.txid;
                if draft.numbers.contains_key(&parent) || parents.contains_key(&parent) || found.contains_key(&outpoint)
                {
                    continue;
                }
                let full = draft.transactions.len() + ahead.len() + parents.len() >= MOST;
                match look(ledger, outside, settled, outpoint)? {
                    Looked::Found(coin) => drop(found.insert(outpoint, coin)),
                    Looked::Waiting(_) if full => {
                        drop(found.insert(outpoint, Err(format!("more than {MOST} unconfirmed ancestors"))));
                    }
                    Looked::Waiting(transaction) => drop(parents.insert(parent, transaction)),
                }
            }
            if parents.is_empty() {
                ahead.pop();
                draft.add(ledger, txid, transaction, &found)?;
            }
            ahead.extend(parents.into_values());
        }
        draft.held = draft.work_out(ledger, Sight::All)?;
        Ok(draft)
    }

    fn add(
        &mut self,
        ledger: &mut Ledger<'_>,
        txid: Txid,
        transaction: Transaction,
        found: &HashMap<OutPoint, Found>,
    ) -> Result<()> {
        let origin = |outpoint: &OutPoint| match (self.numbers.get(&outpoint.txid), found.get(outpoint)) {
            (Some(parent), _) if (outpoint.vout as usize) < self.transactions[*parent].outputs.len() => {
                Origin::Draft(*parent, outpoint.vout as usize)
            }
            (None, Some(Ok((value, place, key)))) => Origin::Chain(*value, Rc::clone(place), *key),
            (None, Some(Err(why))) => Origin::Unknown(why.clone()),
            _ => Origin::Unknown(format!("{outpoint} does not exist")),
        };
        let inputs = spent(&transaction).map(|outpoint| origin(&outpoint)).collect();
        let outputs = transaction.output.iter().map(|output| ledger.place(&output.script_pubkey));
        let outputs = outputs.collect::<Result<_>>()?;
        self.numbers.insert(txid, self.transactions.len());
        self.transactions.push(Drafted { transaction, inputs, outputs });
        Ok(())
    }

    /// What the outputs of the transaction asked about hold.
    pub fn held(&self) -> &[Held] {
        self.held.last().map_or(&[], Vec::as_slice)
    }

    /// The same with the scripts of one label as the only sources: taint by rule, output by output.
    pub fn held_of(&self, ledger: &mut Ledger<'_>, label: &str, holdings: &Holdings) -> Result<Vec<Held>> {
        Ok(self.work_out(ledger, Sight::Label(label, holdings))?.pop().unwrap_or_default())
    }

    /// What lists say of the scripts of the outputs of the transaction asked about.
    pub fn outputs(&self) -> &[Rc<Place>] {
        self.transactions.last().map_or(&[], |last| &last.outputs)
    }

    /// How many of its inputs spend from flagged scripts, as far as these are known.
    pub fn flagged_inputs(&self) -> u64 {
        let inputs = self.transactions.last().map_or(&[][..], |last| &last.inputs);
        inputs.iter().filter(|origin| self.place(origin).is_some_and(|place| place.flagged_from.is_some())).count()
            as u64
    }

    /// Whether some input brings taint.
    pub fn has_taint(&self, ledger: &mut Ledger<'_>) -> Result<bool> {
        let rules = ledger.snapshot.trace.rules.clone();
        let Some(last) = self.transactions.last() else { return Ok(false) };
        for origin in &last.inputs {
            if self.input(ledger, origin, Sight::All, &rules, &self.held)?.has_taint() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Why the whole can't be worked out; `None` where it can.
    pub fn gap(&self) -> Option<&str> {
        self.transactions.iter().flat_map(|of| &of.inputs).find_map(|origin| match origin {
            Origin::Unknown(why) => Some(why.as_str()),
            _ => None,
        })
    }

    /// The script that an input spends from; `None` where nobody knows.
    fn place(&self, origin: &Origin) -> Option<Rc<Place>> {
        match origin {
            Origin::Chain(_, place, _) => Some(Rc::clone(place)),
            Origin::Draft(parent, vout) => Some(Rc::clone(&self.transactions[*parent].outputs[*vout])),
            Origin::Unknown(_) => None,
        }
    }

    /// What every output holds as seen by `sight`. An input that nobody knows counts as worthless and clean: beside one of these,
    /// amounts mean nothing.
    fn work_out(&self, ledger: &mut Ledger<'_>, sight: Sight<'_>) -> Result<Vec<Vec<Held>>> {
        let rules = ledger.snapshot.trace.rules.clone();
        let mut all: Vec<Vec<Held>> = Vec::new();
        for of in &self.transactions {
            let mut inputs = Vec::with_capacity(of.inputs.len());
            for origin in &of.inputs {
                inputs.push(self.input(ledger, origin, sight, &rules, &all)?);
            }
            all.push(self.outputs_of(ledger, of, &inputs, sight, &rules));
        }
        Ok(all)
    }

    fn input(
        &self,
        ledger: &mut Ledger<'_>,
        origin: &Origin,
        sight: Sight<'_>,
        rules: &[Rule],
        all: &[Vec<Held>],
    ) -> Result<Brings> {
        let mut brings = Brings { value: 0, whole: false, taints: vec![None; rules.len()], behind: Behind::default() };
        match origin {
            Origin::Unknown(_) => return Ok(brings),
            Origin::Chain(value, _, key) => {
                brings.value = *value;
                if let Some(key) = key {
                    brings.taints = sight.carried(ledger, rules, key)?;
                    brings.behind = ledger.behind(*key)?;
                }
            }
            Origin::Draft(parent, vout) => {
                let held = &all[*parent][*vout];
                brings.value = self.transactions[*parent].transaction.output[*vout].value.to_sat();
                brings.taints = rules.iter().map(|rule| held.carried(*rule).cloned()).collect();
                brings.behind = Rc::clone(&held.behind);
            }
        }
        if let Some(place) = self.place(origin).filter(|place| sight.is_source(place, self.height)) {
            brings.whole = true;
            let own = ledger.number(&place.labels);
            brings.behind = union([brings.behind, Rc::new([own].into())]);
        }
        Ok(brings)
    }

    fn outputs_of(
        &self,
        ledger: &mut Ledger<'_>,
        of: &Drafted,
        inputs: &[Brings],
        sight: Sight<'_>,
        rules: &[Rule],
    ) -> Vec<Held> {
        let kind = |place: &Place| match sight.is_source(place, self.height) {
            true => OutputKind::Source,
            false if place.service => OutputKind::Service,
            false => OutputKind::of(&place.script),
        };
        let values = of.transaction.output.iter().map(|output| output.value.to_sat());
        let outputs: Vec<TracedOutput> =
            values.zip(&of.outputs).map(|(value, place)| TracedOutput { value, kind: kind(place) }).collect();
        let mut held: Vec<Held> = vec![Held::default(); outputs.len()];
        for (number, rule) in rules.iter().enumerate() {
            let input = |brings: &Brings| (brings.value, brings.whole, brings.taints[number].clone());
            let brought: Vec<_> = inputs.iter().map(input).collect();
            let inputs: Vec<TracedInput<'_>> = brought
                .iter()
                .map(|(value, whole, taint)| TracedInput { value: *value, whole: *whole, taint: taint.as_ref() })
                .collect();
            let passed = pass(*rule, gates(ledger.snapshot), &inputs, &outputs);
            for (held, column) in held.iter_mut().zip(passed.outputs) {
                held.columns.extend(column);
            }
        }
        let behind = union(inputs.iter().filter(|input| input.has_taint()).map(|input| Rc::clone(&input.behind)));
        for (held, place) in held.iter_mut().zip(&of.outputs) {
            let own = place.is_flagged(self.height).then(|| Rc::new([ledger.number(&place.labels)].into()));
            held.behind = union(std::iter::once(Rc::clone(&behind)).chain(own));
        }
        held
    }

    /// The way back from an output of the transaction asked about: through these, then through the chain, with the same choice at
    /// each step.
    pub fn path(&self, ledger: &mut Ledger<'_>, vout: usize, rule: Rule) -> Result<Vec<OutPoint>> {
        let mut path = Vec::new();
        let (mut at, mut vout) = (self.transactions.len().saturating_sub(1), vout);
        while let Some(of) = self.transactions.get(at) {
            let index = u32::try_from(vout).unwrap_or(u32::MAX);
            path.push(OutPoint { txid: of.transaction.compute_txid(), vout: index });
            if of.outputs[vout].is_flagged(self.height) {
                break;
            }
            let mut nearest: Option<(u32, usize)> = None;
            for (vin, origin) in of.inputs.iter().enumerate() {
                let hops = self.hops(ledger, origin, rule)?;
                nearest = hops.map(|hops| (hops, vin)).into_iter().chain(nearest).min();
            }
            let Some((_, vin)) = nearest else { break };
            match &of.inputs[vin] {
                Origin::Draft(parent, output) => (at, vout) = (*parent, *output),
                Origin::Chain(_, place, Some(key)) if !place.is_flagged(self.height) => {
                    path.extend(ledger.path(*key, rule)?);
                    break;
                }
                _ => {
                    path.push(of.transaction.input[vin].previous_output);
                    break;
                }
            }
        }
        Ok(path)
    }

    /// The hops that an input brings along, if it brings taint.
    fn hops(&self, ledger: &Ledger<'_>, origin: &Origin, rule: Rule) -> Result<Option<u32>> {
        if self.place(origin).is_some_and(|place| place.is_flagged(self.height)) {
            return Ok(Some(0));
        }
        let taint = match origin {
            Origin::Chain(_, _, Some(key)) => Sight::All.carried(ledger, &[rule], key)?.pop().flatten(),
            Origin::Draft(parent, vout) => self.held[*parent][*vout].carried(rule).cloned(),
            _ => None,
        };
        Ok(taint.filter(|taint| taint.amount > 0).map(|taint| taint.hops))
    }
}

/// The coins that a transaction spends: none for a coinbase.
fn spent(transaction: &Transaction) -> impl Iterator<Item = OutPoint> + '_ {
    let inputs = if transaction.is_coinbase() { &[] } else { &transaction.input[..] };
    inputs.iter().map(|input| input.previous_output)
}

impl Held {
    fn carried(&self, rule: Rule) -> Option<&Taint> {
        self.columns.iter().find(|column| column.rule == rule)?.carried()
    }
}
