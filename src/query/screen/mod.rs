//! `screen`: is a target flagged, or derived from what is; and where nothing is found, whether that proves anything.
//!
//! ```text
//! Screener ─┬─ recorded     scripts and transactions that the index holds
//!           └─ unrecorded   transactions that it doesn't hold ── unconfirmed   those in no settled block ── origin
//! ledger ── what the index says of single coins; sources ── the labels behind their taint; lookup ── the node, or nowhere
//! same_key ── listed scripts of the target's key
//! findings ── what was found of a target; proof ── whether finding nothing proves anything; row ── the verdict of the two
//! ```

mod cache;
mod findings;
mod label_traces;
mod ledger;
pub mod lookup;
mod origin;
mod proof;
mod recorded;
pub mod row;
mod same_key;
mod sources;
mod unconfirmed;
mod unrecorded;

pub use lookup::{ChainLookup, NoLookup};
pub use row::{ScreenRow, Verdict};
pub use sources::LabelShare;

use bitcoin::{OutPoint, ScriptBuf, Transaction, Txid};

use self::ledger::Ledger;
use self::proof::SilenceJudge;
use self::unrecorded::Unrecorded;
use super::at::Moment;
use super::by_rule::ByRule;
use super::coverage::Basis;
use super::target::{CoinTarget, Targets};
use super::{Coverage, QueryError, Result, Snapshot};
use crate::chain::Height;
use crate::index::ReadRows;
use crate::index::values::Coin;
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
}

impl<'a> Screener<'a> {
    /// Reads what every answer needs; `lookup` is asked about what the index doesn't hold.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn new(snapshot: &'a Snapshot, lookup: &'a dyn ChainLookup) -> Result<Self> {
        let basis = Basis::of_flagged(snapshot)?.whole().traced().followed();
        let coverage = basis.coverage(snapshot, Moment::now(snapshot));
        Ok(Self {
            frontier: frontier(snapshot)?,
            ledger: Ledger::new(snapshot),
            judge: SilenceJudge::new(snapshot, &coverage),
            coverage,
            lookup,
        })
    }

    /// The rows of a target: one, or of one that names several scripts one each. `height` is where the caller says that a
    /// transaction is confirmed.
    ///
    /// # Errors
    /// [`QueryError::Usage`] for a malformed target, another chain's address, an unknown label; what reading reports.
    pub fn screen(&mut self, text: &str, range: Option<Range>, height: Option<Height>) -> Result<Vec<ScreenRow>> {
        match CoinTarget::parse(text) {
            Some(CoinTarget::Transaction(txid)) => Ok(vec![self.transaction(text, txid, height)?]),
            Some(CoinTarget::Coin(outpoint)) => Ok(vec![self.coin(text, outpoint, height)?]),
            None => {
                let targets = Targets::resolve(self.ledger.snapshot, &[text.to_owned()], range)?;
                let known = targets.entries.into_iter().map(|(_, entry)| entry.script);
                let scripts: Vec<ScriptBuf> =
                    known.chain(targets.unknown.into_iter().map(|unknown| unknown.script)).collect();
                let alone = scripts.len() == 1 && text != "all" && !text.starts_with("label:");
                scripts.iter().map(|script| self.script(alone.then_some(text), script)).collect()
            }
        }
    }

    /// The row of a raw transaction, confirmed or not.
    ///
    /// # Errors
    /// [`QueryError::Usage`] where it is none; what reading reports.
    pub fn raw(&mut self, hex: &str, height: Option<Height>) -> Result<ScreenRow> {
        let bytes = const_hex::decode(hex.trim()).ok();
        let transaction = bytes.and_then(|bytes| bitcoin::consensus::deserialize::<Transaction>(&bytes).ok());
        let transaction =
            transaction.ok_or_else(|| QueryError::Usage("--raw-tx: this is no transaction in hex".into()))?;
        let txid = transaction.compute_txid();
        match self.ledger.record(txid)? {
            Some(record) => recorded::transaction(&mut self.ledger, &self.judge, &txid.to_string(), &record, None),
            None => self.unrecorded().raw(transaction, height),
        }
    }

    fn script(&mut self, typed: Option<&str>, script: &ScriptBuf) -> Result<ScreenRow> {
        let named = typed.map(ToOwned::to_owned).or_else(|| self.ledger.snapshot.address(script));
        let named = named.unwrap_or_else(|| format!("script:{}", script.to_hex_string()));
        recorded::script(&mut self.ledger, &self.judge, &named, script)
    }

    fn coin(&mut self, text: &str, outpoint: OutPoint, height: Option<Height>) -> Result<ScreenRow> {
        if let Some(record) = self.ledger.record(outpoint.txid)? {
            return recorded::transaction(&mut self.ledger, &self.judge, text, &record, Some(outpoint.vout));
        }
        let snapshot = self.ledger.snapshot;
        let Some(spender) = snapshot.reader.spender(&outpoint)? else {
            return self.unrecorded().transaction(text, outpoint.txid, Some(outpoint.vout), height);
        };
        // The index didn't see it made, but a record spends it.
        let spent_at = spender.at.height;
        let record = snapshot.record(spender.at)?;
        let output = record.spent.get(spender.vin as usize);
        let row = output.map(|output| self.unrecorded().spent_coin(text, output, spent_at)).transpose()?;
        match row {
            Some(row) if row.verdict != Verdict::Unknown => Ok(row),
            // Where the record doesn't show it to be high enough, its own block may.
            row => {
                let height = height.filter(|height| *height <= spent_at);
                let shown = self.unrecorded().transaction(text, outpoint.txid, Some(outpoint.vout), height)?;
                Ok(row.filter(|_| shown.verdict == Verdict::Unknown).unwrap_or(shown))
            }
        }
    }

    fn transaction(&mut self, text: &str, txid: Txid, height: Option<Height>) -> Result<ScreenRow> {
        match self.ledger.record(txid)? {
            Some(record) => recorded::transaction(&mut self.ledger, &self.judge, text, &record, None),
            None => self.unrecorded().transaction(text, txid, None, height),
        }
    }

    fn unrecorded(&mut self) -> Unrecorded<'_, 'a> {
        Unrecorded { ledger: &mut self.ledger, judge: &self.judge, lookup: self.lookup }
    }
}

/// What the cut coins of the whole index hold, by tracked rule.
fn frontier(snapshot: &Snapshot) -> Result<ByRule> {
    let rules = &snapshot.trace.rules;
    let mut frontier = ByRule::none(rules);
    for coin in snapshot.reader.range::<Coin>(..) {
        let (_, mut coin) = coin?;
        coin.columns.retain(|column| matches!(column.fate, Fate::AnyoneCanSpend | Fate::MaxHops | Fate::BelowMinTaint));
        frontier.add(&ByRule::of_columns(rules, &coin.columns));
    }
    Ok(frontier)
}
