//! What was found of one target, output by output.

use bitcoin::OutPoint;

use super::ledger::{LabelSets, Ledger, union};
use super::sources::{self, LabelShare};
use crate::index::keys::CoinKey;
use crate::query::Result;
use crate::query::by_rule::ByRule;
use crate::query::facts::script::ScriptListing;
use crate::trace::{Rule, RuleTaint};

/// What was found of a target; the row takes from it what its verdict vouches for.
#[derive(Default)]
pub struct Findings {
    /// Whether a script of its own is flagged.
    pub is_listed: bool,
    /// The labels of its own scripts, each once.
    pub labels: Vec<String>,
    /// Fewest spends from a source.
    pub hops: Option<u32>,
    /// Satoshis.
    pub value_sat: Option<u64>,
    /// Taint by tracked rule; `None` where it isn't known.
    pub taint_sat: Option<ByRule>,
    /// The labels that its taint comes from.
    pub sources: Vec<LabelShare>,
    /// From the output nearest to a source back to that.
    pub path: Vec<OutPoint>,
    /// Inputs on flagged scripts.
    pub flagged_inputs: Option<u64>,
    /// Outputs on flagged scripts.
    pub flagged_outputs: Option<u64>,
    /// The labels of another script of the same key, where that is flagged and the target's own is not.
    pub same_key: Option<String>,
}

impl Findings {
    /// Whether it holds taint.
    pub fn is_tainted(&self) -> bool {
        self.taint_sat.as_ref().is_some_and(ByRule::is_some)
    }

    /// A reason that also names another listed script of the same key: matching is by exact script.
    pub fn with_same_key(&self, why: String) -> String {
        match &self.same_key {
            Some(labels) => format!("{why}; but another script of the same key is listed: {labels}"),
            None => why,
        }
    }
}

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
            nearest: None,
            outputs: 0,
        }
    }

    /// Adds an output: its script, its value, and its taint by rule; says whether that is any.
    pub fn add(&mut self, listing: &ScriptListing, value: u64, columns: &[RuleTaint]) -> bool {
        self.add_labels(listing);
        self.value = self.value.saturating_add(value);
        self.flagged += u64::from(listing.flagged_from.is_some());
        let number = self.outputs;
        self.outputs += 1;
        let taint = ByRule::of_columns(&self.rules, columns);
        if !taint.is_some() {
            return false;
        }
        self.taint.add(&taint);
        for column in columns.iter().filter(|column| column.taint.amount > 0) {
            if self.nearest.is_none_or(|(fewest, ..)| column.taint.hops < fewest) {
                self.nearest = Some((column.taint.hops, column.rule, number));
            }
        }
        true
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

    /// The labels that the taint comes from, each with its share: `part` gives that of a label that only some of it comes from.
    ///
    /// # Errors
    /// What `part` reports.
    pub fn sources(
        &self,
        ledger: &mut Ledger<'_>,
        part: impl FnMut(&mut Ledger<'_>, &str) -> Result<ByRule>,
    ) -> Result<Vec<LabelShare>> {
        sources::shares(ledger, &union(self.label_sets.iter().cloned()), &self.taint, part)
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
        if self.tally.add(listing, value, columns) {
            self.tally.add_sources(ledger.label_sets(key)?);
            self.tainted.push(key);
        }
        self.coins.push(key);
        Ok(())
    }

    /// Adds the labels of a script.
    pub fn add_labels(&mut self, listing: &ScriptListing) {
        self.tally.add_labels(listing);
    }

    /// What was found, with sources and path.
    pub fn findings(self, ledger: &mut Ledger<'_>) -> Result<Findings> {
        let rules = &ledger.snapshot.trace.rules;
        let sources = self.tally.sources(ledger, |ledger, label| {
            let holdings = ledger.label_holdings(label)?;
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
