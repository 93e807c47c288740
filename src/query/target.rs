//! TARGET: what was typed, as the entries or the coins that it names.

use std::collections::BTreeSet;

use bitcoin::{OutPoint, ScriptBuf, Txid};

use super::coverage::Basis;
use super::{QueryError, Result, Snapshot};
use crate::chain::{Height, ScriptHash};
use crate::index::ReadRows;
use crate::index::entries::EntryRow;
use crate::watchlist::Range;
use crate::watchlist::masked;
use crate::watchlist::refusal::Refusal;
use crate::watchlist::script::parse;

/// The entries a question is about, each once, in the order they were asked for.
pub struct Targets {
    /// The flagged entries.
    pub entries: Vec<(ScriptHash, EntryRow)>,
    /// Scripts that are no flagged entry: the index did not scan for them.
    pub unknown: Vec<UnknownScript>,
    /// What the coverage is computed from.
    pub basis: Basis,
}

/// A script asked for that the index did not scan for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownScript {
    /// What was typed.
    pub target: String,
    /// The script it means.
    pub script: ScriptBuf,
    /// Whether it is listed as a service, whose touches are not kept.
    pub service: bool,
}

impl Targets {
    /// Reads the targets.
    ///
    /// # Errors
    /// [`QueryError::Usage`] for a malformed target, another chain's address, an unknown label.
    pub fn resolve(snapshot: &Snapshot, texts: &[String], range: Option<Range>) -> Result<Self> {
        let mut targets = Self { entries: Vec::new(), unknown: Vec::new(), basis: Basis::default() };
        let mut seen = BTreeSet::new();
        for text in texts {
            if text == "all" {
                targets.basis.whole = true;
                targets.add_where(snapshot, &mut seen, |_| true)?;
            } else if let Some(label) = text.strip_prefix("label:") {
                let added = targets.add_where(snapshot, &mut seen, |entry| {
                    entry.labels.iter().any(|of_entry| of_entry.text() == label)
                })?;
                if added == 0 {
                    return Err(QueryError::Usage(format!(
                        "no flagged entry has the label '{label}'; `coinhound watch list` shows all labels"
                    )));
                }
            } else {
                let scripts =
                    parse(text, snapshot.chain(), range).map_err(|reason| QueryError::Usage(refusal(text, &reason)))?;
                for script in scripts {
                    targets.add_script(snapshot, &mut seen, text, script)?;
                }
            }
        }
        Ok(targets)
    }

    fn add_where(
        &mut self,
        snapshot: &Snapshot,
        seen: &mut BTreeSet<ScriptHash>,
        wanted: impl Fn(&EntryRow) -> bool,
    ) -> Result<usize> {
        let mut found = 0;
        for entry in snapshot.reader.entries() {
            let (hash, entry) = entry?;
            if entry.flagged && wanted(&entry) {
                found += 1;
                self.add_entry(snapshot, seen, hash, entry);
            }
        }
        Ok(found)
    }

    fn add_entry(&mut self, snapshot: &Snapshot, seen: &mut BTreeSet<ScriptHash>, hash: ScriptHash, entry: EntryRow) {
        if seen.insert(hash) {
            self.basis.add(&entry, &snapshot.sweeps);
            self.entries.push((hash, entry));
        }
    }

    fn add_script(
        &mut self,
        snapshot: &Snapshot,
        seen: &mut BTreeSet<ScriptHash>,
        text: &str,
        script: ScriptBuf,
    ) -> Result<()> {
        let hash = ScriptHash::of(&script);
        match snapshot.reader.entry(hash)? {
            Some(entry) if entry.flagged => self.add_entry(snapshot, seen, hash, entry),
            listed => {
                if seen.insert(hash) {
                    self.basis.add_unknown();
                    self.unknown.push(UnknownScript { target: text.to_owned(), script, service: listed.is_some() });
                }
            }
        }
        Ok(())
    }

    /// The hashes of the entries and the heights they are complete from, to read their rows: rows of lower heights may exist, of a
    /// trace or of a sweep under way.
    pub fn hashes(&self) -> Vec<(ScriptHash, Height)> {
        self.entries.iter().map(|(hash, entry)| (*hash, entry.from)).collect()
    }

    /// Whether coins may exist that are older than the heights scanned.
    pub fn has_older_coins(&self) -> bool {
        self.entries.iter().any(|(_, entry)| entry.from > 0)
    }
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
}

/// Why a text names no target; never repeats a secret.
fn refusal(text: &str, reason: &Refusal) -> String {
    let shown = masked(text);
    match reason {
        Refusal::PrivateKey => {
            "the target looks like a private key or seed phrase, and isn't repeated here; name the address instead"
                .into()
        }
        Refusal::BareHash => format!("the target (not shown): {reason}"),
        Refusal::NoTarget => "an empty target names nothing".into(),
        Refusal::NotUnderstood => {
            format!("'{shown}': no address, script:HEX or descriptor, nor label:TEXT or all")
        }
        reason => format!("'{shown}': {reason}"),
    }
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
