//! Whether finding nothing proves that there is nothing. This is the only place that decides it, for every way to ask.
//!
//! It takes four things: the index as a whole has scanned everything that the lists ask for, up to now; the target is confirmed in a
//! settled block of the index's chain, and the index, the node or the caller says so; nothing about the transaction speaks against that;
//! and its history lies where every flagged entry was scanned, or below the height from which the caller asks. Where one of them lacks,
//! the verdict is `unknown` with the reason.

use serde::Serialize;

use crate::chain::{BlockId, Height};
use crate::index::ReadRows;
use crate::query::coverage::Coverage;
use crate::query::{Result, Snapshot};

/// Where a target is confirmed, and who says so. A height alone is no evidence: the block has to be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The index has a record of it, at this height.
    Index(Height),
    /// The index has a record that spends one of its outputs at this height: it is confirmed there or below.
    IndexSpend(Height),
    /// The node has it in this block.
    Node(BlockId),
    /// The caller says that it is in this block, and no node could be asked about it.
    Caller(BlockId),
    /// It is in no block that is known; the coins that it spends are known, and none of them holds taint.
    Inputs,
    /// It is a script: the index holds every coin of it that matters.
    Script,
    /// None, for this reason.
    Nothing(String),
}

/// Who says in which block a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProvenBy {
    /// The index, by its own records.
    Index,
    /// The node.
    Node,
    /// The caller, by naming the block.
    Caller,
}

impl ProvenBy {
    /// As answers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Node => "node",
            Self::Caller => "caller",
        }
    }
}

/// A target in which nothing was found.
pub struct Silence {
    /// Where it is confirmed.
    pub evidence: Evidence,
    /// What speaks against the place that is claimed, or against the transaction: a node that doesn't have it there, an input that is
    /// spent elsewhere or isn't known.
    pub doubt: Option<String>,
    /// The inputs of its transaction that spend from flagged scripts, as far as they are known.
    pub flagged_inputs: u64,
}

impl Silence {
    /// That of a target against which nothing is known.
    pub fn of(evidence: Evidence) -> Self {
        Self { evidence, doubt: None, flagged_inputs: 0 }
    }
}

/// The judge's word on whether finding nothing about a target proves that there is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It does, for this reason.
    Clean(String),
    /// It doesn't, for this reason.
    Unproven(String),
}

impl Ruling {
    /// Whether it proves the target clean.
    pub fn is_clean(&self) -> bool {
        matches!(self, Self::Clean(_))
    }
}

/// Heights at which taint may have moved without the index's seeing it: from the first to below the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlindHeights {
    /// The lowest height that the caller asks about.
    pub since: Height,
    /// The height from which every flagged entry is scanned.
    pub from: Height,
}

/// Judges what the index's silence proves.
pub struct SilenceJudge<'a> {
    snapshot: &'a Snapshot,
    /// Why silence of this index proves nothing about any target; `None` where it may.
    index_doubt: Option<String>,
    /// The greatest height from which a flagged entry is scanned; `None` without one.
    from: Option<Height>,
    /// The height through which the trace is settled; `None` before the first block.
    settled: Option<Height>,
    /// What happened below this height doesn't matter to the caller.
    since: Option<Height>,
}

impl<'a> SilenceJudge<'a> {
    /// The judge of an index, whose coverage is that of everything flagged.
    pub fn new(snapshot: &'a Snapshot, coverage: &Coverage) -> Self {
        Self {
            snapshot,
            index_doubt: coverage.why.first().cloned(),
            from: coverage.from,
            settled: coverage.trace.settled,
            since: None,
        }
    }

    /// Leaves out of account what happened below a height, if one is given.
    pub fn since(&mut self, since: Option<Height>) {
        self.since = since;
    }

    /// The height above the settled ones: where a transaction would be confirmed that is in none of them.
    pub fn next_height(&self) -> Height {
        self.settled.map_or(0, |settled| settled.saturating_add(1))
    }

    /// The height from which every flagged entry is scanned.
    pub fn scanned_from(&self) -> Height {
        self.from.unwrap_or_default()
    }

    /// Whether every flagged entry was scanned for at a height, so that the index has every touch of them there.
    pub fn is_scanned(&self, height: Height) -> bool {
        self.from.is_some_and(|from| from <= height) && self.settled.is_some_and(|settled| height <= settled)
    }

    /// The same for the height at which a target is confirmed.
    pub fn is_scanned_at(&self, evidence: &Evidence) -> bool {
        match evidence {
            Evidence::Index(height) => self.is_scanned(*height),
            Evidence::Node(block) | Evidence::Caller(block) => self.is_scanned(block.height),
            // It may be confirmed at any height below.
            Evidence::IndexSpend(height) => self.is_scanned(0) && self.is_scanned(*height),
            Evidence::Inputs | Evidence::Script | Evidence::Nothing(_) => false,
        }
    }

