//! What questions share: the snapshot, the targets, the height asked about.

use super::{Context, lists};
use crate::chain::Height;
use crate::cli;
use crate::error::Error;
use crate::index::{IndexError, Reader};
use crate::query::at::At;
use crate::query::target::Targets;
use crate::query::{QueryError, Snapshot};
use crate::watchlist::script::Range;

impl Context {
    /// Opens the index for a question. A chain that was said must be its own.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        let reader = Reader::open(&self.settings.index)?;
        let found = reader.identity().chain;
        let expected = self.settings.node.chain.value;
        if self.settings.chain_said && found != expected {
            let path = self.settings.index.clone();
            return Err(
                IndexError::OtherChain { path, found: found.to_string(), expected: expected.to_string() }.into()
            );
        }
        Ok(Snapshot::new(reader, |taken| lists::changed(&self.settings.watch, taken))?)
    }
}

/// What a question is about, resolved.
pub struct Asked {
    /// The entries.
    pub targets: Targets,
    /// The state after the block at this height; `None` in an index without a block.
    pub at: Option<Height>,
}

/// Resolves what was typed.
///
/// # Errors
/// [`QueryError`].
pub fn asked(snapshot: &Snapshot, about: &cli::Targets) -> Result<Asked, Error> {
    let range = about.range.as_deref().map(range).transpose()?;
    let targets = Targets::resolve(snapshot, &about.targets, range)?;
    Ok(Asked { targets, at: height(snapshot, about.at.as_deref())? })
}

/// The height that `--at` means.
///
/// # Errors
/// [`QueryError`].
pub fn height(snapshot: &Snapshot, at: Option<&str>) -> Result<Option<Height>, Error> {
    let at = at.map_or(Ok(At::Now), At::parse)?;
    Ok(at.resolve(snapshot)?)
}

fn range(text: &str) -> Result<Range, Error> {
    Ok(text.parse().map_err(|reason| QueryError::Usage(format!("--range '{text}': {reason}")))?)
}

/// The fields that name what nothing is known of.
pub fn unknown_field(targets: &Targets) -> serde_json::Map<String, serde_json::Value> {
    let mut head = serde_json::Map::new();
    if !targets.unknown.is_empty() {
        let names = targets.unknown.iter().map(|unknown| unknown.target.clone().into());
        head.insert("unknown".into(), serde_json::Value::Array(names.collect()));
    }
    head
}

/// Says on stderr what nothing is known of, so that an empty table isn't taken for an answer.
pub fn warn_unknown(targets: &Targets) {
    for unknown in &targets.unknown {
        let why = match unknown.service {
            true => "it is listed as a service, and only flagged scripts have their touches kept",
            false => "it is on no list, so nobody looked for it; add it to a list and run `coinhound backfill`",
        };
        tracing::warn!("unknown: {}: {why}", unknown.target.escape_debug());
    }
}
