//! What was found of one target, coin by coin, and the row that it makes.

use std::collections::BTreeSet;

use super::answer::{ScreenRow, SourceRow, Verdict};
use super::by_label::ByLabel;
use super::ledger::{Behind, Ledger, union};
use crate::index::keys::CoinKey;
use crate::query::Result;
use crate::query::by_rule::ByRule;
use crate::query::trace::place::Place;
use crate::trace::{Rule, RuleTaint};

/// What was found so far.
pub struct Tally {
    rules: Vec<Rule>,
    /// The coins of the index that hold taint.
    pub coins: Vec<CoinKey>,
    /// How many outputs are on flagged scripts.
    pub flagged: u64,
    /// Satoshis of all of them.
    pub value: u64,
    taint: ByRule,
    labels: Vec<String>,
    behind: Vec<Behind>,
    /// The fewest hops, under the first rule that has them, and which of the outputs that is.
    nearest: Option<(u32, Rule, usize)>,
    seen: usize,
}

impl Tally {
    /// Nothing yet, under these rules.
    pub fn new(rules: &[Rule]) -> Self {
        Self {
            rules: rules.to_vec(),
            coins: Vec::new(),
            flagged: 0,
            value: 0,
            taint: ByRule::none(rules),
            labels: Vec::new(),
            behind: Vec::new(),
            nearest: None,
            seen: 0,
        }
    }

    /// Adds an output: its script, its value, what it holds by rule, and what lies behind it.
    pub fn add(
        &mut self,
        place: &Place,
        value: u64,
        columns: &[RuleTaint],
        behind: impl FnOnce() -> Result<Behind>,
    ) -> Result<bool> {
        self.add_script(place);
        self.value = self.value.saturating_add(value);
        self.flagged += u64::from(place.flagged_from.is_some());
        let number = self.seen;
        self.seen += 1;
        let taint = ByRule::of_columns(&self.rules, columns);
        if !taint.is_some() {
            return Ok(false);
        }
        self.taint.add(&taint);
        self.behind.push(behind()?);
        for column in columns.iter().filter(|column| column.taint.amount > 0) {
            if self.nearest.is_none_or(|(fewest, ..)| column.taint.hops < fewest) {
                self.nearest = Some((column.taint.hops, column.rule, number));
            }
        }
        Ok(true)
    }

    /// Adds what lists say of a script.
    pub fn add_script(&mut self, place: &Place) {
        for label in &place.labels {
            if !self.labels.contains(label) {
                self.labels.push(label.clone());
            }
        }
    }

    /// Whether something holds taint.
    pub fn is_derived(&self) -> bool {
        self.taint.is_some()
    }

    /// The nearest output to a source: which of those added, and the rule.
    pub fn nearest(&self) -> Option<(usize, Rule)> {
        self.nearest.map(|(_, rule, number)| (number, rule))
    }

    /// The row, but for path and sources: `silence` is why nothing was found proves nothing, if it doesn't.
    pub fn row(&self, target: &str, silence: Result<String, String>) -> ScreenRow {
        let (verdict, why) = match silence {
            _ if self.flagged > 0 => (Verdict::Flagged, format!("listed: {}", self.labels.join("; "))),
            _ if self.is_derived() => (Verdict::Derived, "holds taint of flagged coins".to_owned()),
            Ok(why) => (Verdict::None, why),
            Err(why) => (Verdict::Unknown, why),
        };
        let hops = self.nearest.map(|(hops, ..)| hops);
        ScreenRow {
            verdict,
            labels: self.labels.clone(),
            hops: if self.flagged > 0 { Some(0) } else { hops },
            value_sat: Some(self.value),
            taint_sat: (verdict != Verdict::Unknown).then(|| self.taint.clone()),
            ..ScreenRow::unknown(target, why)
        }
    }

    /// The labels that lie behind, each with its part: `part` gives that of a label that doesn't stand for all of it.
    ///
    /// # Errors
    /// What `part` reports.
    pub fn sources(
        &self,
        ledger: &mut Ledger<'_>,
        mut part: impl FnMut(&mut Ledger<'_>, &str) -> Result<ByRule>,
    ) -> Result<Vec<SourceRow>> {
        let behind = union(self.behind.iter().cloned());
        let combinations: Vec<Vec<String>> = behind.iter().map(|number| ledger.labels(*number).to_vec()).collect();
        let labels: BTreeSet<&String> = combinations.iter().flatten().collect();
        let mut rows = Vec::new();
        for label in labels {
            // Where every source behind has the label, its own trace is the trace of all of them.
            let whole = combinations.iter().all(|labels| labels.contains(label));
            let taint_sat = if whole { self.taint.clone() } else { part(ledger, label)? };
            rows.push(SourceRow { label: label.clone(), taint_sat });
        }
        if rows.iter().any(|row| row.taint_sat.is_some()) {
            // What a label alone has brought may have been rounded or cut away on the way.
            rows.retain(|row| row.taint_sat.is_some());
        }
        // Stable: the same taint in the order of the labels.
        rows.sort_by_key(|row| std::cmp::Reverse(row.taint_sat.iter().map(|(_, taint)| taint).max()));
        Ok(rows)
    }
}

/// Adds sources and path, for coins of the index.
///
/// # Errors
/// What reading reports.
pub fn explain(
    row: &mut ScreenRow,
    tally: &Tally,
    ledger: &mut Ledger<'_>,
    by_label: &mut ByLabel,
    outputs: &[Option<CoinKey>],
) -> Result<()> {
    let rules = ledger.snapshot.trace.rules.clone();
    row.sources = tally.sources(ledger, |ledger, label| {
        let holdings = by_label.of(ledger.snapshot, label)?;
        let held = |key, number: usize| Some(holdings.get(key)?.get(number)?.as_ref()?.0.amount);
        let amount = |number| tally.coins.iter().filter_map(|key| held(key, number)).fold(0, u64::saturating_add);
        Ok(ByRule::of(&rules, |number, _| amount(number)))
    })?;
    if let Some((number, rule)) = tally.nearest()
        && let Some(Some(key)) = outputs.get(number)
    {
        row.path = ledger.path(*key, rule)?;
    }
    Ok(())
}
