//! The row of one target. It is built once, by its verdict: what a verdict can't vouch for is left out.

use bitcoin::OutPoint;
use serde::Serialize;

use super::findings::{Bound, Findings};
use super::threshold::{Shares, Thresholds};
use crate::query::by_rule::ByRule;
use crate::query::facts::ScriptInfo;
use crate::query::screen::coins::cut::CutCoin;
use crate::query::screen::coins::label_shares::LabelShare;
use crate::query::screen::evidence::proof::{ProvenBy, Ruling};

/// What `screen` says of a target. The worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Its own script is on a list.
    Flagged,
    /// It holds taint under a tracked rule.
    Derived,
    /// It is not on a list, but another script of the same key is.
    SameKey,
    /// Nothing was found, and that proves nothing.
    Unknown,
    /// It holds nothing above the gates, and the index proves it.
    None,
}

impl Verdict {
    /// As answers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flagged => "flagged",
            Self::Derived => "derived",
            Self::SameKey => "same_key",
            Self::Unknown => "unknown",
            Self::None => "none",
        }
    }
}

/// One target's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScreenRow {
    /// As it was typed; of what can't be read only what holds no secret.
    pub target: String,
    /// Flagged, tainted, of a listed key, or neither, and whether that is proven.
    pub verdict: Verdict,
    /// The labels of its own script; of a transaction, those of its outputs' scripts.
    pub labels: Vec<String>,
    /// Fewest spends from a source; `None` without taint.
    pub hops: Option<u32>,
    /// Satoshis of the coin, or of all outputs of the transaction; `None` for an address, and where the amount isn't known.
    pub value_sat: Option<u64>,
    /// Taint by tracked rule; of an address, that of all coins it ever held. `None` where it isn't known, or below the gates, where it
    /// wasn't looked for.
    pub taint_sat: Option<ByRule>,
    /// That taint as a part of the value, by tracked rule; `None` where one of the two isn't known.
    pub share: Option<Shares>,
    /// Whether it holds taint, and less than the caller counts.
    pub below_threshold: bool,
    /// Whether that is exact or a lower bound; `None` without taint.
    pub bound: Option<Bound>,
    /// The labels that its taint comes from, each with its share.
    pub sources: Vec<LabelShare>,
    /// From the coin back to a source.
    pub path: Vec<OutPoint>,
    /// Inputs of the transaction on flagged scripts; `None` for an address, and where it isn't known.
    pub flagged_inputs: Option<u64>,
    /// Outputs of the transaction on flagged scripts; `None` as above.
    pub flagged_outputs: Option<u64>,
    /// Flagged scripts of the same key, where the target's own script is not flagged.
    pub same_key: Vec<ScriptInfo>,
    /// Of the coins that its transaction spends, those at which the index stopped following that hold most; only where nothing was found.
    pub cut_coins: Vec<CutCoin>,
    /// The taint on all of these, by tracked rule; `None` where there are none.
    pub cut_sat: Option<ByRule>,
    /// Who says in which block of the index's chain it is; `None` where none of them does, and where the verdict is unknown.
    pub proven_by: Option<ProvenBy>,
    /// Why the verdict is what it is.
    pub why: String,
    /// Whether the target is a single output.
    #[serde(skip)]
    is_coin: bool,
}

impl ScreenRow {
    /// The row of what was found: the worst of it, or where nothing was found, what the ruling says of that.
    pub(in crate::query::screen) fn new(target: &str, found: Findings, ruling: Ruling) -> Self {
        // The worst first, as the verdicts are ordered: a target is on a list whatever taint it holds, and what was found counts whatever
        // finding nothing would prove.
        match ruling {
            _ if found.is_listed => Self::flagged(target, found),
            _ if found.is_tainted() => Self::derived(target, found),
            Ruling::Clean(why) | Ruling::Unproven(why) if !found.same_key.is_empty() => {
                Self::same_key(target, found, &why)
            }
            Ruling::Clean(why) => Self::clean(target, found, why),
            Ruling::Unproven(why) => Self::unknown(target, found, why),
        }
    }

