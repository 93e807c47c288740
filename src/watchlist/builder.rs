//! Where formats put their rows: each is judged once, as accepted, a duplicate, another chain's, a remark, or quarantined.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

use bitcoin::ScriptBuf;
use foldhash::quality::RandomState;

use super::report::CommentedOut;
use super::table::remark;
use super::target::currency::{Currency, Form, Other, currency};
use super::target::range::Range;
use super::target::refusal::Refusal;
use super::target::script;
use super::{Label, ListOptions, Listing, Quarantined, Report, Role, secret, text};
use crate::chain::{Chain, Height};

/// Most characters of a row that are shown.
const SHOWN: usize = 120;
/// Most remarks with an address that are shown; all are counted.
const REMARKS_SHOWN: usize = 1000;

/// One row as a format understood it, still as text. Empty and absent cells mean the same.
#[derive(Clone, Debug, Default)]
pub struct Row<'t> {
    /// The line it starts on, from 1.
    pub line: u64,
    /// All of it as it stands in the file: searched for private keys, and shown if the row is quarantined.
    pub text: &'t str,
    /// Whether the file names its columns. Where it doesn't, two addresses in a row contradict each other.
    pub named: bool,
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

/// Makes a list from the rows of one file.
pub struct ListBuilder<'o> {
    chain: Chain,
    options: &'o ListOptions,
    report: Report,
    path: Arc<str>,
    listings: Vec<Listing>,
    /// Keyed hash of a listing, without line and extra cells → place of the first such in `listings`.
    seen: HashMap<u64, usize, RandomState>,
}

/// What becomes of a row.
pub enum RowOutcome {
    /// It names these scripts.
    Accepted {
        /// The scripts.
        scripts: Vec<ScriptBuf>,
        /// What it says of them.
        label: Label,
        /// Cells that are not kept, as they may hold a private key.
        hidden: u64,
    },
    /// It is of the chain of that name.
    OtherChain(&'static str),
    /// It is no data.
    Remark,
    /// It can't be used.
    Quarantined(Refusal),
}

impl<'o> ListBuilder<'o> {
    /// Without rows.
    pub fn new(report: Report, chain: Chain, options: &'o ListOptions) -> Self {
        let path = Arc::from(report.path.as_str());
        Self { chain, options, report, path, listings: Vec::new(), seen: HashMap::default() }
    }

    /// The chain that addresses must be of.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// Keeps the day on which the list was published, as the file says.
    pub fn publish(&mut self, date: String) {
        self.report.published = Some(date);
    }

    /// That day, if it is known yet.
    pub fn published(&self) -> Option<&str> {
        self.report.published.as_deref()
    }

    /// The report and the listings so far.
    pub fn finish(self) -> (Report, Vec<Listing>) {
        (self.report, self.listings)
    }

    /// Puts a row where it belongs.
    pub fn put(&mut self, line: u64, text: &str, outcome: RowOutcome) {
        match outcome {
            RowOutcome::Quarantined(reason) => self.quarantine(line, text, reason),
            RowOutcome::Remark => self.remark(line, text),
            RowOutcome::Accepted { scripts, label, hidden } => {
                self.report.hidden += hidden;
                self.accept(scripts, label);
            }
            RowOutcome::OtherChain(name) => {
                self.report.other_chain += 1;
                *self.report.other_chains.entry(name.to_owned()).or_default() += 1;
            }
        }
        self.report.rows += 1;
    }

    fn quarantine(&mut self, line: u64, text: &str, reason: Refusal) {
        let reason = if secret::holds_key(text) { Refusal::PrivateKey } else { reason };
        let text =
            if reason == Refusal::BareHash { "(not shown: maybe a private key)".to_owned() } else { shown(text) };
        self.report.quarantined.push(Quarantined { line, text, reason: reason.to_string() });
    }

    fn remark(&mut self, line: u64, text: &str) {
        self.report.remarks += 1;
        if remark::holds_target(text) {
            self.report.remarks_with_target += 1;
            if self.report.commented_out.len() < REMARKS_SHOWN {
                self.report.commented_out.push(CommentedOut { line, text: shown(text) });
            }
        }
    }

