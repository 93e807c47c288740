//! TARGET: what was typed, as the entries or the coins that it names.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use bitcoin::{OutPoint, ScriptBuf, Txid};

use super::coverage::Basis;
use super::{QueryError, Result, Snapshot};
use crate::chain::{Height, ScriptHash};
use crate::index::entries::EntryRow;
use crate::index::{IndexError, ReadRows};
use crate::watchlist::Range;
use crate::watchlist::masked;
use crate::watchlist::refusal::Refusal;
use crate::watchlist::script::parse;

/// The entries a question is about, each once, in the order they were asked for.
pub struct Targets {
    /// The flagged entries that were named; all flagged ones for `all`, unless those are to be read as they are needed.
    pub entries: Vec<(ScriptHash, EntryRow)>,
    /// Whether all other flagged entries follow these. There may be millions, so they are read as they are needed.
    pub others: bool,
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
        Self::read(snapshot, texts, range, false)
    }

    /// As [`Self::resolve`], but leaves the entries that only `all` names to be read later.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn resolve_lazily(snapshot: &Snapshot, texts: &[String], range: Option<Range>) -> Result<Self> {
        Self::read(snapshot, texts, range, true)
    }

    fn read(snapshot: &Snapshot, texts: &[String], range: Option<Range>, lazily: bool) -> Result<Self> {
        let mut targets = Self { entries: Vec::new(), others: false, unknown: Vec::new(), basis: Basis::default() };
        let mut seen = BTreeSet::new();
        for text in texts {
            let text = trimmed(text);
            if text == "all" && lazily {
                targets.others = true;
            } else if text == "all" {
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
                    parse(text, snapshot.chain(), range).map_err(|reason| not_a_target(snapshot, text, &reason))?;
                for script in scripts {
                    targets.add_script(snapshot, &mut seen, text, script)?;
                }
            }
        }
        if targets.others {
            // All flagged entries, those that were named too.
            targets.basis = targets.basis.of_all(snapshot)?;
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

    /// Whether coins may exist that are older than the heights scanned.
    pub fn has_older_coins(&self) -> bool {
        self.basis.has_older_coins()
    }

    /// The texts of the unknown scripts, each once, with the number of its scripts and whether they are services.
    pub fn unknown_texts(&self) -> Vec<(&str, bool, usize)> {
        let mut texts: Vec<(&str, bool, usize)> = Vec::new();
        for unknown in &self.unknown {
            // The scripts of one text follow each other.
            match texts.last_mut().filter(|(text, service, _)| *text == unknown.target && *service == unknown.service) {
                Some((.., count)) => *count += 1,
                None => texts.push((&unknown.target, unknown.service, 1)),
            }
        }
        texts
    }
}

/// Entries kept at most while rows are printed. Few: the labels of one may take a megabyte.
const KEPT: usize = 64;

/// The entries of the targets that have rows, to read those rows merged.
pub struct EntriesWithRows<'a> {
    snapshot: &'a Snapshot,
    targets: &'a Targets,
    /// Their scripts, with the heights that they are complete from: rows of lower heights may exist, of a trace or of a sweep under way.
    pub scripts: Vec<(ScriptHash, Height)>,
    known: RefCell<HashMap<ScriptHash, Rc<EntryRow>>>,
}

impl<'a> EntriesWithRows<'a> {
    /// Finds them.
    ///
    /// # Errors
    /// What reading reports.
    pub fn new(snapshot: &'a Snapshot, targets: &'a Targets) -> Result<Self> {
        let mut scripts: Vec<_> = targets.entries.iter().map(|(hash, entry)| (*hash, entry.from)).collect();
        if targets.others {
            let named: BTreeSet<_> = scripts.iter().map(|(hash, _)| *hash).collect();
            // Most entries of a long list were never touched: whatever holds a coin of a flagged script is a touch first.
            for script in snapshot.reader.touched_scripts() {
                let script = script?;
                if named.contains(&script) {
                    continue;
                }
                if let Some(entry) = snapshot.reader.entry(script)?.filter(|entry| entry.flagged) {
                    scripts.push((script, entry.from));
                }
            }
        }
        Ok(Self { snapshot, targets, scripts, known: RefCell::default() })
    }

