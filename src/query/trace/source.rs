//! What a trace starts from: flagged scripts, and single coins whether flagged or not.

use std::collections::BTreeSet;

use bitcoin::{OutPoint, Script, ScriptBuf, Txid};

use crate::chain::{Height, ScriptHash};
use crate::index::View;
use crate::index::entries::EntryRow;
use crate::query::coverage::Basis;
use crate::query::target::Targets;
use crate::query::{QueryError, Result, Snapshot};
use crate::watchlist::Range;

/// Scripts by their bytes: a stranger can grind them, so the hash is a keyed one.
pub(super) type ByScript<T> = std::collections::HashMap<ScriptBuf, T, foldhash::quality::RandomState>;

/// The sources of one trace.
#[derive(Default)]
pub struct Sources {
    /// Scripts, each with the height from which what it holds is a source.
    scripts: ByScript<Height>,
    /// The same by their hashes, for walking their rows.
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

    /// Whether what this script holds at a height is a source.
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
pub struct Resolved {
    /// What the trace starts from.
    pub sources: Sources,
    /// What was typed and nothing is known of.
    pub unknown: Vec<String>,
    /// What the coverage is computed from.
    pub basis: Basis,
}

/// Reads the targets: those of every question, and `TXID` and `TXID:VOUT`.
///
/// # Errors
/// [`QueryError::Usage`] for a malformed target, another chain's address, an unknown label, an output that a transaction lacks.
pub fn resolve(snapshot: &Snapshot, texts: &[String], range: Option<Range>) -> Result<Resolved> {
    let (coins, scripts): (Vec<_>, Vec<_>) =
        texts.iter().map(|text| (text, CoinTarget::parse(text))).partition(|(_, coin)| coin.is_some());
    let scripts: Vec<String> = scripts.into_iter().map(|(text, _)| text.clone()).collect();
    let targets = Targets::resolve(snapshot, &scripts, range)?;
    let mut sources = Sources::of_entries(targets.entries.iter().map(|(hash, entry)| (*hash, entry)));
    let mut unknown: Vec<String> = targets.unknown.iter().map(|unknown| unknown.target.clone()).collect();
    let mut basis = targets.basis;
    basis.traced = true;
    let mut has_coins = false;
    for (text, coin) in coins {
        let Some(coin) = coin else { continue };
        let found = coin.outpoints(snapshot)?;
        if found.is_empty() {
            basis.add_unknown();
            unknown.push(text.clone());
        }
        has_coins = true;
        sources.outpoints.extend(found);
    }
    if has_coins {
        // Whether such a coin's way was looked for rests on everything that the index looks for.
        for entry in snapshot.reader.entries() {
            let (_, entry) = entry?;
            if entry.flagged {
                basis.add(&entry, &snapshot.sweeps);
            }
        }
    }
    Ok(Resolved { sources, unknown, basis })
}

/// A target that names coins by their transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoinTarget {
    /// All outputs of a transaction.
    Transaction(Txid),
    /// One output.
    Coin(OutPoint),
}

impl CoinTarget {
    /// Reads `TXID` or `TXID:VOUT`; `None` for every other target.
    pub fn parse(text: &str) -> Option<Self> {
        let (txid, vout) = text.split_once(':').map_or((text, None), |(txid, vout)| (txid, Some(vout)));
        let txid: Txid = (txid.len() == 64).then(|| txid.parse().ok())??;
        match vout {
            None => Some(Self::Transaction(txid)),
            // Digits only: a number's other spellings are not what an explorer gives.
            Some(vout) => {
                let digits = !vout.is_empty() && vout.bytes().all(|digit| digit.is_ascii_digit());
                let vout = digits.then(|| vout.parse().ok()).flatten()?;
                Some(Self::Coin(OutPoint { txid, vout }))
            }
        }
    }

    /// The coins it names, as far as records tell; none where they tell nothing.
    fn outpoints(self, snapshot: &Snapshot) -> Result<Vec<OutPoint>> {
        let txid = match self {
            Self::Transaction(txid) => txid,
            Self::Coin(outpoint) => outpoint.txid,
        };
        // Twins have the same outputs: any will do.
        let outputs = match snapshot.reader.positions(txid)?.first() {
            Some(at) => Some(outputs(snapshot.record(*at)?.transaction.output.len())?),
            None => None,
        };
        match (self, outputs) {
            (Self::Transaction(_), None) => Ok(Vec::new()),
            (Self::Transaction(_), Some(outputs)) => Ok((0..outputs).map(|vout| OutPoint { txid, vout }).collect()),
            (Self::Coin(outpoint), None) => {
                let spent = snapshot.reader.spender(&outpoint)?.is_some();
                Ok(if spent { vec![outpoint] } else { Vec::new() })
            }
            (Self::Coin(outpoint), Some(outputs)) if outpoint.vout < outputs => Ok(vec![outpoint]),
            (Self::Coin(outpoint), Some(outputs)) => Err(QueryError::Usage(format!(
                "transaction {txid} has no output {}; its last is {}",
                outpoint.vout,
                outputs.saturating_sub(1)
            ))),
        }
    }
}

/// How many outputs a record's transaction has; an index holds no more than a u32 counts.
fn outputs(count: usize) -> Result<u32> {
    u32::try_from(count).map_err(|_| View::corrupt(crate::index::Family::Records, &[]).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coins_are_named_by_txid_and_output_and_nothing_else_is_taken_for_one() {
        let id = "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16";
        let txid: Txid = id.parse().unwrap();
        assert_eq!(CoinTarget::parse(id), Some(CoinTarget::Transaction(txid)));
        assert_eq!(CoinTarget::parse(&format!("{id}:1")), Some(CoinTarget::Coin(OutPoint { txid, vout: 1 })));
        for text in [
            "all",
            "label:x",
            &id[1..],
            &format!("{id}:"),
            &format!("{id}:+1"),
            &format!("{id}:4294967296"),
            &format!("{id}:1:1"),
        ] {
            assert_eq!(CoinTarget::parse(text), None, "{text}");
        }
    }
}