    /// The row of a target on a list, whatever is known besides.
    fn flagged(target: &str, found: Findings) -> Self {
        Self {
            target: target.to_owned(),
            verdict: Verdict::Flagged,
            hops: Some(0),
            value_sat: found.value_sat,
            bound: found.taint_sat.as_ref().filter(|taint| taint.is_some()).map(|_| found.bound),
            why: found.with_note(format!("listed: {}", found.labels.join("; "))),
            taint_sat: found.taint_sat,
            sources: found.sources,
            path: found.path,
            flagged_inputs: found.flagged_inputs,
            flagged_outputs: found.flagged_outputs,
            same_key: Vec::new(),
            share: None,
            below_threshold: false,
            cut_coins: Vec::new(),
            cut_sat: None,
            proven_by: found.proven_by,
            labels: found.labels,
            is_coin: found.is_coin,
        }
    }

    /// The row of a target that holds taint.
    fn derived(target: &str, found: Findings) -> Self {
        Self {
            target: target.to_owned(),
            verdict: Verdict::Derived,
            hops: found.hops,
            value_sat: found.value_sat,
            why: joined(&found.with_note("holds taint of flagged coins".to_owned()), found.same_key_words()),
            taint_sat: found.taint_sat,
            bound: Some(found.bound),
            sources: found.sources,
            path: found.path,
            flagged_inputs: found.flagged_inputs,
            flagged_outputs: found.flagged_outputs,
            same_key: found.same_key,
            share: None,
            below_threshold: false,
            cut_coins: Vec::new(),
            cut_sat: None,
            proven_by: found.proven_by,
            labels: found.labels,
            is_coin: found.is_coin,
        }
    }

    /// The row of a target of whose key another script is listed; `why` is what finding nothing else proves.
    fn same_key(target: &str, found: Findings, why: &str) -> Self {
        let why = joined(&found.same_key_words().unwrap_or_default(), Some(why.to_owned()));
        Self { verdict: Verdict::SameKey, ..Self::unknown(target, found, why) }
    }

    /// The row of a target that holds nothing, which is proven.
    fn clean(target: &str, found: Findings, why: String) -> Self {
        Self {
            target: target.to_owned(),
            verdict: Verdict::None,
            hops: None,
            value_sat: found.value_sat,
            why: joined(&why, found.cut.words()),
            taint_sat: None,
            share: None,
            below_threshold: false,
            bound: None,
            sources: Vec::new(),
            path: Vec::new(),
            flagged_inputs: found.flagged_inputs,
            flagged_outputs: found.flagged_outputs,
            same_key: found.same_key,
            cut_coins: found.cut.coins,
            cut_sat: found.cut.taint,
            proven_by: found.proven_by,
            labels: found.labels,
            is_coin: found.is_coin,
        }
    }

    /// The row of a target about which nothing is proven.
    fn unknown(target: &str, found: Findings, why: String) -> Self {
        Self { verdict: Verdict::Unknown, proven_by: None, ..Self::clean(target, found, why) }
    }

    /// The row of a target about which nothing is known but why.
    pub fn nothing_known(target: &str, why: impl Into<String>) -> Self {
        Self::unknown(target, Findings::default(), why.into())
    }

    /// Works out the share, and whether the taint of a target that is not listed itself is enough to count.
    pub(in crate::query::screen) fn weigh(&mut self, thresholds: &Thresholds) {
        self.share = self.taint_sat.as_ref().zip(self.value_sat).and_then(|(taint, value)| Shares::of(taint, value));
        if self.verdict != Verdict::Derived {
            return;
        }
        if let Some(share) = &self.share {
            self.why = format!("{} ({})", self.why, share.words());
        }
        self.below_threshold = !thresholds.are_reached(self.taint_sat.as_ref(), self.value_sat);
        if self.below_threshold {
            self.why = format!("{}; below {}", self.why, thresholds.words());
        }
    }

    /// Whether it is a hit: by its verdict, where its taint is enough, or by a flagged script on either side of the transaction. A coin is
    /// none for a flagged output beside it.
    pub fn is_found(&self) -> bool {
        match self.verdict {
            Verdict::Flagged | Verdict::SameKey => true,
            Verdict::Derived => !self.below_threshold,
            Verdict::Unknown | Verdict::None => {
                let beside = self.flagged_outputs.filter(|_| !self.is_coin);
                [self.flagged_inputs, beside].into_iter().flatten().any(|count| count > 0)
            }
        }
    }

    /// Whether there may be more than is known: nothing is proven, or the taint is too little to count, and may be more.
    pub fn is_unsure(&self) -> bool {
        self.verdict == Verdict::Unknown || (self.below_threshold && self.bound == Some(Bound::Lower))
    }
}

/// Two parts of a reason.
fn joined(first: &str, second: Option<String>) -> String {
    second.map_or_else(|| first.to_owned(), |second| format!("{first}; {second}"))
}
