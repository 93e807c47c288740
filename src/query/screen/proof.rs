//! Whether finding nothing proves that there is nothing. This is the only place that decides it, for every way to ask.
//!
//! It takes three things: the index as a whole has scanned everything that the lists ask for; the target is confirmed in a block of
//! the index's chain that is settled; and no flagged entry is scanned from a later height only. Where one of them lacks, the verdict is
//! `unknown` with the reason.

use crate::chain::{BlockId, Height};
use crate::index::ReadRows;
use crate::query::coverage::Coverage;
use crate::query::{Result, Snapshot};

/// Where a transaction is confirmed, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The index has a record of it, at this height.
    Record(Height),
    /// The index has a record that spends one of its outputs at this height: it is confirmed there or below.
    SpendingRecord(Height),
    /// The node has it in this block.
    Node(BlockId),
    /// The caller gave this height.
    Caller(Height),
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

    /// Clean for a reason, unless there is one against it.
    fn unless(doubt: Option<String>, clean: impl FnOnce() -> String) -> Self {
        doubt.map_or_else(|| Self::Clean(clean()), Self::Unproven)
    }
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
}

impl<'a> SilenceJudge<'a> {
    /// The judge of an index, whose coverage is that of everything flagged.
    pub fn new(snapshot: &'a Snapshot, coverage: &Coverage) -> Self {
        Self {
            snapshot,
            index_doubt: coverage.why.first().cloned(),
            from: coverage.from,
            settled: coverage.trace.settled,
        }
    }

    /// The height above the settled ones: where a transaction would be confirmed that is in none of them.
    pub fn next_height(&self) -> Height {
        self.settled.unwrap_or_default().saturating_add(1)
    }

    /// What finding nothing of a confirmed transaction proves.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn confirmed(&self, evidence: Evidence) -> Result<Ruling> {
        let height = match evidence {
            Evidence::Record(height) | Evidence::SpendingRecord(height) | Evidence::Caller(height) => height,
            Evidence::Node(block) => block.height,
        };
        let mut doubt = self.index_doubt.clone().or_else(|| self.unsettled(height));
        if let (None, Evidence::Node(block)) = (&doubt, evidence) {
            doubt = self.other_chain(block)?;
        }
        let doubt = doubt.or_else(|| self.too_low(evidence, height));
        Ok(Ruling::unless(doubt, || match evidence {
            Evidence::Record(_) => format!("recorded at height {height}, without taint there"),
            Evidence::SpendingRecord(_) => {
                format!("confirmed at or below height {height}; nothing in the index taints it")
            }
            Evidence::Node(_) => format!("confirmed at height {height}; nothing in the index involves it"),
            Evidence::Caller(_) => {
                format!("confirmed at height {height} according to --height; nothing in the index involves it")
            }
        }))
    }

    /// What finding no taint in any coin of a script proves.
    pub fn script(&self) -> Ruling {
        let doubt = self.index_doubt.clone().or_else(|| {
            let from = self.from.filter(|from| *from > 0)?;
            Some(format!("its coins may be older than height {from}, from which on some entries are scanned"))
        });
        Ruling::unless(doubt, || {
            let through = self.settled.unwrap_or_default();
            format!("none of its coins held taint above the gates through height {through}")
        })
    }

    /// What finding no taint in the inputs of a transaction in no settled block proves. `unsettled` is why the block that it is in
    /// counts for nothing, `unknown` why an input isn't known, `lowest` the least height at which a coin that it spends was made.
    pub fn unconfirmed(&self, unsettled: Option<String>, unknown: Option<String>, lowest: Option<Height>) -> Ruling {
        let doubt = self.index_doubt.clone().or(unsettled).or(unknown).or_else(|| {
            let (from, height) = self.from.zip(lowest).filter(|(from, height)| height < from)?;
            Some(format!("it spends a coin of height {height}, but some entries are scanned only from height {from}"))
        });
        Ruling::unless(doubt, || "not confirmed yet; no coin that it spends holds taint above the gates".to_owned())
    }

    /// Why a block doesn't count as settled on the index's chain; `None` where it does.
    pub fn doubt_of_block(&self, block: BlockId) -> Result<Option<String>> {
        match self.unsettled(block.height) {
            None => self.other_chain(block),
            doubt => Ok(doubt),
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

    /// Why the height is too low: a script that is flagged from a later one may be the transaction's own, or that of a coin it spends.
    fn too_low(&self, evidence: Evidence, height: Height) -> Option<String> {
        let from = self.from?;
        match evidence {
            Evidence::SpendingRecord(_) if from > 0 => Some(format!(
                "confirmed at or below height {height}, but some entries are scanned only from height {from}"
            )),
            _ if height < from => {
                Some(format!("confirmed at height {height}, but some entries are scanned only from height {from}"))
            }
            _ => None,
        }
    }
}