    /// What becomes of a row; most of the work.
    pub fn judge(&self, row: &Row) -> RowOutcome {
        if row.text.contains('\0') {
            return RowOutcome::Quarantined(Refusal::Nul);
        }
        let range = row.range.and_then(filled).map(str::parse::<Range>).transpose();
        let scripts = self.scripts(row, range.as_ref().ok().copied().flatten());
        if let Some(outcome) = self.of_another_chain(row, &scripts) {
            return outcome;
        }
        let result = range.and(scripts).and_then(|scripts| {
            if !row.named && self.names_another(row, &scripts) {
                return Err(Refusal::SeveralAddresses);
            }
            let (label, hidden) = self.label(row)?;
            Ok(RowOutcome::Accepted { scripts, label, hidden })
        });
        result.unwrap_or_else(RowOutcome::Quarantined)
    }

    /// The scripts that the row's cells name, all the same ones.
    fn scripts(&self, row: &Row, range: Option<Range>) -> Result<Vec<ScriptBuf>, Refusal> {
        let mut found: Option<Vec<ScriptBuf>> = None;
        for target in row.targets.iter().filter(|target| filled(target.text).is_some()) {
            let mut scripts = if target.is_script {
                script::from_script_cell(target.text, self.chain, range)?
            } else {
                script::parse_several(target.text, self.chain, range)?
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

    /// Whether a row that names no columns has a cell with nothing but further addresses in it.
    fn names_another(&self, row: &Row, scripts: &[ScriptBuf]) -> bool {
        other_cells(row).any(|cell| {
            let separates = |letter: char| letter.is_whitespace() || ",;|".contains(letter);
            let words = cell.split(separates).filter(|word| !word.is_empty());
            let mut found = words.map(|word| self.address(word)).peekable();
            found.peek().is_some_and(Option::is_some)
                && found
                    .collect::<Option<Vec<_>>>()
                    .is_some_and(|all| all.iter().any(|script| !scripts.contains(script)))
        })
    }

    /// The script of a cell that is an address and nothing else.
    fn address(&self, cell: &str) -> Option<ScriptBuf> {
        let cell = cell.trim();
        let fits = (26..=90).contains(&cell.len()) && cell.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let mut scripts = fits.then(|| script::parse(cell, self.chain, None).ok()).flatten()?;
        scripts.pop()
    }

    /// Whether a target is a bitcoin address with something glued to it.
    fn begins_with_address(&self, row: &Row) -> bool {
        let texts = row.targets.iter().map(|target| target.text.trim_matches(text::is_margin));
        let mut starts = texts.flat_map(|text| (26..=62).filter_map(move |length| text.get(..length)));
        starts.any(|start| self.address(start).is_some())
    }

    /// What the row's currency and its address's form say together, if they don't say bitcoin.
    fn of_another_chain(&self, row: &Row, scripts: &Result<Vec<ScriptBuf>, Refusal>) -> Option<RowOutcome> {
        let (said, is_clear) = other_currency(row);
        let quarantined = |reason| Some(RowOutcome::Quarantined(reason));
        match (scripts, said) {
            (Err(Refusal::OtherChain(name)), said) => {
                let said = said.filter(|said| *name == "Ethereum" && said.form == Form::Ethereum);
                Some(RowOutcome::OtherChain(said.map_or(name, |said| said.name)))
            }
            (Ok(scripts), Some(Other { name, form: Form::Bitcoin })) if scripts.iter().all(is_shared_form) => {
                quarantined(Refusal::SharedForm(name))
            }
            (Ok(_), Some(said)) => quarantined(Refusal::OtherCurrency(said.name)),
            (Err(Refusal::NotUnderstood), _) if other_cells(row).any(|cell| self.address(cell).is_some()) => {
                quarantined(Refusal::Misplaced)
            }
            // The currency decides where the target is nothing like a bitcoin address, not even one with an error.
            (
                Err(Refusal::NotUnderstood | Refusal::UnknownVersion(_) | Refusal::BareHex | Refusal::BareHash),
                Some(said),
            ) if is_clear => Some(RowOutcome::OtherChain(said.name)),
            (Err(Refusal::Overlong), Some(Other { name, form: Form::Own }))
                if is_clear && !self.begins_with_address(row) =>
            {
                Some(RowOutcome::OtherChain(name))
            }
            _ => None,
        }
    }

    fn label(&self, row: &Row) -> Result<(Label, u64), Refusal> {
        let mut cells = KeptCells::of(row);
        let mut own = |cell: Option<&str>| cell.and_then(filled).map(|cell| cells.keep("", cell));
        let (label, source, category) = (own(row.label), own(row.source), own(row.category));
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
                extra.insert((*name).to_owned(), cells.keep(name, cell));
            }
        }
        let label = Label {
            list: Arc::clone(&self.path),
            label: label.or_else(|| self.options.label.clone()),
            source,
            category,
            role,
            from,
            line: row.line,
            extra,
        };
        Ok((label, cells.hidden))
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

/// Keeps the cells of a row but for what may be a private key.
struct KeptCells {
    /// Whether the row holds a key.
    secret: bool,
    /// Whether the key runs over several cells, so that none of them may be kept.
    spread: bool,
    /// Cells that were not kept.
    hidden: u64,
}

impl KeptCells {
    fn of(row: &Row) -> Self {
        let secret = secret::holds_key(row.text);
        let spread = secret && !other_cells(row).any(secret::holds_key);
        // A key outside the cells, such as in a remark behind the label, isn't kept either.
        Self { secret, spread, hidden: u64::from(spread && other_cells(row).next().is_none()) }
    }

    /// The cell as it is kept. Of hashes that may be keys the middle is left out, unless the column says what they are.
    fn keep(&mut self, column: &str, cell: &str) -> String {
        if self.secret && (self.spread || secret::holds_key(cell)) {
            self.hidden += 1;
            return "(hidden: may be a private key)".to_owned();
        }
        let column = column.to_ascii_lowercase();
        if ["tx", "transaction", "hash", "block"].iter().any(|word| column.contains(word)) {
            return cell.to_owned();
        }
        secret::shortened(cell)
    }
}

/// What makes two listings of a file one: the script and what is said of it, on whatever line. A role or an earlier height
/// is not lost to a row that came first.
fn identity<'l>(script: &'l ScriptBuf, label: &'l Label) -> impl std::hash::Hash + PartialEq + use<'l> {
    (script, &label.label, &label.source, &label.category, label.role, label.from)
}

/// The filled cells of a row beside its targets.
fn other_cells<'t>(row: &Row<'t>) -> impl Iterator<Item = &'t str> {
    let named = [row.label, row.source, row.category].into_iter().flatten();
    named.chain(row.extra.iter().map(|(_, cell)| *cell)).filter_map(filled)
}

/// The other currency that a row names first, and whether its cells agree on it.
fn other_currency(row: &Row) -> (Option<Other>, bool) {
    let (mut found, mut is_clear) = (None, true);
    for cell in &row.currencies {
        match currency(cell) {
            Currency::Bitcoin => is_clear = false,
            Currency::Other(other) => is_clear &= *found.get_or_insert(other) == other,
            Currency::Token | Currency::Unknown => {}
        }
    }
    (found, is_clear)
}

/// Whether other chains write their addresses of such a script just like bitcoin.
fn is_shared_form(script: &ScriptBuf) -> bool {
    script.is_p2pkh() || script.is_p2sh()
}

/// The cell's text without margins, if any is left.
fn filled(cell: &str) -> Option<&str> {
    Some(cell.trim_matches(text::is_margin)).filter(|cell| !cell.is_empty())
}

fn height(text: &str) -> Option<Height> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A row's text as it may be shown: without what could be a key, not too long, without zero bytes.
fn shown(text: &str) -> String {
    if secret::holds_key(text) {
        return "(not shown: a private key)".to_owned();
    }
    let masked = secret::masked(text).replace('\0', "\u{fffd}");
    let masked = masked.trim();
    if masked.chars().nth(SHOWN).is_none() {
        masked.to_owned()
    } else {
        masked.chars().take(SHOWN).chain(['…']).collect()
    }
}
