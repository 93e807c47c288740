//! What the index says of single coins: their taint, the labels that it comes from, and the way back to a source.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use bitcoin::{OutPoint, PublicKey, Script, TxIn, TxOut, Txid};

use super::cache::BoundedCache;
use super::label_traces::{LabelHoldings, LabelTraces};
use super::same_key::{self, SameKey};
use crate::chain::Height;
use crate::index::ReadRows;
use crate::index::keys::{CoinKey, TxPosition};
use crate::index::values::{InputTaint, Record};
use crate::query::facts::ScriptInfo;
use crate::query::facts::input::input_taint;
use crate::query::facts::script::{ScriptListing, ScriptListings};
use crate::query::{Result, Snapshot};
use crate::trace::Rule;

/// Bytes that the cached records may take.
const CACHED_RECORDS: usize = 64 << 20;

/// The sets of labels that a coin's taint comes from. Each number is a set of labels that some entry has: [`Ledger::labels`].
pub type LabelSets = Rc<BTreeSet<usize>>;

/// The index, coin by coin, with what was read before.
pub struct Ledger<'a> {
    /// The moment it is read at.
    pub snapshot: &'a Snapshot,
    listings: ScriptListings,
    same_key: SameKey,
    records: BoundedCache<Txid, RecordedTx>,
    traces: LabelTraces,
    /// Each set of labels that was met, by its number.
    labels: Vec<Vec<String>>,
    numbers: BTreeMap<Vec<String>, usize>,
    label_sets: HashMap<CoinKey, LabelSets, foldhash::quality::RandomState>,
    /// By transaction and height: all outputs of a transaction have the same inputs.
    inputs: HashMap<(Txid, Height), Rc<[TaintedInput]>, foldhash::quality::RandomState>,
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

/// An input that brought taint into a transaction.
struct TaintedInput {
    /// The coin it consumes.
    outpoint: OutPoint,
    /// That coin's row, where the index saw it made.
    key: Option<CoinKey>,
    /// Its script, if it is flagged at that height: then the input is a source by itself.
    flagged: Option<Rc<ScriptListing>>,
    /// The rules under which it brings taint.
    brought: Vec<InputTaint>,
}

impl TaintedInput {
    /// Its hops under a rule, if it brings taint under that.
    fn hops(&self, rule: Rule) -> Option<u32> {
        match self.flagged {
            Some(_) => Some(0),
            None => self.brought.iter().find(|brought| brought.rule == rule).map(|brought| brought.hops),
        }
    }
}

