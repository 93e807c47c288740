//! Where formats put their rows: each is judged here, once, as accepted, a duplicate, another chain's, or quarantined.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

use bitcoin::ScriptBuf;
use foldhash::quality::RandomState;

use super::foreign::{self, Currency};
use super::range::Range;
use super::refusal::Refusal;
use super::script;
use super::{Label, ListOptions, Listing, Quarantined, Report, Role, secret, text};
use crate::chain::{Chain, Height};

/// Most characters of a quarantined row that are shown.
const SHOWN: usize = 120;

/// One row as a format understood it, still as text. Empty and absent cells mean the same.
#[derive(Clone, Debug, Default)]
pub struct Row<'t> {
    /// The line it starts on, from 1.
    pub line: u64,
    /// All of it as it stands in the file: searched for private keys, and shown if the row is quarantined.
    pub text: &'t str,
    /// The cells that name scripts. Where there are several, they must name the same.
    pub targets: Vec<Target<'t>>,
    /// Label.
    pub label: Option<&'t str>,
    /// Where the listing comes from.
    pub source: Option<&'t str>,
    /// Category.
    pub category: Option<&'t str>,
    /// `flagged` or `service`.
    pub role: Option<&'t str>,
    /// A height.
    pub from: Option<&'t str>,
    /// `A-B`, for a descriptor with a wildcard.
    pub range: Option<&'t str>,
    /// What the row says of its currency or chain.
    pub currencies: Vec<&'t str>,
    /// Other cells, by the names of their columns.
    pub extra: Vec<(&'t str, &'t str)>,
}

/// A cell that names scripts.
#[derive(Clone, Copy, Debug)]
pub struct Target<'t> {
    /// The cell's text.
    pub text: &'t str,
    /// Whether its column holds scripts, so that hex needs no `script:`.
    pub is_script: bool,
}

/// The rows of one file, and what has become of them.
pub struct Rows<'o> {
    chain: Chain,
    options: &'o ListOptions,
    report: Report,
    path: Arc<str>,
    listings: Vec<Listing>,
    /// Keyed hash of a listing, without line and extra cells → place of the first such in `listings`.
    seen: HashMap<u64, usize, RandomState>,
}

/// What is to be done with a row.
pub enum Verdict {
    /// It names these scripts.
    Accept(Vec<ScriptBuf>, Label),
    /// It is of the chain of that name.
    OtherChain(String),
    /// It can't be used.
    Refuse(Refusal),
}

impl<'o> Rows<'o> {
    /// None yet.
    pub fn new(report: Report, chain: Chain, options: &'o ListOptions) -> Self {
        let path = Arc::from(report.path.as_str());
        Self { chain, options, report, path, listings: Vec::new(), seen: HashMap::default() }
    }

    /// The report and the listings so far.
    pub fn finish(self) -> (Report, Vec<Listing>) {
        (self.report, self.listings)
    }

    /// The chain that the rows are read for.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// Judges a row and puts it where it belongs.
    pub fn take(&mut self, row: &Row) {
        self.put(row.line, row.text, self.judge(row));
    }

    /// Puts a row where it belongs.
    pub fn put(&mut self, line: u64, text: &str, verdict: Verdict) {
        match verdict {
            Verdict::Accept(scripts, label) => self.accept(scripts, label),
            Verdict::OtherChain(name) => {
                self.report.other_chain += 1;
                *self.report.other_chains.entry(name).or_default() += 1;
            }
            Verdict::Refuse(reason) => self.refuse(line, text, reason),
        }
    }

    /// Quarantines a row that a format can't make sense of. `text` is looked through for private keys first.
    pub fn refuse(&mut self, line: u64, text: &str, reason: Refusal) {
        let reason = if secret::holds_key(text) { Refusal::PrivateKey } else { reason };
        let text = match reason {
            Refusal::PrivateKey => "(not shown: a private key)".to_owned(),
            Refusal::BareHash => "(not shown: maybe a private key)".to_owned(),
            _ => shown(text),
        };
        self.report.quarantined.push(Quarantined { line, text, reason: reason.to_string() });
    }

    /// What is to be done with a row; most of the work.
    pub fn judge(&self, row: &Row) -> Verdict {
        if secret::holds_key(row.text) {
            return Verdict::Refuse(Refusal::PrivateKey);
        }
        if row.text.contains('\0') {
            return Verdict::Refuse(Refusal::Nul);
        }
        if holds_bare_hash(row) {
            return Verdict::Refuse(Refusal::BareHash);
        }
        let range = row.range.and_then(filled).map(str::parse::<Range>).transpose();
        let scripts = self.scripts(row, range.as_ref().ok().copied().flatten());
        if let Some(verdict) = other_chain(row, &scripts) {
            return verdict;
        }
        let result = range.and(scripts).and_then(|scripts| Ok((scripts, self.label(row)?)));
        match result {
            Ok((scripts, label)) => Verdict::Accept(scripts, label),
            Err(reason) => Verdict::Refuse(reason),
        }
    }

