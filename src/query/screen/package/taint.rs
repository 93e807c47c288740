//! What the outputs of a package hold, as far as the coins that it spends are known.
//!
//! Beside an input that isn't known, taint is what the outputs hold at least, whatever that input is.

use std::rc::Rc;

use bitcoin::OutPoint;

use super::origin::ConfirmedCoin;
use super::{InputOrigin, Package, PackageTx};
use crate::chain::Height;
use crate::index::ReadRows;
use crate::index::keys::CoinKey;
use crate::query::Result;
use crate::query::facts::script::ScriptListing;
use crate::query::screen::coins::coin_parts::LabelHoldings;
use crate::query::screen::coins::ledger::{LabelSets, Ledger, union};
use crate::trace::{OutputKind, Rule, RuleTaint, Taint, TracedInput, TracedOutput, pass_at_least};

/// A package with what its outputs hold.
pub struct TracedPackage {
    /// The package.
    pub package: Package,
    /// What the outputs of each transaction hold, with every flagged script a source.
    pub held: Vec<Vec<OutputTaint>>,
}

/// What an output holds, by tracked rule: of a transaction with an input that isn't known, what it holds at least.
#[derive(Clone, Default)]
pub struct OutputTaint {
    /// One for each rule under which it holds taint.
    pub columns: Vec<RuleTaint>,
    /// Whether known taint reaches it, or may.
    pub is_reached: bool,
    /// The labels that it comes from.
    pub label_sets: LabelSets,
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

/// What an input of a package brings.
struct PackageInput {
    /// Satoshis; `None` where the coin isn't known.
    value: Option<u64>,
    /// Whether all of them are tainted.
    whole: bool,
    /// The taint that it brings at least, by tracked rule.
    taints: Vec<Option<Taint>>,
    /// Whether known taint reaches its coin, or may.
    is_reached: bool,
    /// The labels that it comes from.
    label_sets: LabelSets,
}

impl PackageInput {
    fn has_taint(&self) -> bool {
        let whole = self.whole && self.value.is_some_and(|value| value > 0);
        whole || self.is_reached || self.taints.iter().flatten().any(|taint| taint.amount > 0)
    }

    /// As a rule takes it; `number` is that of the rule.
    fn traced(&self, number: usize) -> Option<TracedInput<'_>> {
        Some(TracedInput { value: self.value?, whole: self.whole, taint: self.taints[number].as_ref() })
    }
}

impl TracedPackage {
    /// Works out what the outputs of a package hold, with every flagged script a source.
    pub fn new(ledger: &mut Ledger<'_>, package: Package) -> Result<Self> {
        let mut traced = Self { package, held: Vec::new() };
        traced.held = traced.work_out(ledger, SourceScripts::All)?;
        Ok(traced)
    }

    /// What the outputs of the last transaction hold with the scripts of one label as the only sources.
    pub fn held_of_label(
        &self,
        ledger: &mut Ledger<'_>,
        label: &str,
        holdings: &LabelHoldings,
    ) -> Result<Vec<OutputTaint>> {
        Ok(self.work_out(ledger, SourceScripts::Label(label, holdings))?.pop().unwrap_or_default())
    }

    /// The fewest hops that an output can have by an input of the last transaction, and the rule that says so.
    pub fn nearest_input(&self, ledger: &Ledger<'_>) -> Result<Option<(u32, Rule)>> {
        let Some(last) = self.package.transactions.last() else { return Ok(None) };
        let mut nearest: Option<(u32, Rule)> = None;
        for rule in &ledger.snapshot.trace.rules {
            for origin in &last.inputs {
                if let Some(hops) = self.hops(ledger, origin, *rule)?
                    && nearest.is_none_or(|(fewest, _)| hops < fewest)
                {
                    nearest = Some((hops, *rule));
                }
            }
        }
        Ok(nearest.map(|(hops, rule)| (hops.saturating_add(1), rule)))
    }

    /// What every output holds, at least.
    fn work_out(&self, ledger: &mut Ledger<'_>, sources: SourceScripts<'_>) -> Result<Vec<Vec<OutputTaint>>> {
        let mut held: Vec<Vec<OutputTaint>> = Vec::new();
        for of in &self.package.transactions {
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
        let mut input = PackageInput {
            value: None,
            whole: false,
            taints: vec![None; rules.len()],
            is_reached: false,
            label_sets: LabelSets::default(),
        };
        match origin {
            InputOrigin::Unknown { value, .. } => input.value = *value,
            InputOrigin::Chain(coin) => {
                input.value = Some(coin.value);
                if let Some(key) = &coin.key {
                    input.taints = sources.carried(ledger, rules, key)?;
                    input.label_sets = ledger.label_sets(*key)?;
                }
            }
            InputOrigin::Package(parent, vout) => {
                let held = &held[*parent][*vout];
                let output = &self.package.transactions[*parent].transaction.output[*vout];
                input.value = Some(output.value.to_sat());
                input.is_reached = held.is_reached && !held.columns.iter().any(RuleTaint::is_followed);
                input.taints = rules.iter().map(|rule| carried(&held.columns, *rule).cloned()).collect();
                input.label_sets = Rc::clone(&held.label_sets);
            }
        }
        let listing = self.package.listing(origin).filter(|listing| sources.has(listing, self.package.height));
        if let Some(listing) = listing {
            input.whole = true;
            let own = ledger.labels.set(&listing.labels);
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
            kind: OutputKind::of_output(&listing.script, sources.has(listing, self.package.height), listing.service),
        });
        let outputs: Vec<TracedOutput> = outputs.collect();
        let mut held: Vec<OutputTaint> = vec![OutputTaint::default(); outputs.len()];
        let parameters = &ledger.snapshot.trace;
        for (number, rule) in parameters.rules.iter().enumerate() {
            let brought: Vec<_> = inputs.iter().map(|input| input.traced(number)).collect();
            let least = pass_at_least(*rule, parameters.gates(), &brought, &outputs);
            for ((held, column), reached) in held.iter_mut().zip(least.passed.outputs).zip(least.reached) {
                held.columns.extend(column);
                held.is_reached |= reached;
            }
        }
        if inputs.iter().any(|input| input.is_reached) {
            held.iter_mut().zip(&outputs).for_each(|(held, output)| held.is_reached |= output.value > 0);
        }
        let sets = union(inputs.iter().filter(|input| input.has_taint()).map(|input| Rc::clone(&input.label_sets)));
        for (held, listing) in held.iter_mut().zip(&of.outputs) {
            let own = listing
                .is_flagged_at(self.package.height)
                .then(|| Rc::new([ledger.labels.set(&listing.labels)].into()));
            held.label_sets = union(std::iter::once(Rc::clone(&sets)).chain(own));
        }
        held
    }

    /// The way back from an output of the last transaction: through the package, then through the chain, with the same choice at each
    /// step.
    pub fn path(&self, ledger: &mut Ledger<'_>, vout: usize, rule: Rule) -> Result<Vec<OutPoint>> {
        let mut path = Vec::new();
        let (mut at, mut vout) = (self.package.transactions.len().saturating_sub(1), vout);
        while let Some(of) = self.package.transactions.get(at) {
            let index = u32::try_from(vout).unwrap_or(u32::MAX);
            path.push(OutPoint { txid: of.transaction.compute_txid(), vout: index });
            if of.outputs[vout].is_flagged_at(self.package.height) {
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
                    if !listing.is_flagged_at(self.package.height) =>
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
        if self.package.listing(origin).is_some_and(|listing| listing.is_flagged_at(self.package.height)) {
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
