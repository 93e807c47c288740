//! What `screen` answers, target by target.

use bitcoin::OutPoint;
use serde::Serialize;

use crate::query::by_rule::ByRule;

/// What is said of a target. The worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Its own script is on a list.
    Flagged,
    /// It holds taint under a tracked rule.
    Derived,
    /// The index's silence proves nothing.
    Unknown,
    /// Nothing above the gates, and the index's silence proves it.
    None,
}

impl Verdict {
    /// As answers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flagged => "flagged",
            Self::Derived => "derived",
            Self::Unknown => "unknown",
            Self::None => "none",
        }
    }
}

/// One target's row (field by field: docs/cli.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScreenRow {
    /// As it was typed; of what can't be read only what holds no secret.
    pub target: String,
    /// What is said of it.
    pub verdict: Verdict,
    /// What lists say of its own script; of a transaction, of its outputs' scripts.
    pub labels: Vec<String>,
    /// Fewest spends from a source; `None` without taint.
    pub hops: Option<u32>,
    /// Satoshis of the coin, or of all outputs of the transaction; `None` for an address, and where nobody told.
    pub value_sat: Option<u64>,
    /// Taint by tracked rule; of an address, that of all coins it ever held. `None` where it isn't known.
    pub taint_sat: Option<ByRule>,
    /// The labels that lie behind it, each by a trace of its own.
    pub sources: Vec<SourceRow>,
    /// From the coin back to a source.
    pub path: Vec<OutPoint>,
    /// Inputs of the transaction on flagged scripts; `None` for an address, and where it isn't known.
    pub flagged_inputs: Option<u64>,
    /// Outputs of the transaction on flagged scripts; `None` as above.
    pub flagged_outputs: Option<u64>,
    /// Why the verdict is what it is.
    pub why: String,
}

impl ScreenRow {
    /// A row that says nothing yet.
    pub fn unknown(target: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            verdict: Verdict::Unknown,
            labels: Vec::new(),
            hops: None,
            value_sat: None,
            taint_sat: None,
            sources: Vec::new(),
            path: Vec::new(),
            flagged_inputs: None,
            flagged_outputs: None,
            why: why.into(),
        }
    }

    /// Whether there is something to look at: a verdict, or a flagged script on either side of the transaction.
    pub fn is_found(&self) -> bool {
        let touches = [self.flagged_inputs, self.flagged_outputs].into_iter().flatten().any(|count| count > 0);
        matches!(self.verdict, Verdict::Flagged | Verdict::Derived) || touches
    }
}

/// How much of a target's taint comes from the scripts of one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceRow {
    /// The label.
    pub label: String,
    /// Taint by tracked rule, as if only this label's scripts were flagged.
    pub taint_sat: ByRule,
}
