//! The row of one target. It is built once, by its verdict: what a verdict can't vouch for is left out.

use bitcoin::OutPoint;
use serde::Serialize;

use super::findings::Findings;
use super::proof::{ProvenBy, Ruling};
use super::sources::LabelShare;
use crate::query::by_rule::ByRule;
use crate::query::facts::ScriptInfo;

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

/// How sure the taint of a row is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// It is what the rule says.
    #[default]
    Exact,
    /// It is at least that: a coin that is spent isn't known.
    Lower,
}

/// One target's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScreenRow {
    /// As it was typed; of what can't be read only what holds no secret.
    pub target: String,
    /// What is said of it.
    pub verdict: Verdict,
    /// The labels of its own script; of a transaction, those of its outputs' scripts.
    pub labels: Vec<String>,
    /// Fewest spends from a source; `None` without taint.
    pub hops: Option<u32>,
    /// Satoshis of the coin, or of all outputs of the transaction; `None` for an address, and where the amount isn't known.
    pub value_sat: Option<u64>,
    /// Taint by tracked rule; of an address, that of all coins it ever held. `None` where it isn't known.
    pub taint_sat: Option<ByRule>,
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
    /// Who says in which block of the index's chain it is; `None` where nobody does, and where the verdict is unknown.
    pub proven_by: Option<ProvenBy>,
    /// Why the verdict is what it is.
    pub why: String,
}

impl ScreenRow {
    /// The row of what was found: the worst of it, or where nothing was found, what the ruling says of that.
    pub(super) fn new(target: &str, found: Findings, ruling: Ruling) -> Self {
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
            proven_by: found.proven_by,
            labels: found.labels,
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
            proven_by: found.proven_by,
            labels: found.labels,
        }
    }

    /// The row of a target of whose key another script is listed; `why` is what is said of finding nothing else.
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
            why,
            taint_sat: found.taint_sat,
            bound: None,
            sources: Vec::new(),
            path: Vec::new(),
            flagged_inputs: found.flagged_inputs,
            flagged_outputs: found.flagged_outputs,
            same_key: found.same_key,
            proven_by: found.proven_by,
            labels: found.labels,
        }
    }

    /// The row of a target about which nothing is proven.
    fn unknown(target: &str, found: Findings, why: String) -> Self {
        Self { verdict: Verdict::Unknown, taint_sat: None, proven_by: None, ..Self::clean(target, found, why) }
    }

    /// The row of a target about which nothing is known but why.
    pub fn nothing_known(target: &str, why: impl Into<String>) -> Self {
        Self::unknown(target, Findings::default(), why.into())
    }

    /// Whether it is a hit: by its verdict, or by a flagged script on either side of the transaction.
    pub fn is_found(&self) -> bool {
        let touches = [self.flagged_inputs, self.flagged_outputs].into_iter().flatten().any(|count| count > 0);
        matches!(self.verdict, Verdict::Flagged | Verdict::Derived | Verdict::SameKey) || touches
    }
}

/// Two parts of a reason.
fn joined(first: &str, second: Option<String>) -> String {
    second.map_or_else(|| first.to_owned(), |second| format!("{first}; {second}"))
}
