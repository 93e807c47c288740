//! `screen`: is a target flagged, or derived from what is; and where nothing is found, whether that proves anything.
//!
//! ```text
//! Screener ─┬─ scripts and coins that the index holds ── ledger (what it says of one coin), by_label (one trace a label)
//!           └─ elsewhere: coins that it doesn't hold ─┬─ outside (the node, or nobody)
//!                                                     └─ draft (a transaction that waits), origin (what that spends)
//! tally ── what was found of a target, as the row of answer; recent ── records that were used lately
//! ```

pub mod answer;
mod by_label;
mod draft;
mod elsewhere;
mod ledger;
mod origin;
pub mod outside;
mod recent;
mod tally;

pub use answer::{ScreenRow, SourceRow, Verdict};
pub use outside::{Nobody, Outside};

use std::collections::HashMap;
use std::rc::Rc;

use bitcoin::{OutPoint, ScriptBuf, Transaction, TxIn, TxOut, Txid};

use self::by_label::ByLabel;
use self::ledger::Ledger;
use self::recent::Recent;
use self::tally::{Tally, explain};
use super::by_rule::ByRule;
use super::coverage::Basis;
use super::target::Targets;
use super::trace::source::CoinTarget;
use super::{Coverage, QueryError, Result, Snapshot};
use crate::chain::{Height, ScriptHash};
use crate::index::Family;
use crate::index::View;
use crate::index::keys::{CoinKey, ScriptKey, TxPosition};
use crate::index::values::Record;
use crate::trace::Fate;
use crate::watchlist::Range;

/// What the records that are kept may take.
const RECENT_BYTES: usize = 64 << 20;

/// Screens target after target against one moment of the index.
pub struct Screener<'a> {
    /// Of every flagged entry.
    pub coverage: Coverage,
    /// What the cut coins of the whole index hold together, by tracked rule: no target can hide more.
    pub frontier: ByRule,
    ledger: Ledger<'a>,
    by_label: ByLabel,
    outside: &'a dyn Outside,
    /// Records used lately, measured in bytes.
    recent: Recent<Txid, Recorded>,
    /// Scripts that nobody listed, of keys whose other script is listed.
    twins: HashMap<ScriptBuf, ScriptBuf, foldhash::quality::RandomState>,
}

/// A record, with how many of its inputs and outputs are on flagged scripts.
struct Recorded {
    txid: Txid,
    at: TxPosition,
    record: Record,
    flagged_inputs: u64,
    flagged_outputs: u64,
}

impl Recorded {
    /// What it takes in memory, roughly.
    fn bytes(&self) -> usize {
        let Record { transaction, spent, branch } = &self.record;
        let of_output = |output: &TxOut| size_of::<TxOut>() + output.script_pubkey.len();
        let outputs: usize = spent.iter().chain(&transaction.output).map(of_output).sum();
        let inputs: usize = transaction.input.iter().map(|input| size_of::<TxIn>() + input.script_sig.len()).sum();
        size_of::<Self>() + size_of_val(&branch[..]) + inputs + outputs
    }
}

