//! What the index says of single coins: their taint, what lies behind them, and the way back to a source.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use bitcoin::{OutPoint, Script, Txid};

use crate::chain::{BlockId, Height};
use crate::index::keys::{CoinKey, TxPosition};
use crate::index::values::{Coin, Record};
use crate::query::trace::place::{Place, Places};
use crate::query::{Result, Snapshot};
use crate::trace::{Rule, Taint};

/// Which lists' scripts lie behind a coin: each number is one combination of labels that some entry has.
pub type Behind = Rc<BTreeSet<usize>>;

/// The index, coin by coin, with what was looked up before.
pub struct Ledger<'a> {
    /// The moment it is read at.
    pub snapshot: &'a Snapshot,
    places: Places,
    combinations: Vec<Vec<String>>,
    numbers: BTreeMap<Vec<String>, usize>,
    behind: HashMap<CoinKey, Behind, foldhash::quality::RandomState>,
    /// By transaction and height: its outputs share them.
    brought: HashMap<(Txid, Height), Rc<[Brought]>, foldhash::quality::RandomState>,
}

/// An input that brought taint into a transaction.
struct Brought {
    /// The coin it consumes.
    outpoint: OutPoint,
    /// That coin's row, where the index saw it made.
    key: Option<CoinKey>,
    /// Its script, if it is flagged at that height: then the input is a source by itself.
    flagged: Option<Rc<Place>>,
    /// The rules under which it brings taint, with its hops.
    held: Vec<(Rule, u32)>,
}

impl Brought {
    /// Its hops under a rule, if it brings taint under that.
    fn hops(&self, rule: Rule) -> Option<u32> {
        let held = || self.held.iter().find(|(of, _)| *of == rule).map(|(_, hops)| *hops);
        self.flagged.as_ref().map(|_| 0).or_else(held)
    }
}

