//! `screen`: is a target flagged, or does it hold taint of flagged coins; and where nothing is found, does that prove anything.
//!
//! ```text
//! Screener      target after target, from text to rows
//! recorded      targets that the index holds;  unrecorded   those that it doesn't ── unconfirmed   by what they spend
//! row/          the row by its verdict: what was found, shares and thresholds, gates, all rows together
//! package/      a transaction with its unconfirmed ancestors, and the taint of their outputs
//! coins/        where a coin's taint came from, by the rows of the index
//! evidence/     whether finding nothing proves anything, and what that is decided on
//! ```
//!
//! Each names those below it only; `coins` and `evidence` don't know each other.

mod coins;
mod evidence;
mod package;
mod recorded;
mod row;
mod unconfirmed;
mod unrecorded;

pub use coins::cut::CutCoin;
pub use coins::label_shares::LabelShare;
pub use evidence::lookup::{ChainLookup, InBlock, NoLookup};
pub use evidence::proof::ProvenBy;
pub use evidence::vouch::Vouch;
pub use row::findings::Bound;
pub use row::gates::ScreenGates;
pub use row::screen_row::{ScreenRow, Verdict};
pub use row::tally::ScreenTally;
pub use row::threshold::{MinShare, NoShare, Shares, Thresholds};

use bitcoin::{ScriptBuf, Transaction, Txid};

use self::coins::ledger::Ledger;
use self::evidence::proof::SilenceJudge;
use self::evidence::sighting::Sought;
use self::evidence::vouch::BlockFinder;
use self::row::gates::GateWords;
use self::unrecorded::Unrecorded;
use super::at::Moment;
use super::by_rule::ByRule;
use super::coverage::Basis;
use super::target::{CoinTarget, Targets};
use super::{Coverage, QueryError, Result, Snapshot};
use crate::chain::Height;
use crate::index::sums::SumKey;
use crate::trace::Fate;
use crate::watchlist::Range;

/// Screens target after target against one moment of the index.
pub struct Screener<'a> {
    /// Of every flagged entry.
    pub coverage: Coverage,
    /// What the cut coins of the whole index hold together, by tracked rule: no target can hide more.
    pub frontier: ByRule,
    ledger: Ledger<'a>,
    judge: SilenceJudge<'a>,
    lookup: &'a dyn ChainLookup,
    blocks: BlockFinder,
    gates: GateWords,
    thresholds: Thresholds,
}

