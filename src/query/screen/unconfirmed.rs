//! A transaction that no settled block holds, worked out as if it came in the next block: its inputs are walked back, through
//! unconfirmed transactions, to coins that are confirmed.

use std::collections::HashMap;
use std::rc::Rc;

use bitcoin::{OutPoint, Transaction, Txid};

use super::findings::{Findings, OutputTally};
use super::label_traces::LabelHoldings;
use super::ledger::{LabelSets, Ledger, union};
use super::lookup::ChainLookup;
use super::origin::{self, CoinOrigin, ConfirmedCoin};
use super::proof::SilenceJudge;
use super::row::ScreenRow;
use crate::chain::Height;
use crate::index::ReadRows;
use crate::index::keys::CoinKey;
use crate::query::Result;
use crate::query::by_rule::ByRule;
use crate::query::facts::script::ScriptListing;
use crate::trace::{OutputKind, Rule, RuleTaint, Taint, TracedInput, TracedOutput, pass};

/// Unconfirmed ancestors that are walked through; Core's mempool takes no more than 25.
const MAX_ANCESTORS: usize = 1_000;

/// A transaction with its unconfirmed ancestors, worked out as far as they are known.
pub struct Package {
    /// Parents before children; the last is the transaction asked about.
    transactions: Vec<PackageTx>,
    numbers: HashMap<Txid, usize>,
    /// What the outputs of each hold, with every flagged script a source.
    held: Vec<Vec<OutputTaint>>,
    /// The height they would be confirmed at.
    height: Height,
}

/// One transaction of a package.
struct PackageTx {
    transaction: Transaction,
    inputs: Vec<InputOrigin>,
    /// The listing of each output's script.
    outputs: Vec<Rc<ScriptListing>>,
}

/// Where an input comes from.
enum InputOrigin {
    /// A confirmed coin.
    Chain(ConfirmedCoin),
    /// An output of another transaction of the package: its number, the output's index.
    Package(usize, usize),
    /// The coin isn't known, for this reason.
    Unknown(String),
}

/// What an output holds, by tracked rule.
#[derive(Clone, Default)]
struct OutputTaint {
    /// One for each rule under which it holds taint.
    columns: Vec<RuleTaint>,
    /// The labels that it comes from.
    label_sets: LabelSets,
}

/// The flagged scripts that count as sources.
#[derive(Clone, Copy)]
enum SourceScripts<'a> {
    /// Every flagged script.
    All,
    /// Those of one label, with what each coin holds in its trace.
    Label(&'a str, &'a LabelHoldings),
}

impl SourceScripts<'_> {
    fn has(self, listing: &ScriptListing, height: Height) -> bool {
        listing.is_flagged_at(height)
            && match self {
                Self::All => true,
                Self::Label(label, _) => listing.labels.iter().any(|of| of == label),
            }
    }

    /// The taint that a confirmed coin carries on when it is spent, by rule.
    fn carried(self, ledger: &Ledger<'_>, rules: &[Rule], key: &CoinKey) -> Result<Vec<Option<Taint>>> {
        let held = match self {
            Self::All => ledger
                .snapshot
                .reader
                .coin(key)?
                .map(|coin| rules.iter().map(|rule| carried(&coin.columns, *rule).cloned()).collect()),
            Self::Label(_, holdings) => holdings.get(key).map(|held| {
                let followed = held.iter().map(|held| held.as_ref().filter(|held| held.is_followed));
                followed.map(|held| held.map(|held| held.taint.clone())).collect()
            }),
        };
        Ok(held.unwrap_or_else(|| vec![None; rules.len()]))
    }
}

/// What an input of a package brings: satoshis, whether all of them are tainted, taint by rule, and the labels it comes from.
struct PackageInput {
    value: u64,
    whole: bool,
    taints: Vec<Option<Taint>>,
    label_sets: LabelSets,
}

impl PackageInput {
    fn has_taint(&self) -> bool {
        (self.whole && self.value > 0) || self.taints.iter().flatten().any(|taint| taint.amount > 0)
    }
}

