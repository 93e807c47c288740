//! What the index says of single coins: their taint, the labels that it comes from, and the way back to a source.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use bitcoin::{OutPoint, PublicKey, Script, ScriptBuf, TxIn, TxOut, Txid};

use super::cache::BoundedCache;
use super::coin_parts::{CoinParts, KEPT_PARTS};
use super::cut::CutCoins;
use super::label_names::LabelNames;
use super::same_key::{self, SameKey};
use crate::chain::Height;
use crate::index::ReadRows;
use crate::index::keys::{CoinKey, TxPosition};
use crate::index::values::{InputTaint, Record};
use crate::query::facts::ScriptInfo;
use crate::query::facts::input::input_taint;
use crate::query::facts::script::ScriptListing;
use crate::query::{Result, Snapshot};
use crate::trace::Rule;

// A file of targets may name any number of coins, so each cache has a bound: some 350 MB together.

/// Bytes that the cached records may take.
const CACHED_RECORDS: usize = 64 << 20;
/// Bytes that the cached listings of scripts may take.
const CACHED_LISTINGS: usize = 32 << 20;
/// Bytes that the cached sets of labels may take.
const CACHED_SETS: usize = 64 << 20;
/// Transactions, and cut coins of these, that are cached.
const CACHED_CUT: usize = 1 << 16;
/// Bytes that the cached inputs may take.
const CACHED_INPUTS: usize = 128 << 20;

/// The sets of labels that a coin's taint comes from. Each number is a set of labels that some entry has: [`LabelNames::of_set`].
pub type LabelSets = Rc<BTreeSet<usize>>;

/// The sets of labels that the inputs of transactions carry.
type SetsByTransaction = HashMap<(Txid, Height), LabelSets, foldhash::quality::RandomState>;

/// The index, coin by coin, with what was read before.
pub struct Ledger<'a> {
    /// The moment it is read at.
    pub snapshot: &'a Snapshot,
    /// The labels met so far.
    pub labels: LabelNames,
    listings: BoundedCache<ScriptBuf, ScriptListing>,
    same_key: SameKey,
    records: BoundedCache<Txid, RecordedTx>,
    /// By transaction and height, like the inputs: all outputs of a transaction have the same.
    label_sets: BoundedCache<(Txid, Height), BTreeSet<usize>>,
    inputs: BoundedCache<(Txid, Height), Vec<TaintedInput>>,
    parts: BoundedCache<CoinKey, CoinParts>,
    cut: BoundedCache<(Txid, Height), CutCoins>,
}

/// A record, with how many of its inputs and outputs are on flagged scripts.
pub struct RecordedTx {
    /// Its id.
    pub txid: Txid,
    /// Where it is.
    pub at: TxPosition,
    /// The record.
    pub record: Record,
    /// Inputs that spend from flagged scripts.
    pub flagged_inputs: u64,
    /// Outputs on flagged scripts.
    pub flagged_outputs: u64,
}

impl RecordedTx {
    /// Bytes that it takes in memory, roughly.
    fn bytes(&self) -> usize {
        let Record { transaction, spent, branch } = &self.record;
        let outputs = spent.iter().chain(&transaction.output);
        let outputs: usize = outputs.map(|output| size_of::<TxOut>() + output.script_pubkey.len()).sum();
        let inputs: usize = transaction.input.iter().map(|input| size_of::<TxIn>() + input.script_sig.len()).sum();
        size_of::<Self>() + size_of_val(&branch[..]) + inputs + outputs
    }
}

/// A tainted input of a transaction.
pub struct TaintedInput {
    /// The coin it consumes.
    pub outpoint: OutPoint,
    /// That coin's row, where the index saw it made, and whether the index looks for its spend.
    pub coin: Option<(CoinKey, bool)>,
    /// Its script, if it is flagged at that height: then the input is a source by itself.
    pub flagged: Option<Rc<ScriptListing>>,
    /// Its taint, under each rule under which it has any.
    taints: Vec<InputTaint>,
}

impl TaintedInput {
    /// The transaction that made its coin, where the index saw that.
    fn parent(&self) -> Option<(Txid, Height)> {
        self.coin.map(|(key, _)| (key.outpoint.txid, key.height))
    }

    /// Its hops under a rule, if it is tainted under that.
    fn hops(&self, rule: Rule) -> Option<u32> {
        match self.flagged {
            Some(_) => Some(0),
            None => self.taints.iter().find(|taint| taint.rule == rule).map(|taint| taint.hops),
        }
    }
}