    /// The entry of the script at this place of `scripts`.
    ///
    /// # Errors
    /// What reading reports.
    pub fn get(&self, number: usize) -> Result<Rc<EntryRow>> {
        let (hash, _) = self.scripts[number];
        if let Some(entry) = self.known.borrow().get(&hash) {
            return Ok(Rc::clone(entry));
        }
        let entry = match self.targets.entries.get(number) {
            Some((_, entry)) => Rc::new(entry.clone()),
            None => {
                let entry = self.snapshot.reader.entry(hash)?;
                Rc::new(entry.ok_or_else(|| IndexError::corrupt::<EntryRow>(&hash))?)
            }
        };
        let mut known = self.known.borrow_mut();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(hash, Rc::clone(&entry));
        Ok(entry)
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
        let text = text.trim();
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

/// A target as it is meant: pasted text often has white space around it. A label may end in some of its own.
fn trimmed(text: &str) -> &str {
    let start = text.trim_start();
    if start.starts_with("label:") { start } else { start.trim_end() }
}

/// The error for a text that names no script.
fn not_a_target(snapshot: &Snapshot, text: &str, reason: &Refusal) -> QueryError {
    let why = match CoinTarget::parse(text) {
        Some(CoinTarget::Coin(outpoint)) => {
            format!("{outpoint} is a coin, which only `trace` and `screen` take as a target")
        }
        Some(CoinTarget::Transaction(txid)) if snapshot.reader.positions(txid).is_ok_and(|at| !at.is_empty()) => {
            format!("{txid} is a transaction; ask about it with `tx`, `trace` or `screen`")
        }
        _ => refusal(text, reason),
    };
    QueryError::Usage(why)
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
        Refusal::NotUnderstood if starts_like_coin(text) => {
            "this is no address, and no coin either: behind `TXID:` stands the number of an output".into()
        }
        Refusal::NotUnderstood => format!("'{shown}' is {}", no_form(text)),
        // The reason is about addresses, and this may have been meant for something else.
        Refusal::Truncated if text.len() < SHORTEST_ADDRESS => format!("'{shown}' is {}", no_form(text)),
        reason => format!("'{shown}': {reason}"),
    }
}

/// Whether a text has the form of a transaction id, a colon and something else.
fn starts_like_coin(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(txid, _)| txid.len() == 64 && txid.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// No address has fewer characters.
const SHORTEST_ADDRESS: usize = 26;

/// What targets look like, with the form nearest to what was typed. It has no secret: those are refused before.
fn no_form(text: &str) -> String {
    let (word, rest) = text.split_once(':').unwrap_or((text, ""));
    let word = word.to_lowercase();
    let known = ["label", "script", "all", "addr"];
    let nearest =
        known.into_iter().find(|known| strsim::damerau_levenshtein(known, &word) <= usize::from(word.len() > 2));
    let hint = match nearest {
        Some("all") if rest.is_empty() => "; did you mean all?".to_owned(),
        Some(prefix @ ("label" | "script")) if text.contains(':') => {
            format!("; did you mean {prefix}:{}?", masked(rest))
        }
        _ if text.contains('(') || word.chars().any(char::is_control) => String::new(),
        _ if word.len() > 2 && word.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            format!("; did you mean script:{}?", masked(text))
        }
        _ if is_start_of_address(text) => "; if it is an address, copy the whole of it".to_owned(),
        _ => format!("; did you mean label:{}?", masked(text)),
    };
    format!(
        "neither an address, script:HEX or a descriptor such as pkh(KEY), nor label:TEXT or all; `trace` and `screen` also take TXID and \
         TXID:VOUT{hint}"
    )
}

fn is_start_of_address(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    ["1", "3", "bc1", "tb1", "bcrt1", "2", "m", "n"].iter().any(|start| text.starts_with(start)) && digits > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coins_are_named_by_txid_and_output_and_nothing_else_is_taken_for_one() {
        let id = "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16";
        let txid: Txid = id.parse().unwrap();
        assert_eq!(CoinTarget::parse(&format!(" {id}\n")), Some(CoinTarget::Transaction(txid)));
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

    #[test]
    fn a_text_that_is_no_target_is_answered_with_the_nearest_form() {
        for (text, expected) in [
            ("nonsense", "did you mean label:nonsense?"),
            ("lable:Some shop", "did you mean label:Some shop?"),
            ("scrpt:51", "did you mean script:51?"),
            ("al", "did you mean label:al?"),
            ("alll", "did you mean all?"),
            ("ALL", "did you mean all?"),
            ("76a914", "did you mean script:76a914?"),
            ("1A1zP1eP5Q", "copy the whole of it"),
            ("foo(bar)", "TXID:VOUT"),
        ] {
            let said = refusal(text, &Refusal::NotUnderstood);
            assert!(said.ends_with(expected) && said.contains("descriptor such as pkh(KEY)"), "{text}: {said}");
            assert!(!said.contains("private"), "{said}");
        }
        assert!(refusal("nonsense", &Refusal::Truncated).contains("nor label:TEXT"));
        assert!(refusal(&"1".repeat(26), &Refusal::Truncated).contains("copy the whole of it"));
        assert_eq!(trimmed(" all\t"), "all");
        assert_eq!(trimmed(" label: x "), "label: x ");
    }
}