/// The row of the last transaction of a package, or of one of its outputs. `unsettled` is why the block that it is in counts for
/// nothing, if it is in one.
///
/// # Errors
/// What reading reports, as in all that follow.
pub fn row(
    ledger: &mut Ledger<'_>,
    judge: &SilenceJudge<'_>,
    target: &str,
    package: &Package,
    only: Option<usize>,
    unsettled: Option<String>,
) -> Result<ScreenRow> {
    let Some((last, held)) = package.transactions.last().zip(package.held.last()) else {
        return Ok(ScreenRow::nothing_known(target, "it spends nothing and pays nothing"));
    };
    let wanted: Vec<usize> = only.map_or_else(|| (0..last.outputs.len()).collect(), |only| vec![only]);
    let rules = &ledger.snapshot.trace.rules;
    let unknown = package.unknown_input();
    let mut tally = OutputTally::new(rules);
    for vout in &wanted {
        let value = last.transaction.output[*vout].value.to_sat();
        // With one input unknown, the amounts are meaningless.
        let columns = if unknown.is_some() { &[][..] } else { &held[*vout].columns };
        if tally.add(ledger, &last.outputs[*vout], value, columns)? {
            tally.add_sources(Rc::clone(&held[*vout].label_sets));
        }
    }
    if only.is_none() {
        for origin in &last.inputs {
            package.listing(origin).map(|listing| tally.add_same_key(ledger, listing)).transpose()?;
        }
        tally.add_keys_shown(ledger, &last.transaction)?;
    }
    let unknown = match unknown {
        Some(why) if package.has_tainted_input(ledger)? => {
            Some(format!("one input is tainted and another can't be shown to be clean: {why}"))
        }
        unknown => unknown.map(|why| format!("one input can't be shown to be clean: {why}")),
    };
    let sources = tally.sources(ledger, |ledger, label| {
        let holdings = ledger.label_holdings(label)?;
        let held = package.held_of_label(ledger, label, &holdings)?;
        let mut sum = ByRule::none(rules);
        wanted.iter().for_each(|vout| sum.add(&ByRule::of_columns(rules, &held[*vout].columns)));
        Ok(sum)
    })?;
    let path = match tally.nearest() {
        Some((number, rule)) => package.path(ledger, wanted[number], rule)?,
        None => Vec::new(),
    };
    let found = tally.findings();
    let found = Findings {
        taint_sat: found.taint_sat.filter(|_| unknown.is_none()),
        sources,
        path,
        flagged_inputs: Some(package.flagged_inputs()),
        flagged_outputs: Some(last.outputs.iter().filter(|listing| listing.flagged_from.is_some()).count() as u64),
        ..found
    };
    Ok(ScreenRow::new(target, found, judge.unconfirmed(unsettled, unknown, package.lowest_input())))
}

impl Package {
    /// Works out `transaction` and its unconfirmed ancestors, as if they were in the block above the settled height.
    pub fn new(
        ledger: &mut Ledger<'_>,
        judge: &SilenceJudge<'_>,
        lookup: &dyn ChainLookup,
        transaction: Transaction,
    ) -> Result<Self> {
        let height = judge.next_height();
        let mut package = Self { transactions: Vec::new(), numbers: HashMap::new(), held: Vec::new(), height };
        let mut origins: HashMap<OutPoint, CoinOrigin> = HashMap::new();
        // Without recursion: a made-up chain of ancestors may be longer than the stack is deep. Each goes in after its parents.
        let mut ahead = vec![transaction];
        while let Some(transaction) = ahead.last().cloned() {
            let txid = transaction.compute_txid();
            if package.numbers.contains_key(&txid) {
                ahead.pop();
                continue;
            }
            let mut parents: HashMap<Txid, Transaction> = HashMap::new();
            for outpoint in spent(&transaction) {
                let parent = outpoint.txid;
                let known = package.numbers.contains_key(&parent) || parents.contains_key(&parent);
                if known || origins.contains_key(&outpoint) {
                    continue;
                }
                let is_full = package.transactions.len() + ahead.len() + parents.len() >= MAX_ANCESTORS;
                match origin::find(ledger, judge, lookup, outpoint)? {
                    CoinOrigin::Unconfirmed(_) if is_full => {
                        let why = format!("more than {MAX_ANCESTORS} unconfirmed ancestors");
                        origins.insert(outpoint, CoinOrigin::Unknown(why));
                    }
                    CoinOrigin::Unconfirmed(transaction) => drop(parents.insert(parent, transaction)),
                    origin => drop(origins.insert(outpoint, origin)),
                }
            }
            if parents.is_empty() {
                ahead.pop();
                package.add(ledger, txid, transaction, &origins)?;
            }
            ahead.extend(parents.into_values());
        }
        package.held = package.work_out(ledger, SourceScripts::All)?;
        Ok(package)
    }

    fn add(
        &mut self,
        ledger: &mut Ledger<'_>,
        txid: Txid,
        transaction: Transaction,
        origins: &HashMap<OutPoint, CoinOrigin>,
    ) -> Result<()> {
        let inputs = spent(&transaction).map(|outpoint| self.origin(&outpoint, origins)).collect();
        let outputs = transaction.output.iter().map(|output| ledger.listing(&output.script_pubkey));
        let outputs = outputs.collect::<Result<_>>()?;
        self.numbers.insert(txid, self.transactions.len());
        self.transactions.push(PackageTx { transaction, inputs, outputs });
        Ok(())
    }

