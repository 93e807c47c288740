//! The start of every question: opens a snapshot, resolves the targets and the height asked about.

use std::time::Duration;

use super::Context;
use crate::chain::Height;
use crate::cli;
use crate::error::Error;
use crate::index::{IndexError, Reader};
use crate::lists;
use crate::node::{NodeAccess, NodeError, Origin};
use crate::output::{Column, Stream};
use crate::query::at::At;
use crate::query::target::Targets;
use crate::query::{Coverage, QueryError, Snapshot};
use crate::watchlist::Range;

/// How long a command waits for one answer of a node that may be down.
pub const NODE_PATIENCE: Duration = Duration::from_secs(5);

impl Context {
    /// Opens the index for a question. A chain that was given must be the index's.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        let reader = Reader::open(&self.settings.index)?;
        let found = reader.identity().chain;
        let expected = self.settings.node.chain.value;
        if self.settings.node.chain.origin != Origin::Default && found != expected {
            let path = self.settings.index.clone();
            return Err(
                IndexError::OtherChain { path, found: found.to_string(), expected: expected.to_string() }.into()
            );
        }
        Ok(Snapshot::new(reader, |taken| lists::changed(&self.settings.watch, taken))?)
    }

    /// Access to the node of the index's chain, whatever chain the settings name.
    ///
    /// # Errors
    /// [`NodeError`] where the settings don't lead to one.
    pub fn node_access(&self, snapshot: &Snapshot) -> Result<NodeAccess, NodeError> {
        let mut settings = self.settings.node.clone();
        settings.chain.value = snapshot.chain();
        NodeAccess::resolve(&settings)
    }
}

/// A question about targets, resolved.
pub struct Asked {
    /// The index as of one moment.
    pub snapshot: Snapshot,
    /// The entries asked about, and the targets that are none.
    pub targets: Targets,
    /// The coverage of those entries at that height.
    pub coverage: Coverage,
    /// Answer as of the end of the block at this height; `Height::MAX` in an index without a block.
    pub at: Height,
}

impl Asked {
    /// Resolves the arguments, and warns of targets that the index doesn't know.
    ///
    /// # Errors
    /// [`QueryError`], [`IndexError`].
    pub fn new(context: &Context, about: &cli::TargetArgs) -> Result<Self, Error> {
        let snapshot = context.snapshot()?;
        let range = about.range.range.as_deref().map(range).transpose()?;
        let targets = Targets::resolve(&snapshot, &about.targets, range)?;
        let at = height(&snapshot, about.at.at.as_deref())?;
        warn_unknown(&targets);
        let coverage = targets.basis.coverage(&snapshot, at);
        Ok(Self { snapshot, targets, coverage, at: at.unwrap_or(Height::MAX) })
    }

    /// The answer's coverage and head, for rows of these columns.
    pub fn stream<'a>(&'a self, columns: &'a [Column]) -> Stream<'a> {
        Stream { coverage: &self.coverage, head: unknown_field(&self.targets), columns }
    }
}

/// The height that `--at` means.
///
/// # Errors
/// [`QueryError`].
pub fn height(snapshot: &Snapshot, at: Option<&str>) -> Result<Option<Height>, Error> {
    let at = at.map_or(Ok(At::Now), At::parse)?;
    Ok(at.resolve(snapshot)?)
}

/// The children of ranged descriptors that `--range` means.
///
/// # Errors
/// [`QueryError::Usage`].
pub fn range(text: &str) -> Result<Range, Error> {
    Ok(text.parse().map_err(|reason| QueryError::Usage(format!("--range '{text}': {reason}")))?)
}

/// The field that names the targets that the index doesn't know.
fn unknown_field(targets: &Targets) -> serde_json::Map<String, serde_json::Value> {
    let mut head = serde_json::Map::new();
    if !targets.unknown.is_empty() {
        let names = targets.unknown.iter().map(|unknown| unknown.target.clone().into());
        head.insert("unknown".into(), serde_json::Value::Array(names.collect()));
    }
    head
}

/// Warns of targets that the index doesn't know, so that an empty table isn't taken for an answer.
fn warn_unknown(targets: &Targets) {
    for unknown in &targets.unknown {
        let why = match unknown.service {
            true => "it is listed as a service, and only flagged scripts have their touches kept",
            false => "it is on no list, so it was not searched for; add it to a list and run `coinhound backfill`",
        };
        tracing::warn!("unknown: {}: {why}", unknown.target.escape_debug());
    }
}
