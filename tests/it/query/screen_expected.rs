//! What `screen` must say of a case of the taint oracle, and a node that it may ask.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{Amount, Block, BlockHash, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use coinhound::chain::BlockId;
use coinhound::query::screen::{ChainLookup, InBlock, LabelShare, ScreenRow, Screener, Verdict, Vouch};
use coinhound::trace::Rule;

use crate::oracle::taint;
use crate::support::chain::outputs;
use crate::support::random::Rng;
use crate::support::scripts::Shape;
use crate::support::taint_cases::TaintCase;

/// A node with some blocks and a mempool.
#[derive(Default)]
pub struct FakeLookup {
    /// Known transactions, with the block of each that is confirmed.
    pub transactions: BTreeMap<Txid, (Transaction, Option<BlockId>)>,
    /// Unspent outputs, with the block of each.
    pub unspent: BTreeMap<OutPoint, (TxOut, BlockId)>,
    /// Its blocks that can be searched, by hash.
    pub blocks: BTreeMap<BlockHash, BlockId>,
    /// Blocks that it knows and that are not on its active chain.
    pub stale: BTreeSet<BlockHash>,
    /// Whether it has an index of transactions.
    pub txindex: bool,
}

impl FakeLookup {
    /// A node that has these blocks, and these transactions in its mempool.
    pub fn new(blocks: &[Block], waiting: &[Transaction], txindex: bool) -> Self {
        let mut lookup = Self { txindex, ..Self::default() };
        for (height, block) in (0..).zip(blocks) {
            let id = BlockId { height, hash: block.block_hash() };
            lookup.blocks.insert(id.hash, id);
            for transaction in &block.txdata {
                transaction.input.iter().for_each(|input| drop(lookup.unspent.remove(&input.previous_output)));
                lookup.unspent.extend(outputs(transaction).map(|(at, output)| (at, (output.clone(), id))));
                lookup.transactions.insert(transaction.compute_txid(), (transaction.clone(), Some(id)));
            }
        }
        lookup.transactions.extend(waiting.iter().map(|waiting| (waiting.compute_txid(), (waiting.clone(), None))));
        lookup
    }
}

impl ChainLookup for FakeLookup {
    fn coin(&self, outpoint: OutPoint) -> Option<(TxOut, BlockId)> {
        self.unspent.get(&outpoint).cloned()
    }

    fn transaction(&self, txid: Txid) -> Option<(Transaction, Option<BlockId>)> {
        self.transactions.get(&txid).filter(|(_, block)| self.txindex || block.is_none()).cloned()
    }

    fn in_block(&self, txid: Txid, block: BlockHash) -> InBlock {
        let Some(id) = self.blocks.get(&block) else {
            return if self.stale.contains(&block) { InBlock::Stale } else { InBlock::Unsaid };
        };
        match self.transactions.get(&txid).filter(|(_, block)| block.as_ref() == Some(id)) {
            Some((transaction, _)) => InBlock::Holds(transaction.clone()),
            None => InBlock::Lacks,
        }
    }

    fn name(&self) -> String {
        "the test's node".into()
    }
}

/// Taint and hops of coins, for each tracked rule.
type Holdings = Vec<BTreeMap<OutPoint, (u64, u32)>>;

/// The oracle's taint of coins, from all sources and from those of each label.
pub struct Expected {
    rules: Vec<Rule>,
    all: Holdings,
    by_label: BTreeMap<String, Holdings>,
    /// The flagged scripts with the height each is flagged from.
    pub flagged: BTreeMap<ScriptBuf, u32>,
    /// The scripts of whose key another script is flagged, as far as either of the two shows that.
    pub same_key: BTreeSet<ScriptBuf>,
    /// The same, of which some input may show the key.
    same_owner: BTreeSet<ScriptBuf>,
    /// The scripts that each transaction spends from.
    spent: BTreeMap<Txid, Vec<ScriptBuf>>,
    /// Whether a target without a finding is proven clean.
    pub silent: bool,
    /// The height from which every flagged script is scanned for: below it, nothing is proven clean.
    pub from: u32,
}

impl Expected {
    /// What `screen` must say of a case if its index ends at a height.
    pub fn of(case: &TaintCase, swept_to: u32) -> Self {
        let flagged = taint::flagged(&case.listed);
        let labels: BTreeSet<String> = case.listed.iter().map(|listed| listed.label.clone()).collect();
        let by_label = labels.into_iter().map(|label| (label.clone(), case.holdings(Some(&label)))).collect();
        let silent = !flagged.is_empty() && flagged.values().all(|from| *from <= swept_to);
        let rules = case.parameters.rules.clone();
        let (same_owner, same_key) = (same_key(case, &flagged, false), same_key(case, &flagged, true));
        let spent = spent(case);
        let from = flagged.values().copied().max().unwrap_or_default();
        Self {
            silent: silent && !rules.is_empty(),
            all: case.holdings(None),
            rules,
            by_label,
            flagged,
            same_key,
            same_owner,
            spent,
            from,
        }
    }