impl<'a> Ledger<'a> {
    /// A ledger that has read nothing yet.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            listings: ScriptListings::default(),
            same_key: SameKey::new(),
            records: BoundedCache::new(CACHED_RECORDS),
            traces: LabelTraces::default(),
            labels: Vec::new(),
            numbers: BTreeMap::new(),
            label_sets: HashMap::default(),
            inputs: HashMap::default(),
        }
    }

    /// The listing of a script.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn listing(&mut self, script: &Script) -> Result<Rc<ScriptListing>> {
        self.listings.get(self.snapshot, script)
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

    /// What each coin holds in the trace of one label alone.
    pub fn label_holdings(&mut self, label: &str) -> Result<Rc<LabelHoldings>> {
        self.traces.get(self.snapshot, label)
    }

    /// The inputs that brought taint into the transaction that made a coin, in input order.
    fn inputs(&mut self, coin: &CoinKey) -> Result<Rc<[TaintedInput]>> {
        let transaction = (coin.outpoint.txid, coin.height);
        if let Some(known) = self.inputs.get(&transaction) {
            return Ok(Rc::clone(known));
        }
        let inputs: Rc<[TaintedInput]> = self.read_inputs(coin)?.into();
        self.inputs.insert(transaction, Rc::clone(&inputs));
        Ok(inputs)
    }

    fn read_inputs(&mut self, coin: &CoinKey) -> Result<Vec<TaintedInput>> {
        let positions = self.snapshot.reader.positions(coin.outpoint.txid)?;
        let Some(at) = positions.into_iter().find(|at| at.height == coin.height) else { return Ok(Vec::new()) };
        let record = self.snapshot.record(at)?;
        let mut inputs = Vec::new();
        for (vin, spent) in record.spent.iter().enumerate() {
            let outpoint = record.transaction.input[vin].previous_output;
            let listing = self.listing(&spent.script_pubkey)?;
            let flagged = listing.is_flagged_at(at.height).then_some(listing);
            let mut brought = input_taint(self.snapshot, &record, at, vin)?;
            brought.retain(|brought| brought.taint > 0);
            if (flagged.is_some() && spent.value.to_sat() > 0) || !brought.is_empty() {
                let key = self.snapshot.reader.coin_at(&outpoint, at.height)?.map(|(key, _)| key);
                inputs.push(TaintedInput { outpoint, key, flagged, brought });
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
            let inputs = self.inputs(&at)?;
            // Of equal hops, `min_by_key` takes the first.
            let nearest =
                inputs.iter().filter_map(|input| Some((input, input.hops(rule)?))).min_by_key(|(_, hops)| *hops);
            let Some((input, _)) = nearest else { break };
            path.push(input.outpoint);
            match input.key {
                // Not flagged where it was spent, so not where it was made either: it is no source.
                Some(key) if input.flagged.is_none() => at = key,
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

    /// The number of a set of labels.
    pub fn label_set(&mut self, labels: &[String]) -> usize {
        if let Some(number) = self.numbers.get(labels) {
            return *number;
        }
        let number = self.labels.len();
        self.labels.push(labels.to_vec());
        self.numbers.insert(labels.to_vec(), number);
        number
    }

    /// The labels of the set of that number.
    pub fn labels(&self, number: usize) -> &[String] {
        &self.labels[number]
    }

    /// The sets of labels that a coin's taint comes from: its own script's, if that is flagged, and those of the tainted inputs of its
    /// transaction.
    pub fn label_sets(&mut self, coin: CoinKey) -> Result<LabelSets> {
        // Without recursion: a peel chain may be longer than the stack is deep.
        let mut ahead = vec![(coin, None::<Rc<[TaintedInput]>>)];
        while let Some((key, inputs)) = ahead.pop() {
            if self.label_sets.contains_key(&key) {
                continue;
            }
            let Some(inputs) = inputs else {
                let inputs = self.inputs(&key)?;
                let made = inputs.iter().filter_map(|input| input.key);
                let unseen: Vec<CoinKey> = made.filter(|key| !self.label_sets.contains_key(key)).collect();
                ahead.push((key, Some(inputs)));
                ahead.extend(unseen.into_iter().map(|key| (key, None)));
                continue;
            };
            let own = self.own_label_set(&key)?;
            let sets = self.gather(own, &inputs);
            self.label_sets.insert(key, sets);
        }
        Ok(self.label_sets.get(&coin).cloned().unwrap_or_default())
    }

    fn own_label_set(&mut self, key: &CoinKey) -> Result<Option<usize>> {
        let Some(coin) = self.snapshot.reader.coin(key)? else { return Ok(None) };
        let Some(entry) = self.snapshot.reader.entry(coin.script)? else { return Ok(None) };
        Ok(entry.is_flagged_at(key.height).then(|| self.label_set(&entry.label_texts())))
    }

    /// The sets of a transaction's inputs, and of a script of its own; a set that is one input's is shared with it.
    fn gather(&mut self, own: Option<usize>, inputs: &[TaintedInput]) -> LabelSets {
        let mut sets: Vec<LabelSets> = Vec::new();
        for input in inputs {
            sets.extend(input.key.and_then(|key| self.label_sets.get(&key).cloned()));
            if let Some(listing) = &input.flagged {
                sets.push(Rc::new(BTreeSet::from([self.label_set(&listing.labels)])));
            }
        }
        sets.extend(own.map(|own| Rc::new(BTreeSet::from([own]))));
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