impl<'a> Ledger<'a> {
    /// Nothing looked up yet.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            places: Places::default(),
            combinations: Vec::new(),
            numbers: BTreeMap::new(),
            behind: HashMap::default(),
            brought: HashMap::default(),
        }
    }

    /// What lists say of a script.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn place(&mut self, script: &Script) -> Result<Rc<Place>> {
        self.places.of(self.snapshot, script)
    }

    /// The coin that an outpoint named at a height; of BIP30's twins the later.
    pub fn coin(&self, outpoint: OutPoint, at: Height) -> Result<Option<(CoinKey, Coin)>> {
        let heights = self.snapshot.reader.coin_heights(&outpoint)?;
        let Some(height) = heights.into_iter().rfind(|height| *height <= at) else { return Ok(None) };
        let key = CoinKey { outpoint, height };
        Ok(self.snapshot.reader.coin(&key)?.map(|coin| (key, coin)))
    }

    /// The record of a transaction, if the index has it; of BIP30's twins the later.
    pub fn record(&self, txid: Txid) -> Result<Option<(TxPosition, Record)>> {
        match self.snapshot.reader.positions(txid)?.last() {
            Some(at) => Ok(Some((*at, self.snapshot.record(*at)?))),
            None => Ok(None),
        }
    }

    /// Whether a block proves that what it holds is below the settled height and on the index's chain; else why not.
    pub fn proves(&self, block: BlockId, settled: Height) -> Result<std::result::Result<(), String>> {
        if block.height > settled {
            return Ok(Err(format!(
                "confirmed at height {}, and the index is settled through {settled}",
                block.height
            )));
        }
        let ours = self.snapshot.reader.header(block.height)?.is_some_and(|header| header.block_hash() == block.hash);
        Ok(if ours { Ok(()) } else { Err(format!("confirmed in block {block}, which is not on the index's chain")) })
    }

    /// The inputs that brought taint into the transaction that made a coin, in input order.
    fn brought(&mut self, coin: &CoinKey) -> Result<Rc<[Brought]>> {
        let transaction = (coin.outpoint.txid, coin.height);
        if let Some(known) = self.brought.get(&transaction) {
            return Ok(Rc::clone(known));
        }
        let brought: Rc<[Brought]> = self.read_brought(coin)?.into();
        self.brought.insert(transaction, Rc::clone(&brought));
        Ok(brought)
    }

    fn read_brought(&mut self, coin: &CoinKey) -> Result<Vec<Brought>> {
        let positions = self.snapshot.reader.positions(coin.outpoint.txid)?;
        let Some(at) = positions.into_iter().find(|at| at.height == coin.height) else { return Ok(Vec::new()) };
        let record = self.snapshot.record(at)?;
        let mut brought = Vec::new();
        for (input, spent) in record.transaction.input.iter().zip(&record.spent) {
            let outpoint = input.previous_output;
            let place = self.place(&spent.script_pubkey)?;
            let flagged = place.is_flagged(at.height).then_some(place);
            let held = self.held(&outpoint, at)?;
            if (flagged.is_some() && spent.value.to_sat() > 0) || !held.is_empty() {
                let key = self.coin(outpoint, at.height)?.map(|(key, _)| key);
                brought.push(Brought { outpoint, key, flagged, held });
            }
        }
        Ok(brought)
    }

    /// What an input of the record at a place brought: rules and hops.
    fn held(&self, outpoint: &OutPoint, at: TxPosition) -> Result<Vec<(Rule, u32)>> {
        if let Some(spender) = self.snapshot.reader.spender(outpoint)?.filter(|spender| spender.at == at) {
            let brought = spender.brought.iter().filter(|brought| brought.taint > 0);
            return Ok(brought.map(|brought| (brought.rule, brought.hops)).collect());
        }
        // The row tells the last spend of an outpoint; this one was of a BIP30 twin before.
        let Some((_, coin)) = self.coin(*outpoint, at.height)? else { return Ok(Vec::new()) };
        let columns = coin.columns.iter().filter_map(|column| Some((column.rule, column.carried()?)));
        Ok(columns.filter(|(_, taint)| taint.amount > 0).map(|(rule, taint)| (rule, taint.hops)).collect())
    }

    /// The way from a coin back to a source under a rule: by the tainted input of fewest hops, ties to the lowest index.
    pub fn path(&mut self, coin: CoinKey, rule: Rule) -> Result<Vec<OutPoint>> {
        let mut path = vec![coin.outpoint];
        let mut at = coin;
        if self.is_source(&at)? {
            return Ok(path);
        }
        loop {
            let brought = self.brought(&at)?;
            // Of equal hops, `min_by_key` takes the first.
            let nearest =
                brought.iter().filter_map(|input| Some((input, input.hops(rule)?))).min_by_key(|(_, hops)| *hops);
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
        Ok(entry.is_some_and(|entry| entry.flagged && entry.from <= key.height))
    }

    /// The number of an entry's combination of labels.
    pub fn number(&mut self, labels: &[String]) -> usize {
        if let Some(number) = self.numbers.get(labels) {
            return *number;
        }
        self.combinations.push(labels.to_vec());
        self.numbers.insert(labels.to_vec(), self.combinations.len() - 1);
        self.combinations.len() - 1
    }

    /// The labels of a combination.
    pub fn labels(&self, number: usize) -> &[String] {
        &self.combinations[number]
    }

    /// All that lies behind a coin: its own script, if that is flagged, and what brought taint into it.
    pub fn behind(&mut self, coin: CoinKey) -> Result<Behind> {
        // Without recursion: a peel chain may be longer than the stack is deep.
        let mut ahead = vec![(coin, None::<Rc<[Brought]>>)];
        while let Some((key, brought)) = ahead.pop() {
            if self.behind.contains_key(&key) {
                continue;
            }
            let Some(brought) = brought else {
                let brought = self.brought(&key)?;
                let unseen: Vec<CoinKey> =
                    brought.iter().filter_map(|input| input.key).filter(|key| !self.behind.contains_key(key)).collect();
                ahead.push((key, Some(brought)));
                ahead.extend(unseen.into_iter().map(|key| (key, None)));
                continue;
            };
            let own = self.own(&key)?;
            let numbers = self.gather(own, &brought);
            self.behind.insert(key, numbers);
        }
        Ok(self.behind.get(&coin).cloned().unwrap_or_default())
    }

    fn own(&mut self, key: &CoinKey) -> Result<Option<usize>> {
        let Some(coin) = self.snapshot.reader.coin(key)? else { return Ok(None) };
        let Some(entry) = self.snapshot.reader.entry(coin.script)? else { return Ok(None) };
        let flagged = entry.flagged && entry.from <= key.height;
        Ok(flagged.then(|| self.number(&entry.label_texts())))
    }

    /// What lies behind a transaction's inputs, and a script of its own; a set that is one input's is shared with it.
    fn gather(&mut self, own: Option<usize>, brought: &[Brought]) -> Behind {
        let mut sets: Vec<Behind> = Vec::new();
        for input in brought {
            sets.extend(input.key.and_then(|key| self.behind.get(&key).cloned()));
            if let Some(place) = &input.flagged {
                sets.push(Rc::new(BTreeSet::from([self.number(&place.labels)])));
            }
        }
        sets.extend(own.map(|own| Rc::new(BTreeSet::from([own]))));
        union(sets)
    }
}

/// All of these together.
pub fn union(sets: impl IntoIterator<Item = Behind>) -> Behind {
    let mut sum = Behind::default();
    for set in sets {
        if sum.is_empty() || sum.is_subset(&set) {
            sum = set;
        } else if !set.is_subset(&sum) {
            Rc::make_mut(&mut sum).extend(set.iter().copied());
        }
    }
    sum
}

/// What a coin's rule brings along when it is spent, for each of `rules`.
pub fn carried(rules: &[Rule], coin: &Coin) -> Vec<Option<Taint>> {
    let of = |rule: &Rule| coin.columns.iter().find(|column| column.rule == *rule)?.carried().cloned();
    rules.iter().map(of).collect()
}