    /// The heights that matter to the caller and were not scanned for every flagged entry; `None` where there are none.
    pub fn blind(&self) -> Option<BlindHeights> {
        let (since, from) = (self.since.unwrap_or_default(), self.scanned_from());
        (since < from).then_some(BlindHeights { since, from })
    }

    /// What finding nothing proves. `history` is asked where the answer hangs on how far back the target's history reaches: it gives
    /// the reason why that reaches into blind heights, or may.
    ///
    /// # Errors
    /// What reading reports.
    pub fn rule(&self, silence: &Silence, history: impl FnOnce() -> Result<Option<String>>) -> Result<Ruling> {
        Ok(match self.doubt(silence, history)? {
            Some(doubt) => Ruling::Unproven(doubt),
            None => Ruling::Clean(self.clean(&silence.evidence)),
        })
    }

    /// Who says in which settled block of the index's chain a target is.
    ///
    /// # Errors
    /// What reading reports.
    pub fn proven_by(&self, evidence: &Evidence) -> Result<Option<ProvenBy>> {
        let proven_by = match evidence {
            Evidence::Index(_) | Evidence::IndexSpend(_) | Evidence::Script => ProvenBy::Index,
            Evidence::Node(_) => ProvenBy::Node,
            Evidence::Caller(_) => ProvenBy::Caller,
            Evidence::Inputs | Evidence::Nothing(_) => return Ok(None),
        };
        Ok(self.unplaced(evidence)?.is_none().then_some(proven_by))
    }

    /// Why a block doesn't count as settled on the index's chain; `None` where it does.
    ///
    /// # Errors
    /// What reading reports.
    pub fn doubt_of_block(&self, block: BlockId) -> Result<Option<String>> {
        match self.unsettled(block.height) {
            None => self.other_chain(block),
            doubt => Ok(doubt),
        }
    }

    /// The rules, one after the other: the first that isn't kept is the reason. Those that hold for every target come first, as one step
    /// mends them for all; what has to be looked up comes last.
    fn doubt(&self, silence: &Silence, history: impl FnOnce() -> Result<Option<String>>) -> Result<Option<String>> {
        let doubt = self.index_doubt.clone().or_else(|| self.too_late());
        let doubt = doubt.or_else(|| silence.doubt.clone());
        if doubt.is_some() {
            return Ok(doubt);
        }
        let doubt = self.unplaced(&silence.evidence)?.or_else(|| spends_flagged(silence.flagged_inputs));
        match (doubt, self.blind()) {
            (None, Some(blind)) => unscanned(&silence.evidence, blind, history),
            (doubt, _) => Ok(doubt),
        }
    }

    /// Why a target is in no settled block of the index's chain, as far as the evidence shows; `None` where it is in one, or where that
    /// doesn't matter.
    fn unplaced(&self, evidence: &Evidence) -> Result<Option<String>> {
        match evidence {
            Evidence::Index(height) | Evidence::IndexSpend(height) => Ok(self.unsettled(*height)),
            Evidence::Node(block) | Evidence::Caller(block) => self.doubt_of_block(*block),
            Evidence::Inputs | Evidence::Script => Ok(None),
            Evidence::Nothing(why) => Ok(Some(why.clone())),
        }
    }

    fn unsettled(&self, height: Height) -> Option<String> {
        match self.settled {
            Some(settled) if height <= settled => None,
            Some(settled) => {
                Some(format!("confirmed at height {height}, but the index is settled through {settled} only"))
            }
            None => Some("the index has no block yet".into()),
        }
    }

    fn other_chain(&self, block: BlockId) -> Result<Option<String>> {
        let ours = self.snapshot.reader.header(block.height)?.is_some_and(|header| header.block_hash() == block.hash);
        Ok((!ours).then(|| format!("confirmed in block {block}, which is not on the index's chain")))
    }

    /// Why nothing can be said of the heights that the caller asks about: none of them has been reached.
    fn too_late(&self) -> Option<String> {
        let since = self.since.filter(|since| *since > self.settled.unwrap_or_default())?;
        let settled = self.settled.map_or_else(|| "no block".into(), |settled| format!("height {settled}"));
        Some(format!(
            "asked about what happened from height {since} on, but the index is settled through {settled} only"
        ))
    }

