//! The start of every question: opens a snapshot, resolves the targets and the height asked about.

use std::time::Duration;

use crate::chain::Height;
use crate::cli;
use crate::command::Context;
use crate::error::Error;
use crate::index::{IndexError, Reader};
use crate::lists;
use crate::node::{Node, NodeAccess, NodeError, Origin};
use crate::output::{Column, Stream};
use crate::query::at::{At, AtBlock, Moment};
use crate::query::coverage::Basis;
use crate::query::now::{Limits, NodeState};
use crate::query::target::Targets;
use crate::query::{Coverage, QueryError, Snapshot};
use crate::stop::Stop;
use crate::watchlist::Range;

/// How long a question waits for the node to say how far it is: the answer is given without it too, so it must not be delayed.
pub const NOW_PATIENCE: Duration = Duration::from_millis(200);
/// How long a command waits for one answer of a node that may be down.
pub const NODE_PATIENCE: Duration = Duration::from_secs(5);

impl Context {
    /// Opens the index for a question about now. A chain that was given must be the index's.
    ///
    /// # Errors
    /// [`IndexError`], as in those that follow.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        self.snapshot_within(NOW_PATIENCE)
    }

    /// The same, and waits so long for the node.
    pub fn snapshot_within(&self, limit: Duration) -> Result<Snapshot, Error> {
        let snapshot = self.snapshot_without_node()?;
        let node = self.node_state(&snapshot, limit)?;
        Ok(snapshot.with_node(node))
    }

    /// Opens the index at the moment that `--at` names, if it names one, and asks the node only for a question about now.
    ///
    /// # Errors
    /// [`QueryError`] too.
    pub fn snapshot_at(&self, at: Option<&str>) -> Result<(Snapshot, Moment), Error> {
        let at = at.map_or(Ok(At::Now), At::parse)?;
        let snapshot = match at {
            At::Now => self.snapshot()?,
            At::Height(_) | At::Time(_) => self.snapshot_without_node()?,
        };
        let moment = at.resolve(&snapshot)?;
        Ok((snapshot, moment))
    }

    /// What the node of the index's chain says of its own chain, if it does so in time.
    fn node_state(&self, snapshot: &Snapshot, limit: Duration) -> Result<Option<NodeState>, Error> {
        let access = match self.node_access(snapshot) {
            Ok(access) => access,
            Err(error) => {
                tracing::debug!("the node is not asked how far it is: {error}");
                return Ok(None);
            }
        };
        let node = Node::new(access, Stop::default());
        let Some(state) = node.chain_state(snapshot.tip.map(|tip| tip.hash), limit) else { return Ok(None) };
        Ok(Some(NodeState {
            height: state.best.height,
            headers: state.headers,
            initial_block_download: state.ibd,
            tip: snapshot.place_on(state.best, state.has_block)?,
        }))
    }

    /// Opens the index, and asks no node.
    pub fn snapshot_without_node(&self) -> Result<Snapshot, Error> {
        let reader = Reader::open(&self.settings.index)?;
        let found = reader.identity().chain;
        let expected = self.settings.node.chain.value;
        if self.settings.node.chain.origin != Origin::Default && found != expected {
            let path = self.settings.index.clone();
            return Err(
                IndexError::OtherChain { path, found: found.to_string(), expected: expected.to_string() }.into()
            );
        }
        let limits = Limits::of_chain(found);
        let limits = Limits {
            max_lag: self.settings.max_lag.unwrap_or(limits.max_lag),
            max_age: self.settings.max_age.unwrap_or(limits.max_age),
        };
        Ok(Snapshot::new(reader, |taken| lists::changed(&self.settings.watch, taken))?.within(limits))
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
    /// That block, where `--at` was given.
    named: Option<AtBlock>,
}

impl Asked {
    /// Resolves the arguments, and warns of targets that the index doesn't know.
    ///
    /// # Errors
    /// [`QueryError`], [`IndexError`].
    pub fn new(context: &Context, about: &cli::TargetArgs) -> Result<Self, Error> {
        Self::resolve(context, about, |_| {})
    }

    /// The same for an answer that needs every coin of the targets: not complete where some may be older than what was scanned.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn for_every_coin(context: &Context, about: &cli::TargetArgs) -> Result<Self, Error> {
        Self::resolve(context, about, Basis::needs_every_coin)
    }

    fn resolve(context: &Context, about: &cli::TargetArgs, rests_on: fn(&mut Basis)) -> Result<Self, Error> {
        let (snapshot, moment) = context.snapshot_at(about.at.at.as_deref())?;
        let range = about.range.range.as_deref().map(range).transpose()?;
        let mut targets = Targets::resolve_lazily(&snapshot, &about.targets, range)?;
        warn_unknown(&targets.unknown_texts());
        rests_on(&mut targets.basis);
        let coverage = targets.basis.coverage(&snapshot, moment);
        let named = moment.named_block(&snapshot)?;
        Ok(Self { targets, coverage, at: moment.last(), named, snapshot })
    }

    /// The answer's coverage and head, for rows of these columns.
    pub fn stream<'a>(&'a self, columns: &'a [Column]) -> Stream<'a> {
        let at = self.named.map(|at| ("at".to_owned(), serde_json::json!(at)));
        let head = at.into_iter().chain(unknown_field(&self.targets)).collect();
        Stream { coverage: &self.coverage, head, columns }
    }
}

/// The children of ranged descriptors that `--range` means.
///
/// # Errors
/// [`QueryError::Usage`].
pub fn range(text: &str) -> Result<Range, Error> {
    Ok(text.parse().map_err(|reason| QueryError::Usage(format!("--range '{text}': {reason}")))?)
}

/// The field that names the targets that the index doesn't know, each once.
fn unknown_field(targets: &Targets) -> serde_json::Map<String, serde_json::Value> {
    let mut head = serde_json::Map::new();
    if !targets.unknown.is_empty() {
        let mut names: Vec<_> = targets.unknown_texts().into_iter().map(|(text, ..)| text).collect();
        names.dedup();
        head.insert("unknown".into(), names.into());
    }
    head
}

/// Targets that are warned of by themselves; of more only the number is said.
pub const WARNED: usize = 5;

/// Warns of targets that the index doesn't know, so that an empty table isn't taken for an answer: of each text once, however many
/// scripts it stands for.
pub fn warn_unknown(unknown: &[(&str, bool, usize)]) {
    for (text, service, scripts) in unknown.iter().take(WARNED) {
        let what = match scripts {
            1 => "it".to_owned(),
            scripts => format!("{scripts} of its scripts"),
        };
        let why = match (service, *scripts > 1) {
            (true, false) => "is listed as a service, and only flagged scripts have their touches kept",
            (true, true) => "are listed as services, and only flagged scripts have their touches kept",
            (false, false) => {
                "is on no list, so it was not searched for; add it to a list and run `coinhound backfill`"
            }
            (false, true) => {
                "are on no list, so they were not searched for; add them to a list and run `coinhound backfill`"
            }
        };
        tracing::warn!("unknown: {text}: {what} {why}");
    }
    if let Some(more) = unknown.len().checked_sub(WARNED).filter(|more| *more > 0) {
        tracing::warn!("unknown: {more} more targets; the field `unknown` of the answer names them all");
    }
}
