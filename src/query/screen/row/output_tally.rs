//! Sums over the outputs of one target: of any transaction's ([`OutputTally`]), or of coins that the index has ([`CoinTally`]).

use std::collections::BTreeMap;

use bitcoin::Transaction;

use super::findings::Findings;
use crate::index::keys::CoinKey;
use crate::query::Result;
use crate::query::by_rule::ByRule;
use crate::query::facts::ScriptInfo;
use crate::query::facts::script::ScriptListing;
use crate::query::screen::coins::coin_parts::LabelHoldings;
use crate::query::screen::coins::label_shares::{self, LabelShare};
use crate::query::screen::coins::ledger::{LabelSets, Ledger, union};
use crate::trace::{Rule, RuleTaint};
use crate::watchlist::same_key::key_of_input;

/// The sums over a target's outputs.
pub struct OutputTally {
    rules: Vec<Rule>,
    /// Outputs on flagged scripts.
    pub flagged: u64,
    /// Satoshis of all outputs.
    value: u64,
    taint: ByRule,
    labels: Vec<String>,
    /// The labels that the taint of each tainted output comes from.
    label_sets: Vec<LabelSets>,
    /// Flagged scripts of the keys of others, by these scripts in hex.
    same_key: BTreeMap<String, ScriptInfo>,
    /// The fewest hops, under the first rule that has them, and the number of that output.
    nearest: Option<(u32, Rule, usize)>,
    outputs: usize,
}

impl OutputTally {
    /// No output yet, under these rules.
    pub fn new(rules: &[Rule]) -> Self {
        Self {
            rules: rules.to_vec(),
            flagged: 0,
            value: 0,
            taint: ByRule::none(rules),
            labels: Vec::new(),
            label_sets: Vec::new(),
            same_key: BTreeMap::new(),
            nearest: None,
            outputs: 0,
        }
    }

    /// Adds an output: its script, its value, and its taint by rule; says whether that is any.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn add(
        &mut self,
        ledger: &mut Ledger<'_>,
        listing: &ScriptListing,
        value: u64,
        columns: &[RuleTaint],
    ) -> Result<bool> {
        self.add_labels(listing);
        self.add_same_key(ledger, listing)?;
        self.value = self.value.saturating_add(value);
        self.flagged += u64::from(listing.flagged_from.is_some());
        let number = self.outputs;
        self.outputs += 1;
        let taint = ByRule::of_columns(&self.rules, columns);
        if !taint.is_some() {
            return Ok(false);
        }
        self.taint.add(&taint);
        for column in columns.iter().filter(|column| column.taint.amount > 0) {
            if self.nearest.is_none_or(|(fewest, ..)| column.taint.hops < fewest) {
                self.nearest = Some((column.taint.hops, column.rule, number));
            }
        }
        Ok(true)
    }

    /// Adds the flagged scripts of the same key as a script that is not flagged itself.
    pub fn add_same_key(&mut self, ledger: &mut Ledger<'_>, listing: &ScriptListing) -> Result<()> {
        if listing.flagged_from.is_none() {
            for listed in ledger.same_key(&listing.script)?.iter() {
                self.same_key.entry(listed.script.clone()).or_insert_with(|| listed.clone());
            }
        }
        Ok(())
    }

    /// Adds the flagged scripts of the keys that a transaction's inputs show.
    pub fn add_keys_shown(&mut self, ledger: &Ledger<'_>, transaction: &Transaction) -> Result<()> {
        for key in transaction.input.iter().filter_map(key_of_input) {
            for listed in ledger.scripts_of_key(&key)? {
                self.same_key.entry(listed.script.clone()).or_insert(listed);
            }
        }
        Ok(())
    }

    /// Adds the labels that the taint of an output comes from.
    pub fn add_sources(&mut self, labels: LabelSets) {
        self.label_sets.push(labels);
    }

    /// Adds the labels of a script.
    pub fn add_labels(&mut self, listing: &ScriptListing) {
        for label in &listing.labels {
            if !self.labels.contains(label) {
                self.labels.push(label.clone());
            }
        }
    }

    /// The output nearest to a source: its number among those added, and the rule.
    pub fn nearest(&self) -> Option<(usize, Rule)> {
        self.nearest.map(|(_, rule, number)| (number, rule))
    }

    /// The labels that the taint comes from, each with its share: `part` gives that of a label that only some of it comes from, of
    /// what these coins hold in that label's trace.
    pub fn sources<'a>(
        &self,
        ledger: &mut Ledger<'a>,
        coins: &[CoinKey],
        part: impl FnMut(&mut Ledger<'a>, &str, &LabelHoldings) -> Result<ByRule>,
    ) -> Result<Vec<LabelShare>> {
        label_shares::shares(ledger, &union(self.label_sets.iter().cloned()), &self.taint, coins, part)
    }

    /// What was found, without sources and path.
    pub fn findings(self) -> Findings {
        Findings {
            is_listed: self.flagged > 0,
            labels: self.labels,
            hops: self.nearest.map(|(hops, ..)| hops),
            value_sat: Some(self.value),
            taint_sat: Some(self.taint),
            flagged_outputs: Some(self.flagged),
            same_key: self.same_key.into_values().collect(),
            ..Findings::default()
        }
    }
}

/// Coins of the index, and the sums over them.
pub struct CoinTally {
    tally: OutputTally,
    /// Each output added, with its row in the index.
    coins: Vec<CoinKey>,
    /// Those that hold taint.
    tainted: Vec<CoinKey>,
}

impl CoinTally {
    /// No coin yet, under these rules.
    pub fn new(rules: &[Rule]) -> Self {
        Self { tally: OutputTally::new(rules), coins: Vec::new(), tainted: Vec::new() }
    }

    /// Adds a coin with the taint that its row has.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn add(
        &mut self,
        ledger: &mut Ledger<'_>,
        key: CoinKey,
        listing: &ScriptListing,
        value: u64,
        columns: &[RuleTaint],
    ) -> Result<()> {
        if self.tally.add(ledger, listing, value, columns)? {
            self.tally.add_sources(ledger.label_sets(key)?);
            self.tainted.push(key);
        }
        self.coins.push(key);
        Ok(())
    }

    /// Adds the labels of a script, and the flagged scripts of its key.
    pub fn add_script(&mut self, ledger: &mut Ledger<'_>, listing: &ScriptListing) -> Result<()> {
        self.tally.add_labels(listing);
        self.tally.add_same_key(ledger, listing)
    }

    /// Adds the flagged scripts of the key of a script that the transaction spends from.
    pub fn add_spent(&mut self, ledger: &mut Ledger<'_>, listing: &ScriptListing) -> Result<()> {
        self.tally.add_same_key(ledger, listing)
    }

    /// What was found, with sources and path.
    pub fn findings(self, ledger: &mut Ledger<'_>) -> Result<Findings> {
        let rules = &ledger.snapshot.trace.rules;
        let sources = self.tally.sources(ledger, &self.tainted, |_, _, holdings| {
            Ok(ByRule::of(rules, |number, _| {
                let held = self.tainted.iter().filter_map(|key| holdings.get(key)?.get(number)?.as_ref());
                held.map(|held| held.taint.amount).fold(0, u64::saturating_add)
            }))
        })?;
        let path = match self.tally.nearest() {
            Some((number, rule)) => ledger.path(self.coins[number], rule)?,
            None => Vec::new(),
        };
        Ok(Findings { sources, path, ..self.tally.findings() })
    }
}