impl<'a> Screener<'a> {
    /// Reads what every answer needs.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn new(snapshot: &'a Snapshot, outside: &'a dyn Outside) -> Result<Self> {
        let mut basis = Basis::default();
        (basis.whole, basis.traced) = (true, true);
        let mut twins = HashMap::default();
        for entry in snapshot.reader.entries() {
            let (_, entry) = entry?;
            if entry.flagged {
                basis.add(&entry, &snapshot.sweeps);
                if let Some(key) = entry.script.p2pk_public_key() {
                    twins.insert(ScriptBuf::new_p2pkh(&key.pubkey_hash()), entry.script);
                }
            }
        }
        let rules = &snapshot.trace.rules;
        let mut frontier = ByRule::none(rules);
        for coin in snapshot.reader.coins() {
            let (_, mut coin) = coin?;
            let cut = |fate| matches!(fate, Fate::AnyoneCanSpend | Fate::MaxHops | Fate::BelowMinTaint);
            coin.columns.retain(|column| cut(column.fate));
            frontier.add(&ByRule::of_columns(rules, &coin.columns));
        }
        let coverage = basis.coverage(snapshot, snapshot.asked());
        Ok(Self {
            coverage,
            frontier,
            ledger: Ledger::new(snapshot),
            by_label: ByLabel::default(),
            outside,
            recent: Recent::new(RECENT_BYTES),
            twins,
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
        match self.record(txid)? {
            Some(record) => self.recorded(&txid.to_string(), &record, None),
            None => self.raw_elsewhere(transaction, height),
        }
    }

    fn script(&mut self, typed: Option<&str>, script: &ScriptBuf) -> Result<ScreenRow> {
        let snapshot = self.ledger.snapshot;
        let place = self.ledger.place(script)?;
        let mut tally = Tally::new(&snapshot.trace.rules);
        let mut outputs = Vec::new();
        for row in snapshot.reader.raw_prefix(Family::Scripts, &ScriptHash::of(script).0) {
            let (key, _) = row?;
            let at = ScriptKey::from_key(&key).map_err(|_| View::corrupt(Family::Scripts, &key))?;
            let txid = snapshot.record(at.at)?.txid();
            let key = CoinKey { outpoint: OutPoint { txid, vout: at.vout }, height: at.at.height };
            let coin = snapshot.reader.coin(&key)?.ok_or_else(|| View::corrupt(Family::Coins, &key.key()))?;
            if tally.add(&place, coin.value, &coin.columns, || self.ledger.behind(key))? {
                tally.coins.push(key);
            }
            outputs.push(Some(key));
        }
        tally.add_script(&place);
        tally.flagged = u64::from(place.flagged_from.is_some());
        let named = typed.map(ToOwned::to_owned).or_else(|| snapshot.address(script));
        let named = named.unwrap_or_else(|| format!("script:{}", script.to_hex_string()));
        let silence = self.silence().map(|()| {
            let through = self.coverage.trace.settled.unwrap_or_default();
            format!("no coin of it held taint through height {through}, above the gates")
        });
        let mut row = tally.row(&named, silence);
        row.value_sat = None;
        explain(&mut row, &tally, &mut self.ledger, &mut self.by_label, &outputs)?;
        self.warn_of_twin(&mut row, script)?;
        Ok(row)
    }

    /// Says where the same key's other script is listed: matching is by exact script.
    fn warn_of_twin(&mut self, row: &mut ScreenRow, script: &ScriptBuf) -> Result<()> {
        let twin = match script.p2pk_public_key() {
            Some(key) => Some(ScriptBuf::new_p2pkh(&key.pubkey_hash())),
            None => self.twins.get(script).cloned(),
        };
        let Some(twin) = twin else { return Ok(()) };
        let place = self.ledger.place(&twin)?;
        if row.verdict != Verdict::Flagged && place.flagged_from.is_some() {
            let labels = place.labels.join("; ");
            row.why = format!("{}; but another script of the same key is listed: {labels}", row.why);
        }
        Ok(())
    }

    fn coin(&mut self, text: &str, outpoint: OutPoint, height: Option<Height>) -> Result<ScreenRow> {
        if let Some(record) = self.record(outpoint.txid)? {
            return self.recorded(text, &record, Some(outpoint.vout));
        }
        // Older than what the index saw made, but spent in a record.
        if let Some(spender) = self.ledger.snapshot.reader.spender(&outpoint)? {
            let record = self.ledger.snapshot.record(spender.at)?;
            if let Some(spent) = record.spent.get(spender.vin as usize) {
                return self.clean_coin(text, spent, spender.at.height);
            }
        }
        self.elsewhere(text, outpoint.txid, Some(outpoint.vout), height)
    }

    fn transaction(&mut self, text: &str, txid: Txid, height: Option<Height>) -> Result<ScreenRow> {
        match self.record(txid)? {
            Some(record) => self.recorded(text, &record, None),
            None => self.elsewhere(text, txid, None, height),
        }
    }

    fn record(&mut self, txid: Txid) -> Result<Option<Rc<Recorded>>> {
        if let Some(recent) = self.recent.get(&txid) {
            return Ok(Some(recent));
        }
        let Some((at, record)) = self.ledger.record(txid)? else { return Ok(None) };
        let mut flagged = |outputs: &[TxOut]| -> Result<u64> {
            let mut count = 0;
            for output in outputs {
                count += u64::from(self.ledger.place(&output.script_pubkey)?.flagged_from.is_some());
            }
            Ok(count)
        };
        let (flagged_inputs, flagged_outputs) = (flagged(&record.spent)?, flagged(&record.transaction.output)?);
        let recorded = Rc::new(Recorded { txid, at, record, flagged_inputs, flagged_outputs });
        self.recent.insert(txid, recorded.bytes(), Rc::clone(&recorded));
        Ok(Some(recorded))
    }

    /// The row of a record's outputs, or of one of them.
    fn recorded(&mut self, text: &str, recorded: &Recorded, only: Option<u32>) -> Result<ScreenRow> {
        let Recorded { txid, at, record, flagged_inputs, flagged_outputs } = recorded;
        let all = (0..).zip(&record.transaction.output);
        let outputs: Vec<(u32, &TxOut)> = all.filter(|(vout, _)| only.is_none_or(|only| only == *vout)).collect();
        if let Some(vout) = only.filter(|_| outputs.is_empty()) {
            return Ok(ScreenRow::unknown(text, format!("the transaction has no output {vout}")));
        }
        let snapshot = self.ledger.snapshot;
        let mut tally = Tally::new(&snapshot.trace.rules);
        let mut keys = Vec::new();
        for (vout, output) in outputs {
            let place = self.ledger.place(&output.script_pubkey)?;
            let key = CoinKey { outpoint: OutPoint { txid: *txid, vout }, height: at.height };
            let columns = snapshot.reader.coin(&key)?.map(|coin| coin.columns).unwrap_or_default();
            if tally.add(&place, output.value.to_sat(), &columns, || self.ledger.behind(key))? {
                tally.coins.push(key);
            }
            keys.push(Some(key));
        }
        let silence = self.silence_at(at.height);
        let silence = silence.map(|()| format!("recorded at height {}, without taint there", at.height));
        let mut row = tally.row(text, silence);
        (row.flagged_inputs, row.flagged_outputs) = (Some(*flagged_inputs), Some(*flagged_outputs));
        explain(&mut row, &tally, &mut self.ledger, &mut self.by_label, &keys)?;
        Ok(row)
    }

    /// Whether finding nothing proves that there is nothing; else why not.
    fn silence(&self) -> Result<(), String> {
        let snapshot = self.ledger.snapshot;
        let coverage = &self.coverage;
        let why = if coverage.from.is_none() {
            "no entry is flagged, so nothing is looked for".to_owned()
        } else if coverage.lists_changed {
            "the lists are not those that the index took in; run `coinhound backfill`".to_owned()
        } else if coverage.quarantined > 0 && !snapshot.lists.quarantine_accepted {
            "rows of the lists could not be read; `coinhound watch check` shows them".to_owned()
        } else if coverage.trace.rules.is_empty() {
            "this index follows no coins; run `coinhound backfill`".to_owned()
        } else if !coverage.complete {
            "the index has not looked at every block for every entry; run `coinhound backfill`".to_owned()
        } else {
            return Ok(());
        };
        Err(why)
    }

    /// The same of a transaction confirmed at a height.
    fn silence_at(&self, height: Height) -> Result<(), String> {
        self.silence()?;
        match self.coverage.trace.settled {
            Some(settled) if height <= settled => Ok(()),
            Some(settled) => Err(format!("confirmed at height {height}, and the index is settled through {settled}")),
            None => Err("the index has no block yet".into()),
        }
    }
}