impl<'a> Screener<'a> {
    /// Reads what every answer needs; `lookup` is asked about what the index doesn't hold.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn new(snapshot: &'a Snapshot, lookup: &'a dyn ChainLookup) -> Result<Self> {
        let basis = Basis::of_flagged(snapshot)?.whole().traced().followed();
        let coverage = basis.coverage(snapshot, Moment::now(snapshot));
        let frontier = frontier(snapshot)?;
        Ok(Self {
            gates: GateWords::new(snapshot, coverage.trace.settled, &frontier)?,
            thresholds: Thresholds::default(),
            frontier,
            ledger: Ledger::new(snapshot),
            judge: SilenceJudge::new(snapshot, &coverage),
            coverage,
            lookup,
            blocks: BlockFinder::default(),
        })
    }

    /// The same, for a caller to whom it doesn't matter what happened below a height, if one is given.
    #[must_use]
    pub fn since(mut self, since: Option<Height>) -> Self {
        self.judge.since(since);
        self
    }

    /// The same, for a caller who counts only taint that reaches these thresholds.
    #[must_use]
    pub fn counting(self, thresholds: Thresholds) -> Self {
        Self { thresholds, ..self }
    }

    /// How far the index follows coins.
    pub fn gates(&self) -> ScreenGates {
        let trace = &self.ledger.snapshot.trace;
        ScreenGates { min_taint_sat: trace.min_taint_sat, max_hops: trace.max_hops }
    }

    /// The rows of a target: one, or of one that names several scripts one each. `vouch` is where the caller says that a transaction
    /// is confirmed.
    ///
    /// # Errors
    /// [`QueryError::Usage`] for a malformed target, another chain's address, an unknown label; what reading reports.
    pub fn screen(&mut self, text: &str, range: Option<Range>, vouch: Option<Vouch>) -> Result<Vec<ScreenRow>> {
        let mut rows = self.rows(text, range, vouch)?;
        rows.iter_mut().for_each(|row| self.finish(row));
        Ok(rows)
    }

    fn rows(&mut self, text: &str, range: Option<Range>, vouch: Option<Vouch>) -> Result<Vec<ScreenRow>> {
        match CoinTarget::parse(text) {
            Some(CoinTarget::Transaction(txid)) => Ok(vec![self.transaction(text, txid, None, vouch)?]),
            Some(CoinTarget::Coin(outpoint)) => {
                Ok(vec![self.transaction(text, outpoint.txid, Some(outpoint.vout), vouch)?])
            }
            None => {
                let targets = Targets::resolve(self.ledger.snapshot, &[text.to_owned()], range)?;
                let known = targets.entries.into_iter().map(|(_, entry)| entry.script);
                let scripts: Vec<ScriptBuf> =
                    known.chain(targets.unknown.into_iter().map(|unknown| unknown.script)).collect();
                // The row of a label's only script names the script, as the rows of several would.
                let alone = scripts.len() == 1 && text != "all" && !text.starts_with("label:");
                scripts.iter().map(|script| self.script(alone.then_some(text), script)).collect()
            }
        }
    }

    /// The row of a raw transaction, confirmed or not.
    ///
    /// # Errors
    /// [`QueryError::Usage`] where it is none; what reading reports.
    pub fn raw(&mut self, hex: &str, vouch: Option<Vouch>) -> Result<ScreenRow> {
        let bytes = const_hex::decode(hex.trim()).ok();
        let transaction = bytes.and_then(|bytes| bitcoin::consensus::deserialize::<Transaction>(&bytes).ok());
        let transaction =
            transaction.ok_or_else(|| QueryError::Usage("--raw-tx: this is no transaction in hex".into()))?;
        let txid = transaction.compute_txid();
        let named = self.blocks.find(self.ledger.snapshot, vouch)?;
        let sought = Sought { txid, vout: None, raw: Some(transaction), named: &named };
        let mut row = self.sought(&txid.to_string(), &sought)?;
        self.finish(&mut row);
        Ok(row)
    }

    /// Adds to a row what doesn't depend on the way it was made: shares, thresholds, gates.
    fn finish(&self, row: &mut ScreenRow) {
        row.weigh(&self.thresholds);
        self.gates.add_to(row);
    }

    fn transaction(&mut self, text: &str, txid: Txid, vout: Option<u32>, vouch: Option<Vouch>) -> Result<ScreenRow> {
        let named = self.blocks.find(self.ledger.snapshot, vouch)?;
        self.sought(text, &Sought { txid, vout, raw: None, named: &named })
    }

    fn sought(&mut self, target: &str, sought: &Sought<'_>) -> Result<ScreenRow> {
        let (ledger, judge, lookup) = (&mut self.ledger, &self.judge, self.lookup);
        match ledger.record(sought.txid)? {
            Some(record) => recorded::transaction(ledger, (judge, lookup), target, &record, sought.vout, sought.named),
            None => Unrecorded { ledger, judge, lookup }.screen(target, sought),
        }
    }

    fn script(&mut self, typed: Option<&str>, script: &ScriptBuf) -> Result<ScreenRow> {
        let named = typed.map(ToOwned::to_owned).or_else(|| self.ledger.snapshot.address(script));
        let named = named.unwrap_or_else(|| format!("script:{}", script.to_hex_string()));
        recorded::script(&mut self.ledger, &self.judge, &named, script)
    }
}

/// What the cut coins of the whole index hold, by tracked rule.
fn frontier(snapshot: &Snapshot) -> Result<ByRule> {
    let sums = snapshot.reader.sums()?;
    Ok(ByRule::of(&snapshot.trace.rules, |_, rule| {
        let cut = Fate::ALL.into_iter().filter(|fate| fate.is_cut());
        cut.fold(0u64, |sum, fate| sum.saturating_add(sums.get(&SumKey::Taint(rule, fate))))
    }))
}