    /// Whether the transaction of these coins spends from a script of a flagged script's key.
    fn spends_same_key(&self, coins: &[OutPoint]) -> bool {
        let spent = coins.iter().filter_map(|at| self.spent.get(&at.txid)).flatten();
        spent.into_iter().any(|script| self.same_owner.contains(script))
    }

    fn taints(holdings: &Holdings, coins: &[OutPoint]) -> Vec<u64> {
        let sum =
            |of: &BTreeMap<OutPoint, (u64, u32)>| coins.iter().filter_map(|at| of.get(at)).map(|held| held.0).sum();
        holdings.iter().map(sum).collect()
    }

    /// Panics unless a row is right for these outputs, whose transactions are known to exist, and so is everything that these descend
    /// from.
    pub fn assert(&self, row: &ScreenRow, coins: &[(OutPoint, &TxOut)], past: Past, what: &str) {
        let at: Vec<OutPoint> = coins.iter().map(|(at, _)| *at).collect();
        let taints = Self::taints(&self.all, &at);
        let is_flagged = |output: &TxOut| self.flagged.contains_key(&output.script_pubkey);
        let flagged = coins.iter().any(|(_, output)| is_flagged(output));
        let verdict = match taints.iter().any(|taint| *taint > 0) {
            _ if flagged => Verdict::Flagged,
            true => Verdict::Derived,
            false if coins.iter().any(|(_, output)| self.same_key.contains(&output.script_pubkey)) => Verdict::SameKey,
            // Whether an input shows its key depends on how it is asked.
            false if row.verdict == Verdict::SameKey && self.spends_same_key(&at) => Verdict::SameKey,
            false if self.silent && past.oldest >= self.from && !past.spends_flagged => Verdict::None,
            false => Verdict::Unknown,
        };
        assert_eq!(row.verdict, verdict, "{what}: {}", row.why);
        if let Some(found) = &row.taint_sat {
            let found: Vec<u64> = self.rules.iter().map(|rule| found.get(*rule)).collect();
            assert_eq!(found, taints, "{what}: taint");
        }
        let hops = at.iter().flat_map(|at| self.all.iter().filter_map(|of| of.get(at)));
        let hops = hops.filter(|(taint, _)| *taint > 0).map(|(_, hops)| *hops).min();
        assert_eq!(row.hops, if flagged { Some(0) } else { hops }, "{what}: hops");
        self.assert_sources(row, &at, what);
    }

    /// Panics unless a row names the labels, with their taint, that are behind these coins.
    fn assert_sources(&self, row: &ScreenRow, at: &[OutPoint], what: &str) {
        let expected: BTreeMap<_, _> = self
            .by_label
            .iter()
            .map(|(label, holdings)| (label.clone(), Self::taints(holdings, at)))
            .filter(|(_, taints)| taints.iter().any(|taint| *taint > 0))
            .collect();
        let of = |row: &LabelShare| {
            (row.label.clone(), self.rules.iter().map(|rule| row.taint_sat.get(*rule)).collect::<Vec<_>>())
        };
        let found: BTreeMap<_, _> = row.sources.iter().map(of).collect();
        // If the taint of each label alone is cut or rounded to nothing, the labels are named without an amount.
        if !expected.is_empty() {
            assert_eq!(found, expected, "{what}: sources");
        }
        assert_eq!(
            row.sources.is_empty(),
            Self::taints(&self.all, at).iter().all(|taint| *taint == 0),
            "{what}: sources"
        );
    }
}

/// The scripts that aren't flagged, and of whose key another script is; if `shown`, as far as one of the two shows it.
fn same_key(case: &TaintCase, flagged: &BTreeMap<ScriptBuf, u32>, shown: bool) -> BTreeSet<ScriptBuf> {
    use Shape::*;
    let shows_key = |shape| matches!(shape, P2pk | P2pkUncompressed);
    let shows_hash = |shape| matches!(shape, P2pkh | P2wpkh | P2shP2wpkh);
    let of_key = |shape| shows_key(shape) || shows_hash(shape) || matches!(shape, P2pkhUncompressed | P2trKey);
    let is_same = |script: &ScriptBuf, of: &(Shape, u32)| {
        let others = case.keys.iter().filter(|(other, _)| *other != script && flagged.contains_key(*other));
        others.into_iter().any(|(_, (shape, key))| {
            let pair = [of.0, *shape];
            let is_shown = !shown || pair.into_iter().any(shows_key) || pair.into_iter().all(shows_hash);
            *key == of.1 && pair.into_iter().all(of_key) && is_shown
        })
    };
    let unflagged = case.keys.iter().filter(|(script, _)| !flagged.contains_key(*script));
    unflagged.filter(|(script, of)| is_same(script, of)).map(|(script, _)| script.clone()).collect()
}