    /// Why finding nothing proves that there is nothing.
    fn clean(&self, evidence: &Evidence) -> String {
        let why = match evidence {
            Evidence::Index(height) => format!("recorded at height {height}, without taint there"),
            Evidence::IndexSpend(height) => {
                format!("confirmed at or below height {height} according to the index; nothing in the index taints it")
            }
            Evidence::Node(block) => {
                format!("confirmed at height {} according to the node; nothing in the index involves it", block.height)
            }
            Evidence::Caller(block) => format!(
                "confirmed at height {} according to the caller; nothing in the index involves it",
                block.height
            ),
            Evidence::Inputs => "not confirmed yet; no coin that it spends holds taint above the gates".to_owned(),
            Evidence::Script => {
                let through = self.settled.unwrap_or_default();
                format!("none of its coins held taint above the gates through height {through}, according to the index")
            }
            Evidence::Nothing(why) => why.clone(),
        };
        match self.since {
            Some(since) => format!("from height {since} on: {why}"),
            None => why,
        }
    }
}

/// No row says `none` beside a flagged input: either its script is flagged from a later height only, or no rule gives the target a
/// share of its taint.
fn spends_flagged(inputs: u64) -> Option<String> {
    let coins = if inputs == 1 { "a coin of a flagged script" } else { "coins of flagged scripts" };
    (inputs > 0).then(|| {
        format!(
            "its transaction spends {coins}, of which no tracked rule gives it a share, or which is flagged from a later height \
             only"
        )
    })
}

/// Why taint may have reached a target in heights that were not scanned for every flagged entry.
fn unscanned(
    evidence: &Evidence,
    blind: BlindHeights,
    history: impl FnOnce() -> Result<Option<String>>,
) -> Result<Option<String>> {
    let BlindHeights { since, from } = blind;
    let height = match evidence {
        Evidence::Index(height) | Evidence::IndexSpend(height) => *height,
        Evidence::Node(block) | Evidence::Caller(block) => block.height,
        Evidence::Script => {
            return Ok(Some(format!(
                "its coins may be older than height {from}, from which on some entries are scanned"
            )));
        }
        Evidence::Inputs | Evidence::Nothing(_) => return history(),
    };
    match evidence {
        // All that happened to it lies below the heights that the caller asks about.
        _ if height < since => Ok(None),
        Evidence::IndexSpend(_) => Ok(Some(format!(
            "confirmed at or below height {height}, but some entries are scanned only from height {from}"
        ))),
        _ if height < from => {
            Ok(Some(format!("confirmed at height {height}, but some entries are scanned only from height {from}")))
        }
        _ => history(),
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::BlockHash;
    use bitcoin::hashes::Hash;

    use super::*;

    fn block(height: Height) -> BlockId {
        BlockId { height, hash: BlockHash::all_zeros() }
    }

    #[test]
    fn what_lies_in_blind_heights_or_may_is_in_doubt() {
        let blind = BlindHeights { since: 100, from: 137 };
        let far_back = || Ok(Some("far back".to_owned()));
        // evidence, words of the doubt where the history reaches into blind heights, the same where it doesn't
        let cases = [
            (Evidence::Node(block(99)), None, None),
            (Evidence::Node(block(100)), Some("height 100"), Some("height 100")),
            (Evidence::Node(block(136)), Some("height 137"), Some("height 137")),
            (Evidence::Node(block(137)), Some("far back"), None),
            (Evidence::Caller(block(99)), None, None),
            (Evidence::Caller(block(136)), Some("height 136"), Some("height 136")),
            (Evidence::Caller(block(137)), Some("far back"), None),
            (Evidence::Index(99), None, None),
            (Evidence::Index(100), Some("height 100"), Some("height 100")),
            (Evidence::Index(137), Some("far back"), None),
            // It may be confirmed at any height below.
            (Evidence::IndexSpend(99), None, None),
            (Evidence::IndexSpend(100), Some("at or below height 100"), Some("at or below height 100")),
            (Evidence::IndexSpend(900), Some("at or below height 900"), Some("at or below height 900")),
            (Evidence::Inputs, Some("far back"), None),
            (Evidence::Script, Some("older than height 137"), Some("older than height 137")),
        ];
        for (evidence, reaching, clear) in cases {
            for (history, expected) in [(true, reaching), (false, clear)] {
                let found = unscanned(&evidence, blind, || if history { far_back() } else { Ok(None) });
                let found = found.expect("nothing is read");
                assert_eq!(found.is_some(), expected.is_some(), "{evidence:?}, {history}: {found:?}");
                let words = expected.unwrap_or_default();
                assert!(found.unwrap_or_default().contains(words), "{evidence:?}, {history}");
            }
        }
    }

    #[test]
    fn a_flagged_input_is_in_the_way_of_none() {
        assert_eq!(spends_flagged(0), None);
        assert!(spends_flagged(1).is_some_and(|why| why.contains("a coin of a flagged script")));
        assert!(spends_flagged(2).is_some_and(|why| why.contains("coins of flagged scripts")));
    }
}
