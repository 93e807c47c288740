//! What a trace starts from: flagged scripts, and single coins whether flagged or not.

use std::collections::BTreeSet;

use bitcoin::{OutPoint, Script};

use crate::chain::{Height, ScriptHash};
use crate::index::entries::EntryRow;
use crate::index::keys::TxPosition;
use crate::index::values::Record;
use crate::index::{IndexError, ReadRows};
use crate::query::coverage::Basis;
use crate::query::facts::script::ByScript;
use crate::query::target::{CoinTarget, Targets};
use crate::query::{QueryError, Result, Snapshot};
use crate::watchlist::Range;

/// The sources of one trace.
#[derive(Default)]
pub struct Sources {
    /// Scripts, each with the height from which its coins are sources.
    scripts: ByScript<Height>,
    /// The same scripts by their hashes, to read their rows.
    hashes: Vec<(ScriptHash, Height)>,
    /// Single coins.
    outpoints: BTreeSet<OutPoint>,
}

impl Sources {
    /// Those of some flagged entries.
    pub fn of_entries<'a>(entries: impl IntoIterator<Item = (ScriptHash, &'a EntryRow)>) -> Self {
        let mut sources = Self::default();
        for (hash, entry) in entries {
            sources.hashes.push((hash, entry.from));
            sources.scripts.insert(entry.script.clone(), entry.from);
        }
        sources
    }

    /// Whether a coin of this script is a source at a height.
    pub fn has_script(&self, script: &Script, height: Height) -> bool {
        self.scripts.get(script).is_some_and(|from| *from <= height)
    }

    /// Whether this coin was named as a source.
    pub fn has_outpoint(&self, outpoint: &OutPoint) -> bool {
        self.outpoints.contains(outpoint)
    }

    /// The hashes of its scripts, each with its height.
    pub(super) fn hashes(&self) -> &[(ScriptHash, Height)] {
        &self.hashes
    }

    /// The coins that were named.
    pub(super) fn outpoints(&self) -> &BTreeSet<OutPoint> {
        &self.outpoints
    }
}

/// The targets of a question, resolved.
pub struct TraceTargets {
    /// What the trace starts from.
    pub sources: Sources,
    /// Targets that the index did not scan for, as they were typed.
    pub unknown: Vec<String>,
    /// What the coverage is computed from.
    pub basis: Basis,
}

impl TraceTargets {
    /// Reads the targets: those of every question, and `TXID` and `TXID:VOUT`.
    ///
    /// # Errors
    /// [`QueryError::Usage`] for a malformed target, another chain's address, an unknown label, an output that a transaction lacks.
    pub fn read(snapshot: &Snapshot, texts: &[String], range: Option<Range>) -> Result<Self> {
        let (mut coins, mut scripts) = (Vec::new(), Vec::new());
        for text in texts {
            match CoinTarget::parse(text) {
                Some(coin) => coins.push((text, coin)),
                None => scripts.push(text.clone()),
            }
        }
        let targets = Targets::resolve(snapshot, &scripts, range)?;
        let mut resolved = Self {
            sources: Sources::of_entries(targets.entries.iter().map(|(hash, entry)| (*hash, entry))),
            unknown: unknown_names(&targets),
            basis: targets.basis.traced(),
        };
        for (text, coin) in &coins {
            let found = outpoints(snapshot, *coin)?;
            if found.is_empty() {
                resolved.basis.add_unknown();
                resolved.unknown.push((*text).clone());
            }
            resolved.sources.outpoints.extend(found);
        }
        if !coins.is_empty() {
            // Whether the index followed such a coin depends on every script that it scans for.
            resolved.basis.add_flagged(snapshot)?;
        }
        Ok(resolved)
    }
}

/// The texts of the targets that are no flagged entries, each once.
fn unknown_names(targets: &Targets) -> Vec<String> {
    let mut names: Vec<_> = targets.unknown_texts().into_iter().map(|(text, ..)| text.to_owned()).collect();
    names.dedup();
    names
}

/// The coins that a target names, as far as records show them; none where they don't.
fn outpoints(snapshot: &Snapshot, target: CoinTarget) -> Result<Vec<OutPoint>> {
    let txid = match target {
        CoinTarget::Transaction(txid) => txid,
        CoinTarget::Coin(outpoint) => outpoint.txid,
    };
    // BIP30's twins have the same outputs: any will do.
    let outputs = match snapshot.reader.positions(txid)?.first() {
        Some(at) => Some(outputs(snapshot, *at)?),
        None => None,
    };
    match (target, outputs) {
        (CoinTarget::Transaction(_), None) => Ok(Vec::new()),
        (CoinTarget::Transaction(_), Some(outputs)) => Ok((0..outputs).map(|vout| OutPoint { txid, vout }).collect()),
        (CoinTarget::Coin(outpoint), None) => {
            Ok(snapshot.reader.spender(&outpoint)?.map(|_| outpoint).into_iter().collect())
        }
        (CoinTarget::Coin(outpoint), Some(outputs)) if outpoint.vout < outputs => Ok(vec![outpoint]),
        (CoinTarget::Coin(outpoint), Some(outputs)) => Err(QueryError::Usage(format!(
            "transaction {txid} has no output {}; its last is {}",
            outpoint.vout,
            outputs.saturating_sub(1)
        ))),
    }
}

/// How many outputs a record's transaction has; an index holds no more than a u32 counts.
fn outputs(snapshot: &Snapshot, at: TxPosition) -> Result<u32> {
    let outputs = snapshot.record(at)?.transaction.output.len();
    u32::try_from(outputs).map_err(|_| IndexError::corrupt::<Record>(&at).into())
}