impl<'a> Ledger<'a> {
    /// A ledger that has read nothing yet.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            labels: LabelNames::default(),
            listings: BoundedCache::new(CACHED_LISTINGS),
            same_key: SameKey::new(),
            records: BoundedCache::new(CACHED_RECORDS),
            label_sets: BoundedCache::new(CACHED_SETS),
            inputs: BoundedCache::new(CACHED_INPUTS),
            parts: BoundedCache::new(KEPT_PARTS),
            cut: BoundedCache::new(CACHED_CUT),
        }
    }

    /// The listing of a script.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn listing(&mut self, script: &Script) -> Result<Rc<ScriptListing>> {
        if let Some(cached) = self.listings.get(script) {
            return Ok(cached);
        }
        let listing = Rc::new(ScriptListing::read(self.snapshot, script)?);
        let labels: usize = listing.labels.iter().map(|label| size_of::<String>() + label.len()).sum();
        let bytes = size_of::<(ScriptBuf, ScriptListing)>() + 2 * script.len() + labels;
        self.listings.insert(script.to_owned(), bytes, Rc::clone(&listing));
        Ok(listing)
    }

    /// The flagged scripts of the key of a script, other than that.
    pub fn same_key(&mut self, script: &Script) -> Result<Rc<Vec<ScriptInfo>>> {
        self.same_key.of_script(self.snapshot, script)
    }

    /// The flagged scripts of a key.
    pub fn scripts_of_key(&self, key: &PublicKey) -> Result<Vec<ScriptInfo>> {
        same_key::of_key(self.snapshot, key)
    }

    /// The record of a transaction, if the index has it; of BIP30's twins the later.
    pub fn record(&mut self, txid: Txid) -> Result<Option<Rc<RecordedTx>>> {
        if let Some(cached) = self.records.get(&txid) {
            return Ok(Some(cached));
        }
        let Some(at) = self.snapshot.reader.positions(txid)?.pop() else { return Ok(None) };
        let record = self.snapshot.record(at)?;
        let flagged_inputs = self.count_flagged(&record.spent)?;
        let flagged_outputs = self.count_flagged(&record.transaction.output)?;
        let recorded = Rc::new(RecordedTx { txid, at, record, flagged_inputs, flagged_outputs });
        self.records.insert(txid, recorded.bytes(), Rc::clone(&recorded));
        Ok(Some(recorded))
    }

    fn count_flagged(&mut self, outputs: &[TxOut]) -> Result<u64> {
        let mut count = 0;
        for output in outputs {
            count += u64::from(self.listing(&output.script_pubkey)?.flagged_from.is_some());
        }
        Ok(count)
    }

    /// What a coin holds in the trace of each label, if that is kept.
    pub fn known_parts(&mut self, coin: &CoinKey) -> Option<Rc<CoinParts>> {
        self.parts.get(coin)
    }

    /// Keeps what a coin holds in the trace of each label, of that many bytes.
    pub fn keep_parts(&mut self, coin: CoinKey, bytes: usize, parts: Rc<CoinParts>) {
        self.parts.insert(coin, bytes, parts);
    }

    /// The cut coins among those that a transaction spends at a height.
    pub fn cut_coins(
        &mut self,
        (txid, height): (Txid, Height),
        spent: impl Iterator<Item = OutPoint>,
    ) -> Result<Rc<CutCoins>> {
        if let Some(cached) = self.cut.get(&(txid, height)) {
            return Ok(cached);
        }
        let cut = Rc::new(CutCoins::among(self.snapshot, spent, height)?);
        self.cut.insert((txid, height), 1 + cut.coins.len(), Rc::clone(&cut));
        Ok(cut)
    }

    /// The tainted inputs of a transaction, in input order.
    pub fn inputs(&mut self, txid: Txid, height: Height) -> Result<Rc<Vec<TaintedInput>>> {
        if let Some(cached) = self.inputs.get(&(txid, height)) {
            return Ok(cached);
        }
        let inputs = Rc::new(self.read_inputs(txid, height)?);
        let taints: usize = inputs.iter().map(|input| size_of_val(&input.taints[..])).sum();
        let bytes = size_of::<(Txid, Height, Vec<TaintedInput>)>() + size_of_val(&inputs[..]) + taints;
        self.inputs.insert((txid, height), bytes, Rc::clone(&inputs));
        Ok(inputs)
    }

    fn read_inputs(&mut self, txid: Txid, height: Height) -> Result<Vec<TaintedInput>> {
        let positions = self.snapshot.reader.positions(txid)?;
        let Some(at) = positions.into_iter().find(|at| at.height == height) else { return Ok(Vec::new()) };
        let record = self.snapshot.record(at)?;
        let mut inputs = Vec::new();
        for (vin, spent) in record.spent.iter().enumerate() {
            let outpoint = record.transaction.input[vin].previous_output;
            let listing = self.listing(&spent.script_pubkey)?;
            let flagged = listing.is_flagged_at(at.height).then_some(listing);
            let mut taints = input_taint(self.snapshot, &record, at, vin)?;
            taints.retain(|taint| taint.taint > 0);
            if (flagged.is_some() && spent.value.to_sat() > 0) || !taints.is_empty() {
                let coin = self.snapshot.reader.coin_at(&outpoint, at.height)?;
                let coin = coin.map(|(key, coin)| (key, coin.is_followed()));
                inputs.push(TaintedInput { outpoint, coin, flagged, taints });
            }
        }
        Ok(inputs)
    }

    /// The way from a coin back to a source under a rule: by the tainted input of fewest hops, ties to the lowest index.
    pub fn path(&mut self, coin: CoinKey, rule: Rule) -> Result<Vec<OutPoint>> {
        let mut path = vec![coin.outpoint];
        let mut at = coin;
        if self.is_source(&at)? {
            return Ok(path);
        }
        loop {
            let inputs = self.inputs(at.outpoint.txid, at.height)?;
            // Of equal hops, `min_by_key` takes the first.
            let nearest =
                inputs.iter().filter_map(|input| Some((input, input.hops(rule)?))).min_by_key(|(_, hops)| *hops);
            let Some((input, _)) = nearest else { break };
            path.push(input.outpoint);
            match input.coin {
                // Not flagged where it was spent, so not where it was made either: it is no source.
                Some((key, _)) if input.flagged.is_none() => at = key,
                _ => break,
            }
        }
        Ok(path)
    }

    /// Whether a coin was a source from its making on.
    fn is_source(&self, key: &CoinKey) -> Result<bool> {
        let Some(coin) = self.snapshot.reader.coin(key)? else { return Ok(false) };
        let entry = self.snapshot.reader.entry(coin.script)?;
        Ok(entry.is_some_and(|entry| entry.is_flagged_at(key.height)))
    }

    /// The sets of labels that a coin's taint comes from: its own script's, if that is flagged, and those of the tainted inputs of its
    /// transaction.
    pub fn label_sets(&mut self, coin: CoinKey) -> Result<LabelSets> {
        let own = self.own_label_set(&coin)?.map(|own| Rc::new(BTreeSet::from([own])));
        let inherited = self.inherited_sets((coin.outpoint.txid, coin.height))?;
        Ok(union(std::iter::once(inherited).chain(own)))
    }

    /// Those of the tainted inputs of a transaction.
    fn inherited_sets(&mut self, transaction: (Txid, Height)) -> Result<LabelSets> {
        let mut found = SetsByTransaction::default();
        // Without recursion: a peel chain may be longer than the stack is deep.
        let mut ahead = vec![(transaction, None::<Rc<Vec<TaintedInput>>>)];
        while let Some((transaction, inputs)) = ahead.pop() {
            if found.contains_key(&transaction) {
                continue;
            }
            if let (None, Some(cached)) = (&inputs, self.label_sets.get(&transaction)) {
                found.insert(transaction, cached);
                continue;
            }
            let Some(inputs) = inputs else {
                let inputs = self.inputs(transaction.0, transaction.1)?;
                let mut parents: Vec<(Txid, Height)> = inputs.iter().filter_map(TaintedInput::parent).collect();
                parents.dedup();
                parents.retain(|parent| !found.contains_key(parent));
                ahead.push((transaction, Some(inputs)));
                ahead.extend(parents.into_iter().map(|parent| (parent, None)));
                continue;
            };
            let sets = self.gather(&inputs, &found);
            let bytes = size_of::<((Txid, Height), LabelSets)>() + size_of::<usize>() * 2 * sets.len();
            self.label_sets.insert(transaction, bytes, Rc::clone(&sets));
            found.insert(transaction, sets);
        }
        Ok(found.remove(&transaction).unwrap_or_default())
    }

    fn own_label_set(&mut self, key: &CoinKey) -> Result<Option<usize>> {
        let Some(coin) = self.snapshot.reader.coin(key)? else { return Ok(None) };
        let Some(entry) = self.snapshot.reader.entry(coin.script)? else { return Ok(None) };
        Ok(entry.is_flagged_at(key.height).then(|| self.labels.set(&entry.label_texts())))
    }

    /// The sets of a transaction's inputs, of which those of their own transactions are found; a set that is one input's is shared with
    /// it.
    fn gather(&mut self, inputs: &[TaintedInput], found: &SetsByTransaction) -> LabelSets {
        let mut sets: Vec<LabelSets> = Vec::new();
        for input in inputs {
            sets.extend(input.parent().and_then(|parent| found.get(&parent).cloned()));
            // A coin whose script was flagged when it was made is still on it.
            if let Some(listing) = &input.flagged {
                sets.push(Rc::new(BTreeSet::from([self.labels.set(&listing.labels)])));
            }
        }
        union(sets)
    }
}

/// All of these together.
pub fn union(sets: impl IntoIterator<Item = LabelSets>) -> LabelSets {
    let mut sum = LabelSets::default();
    for set in sets {
        if sum.is_empty() || sum.is_subset(&set) {
            sum = set;
        } else if !set.is_subset(&sum) {
            Rc::make_mut(&mut sum).extend(set.iter().copied());
        }
    }
    sum
}
