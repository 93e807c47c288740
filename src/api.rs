//! The library as other programs see it: an index on disk, the questions it answers, and the types of the answers.

use std::path::Path;
use std::time::Duration;

use crate::chain::{BlockId, Chain, Height};
use crate::index::Reader;
use crate::lists;
use crate::query::at::Moment;
use crate::query::coverage::whole_coverage;
use crate::query::history::{HistoryRow, history};
use crate::query::screen::{ChainLookup, ScreenRow, Screener, Vouch};
use crate::query::target::Targets;
use crate::query::{Coverage, QueryError, Snapshot};

/// An index, opened read-only as it was at that moment. Another process may write it meanwhile; to see newer blocks, open it again.
pub struct Index {
    snapshot: Snapshot,
}

impl Index {
    /// Opens the index in a folder: the `--index` of the program that made it.
    ///
    /// # Errors
    /// [`QueryError::Index`] if there is no index, if it is damaged, or if it has another format than this version reads.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, QueryError> {
        let reader = Reader::open(folder.as_ref())?;
        // No list is configured here, so those that the index took in are compared with their files.
        Ok(Self { snapshot: Snapshot::new(reader, |taken| lists::changed(&[], taken))? })
    }

    /// The chain that it is of.
    pub fn chain(&self) -> Chain {
        self.snapshot.chain()
    }

    /// Its last block; `None` before the first one is scanned.
    pub fn tip(&self) -> Option<BlockId> {
        self.snapshot.tip
    }

    /// The same, but answers about now may rest on a last block of any age, or of another than the default, which is 3 hours on the
    /// main chain and any age on others. No node is asked here, so only the age of the last block says whether the index is near now.
    #[must_use]
    pub fn with_max_age(mut self, max_age: Option<Duration>) -> Self {
        self.snapshot.now.limits.max_age = max_age;
        self
    }

    /// How far all its flagged entries are scanned, which ranges of heights are missing, and whether the last block was too old when the
    /// index was opened: see [`Self::with_max_age`]. `node` and `lag` are always `None`.
    ///
    /// # Errors
    /// [`QueryError::Index`] if the index is damaged.
    pub fn coverage(&self) -> Result<Coverage, QueryError> {
        whole_coverage(&self.snapshot, Moment::now(&self.snapshot))
    }

    /// Resolves what a question is about: addresses, `script:HEX`, descriptors, `label:TEXT`, or `all`.
    ///
    /// # Errors
    /// [`QueryError::Usage`] for a target that is malformed, of another chain, or a label that no flagged entry has;
    /// [`QueryError::Index`] if the index is damaged.
    pub fn question(&self, targets: &[impl AsRef<str>]) -> Result<Question<'_>, QueryError> {
        let texts: Vec<String> = targets.iter().map(|target| target.as_ref().to_owned()).collect();
        let targets = Targets::resolve(&self.snapshot, &texts, None)?;
        Ok(Question { snapshot: &self.snapshot, targets })
    }

    /// Starts to screen. What the index doesn't hold is looked up in `lookup`; without one
    /// ([`NoLookup`](crate::NoLookup)), a transaction that touches no flagged script stays [`Verdict::Unknown`](crate::Verdict::Unknown).
    ///
    /// # Errors
    /// [`QueryError::Index`] if the index is damaged.
    pub fn screening<'a>(&'a self, lookup: &'a dyn ChainLookup) -> Result<Screening<'a>, QueryError> {
        Ok(Screening { screener: Screener::new(&self.snapshot, lookup)? })
    }
}

/// A question to an index about some targets.
pub struct Question<'a> {
    snapshot: &'a Snapshot,
    targets: Targets,
}

impl Question<'_> {
    /// How far the targets are scanned, for an answer as of the end of the block at height `at`, or as of now. An answer with a
    /// coverage that isn't [`complete`](Coverage::complete) may lack something; [`why`](Coverage::why) says what. As of now the last block
    /// must not be too old, see [`Index::with_max_age`]; no node is asked.
    pub fn coverage(&self, at: Option<Height>) -> Coverage {
        self.targets.basis.coverage(self.snapshot, at.map_or_else(|| Moment::now(self.snapshot), Moment::at))
    }

    /// The targets that are no flagged entry of the index: no answer says anything about them.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.targets.unknown.iter().map(|unknown| unknown.target.as_str())
    }

    /// Every output paid to the targets and every input that spends one, in chain order, through height `at`, or all of them.
    ///
    /// # Errors
    /// [`QueryError::Index`] if the index is damaged; a row with an error is the last one.
    pub fn history(
        &self,
        at: Option<Height>,
    ) -> Result<impl Iterator<Item = Result<HistoryRow, QueryError>>, QueryError> {
        let rows = history(self.snapshot, &self.targets, at.unwrap_or(Height::MAX), None)?;
        Ok(rows.map(|row| row.map(|(_, row)| row)))
    }
}

/// Screens target after target against one index.
pub struct Screening<'a> {
    screener: Screener<'a>,
}

impl Screening<'_> {
    /// The same, for a caller to whom it doesn't matter what happened below a height: a [`Verdict::None`](crate::Verdict::None) then
    /// speaks of that height and those above.
    #[must_use]
    pub fn since(self, height: Height) -> Self {
        Self { screener: self.screener.since(Some(height)) }
    }

    /// How far all flagged entries are scanned.
    pub fn coverage(&self) -> &Coverage {
        &self.screener.coverage
    }

    /// Screens an address, a `script:HEX`, a descriptor, `TXID` or `TXID:VOUT`: one row, or one for each script that the target
    /// names. `vouch` is the block that confirms a transaction, where the caller knows it.
    ///
    /// # Errors
    /// [`QueryError::Usage`] for a target that is malformed or of another chain; [`QueryError::Index`] if the index is damaged.
    pub fn screen(&mut self, target: &str, vouch: Option<Vouch>) -> Result<Vec<ScreenRow>, QueryError> {
        self.screener.screen(target, None, vouch)
    }

    /// Screens a transaction in hex, confirmed or not.
    ///
    /// # Errors
    /// [`QueryError::Usage`] if it is none; [`QueryError::Index`] if the index is damaged.
    pub fn screen_transaction(&mut self, hex: &str, vouch: Option<Vouch>) -> Result<ScreenRow, QueryError> {
        self.screener.raw(hex, vouch)
    }
}