/// The scripts that each transaction of a case spends from.
fn spent(case: &TaintCase) -> BTreeMap<Txid, Vec<ScriptBuf>> {
    let transactions = case.blocks.iter().flat_map(|block| &block.txdata);
    let scripts = |of: &Transaction| {
        let coins = of.input.iter().filter_map(|input| case.outputs.get(&input.previous_output));
        coins.map(|output| output.script_pubkey.clone()).collect()
    };
    transactions.map(|of| (of.compute_txid(), scripts(of))).collect()
}

/// Panics unless the path leads from one of these coins, input by input, to a source, with one step for each hop.
pub fn assert_path(row: &ScreenRow, coins: &[OutPoint], case: &TaintCase, what: &str) {
    let transactions: BTreeMap<Txid, (u32, &Transaction)> = (0..)
        .zip(&case.blocks)
        .flat_map(|(height, block)| block.txdata.iter().map(move |of| (of.compute_txid(), (height, of))))
        .collect();
    let Some(first) = row.path.first() else {
        assert!(row.sources.is_empty(), "{what}: sources without a path");
        return;
    };
    assert!(coins.contains(first), "{what}: the path begins elsewhere");
    for step in row.path.windows(2) {
        let (_, made) = transactions[&step[0].txid];
        assert!(made.input.iter().any(|input| input.previous_output == step[1]), "{what}: {step:?} is no step");
    }
    let last = row.path[row.path.len() - 1];
    let from = taint::flagged(&case.listed)[&case.outputs[&last].script_pubkey];
    let spent_at = row.path.len().checked_sub(2).map(|at| transactions[&row.path[at].txid].0);
    assert!(from <= spent_at.unwrap_or(transactions[&last.txid].0), "{what}: {last} is no source");
    if row.verdict == Verdict::Derived {
        assert_eq!(row.path.len(), row.hops.expect("derived has hops") as usize + 1, "{what}: a step for each hop");
    }
}

/// The height of each transaction.
pub fn heights(case: &TaintCase) -> BTreeMap<Txid, u32> {
    let blocks = (0..).zip(&case.blocks);
    blocks.flat_map(|(height, block)| block.txdata.iter().map(move |of| (of.compute_txid(), height))).collect()
}

/// Where a target comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Past {
    /// The least height of a transaction that it descends from, its own included.
    pub oldest: u32,
    /// Whether its own transaction spends a coin of a script that is flagged from some height on.
    pub spends_flagged: bool,
}

/// Where the outputs of each transaction come from.
pub fn pasts(case: &TaintCase) -> BTreeMap<Txid, Past> {
    let flagged = taint::flagged(&case.listed);
    let mut pasts: BTreeMap<Txid, Past> = BTreeMap::new();
    for (height, block) in (0..).zip(&case.blocks) {
        for transaction in &block.txdata {
            let spent = transaction.input.iter().filter(|_| !transaction.is_coinbase());
            let spent: Vec<OutPoint> = spent.map(|input| input.previous_output).collect();
            let parents = spent.iter().map(|at| pasts[&at.txid].oldest);
            let oldest = parents.chain([height]).min().unwrap_or_default();
            let spends_flagged = spent.iter().any(|at| flagged.contains_key(&case.outputs[at].script_pubkey));
            pasts.insert(transaction.compute_txid(), Past { oldest, spends_flagged });
        }
    }
    pasts
}

/// Some random elements, maybe several times.
pub fn some<T: Copy>(rng: &mut Rng, of: &[T], count: usize) -> Vec<T> {
    (0..count.min(of.len())).map(|_| *rng.pick(of)).collect()
}

/// The reason why no node was asked.
pub const UNASKED: &str = "no node was asked";

/// The row of a target.
pub fn screen(screener: &mut Screener<'_>, target: &str, vouch: Option<Vouch>) -> ScreenRow {
    screener.screen(target, None, vouch).expect("a good target").remove(0)
}

/// A transaction that spends these coins to one script.
pub fn spend(inputs: &[OutPoint], values: &[u64]) -> Transaction {
    let input = |at: &OutPoint| TxIn {
        previous_output: *at,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    };
    let script_pubkey = ScriptBuf::from_bytes(vec![0x51, 0x75, 0x51]);
    let output = |value: &u64| TxOut { value: Amount::from_sat(*value), script_pubkey: script_pubkey.clone() };
    Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: inputs.iter().map(input).collect(),
        output: values.iter().map(output).collect(),
    }
}