    /// The scripts that the row's cells name, all the same ones.
    fn scripts(&self, row: &Row, range: Option<Range>) -> Result<Vec<ScriptBuf>, Refusal> {
        let mut found: Option<Vec<ScriptBuf>> = None;
        for target in row.targets.iter().filter(|target| filled(target.text).is_some()) {
            let mut scripts = if target.is_script {
                script::from_script_cell(target.text, self.chain, range)?
            } else {
                script::parse(target.text, self.chain, range)?
            };
            scripts.sort_unstable();
            scripts.dedup();
            match &found {
                Some(before) if *before != scripts => return Err(Refusal::Contradiction),
                _ => found = Some(scripts),
            }
        }
        found.ok_or(Refusal::NoTarget)
    }

    fn label(&self, row: &Row) -> Result<Label, Refusal> {
        let own = |cell: Option<&str>| cell.and_then(filled).map(str::to_owned);
        let role = match row.role.and_then(filled) {
            Some(role) => role.to_ascii_lowercase().parse().map_err(|_| Refusal::BadRole)?,
            None => self.options.role.unwrap_or(Role::Flagged),
        };
        let from = match row.from.and_then(filled) {
            Some(from) => Some(height(from).ok_or(Refusal::BadFrom)?),
            None => self.options.from,
        };
        let mut extra = BTreeMap::new();
        for (name, cell) in &row.extra {
            if let Some(cell) = filled(cell) {
                extra.insert((*name).to_owned(), cell.to_owned());
            }
        }
        Ok(Label {
            list: Arc::clone(&self.path),
            label: own(row.label).or_else(|| self.options.label.clone()),
            source: own(row.source),
            category: own(row.category),
            role,
            from,
            line: row.line,
            extra,
        })
    }

    fn accept(&mut self, scripts: Vec<ScriptBuf>, label: Label) {
        let mut new = false;
        let labels = std::iter::repeat_n(label, scripts.len());
        for (script, label) in scripts.into_iter().zip(labels) {
            let hash = self.seen.hasher().hash_one(identity(&script, &label));
            let place = *self.seen.entry(hash).or_insert(self.listings.len());
            // Were two listings to share a hash, the second would be kept each time: nothing is taken for known unseen.
            let known = self
                .listings
                .get(place)
                .is_some_and(|listing| identity(&listing.script, &listing.label) == identity(&script, &label));
            if !known {
                self.listings.push(Listing { script, label });
                new = true;
            }
        }
        if new {
            self.report.accepted += 1;
        } else {
            self.report.duplicates += 1;
        }
    }
}

/// What makes two listings of a file one: the script and what is said of it, on whatever line. A role or an earlier height
/// is not lost to a row that came first.
fn identity<'l>(script: &'l ScriptBuf, label: &'l Label) -> impl std::hash::Hash + PartialEq + use<'l> {
    (script, &label.label, &label.source, &label.category, label.role, label.from)
}

/// What the row's currency and its address's form say together, if they say that it is another chain's.
fn other_chain(row: &Row, scripts: &Result<Vec<ScriptBuf>, Refusal>) -> Option<Verdict> {
    if matches!(scripts, Err(Refusal::PrivateKey | Refusal::BareHash | Refusal::NoTarget)) {
        return None;
    }
    let said = row.currencies.iter().find_map(|cell| match foreign::currency(cell) {
        Currency::Other { name, looks_alike } => Some((name, looks_alike)),
        Currency::Bitcoin | Currency::Token => None,
    });
    match (said, scripts) {
        (None, Err(Refusal::OtherChain(name))) => Some(Verdict::OtherChain((*name).to_owned())),
        (None, _) => None,
        (Some((name, _)), Err(_)) => Some(Verdict::OtherChain(name)),
        (Some((name, true)), Ok(scripts)) if scripts.iter().all(|script| script.is_p2pkh() || script.is_p2sh()) => {
            Some(Verdict::OtherChain(name))
        }
        (Some(_), Ok(_)) => Some(Verdict::Refuse(Refusal::OtherCurrency)),
    }
}

/// Whether a cell beside the target may be a private key in hex. Columns of transaction ids say so in their names.
fn holds_bare_hash(row: &Row) -> bool {
    let named = [row.label, row.source, row.category, row.role, row.from, row.range];
    named.into_iter().flatten().chain(row.currencies.iter().copied()).any(secret::holds_bare_hash)
        || row.extra.iter().any(|(name, cell)| {
            let name = name.to_ascii_lowercase();
            !["tx", "transaction", "hash", "block"].iter().any(|word| name.contains(word))
                && secret::holds_bare_hash(cell)
        })
}

/// The cell's text without margins, if any is left.
fn filled(cell: &str) -> Option<&str> {
    Some(cell.trim_matches(text::is_margin)).filter(|cell| !cell.is_empty())
}

fn height(text: &str) -> Option<Height> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A quarantined row's text as it may be shown: without what could be a key, not too long, without zero bytes.
fn shown(text: &str) -> String {
    let masked = secret::masked(text).replace('\0', "\u{fffd}");
    let masked = masked.trim();
    if masked.chars().nth(SHOWN).is_none() {
        masked.to_owned()
    } else {
        masked.chars().take(SHOWN).chain(['…']).collect()
    }
}