    fn origin(&self, outpoint: &OutPoint, origins: &HashMap<OutPoint, CoinOrigin>) -> InputOrigin {
        match (self.numbers.get(&outpoint.txid), origins.get(outpoint)) {
            (Some(parent), _) if (outpoint.vout as usize) < self.transactions[*parent].outputs.len() => {
                InputOrigin::Package(*parent, outpoint.vout as usize)
            }
            (None, Some(CoinOrigin::Confirmed(coin))) => InputOrigin::Chain(coin.clone()),
            (None, Some(CoinOrigin::Unknown(why))) => InputOrigin::Unknown(why.clone()),
            _ => InputOrigin::Unknown(format!("{outpoint} does not exist")),
        }
    }

    /// What the outputs of the last transaction hold with the scripts of one label as the only sources.
    fn held_of_label(
        &self,
        ledger: &mut Ledger<'_>,
        label: &str,
        holdings: &LabelHoldings,
    ) -> Result<Vec<OutputTaint>> {
        Ok(self.work_out(ledger, SourceScripts::Label(label, holdings))?.pop().unwrap_or_default())
    }

    /// How many inputs of the last transaction spend from flagged scripts, as far as these are known.
    fn flagged_inputs(&self) -> u64 {
        let inputs = self.transactions.last().map_or(&[][..], |last| &last.inputs);
        let flagged =
            |origin: &&InputOrigin| self.listing(origin).is_some_and(|listing| listing.flagged_from.is_some());
        inputs.iter().filter(flagged).count() as u64
    }

    /// The least height at which a confirmed coin was made that the package spends.
    fn lowest_input(&self) -> Option<Height> {
        let inputs = self.transactions.iter().flat_map(|of| &of.inputs);
        let heights = inputs.filter_map(|origin| match origin {
            InputOrigin::Chain(coin) => Some(coin.height),
            InputOrigin::Package(..) | InputOrigin::Unknown(_) => None,
        });
        heights.min()
    }

