//! What was found of one target, before a verdict is made of it.

use bitcoin::{OutPoint, Txid};
use serde::Serialize;

use crate::chain::Height;
use crate::query::Result;
use crate::query::by_rule::ByRule;
use crate::query::facts::ScriptInfo;
use crate::query::screen::coins::cut::CutCoins;
use crate::query::screen::coins::label_shares::LabelShare;
use crate::query::screen::coins::ledger::Ledger;
use crate::query::screen::evidence::proof::ProvenBy;

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

/// What was found of a target; the row takes from it what its verdict vouches for.
#[derive(Default)]
pub struct Findings {
    /// Whether the target is a single output.
    pub is_coin: bool,
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
    /// Flagged scripts of the same key as one of its own that is not flagged.
    pub same_key: Vec<ScriptInfo>,
    /// The coins among those that it spends at which the index stopped following.
    pub cut: CutCoins,
    /// Whether its taint is as given, or at least that.
    pub bound: Bound,
    /// Whether known taint reaches it, or may, with the right coins behind inputs that aren't known.
    pub is_reached: bool,
    /// What else has to be known of a finding.
    pub note: Option<String>,
    /// Who says in which block it is.
    pub proven_by: Option<ProvenBy>,
}

impl Findings {
    /// Whether it holds taint, or known taint may reach it.
    pub fn is_tainted(&self) -> bool {
        self.is_reached || self.taint_sat.as_ref().is_some_and(ByRule::is_some)
    }

    /// The same, with the cut coins among those that its transaction spends at a height, if nothing else was found.
    ///
    /// # Errors
    /// What reading reports.
    pub fn with_cut(
        self,
        ledger: &mut Ledger<'_>,
        transaction: (Txid, Height),
        spent: impl Iterator<Item = OutPoint>,
    ) -> Result<Self> {
        if self.is_listed || self.is_tainted() {
            return Ok(self);
        }
        let cut = (*ledger.cut_coins(transaction, spent)?).clone();
        Ok(Self { cut, ..self })
    }

    /// The same, with taint that is what it holds at least where it rests on an unknown coin, or on heights that were not scanned.
    #[must_use]
    pub fn bounded(self, rests_on_unknown: bool, is_blind: bool) -> Self {
        // Where every rule taints all of it, heights that were not scanned have no more to add.
        let is_whole =
            self.taint_sat.as_ref().is_some_and(|taint| taint.iter().all(|(_, taint)| Some(taint) == self.value_sat));
        let unseen = is_blind && !is_whole;
        Self { bound: if rests_on_unknown || unseen { Bound::Lower } else { Bound::Exact }, ..self }
    }

    /// A reason with what else has to be known.
    pub fn with_note(&self, why: String) -> String {
        let at_least = if self.bound == Bound::Lower { "; its taint is what it holds at least" } else { "" };
        match &self.note {
            Some(note) => format!("{why}{at_least}; {note}"),
            None => format!("{why}{at_least}"),
        }
    }

    /// The flagged scripts of the same key in words; `None` where there are none.
    pub fn same_key_words(&self) -> Option<String> {
        let words = self.same_key.iter().map(|listed| {
            let script = listed.address.clone().unwrap_or_else(|| format!("script:{}", listed.script));
            format!("{script} ({})", listed.labels.join("; "))
        });
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| format!("another script of the same key is listed: {}", words.join(", ")))
    }
}