    /// Whether some input of the last transaction brings taint.
    fn has_tainted_input(&self, ledger: &mut Ledger<'_>) -> Result<bool> {
        let Some(last) = self.transactions.last() else { return Ok(false) };
        for origin in &last.inputs {
            if self.input(ledger, origin, SourceScripts::All, &self.held)?.has_taint() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Why some input isn't known; `None` where all are.
    fn unknown_input(&self) -> Option<&str> {
        self.transactions.iter().flat_map(|of| &of.inputs).find_map(|origin| match origin {
            InputOrigin::Unknown(why) => Some(why.as_str()),
            InputOrigin::Chain(_) | InputOrigin::Package(..) => None,
        })
    }

    /// The listing of the script that an input spends from, where that is known.
    fn listing<'p>(&'p self, origin: &'p InputOrigin) -> Option<&'p ScriptListing> {
        match origin {
            InputOrigin::Chain(coin) => Some(&coin.listing),
            InputOrigin::Package(parent, vout) => Some(&self.transactions[*parent].outputs[*vout]),
            InputOrigin::Unknown(_) => None,
        }
    }

    /// What every output holds. An unknown input counts as worthless and clean: beside one, amounts are meaningless.
    fn work_out(&self, ledger: &mut Ledger<'_>, sources: SourceScripts<'_>) -> Result<Vec<Vec<OutputTaint>>> {
        let mut held: Vec<Vec<OutputTaint>> = Vec::new();
        for of in &self.transactions {
            let mut inputs = Vec::with_capacity(of.inputs.len());
            for origin in &of.inputs {
                inputs.push(self.input(ledger, origin, sources, &held)?);
            }
            held.push(self.outputs(ledger, of, &inputs, sources));
        }
        Ok(held)
    }

    /// What an input brings, where the outputs of the package's transactions hold this.
    fn input(
        &self,
        ledger: &mut Ledger<'_>,
        origin: &InputOrigin,
        sources: SourceScripts<'_>,
        held: &[Vec<OutputTaint>],
    ) -> Result<PackageInput> {
        let rules = &ledger.snapshot.trace.rules;
        let mut input =
            PackageInput { value: 0, whole: false, taints: vec![None; rules.len()], label_sets: LabelSets::default() };
        match origin {
            InputOrigin::Unknown(_) => return Ok(input),
            InputOrigin::Chain(coin) => {
                input.value = coin.value;
                if let Some(key) = &coin.key {
                    input.taints = sources.carried(ledger, rules, key)?;
                    input.label_sets = ledger.label_sets(*key)?;
                }
            }
            InputOrigin::Package(parent, vout) => {
                let held = &held[*parent][*vout];
                input.value = self.transactions[*parent].transaction.output[*vout].value.to_sat();
                input.taints = rules.iter().map(|rule| carried(&held.columns, *rule).cloned()).collect();
                input.label_sets = Rc::clone(&held.label_sets);
            }
        }
        if let Some(listing) = self.listing(origin).filter(|listing| sources.has(listing, self.height)) {
            input.whole = true;
            let own = ledger.label_set(&listing.labels);
            input.label_sets = union([input.label_sets, Rc::new([own].into())]);
        }
        Ok(input)
    }

    /// What the outputs of a transaction hold, where its inputs bring this.
    fn outputs(
        &self,
        ledger: &mut Ledger<'_>,
        of: &PackageTx,
        inputs: &[PackageInput],
        sources: SourceScripts<'_>,
    ) -> Vec<OutputTaint> {
        let outputs = of.transaction.output.iter().zip(&of.outputs).map(|(output, listing)| TracedOutput {
            value: output.value.to_sat(),
            kind: OutputKind::of_output(&listing.script, sources.has(listing, self.height), listing.service),
        });
        let outputs: Vec<TracedOutput> = outputs.collect();
        let mut held: Vec<OutputTaint> = vec![OutputTaint::default(); outputs.len()];
        let parameters = &ledger.snapshot.trace;
        for (number, rule) in parameters.rules.iter().enumerate() {
            let brought = inputs.iter().map(|input| TracedInput {
                value: input.value,
                whole: input.whole,
                taint: input.taints[number].as_ref(),
            });
            let passed = pass(*rule, parameters.gates(), &brought.collect::<Vec<_>>(), &outputs);
            for (held, column) in held.iter_mut().zip(passed.outputs) {
                held.columns.extend(column);
            }
        }
        let sets = union(inputs.iter().filter(|input| input.has_taint()).map(|input| Rc::clone(&input.label_sets)));
        for (held, listing) in held.iter_mut().zip(&of.outputs) {
            let own = listing.is_flagged_at(self.height).then(|| Rc::new([ledger.label_set(&listing.labels)].into()));
            held.label_sets = union(std::iter::once(Rc::clone(&sets)).chain(own));
        }
        held
    }

    /// The way back from an output of the last transaction: through the package, then through the chain, with the same choice at each
    /// step.
    fn path(&self, ledger: &mut Ledger<'_>, vout: usize, rule: Rule) -> Result<Vec<OutPoint>> {
        let mut path = Vec::new();
        let (mut at, mut vout) = (self.transactions.len().saturating_sub(1), vout);
        while let Some(of) = self.transactions.get(at) {
            let index = u32::try_from(vout).unwrap_or(u32::MAX);
            path.push(OutPoint { txid: of.transaction.compute_txid(), vout: index });
            if of.outputs[vout].is_flagged_at(self.height) {
                break;
            }
            let mut nearest: Option<(u32, usize)> = None;
            for (vin, origin) in of.inputs.iter().enumerate() {
                let hops = self.hops(ledger, origin, rule)?;
                nearest = hops.map(|hops| (hops, vin)).into_iter().chain(nearest).min();
            }
            let Some((_, vin)) = nearest else { break };
            match &of.inputs[vin] {
                InputOrigin::Package(parent, output) => (at, vout) = (*parent, *output),
                InputOrigin::Chain(ConfirmedCoin { listing, key: Some(key), .. })
                    if !listing.is_flagged_at(self.height) =>
                {
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

    /// The hops that an input has under a rule, if it brings taint.
    fn hops(&self, ledger: &Ledger<'_>, origin: &InputOrigin, rule: Rule) -> Result<Option<u32>> {
        if self.listing(origin).is_some_and(|listing| listing.is_flagged_at(self.height)) {
            return Ok(Some(0));
        }
        let taint = match origin {
            InputOrigin::Chain(ConfirmedCoin { key: Some(key), .. }) => {
                SourceScripts::All.carried(ledger, &[rule], key)?.pop().flatten()
            }
            InputOrigin::Package(parent, vout) => carried(&self.held[*parent][*vout].columns, rule).cloned(),
            _ => None,
        };
        Ok(taint.filter(|taint| taint.amount > 0).map(|taint| taint.hops))
    }
}

/// The taint that a spend carries on under a rule.
fn carried(columns: &[RuleTaint], rule: Rule) -> Option<&Taint> {
    columns.iter().find(|column| column.rule == rule)?.carried()
}

/// The coins that a transaction spends: none for a coinbase.
fn spent(transaction: &Transaction) -> impl Iterator<Item = OutPoint> + '_ {
    let inputs = if transaction.is_coinbase() { &[] } else { &transaction.input[..] };
    inputs.iter().map(|input| input.previous_output)
}
