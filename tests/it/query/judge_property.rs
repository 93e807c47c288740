//! The property of `none` (docs/design.md, "Why did `screen` say unknown?"): whatever the chain, the lists, the index's state and the way
//! to ask, no target is called clean in which, or behind which, a naive model that sees the whole chain finds flagged money at or above
//! the height that the answer claims; and all ways to ask about one coin agree.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::hashes::Hash;
use bitcoin::{Amount, Block, BlockHash, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid};
use coinhound::chain::BlockId;
use coinhound::index::{ReadRows, Reader};
use coinhound::query::Snapshot;
use coinhound::query::screen::{Bound, ChainLookup, InBlock, NoLookup, ScreenRow, Screener, Verdict, Vouch};
use coinhound::sync::plan::wanted::WantedTrace;
use coinhound::sync::sweep::run::Pace;
use coinhound::trace::Rule;

use super::screen_expected::FakeLookup;
use crate::oracle::taint::{self, ListedScript};
use crate::support::chain::{RegtestChain, outputs};
use crate::support::effort::each_case;
use crate::support::library::Library;
use crate::support::lists::target;
use crate::support::random::Rng;
use crate::support::scripts::Shape;
use crate::support::source::{Branch, MemorySource};
use crate::support::swept::SweptIndex;

/// Scripts that the chains pay.
const SCRIPTS: u64 = 9;
const PACE: Pace = Pace { threads: 1, batch_blocks: 500 };

/// Height of the base.
const BASE_HEIGHT: u32 = 104;

thread_local! {
    /// Blocks of which the first coinbases can be spent from the next block on.
    static BASE: RegtestChain = {
        let mut chain = RegtestChain::regtest(220);
        chain.mine_empty(BASE_HEIGHT);
        chain
    };
}

/// The coins that a transaction spends: none for a coinbase.
fn spent(transaction: &Transaction) -> impl Iterator<Item = OutPoint> + '_ {
    transaction.input.iter().filter(|_| !transaction.is_coinbase()).map(|input| input.previous_output)
}

/// A transaction of one to three of these coins, with one to three outputs on few scripts; not signed, since nothing checks that here.
fn draw_transaction(chain: &RegtestChain, rng: &mut Rng, coins: &mut BTreeMap<OutPoint, u64>) -> Option<Transaction> {
    let mut inputs = Vec::new();
    let mut total = 0;
    for _ in 0..=rng.below(3) {
        let all: Vec<OutPoint> = coins.keys().copied().collect();
        if all.is_empty() {
            break;
        }
        let at = *rng.pick(&all);
        total += coins.remove(&at)?;
        inputs.push(at);
    }
    let mut left = total - rng.below(1_000).min(total);
    let mut made = Vec::new();
    for _ in 0..=rng.below(3) {
        let script_pubkey = chain.script(Shape::P2wpkh, u32::try_from(rng.below(SCRIPTS)).ok()?);
        let value = match rng.below(8) {
            0 => 0,
            1 => left.min(50_000),
            _ => left / 2,
        };
        left -= value;
        made.push(TxOut { value: Amount::from_sat(value), script_pubkey });
    }
    if let Some(last) = made.last_mut() {
        last.value += Amount::from_sat(left);
    }
    let transaction = Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: inputs
            .iter()
            .map(|at| TxIn { previous_output: *at, sequence: Sequence::MAX, ..TxIn::default() })
            .collect(),
        output: made,
    };
    (!inputs.is_empty()).then_some(transaction)
}

/// The coins that the next block may spend.
fn spendable(chain: &RegtestChain) -> BTreeMap<OutPoint, u64> {
    chain.spendable().into_iter().map(|(at, coin)| (at, coin.output.value.to_sat())).collect()
}

/// Up to three transactions, some of which spend outputs of others; some of `again` come first, as far as their coins exist.
fn draw_transactions(chain: &RegtestChain, rng: &mut Rng, again: &mut Vec<Transaction>) -> Vec<Transaction> {
    let mut coins = spendable(chain);
    let mut drawn: Vec<Transaction> = Vec::new();
    for transaction in std::mem::take(again) {
        let inputs: Vec<OutPoint> = spent(&transaction).collect();
        if inputs.iter().all(|at| coins.contains_key(at)) && !rng.once_in(3) {
            for at in &inputs {
                coins.remove(at);
            }
            coins.extend(outputs(&transaction).map(|(at, output)| (at, output.value.to_sat())));
            drawn.push(transaction);
        } else {
            again.push(transaction);
        }
    }
    for _ in 0..rng.below(4) {
        let Some(transaction) = draw_transaction(chain, rng, &mut coins) else { break };
        coins.extend(outputs(&transaction).map(|(at, output)| (at, output.value.to_sat())));
        drawn.push(transaction);
    }
    drawn
}

/// A chain of the node's, an index of it or of another branch, and lists.
struct Case {
    name: String,
    rng: Rng,
    /// The node's active chain.
    node: Vec<Block>,
    /// In the node's mempool.
    waiting: Vec<Transaction>,
    /// The chain that the index was made from, through its last block.
    indexed: Vec<Block>,
    listed: Vec<ListedScript>,
    rules: Vec<Rule>,
    min_taint: u64,
    index: SweptIndex,
    /// The height of each block of the index's chain.
    heights: BTreeMap<BlockHash, u32>,
    /// The height of each transaction of the index's chain.
    places: BTreeMap<Txid, u32>,
    /// The blocks and transactions of the node's active chain.
    on_node: (BTreeSet<BlockHash>, BTreeSet<Txid>),
}

/// The transactions of blocks with their heights.
fn places(blocks: &[Block]) -> BTreeMap<Txid, u32> {
    let of = |(height, block)| {
        let block: &Block = block;
        block.txdata.iter().map(move |transaction| (transaction.compute_txid(), height))
    };
    (0..).zip(blocks).flat_map(of).collect()
}

impl Case {
    fn draw(number: u64) -> Self {
        let mut rng = Rng::new(77_000_000 + number);
        let mut chain = BASE.with(Clone::clone);
        let mut mined: Vec<Vec<Transaction>> = Vec::new();
        for _ in 0..10 + rng.below(6) {
            let transactions = draw_transactions(&chain, &mut rng, &mut Vec::new());
            mined.push(transactions.clone());
            chain.mine(transactions);
        }
        // The index is at the node's tip, some blocks behind it, or on a branch that the node has left.
        let state = rng.below(3);
        let mut again: Vec<Transaction> = Vec::new();
        let (node, indexed) = match state {
            0 => (chain.clone(), chain.blocks().to_vec()),
            1 => {
                let behind = 1 + rng.index(4);
                (chain.clone(), chain.blocks()[..chain.blocks().len() - behind].to_vec())
            }
            _ => {
                let depth = 1 + rng.index(4);
                again = mined[mined.len() - depth..].concat();
                let mut fork = chain.fork_at(chain.height() - u32::try_from(depth).expect("few"));
                for _ in 0..=depth {
                    let transactions = draw_transactions(&fork, &mut rng, &mut again);
                    fork.mine(transactions);
                }
                (fork, chain.blocks().to_vec())
            }
        };
        // What the node's branch has not confirmed again waits in its mempool.
        let waiting = draw_transactions(&node, &mut rng, &mut again);
        let (listed, late) = Self::draw_lists(&chain, &mut rng, u32::try_from(indexed.len()).expect("few") - 1);
        let rules = rng.pick(&[vec![Rule::Fifo], vec![Rule::Haircut, Rule::Fifo], Rule::ALL[1..].to_vec()]).clone();
        let min_taint = *rng.pick(&[1, 1, 100_000]);
        let wanted = WantedTrace {
            rules: Some(rules.clone()),
            min_taint_sat: Some(min_taint),
            max_hops: Some(None::<u32>.into()),
        };
        let index = SweptIndex::tracking(taint::entries(&listed), &wanted);
        index.sweep(&MemorySource::on(&Branch::new(&indexed)), PACE).expect("an honest source");
        let name = format!("case {number}, state {state}, late from {late}, {rules:?}, gate {min_taint}");
        let heights = (0..).zip(&indexed).map(|(height, block)| (block.block_hash(), height)).collect();
        let node = node.blocks().to_vec();
        let on_node = (node.iter().map(Block::block_hash).collect(), places(&node).into_keys().collect());
        let places = places(&indexed);
        Self { name, rng, node, waiting, indexed, listed, rules, min_taint, index, heights, places, on_node }
    }

    /// One to three scripts, each flagged from genesis on or from a height among the busy ones; and the greatest of these.
    fn draw_lists(chain: &RegtestChain, rng: &mut Rng, tip: u32) -> (Vec<ListedScript>, u32) {
        let mut listed: Vec<ListedScript> = Vec::new();
        for number in 0..=rng.below(3) {
            let script =
                chain.script(Shape::P2wpkh, u32::try_from((number * 4 + rng.below(4)) % SCRIPTS).expect("few"));
            let from = if rng.once_in(2) { 0 } else { tip - u32::try_from(rng.below(12)).expect("few") };
            let label = format!("label {}", rng.below(2));
            if listed.iter().all(|other| other.script != script) {
                listed.push(ListedScript { script, flagged: Some(from), service: false, label });
            }
        }
        let late = listed.iter().filter_map(|listed| listed.flagged).max().unwrap_or_default();
        (listed, late)
    }

    fn late(&self) -> u32 {
        self.listed.iter().filter_map(|listed| listed.flagged).max().unwrap_or_default()
    }

    fn is_listed(&self, script: &ScriptBuf) -> bool {
        self.listed.iter().any(|listed| listed.script == *script)
    }

    /// The node's chain with the waiting transactions in one more block.
    fn node_chain(&self) -> Vec<Block> {
        let mut blocks = self.node.clone();
        let mut next = blocks[blocks.len() - 1].clone();
        next.txdata = vec![blocks[0].txdata[0].clone()];
        next.txdata.extend(self.waiting.iter().cloned());
        blocks.push(next);
        blocks
    }
}

/// What the naive model says of a chain: every output with the flagged money in it and behind it, at or above a height.
struct Truth {
    /// Each transaction with its height.
    transactions: BTreeMap<Txid, (u32, Transaction)>,
    /// Outputs on flagged scripts, or with taint under a tracked rule.
    dirty: BTreeSet<OutPoint>,
    /// Transactions that spend a coin of a flagged script at or above the height.
    spending: BTreeSet<Txid>,
    /// Taint by rule, with every flagged script a source from genesis on.
    taint: Vec<BTreeMap<OutPoint, u64>>,
}

impl Truth {
    fn of(case: &Case, blocks: &[Block], since: u32) -> Self {
        let scripts: BTreeMap<ScriptBuf, u32> =
            case.listed.iter().map(|listed| (listed.script.clone(), since)).collect();
        let mut truth = Self {
            transactions: BTreeMap::new(),
            dirty: BTreeSet::new(),
            spending: BTreeSet::new(),
            taint: Vec::new(),
        };
        let mut made: BTreeMap<OutPoint, TxOut> = BTreeMap::new();
        for (height, block) in (0..).zip(blocks) {
            for transaction in &block.txdata {
                let txid = transaction.compute_txid();
                if height >= since && spent(transaction).any(|at| case.is_listed(&made[&at].script_pubkey)) {
                    truth.spending.insert(txid);
                }
                made.extend(outputs(transaction).map(|(at, output)| (at, output.clone())));
                truth.transactions.entry(txid).or_insert_with(|| (height, transaction.clone()));
            }
        }
        let listed = made.iter().filter(|(_, output)| case.is_listed(&output.script_pubkey));
        truth.dirty.extend(listed.map(|(at, _)| *at));
        for rule in &case.rules {
            let question = taint::Question {
                scripts: scripts.clone(),
                outpoints: BTreeSet::new(),
                rule: *rule,
                min_taint: case.min_taint,
                max_hops: None,
                stop_flagged: false,
                at: u32::MAX,
            };
            let traced = taint::trace(blocks, &case.listed, &question, &|_, _, _| true).made;
            let taint: BTreeMap<OutPoint, u64> = traced.into_iter().map(|((at, _), (taint, ..))| (at, taint)).collect();
            truth.dirty.extend(taint.iter().filter(|(_, taint)| **taint > 0).map(|(at, _)| *at));
            truth.taint.push(taint);
        }
        truth
    }

    /// Whether flagged money is in or behind the output, or one of the outputs, of a transaction; `None` where the chain lacks it.
    fn is_dirty(&self, txid: Txid, vout: Option<u32>) -> Option<bool> {
        let (_, transaction) = self.transactions.get(&txid)?;
        let mut outputs = outputs(transaction).filter(|(at, _)| vout.is_none_or(|vout| vout == at.vout));
        Some(self.spending.contains(&txid) || outputs.any(|(at, _)| self.dirty.contains(&at)))
    }

    /// Whether the output, or one of the outputs, of a transaction is on a flagged script or holds taint, and the taint by rule.
    fn held(&self, txid: Txid, vout: Option<u32>) -> Option<(bool, Vec<u64>)> {
        let (_, transaction) = self.transactions.get(&txid)?;
        let outputs = outputs(transaction).map(|(at, _)| at).filter(|at| vout.is_none_or(|vout| vout == at.vout));
        let outputs: Vec<OutPoint> = outputs.collect();
        let sum = |of: &BTreeMap<OutPoint, u64>| outputs.iter().filter_map(|at| of.get(at)).sum();
        Some((outputs.iter().any(|at| self.dirty.contains(at)), self.taint.iter().map(sum).collect()))
    }
}

/// A node that answers with other transactions than were asked for.
struct LyingLookup<'a>(&'a FakeLookup, Transaction);

impl ChainLookup for LyingLookup<'_> {
    fn coin(&self, outpoint: OutPoint) -> Option<(TxOut, BlockId)> {
        self.0.coin(outpoint).filter(|_| outpoint.vout == 0)
    }

    fn transaction(&self, txid: Txid) -> Option<(Transaction, Option<BlockId>)> {
        let (_, block) = self.0.transaction(txid)?;
        Some((self.1.clone(), block))
    }

    fn in_block(&self, txid: Txid, block: BlockHash) -> InBlock {
        match self.0.in_block(txid, block) {
            InBlock::Holds(_) => InBlock::Holds(self.1.clone()),
            other => other,
        }
    }

    fn name(&self) -> String {
        "a liar".into()
    }
}

/// How a target is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Id,
    Coin(u32),
    Raw,
}

impl Form {
    fn vout(self) -> Option<u32> {
        match self {
            Self::Coin(vout) => Some(vout),
            Self::Id | Self::Raw => None,
        }
    }

    fn ask(self, screener: &mut Screener<'_>, transaction: &Transaction, vouch: Option<Vouch>) -> ScreenRow {
        let txid = transaction.compute_txid();
        match self {
            Self::Id => screener.screen(&txid.to_string(), None, vouch).expect("a good target").remove(0),
            Self::Coin(vout) => {
                screener.screen(&format!("{txid}:{vout}"), None, vouch).expect("a good target").remove(0)
            }
            Self::Raw => {
                let hex = bitcoin::consensus::encode::serialize_hex(transaction);
                screener.raw(&hex, vouch).expect("a good transaction")
            }
        }
    }
}

/// What the caller says of a transaction's block.
#[derive(Clone, Copy, Debug)]
struct Word {
    vouch: Option<Vouch>,
    /// Whether it is true on the index's chain or on the node's.
    is_true: bool,
}

/// What the caller may say of a transaction: nothing, the right height and block, wrong ones.
fn words(case: &mut Case, truths: &[&Truth; 2], txid: Txid) -> Vec<Word> {
    let tip = u64::try_from(case.indexed.len()).expect("few") - 1;
    let mut words = vec![Word { vouch: None, is_true: true }];
    for (truth, blocks) in truths.iter().zip([&case.indexed, &case.node]) {
        let Some((height, _)) = truth.transactions.get(&txid) else { continue };
        let Some(block) = blocks.get(*height as usize) else { continue };
        words.push(Word { vouch: Some(Vouch::Height(*height)), is_true: true });
        words.push(Word { vouch: Some(Vouch::Block(block.block_hash())), is_true: true });
    }
    let wrong = u32::try_from(tip - case.rng.below(14)).expect("few");
    let holds =
        |blocks: &[Block]| blocks[wrong as usize].txdata.iter().any(|transaction| transaction.compute_txid() == txid);
    if !holds(&case.indexed) {
        words.push(Word { vouch: Some(Vouch::Height(wrong)), is_true: false });
        let hash = case.indexed[wrong as usize].block_hash();
        words.push(Word { vouch: Some(Vouch::Block(hash)), is_true: false });
    }
    let above = u32::try_from(tip + 1 + case.rng.below(3)).expect("few");
    words.push(Word { vouch: Some(Vouch::Height(above)), is_true: false });
    words.push(Word { vouch: Some(Vouch::Block(BlockHash::all_zeros())), is_true: false });
    words
}

/// The verdicts that all ways to ask about one target gave.
#[derive(Default)]
struct Agreement {
    claims: BTreeSet<Verdict>,
    /// The taint of the rows in which it is exact.
    exact: BTreeSet<Vec<u64>>,
    /// Of those in which it is a lower bound.
    lower: BTreeSet<Vec<u64>>,
    said: Vec<String>,
}

impl Agreement {
    fn add(&mut self, case: &Case, row: &ScreenRow, how: &str) {
        if row.verdict == Verdict::Unknown {
            return;
        }
        self.claims.insert(row.verdict);
        self.said.push(format!("{how}: {:?}, {:?} {:?}", row.verdict, row.bound, row.taint_sat));
        if let (Some(taint), Some(bound)) = (&row.taint_sat, row.bound) {
            let taint = case.rules.iter().map(|rule| taint.get(*rule)).collect();
            match bound {
                Bound::Exact => self.exact.insert(taint),
                Bound::Lower => self.lower.insert(taint),
            };
        }
    }

    fn assert(&self, what: &str) {
        assert!(self.claims.len() <= 1, "{what}: the ways to ask disagree: {:#?}", self.said);
        assert!(self.exact.len() <= 1, "{what}: taint differs: {:#?}", self.said);
        for (lower, exact) in self.lower.iter().flat_map(|lower| self.exact.iter().map(move |exact| (lower, exact))) {
            let holds = lower.iter().zip(exact).all(|(lower, exact)| lower <= exact);
            assert!(holds, "{what}: a lower bound above the exact taint: {:#?}", self.said);
        }
    }
}

/// The nodes that may be asked: with and without an index of transactions, without the blocks, a liar, and none.
struct Nodes {
    txindex: FakeLookup,
    plain: FakeLookup,
    pruned: FakeLookup,
    unasked: NoLookup,
}

impl Nodes {
    fn of(case: &Case) -> Self {
        let stale: BTreeSet<BlockHash> = case
            .indexed
            .iter()
            .map(Block::block_hash)
            .filter(|hash| case.node.iter().all(|of| of.block_hash() != *hash))
            .collect();
        let of = |txindex| FakeLookup { stale: stale.clone(), ..FakeLookup::new(&case.node, &case.waiting, txindex) };
        let pruned = FakeLookup { blocks: BTreeMap::new(), ..of(false) };
        Self { txindex: of(true), plain: of(false), pruned, unasked: NoLookup("no node was asked".into()) }
    }
}

/// Asks about everything in every way, and compares the answers with the model and with each other.
fn check(case: &mut Case) {
    let snapshot = Library::open(case.index.writer().path()).snapshot;
    let nodes = Nodes::of(case);
    let liar = LyingLookup(&nodes.txindex, case.indexed[0].txdata[0].clone());
    let late = case.late();
    let some = late.saturating_sub(u32::try_from(1 + case.rng.below(3)).expect("few"));
    assert_doubted(case, &nodes);
    assert_borders(case, &snapshot, &nodes);
    for since in [None, Some(late), Some(some)] {
        let claims_from = since.unwrap_or_default();
        let truths = [Truth::of(case, &case.indexed, claims_from), Truth::of(case, &case.node_chain(), claims_from)];
        let truths = [&truths[0], &truths[1]];
        assert_addresses(case, &snapshot, truths[0], since);
        // A node's word is worth as much as the node: the liar and none come without a node to compare.
        let lookups: [(&str, &dyn ChainLookup, bool); 5] = [
            ("txindex", &nodes.txindex, true),
            ("plain", &nodes.plain, true),
            ("pruned", &nodes.pruned, false),
            ("unasked", &nodes.unasked, false),
            ("liar", &liar, true),
        ];
        let mut screeners: Vec<_> = lookups
            .iter()
            .map(|(name, lookup, can_search)| {
                (*name, *can_search, Screener::new(&snapshot, *lookup).expect("the index reads").since(since))
            })
            .collect();
        let base = BASE_HEIGHT as usize + 1;
        let of = |blocks: &[Block]| {
            let busy = blocks[base.min(blocks.len())..].iter().flat_map(|block| block.txdata.clone());
            busy.map(|transaction| (transaction.compute_txid(), transaction)).collect::<BTreeMap<_, _>>()
        };
        let mut targets = of(&case.node);
        targets.extend(of(&case.indexed));
        targets.extend(case.waiting.iter().map(|waiting| (waiting.compute_txid(), waiting.clone())));
        for (txid, transaction) in &targets {
            check_target(case, (&snapshot, &mut screeners), truths, (*txid, transaction), since);
        }
        for rival in rivals(case, &snapshot) {
            for (name, _, screener) in &mut screeners {
                let row = Form::Raw.ask(screener, &rival, None);
                let what = format!("{}: a rival, {name}, since {since:?}: {row:?}", case.name);
                assert!(row.verdict != Verdict::None, "{what}");
            }
        }
        // An id that no transaction has.
        let mut nobody = case.node[0].txdata[0].clone();
        nobody.lock_time =
            bitcoin::absolute::LockTime::from_consensus(u32::try_from(case.rng.below(1 << 20)).expect("few"));
        for (name, can_search, screener) in &mut screeners {
            for word in words(case, &truths, nobody.compute_txid()) {
                let is_callers = !*can_search && matches!(word.vouch, Some(Vouch::Block(_)));
                for form in [Form::Id, Form::Coin(0), Form::Raw] {
                    let row = form.ask(screener, &nobody, word.vouch);
                    let what = format!("{}: nobody's, {name}, {form:?}, {word:?}, since {since:?}: {row:?}", case.name);
                    assert!(row.verdict == Verdict::Unknown || is_callers, "{what}");
                }
            }
        }
    }
}

fn check_target(
    case: &mut Case,
    (snapshot, screeners): (&Snapshot, &mut [(&str, bool, Screener<'_>)]),
    truths: [&Truth; 2],
    (txid, transaction): (Txid, &Transaction),
    since: Option<u32>,
) {
    let mut forms = vec![Form::Id, Form::Raw];
    forms.extend((0..transaction.output.len()).map(|vout| Form::Coin(u32::try_from(vout).expect("few"))));
    let beyond = Form::Coin(u32::try_from(transaction.output.len()).expect("few"));
    for (name, _, screener) in screeners.iter_mut() {
        let row = beyond.ask(screener, transaction, None);
        assert_eq!(row.verdict, Verdict::Unknown, "{}: no such output, {name}, since {since:?}: {row:?}", case.name);
    }
    let words = words(case, &truths, txid);
    let mut agreements: BTreeMap<Option<u32>, Agreement> = BTreeMap::new();
    for (name, can_search, screener) in screeners.iter_mut() {
        let found: BTreeMap<String, Verdict> = forms
            .iter()
            .map(|form| (format!("{form:?}"), form.ask(screener, transaction, None).verdict))
            .filter(|(_, verdict)| *verdict < Verdict::Unknown)
            .collect();
        for word in &words {
            // Each word for each form is asked now and then, saying nothing always.
            for form in forms.iter().filter(|_| word.vouch.is_none() || case.rng.once_in(3)).collect::<Vec<_>>() {
                let row = form.ask(screener, transaction, word.vouch);
                let how = format!("{name}, {form:?}, {word:?}");
                let can_search = *can_search;
                let what = format!("{}: {txid}, since {since:?}, {how}: {row:?}", case.name);
                // Scripts that are flagged from genesis on taint a transaction by what it descends from, wherever it is confirmed.
                if *name == "txindex" && since.is_none() && case.late() == 0 {
                    assert_found(case, &row, truths.iter().find_map(|truth| truth.held(txid, form.vout())), &what);
                }
                // What is found is found, whatever the caller says.
                if let Some(verdict) = found.get(&format!("{form:?}")) {
                    assert_eq!(row.verdict, *verdict, "a finding is gone: {what}");
                }
                let dirty: Vec<bool> = truths.iter().filter_map(|truth| truth.is_dirty(txid, form.vout())).collect();
                let is_callers = !can_search && !word.is_true && matches!(word.vouch, Some(Vouch::Block(_)));
                // Where a wrong block is the caller's word and no node can say, the caller is believed.
                if row.verdict == Verdict::None && !is_callers {
                    assert!(dirty.iter().any(|dirty| !dirty), "a false none: {what}");
                    assert_eq!(row.flagged_inputs.unwrap_or_default(), 0, "none beside a flagged input: {what}");
                    let asked = Asked { txid, form: *form, word: *word, node: name, can_search, since };
                    asked.assert_proven(case, &row, &what);
                    asked.assert_place(case, snapshot, &row, &what);
                }
                if *name != "liar" && !is_callers {
                    agreements.entry(form.vout()).or_default().add(case, &row, &how);
                }
            }
        }
    }
    for (vout, agreement) in &agreements {
        agreement.assert(&format!("{}: {txid}, output {vout:?}, since {since:?}", case.name));
    }
    // A transaction is at least as bad as its outputs.
    let is_clean = |of: &Agreement| of.claims.contains(&Verdict::None);
    let whole = agreements.get(&None).is_some_and(is_clean);
    let found = agreements.iter().find(|(vout, of)| vout.is_some() && of.claims.iter().any(|v| *v < Verdict::Unknown));
    assert!(!whole || found.is_none(), "{}: {txid} is clean, and one of its outputs isn't", case.name);
}

/// Panics unless a row has what the model finds in the outputs, as it must where the index and the node know everything.
fn assert_found(case: &Case, row: &ScreenRow, held: Option<(bool, Vec<u64>)>, what: &str) {
    let (is_found, taints) = held.expect("it is in one of the chains");
    assert_eq!(row.verdict < Verdict::Unknown, is_found, "found or not: {what}");
    if let (Some(found), Some(Bound::Exact)) = (&row.taint_sat, row.bound) {
        let found: Vec<u64> = case.rules.iter().map(|rule| found.get(*rule)).collect();
        assert_eq!(found, taints, "taint: {what}");
    }
}

/// Transactions that spend what a record of the index spends, too.
fn rivals(case: &Case, snapshot: &Snapshot) -> Vec<Transaction> {
    let all = case.indexed[BASE_HEIGHT as usize + 1..].iter().flat_map(|block| &block.txdata[1..]);
    let recorded = all.filter(|of| !snapshot.reader.positions(of.compute_txid()).expect("the index reads").is_empty());
    let rival = |of: &Transaction| {
        let mut rival = of.clone();
        rival.output.truncate(1);
        rival.output[0].script_pubkey = ScriptBuf::from_bytes(vec![0x51, 0x75, 0x51]);
        rival
    };
    recorded.map(rival).take(4).collect()
}

/// Panics if a target on the index's chain is called clean that isn't, for each of the heights below the greatest `from` as the height
/// from which the question asks: what happens at a border is rare otherwise.
fn assert_borders(case: &Case, snapshot: &Snapshot, nodes: &Nodes) {
    let is_shared = case.indexed.iter().all(|block| case.on_node.0.contains(&block.block_hash()));
    for since in case.late().saturating_sub(6)..case.late() {
        let truth = Truth::of(case, &case.indexed, since);
        let mut screener = Screener::new(snapshot, &nodes.txindex).expect("the index reads").since(Some(since));
        for block in case.indexed[BASE_HEIGHT as usize + 1..].iter().filter(|_| is_shared) {
            for transaction in &block.txdata {
                for form in [Form::Id, Form::Raw, Form::Coin(0)] {
                    let row = form.ask(&mut screener, transaction, None);
                    let is_dirty = truth.is_dirty(transaction.compute_txid(), form.vout()) == Some(true);
                    let is_false = row.verdict == Verdict::None && is_dirty;
                    assert!(!is_false, "{}: a false none, {form:?}, since {since}: {row:?}", case.name);
                }
            }
        }
    }
}

/// Panics if an index of which something is not known calls anything clean, or one that is asked about blocks that it hasn't reached.
fn assert_doubted(case: &Case, nodes: &Nodes) {
    let open = || Reader::open(case.index.writer().path()).expect("the index opens");
    let changed = Snapshot::new(open(), |_| true).expect("the index reads");
    let known = Snapshot::new(open(), |_| false).expect("the index reads");
    let above = u32::try_from(case.indexed.len()).expect("few");
    for (what, snapshot, since) in
        [("lists changed", &changed, None), ("asked about later blocks", &known, Some(above))]
    {
        let mut screener = Screener::new(snapshot, &nodes.txindex).expect("the index reads").since(since);
        for transaction in case.node.iter().flat_map(|block| &block.txdata).rev().take(12) {
            for form in [Form::Id, Form::Coin(0), Form::Raw] {
                let row = form.ask(&mut screener, transaction, None);
                assert!(row.verdict != Verdict::None, "{}: {what}, {form:?}: {row:?}", case.name);
            }
        }
        let script = &case.node[1].txdata[0].output[0].script_pubkey;
        let row = screener.screen(&target(script), None, None).expect("a good target").remove(0);
        assert!(row.verdict != Verdict::None, "{}: {what}: {row:?}", case.name);
    }
}

/// One question about a target that was called clean.
struct Asked<'a> {
    txid: Txid,
    form: Form,
    word: Word,
    node: &'a str,
    /// Whether the node can look into its blocks.
    can_search: bool,
    since: Option<u32>,
}

impl Asked<'_> {
    /// The lowest height at which a record of the index spends the target.
    fn spent_at(&self, snapshot: &Snapshot) -> Option<u32> {
        let vouts = self.form.vout().map_or(0..=20, |vout| vout..=vout);
        let spender = |vout| {
            snapshot
                .reader
                .spender(&OutPoint { txid: self.txid, vout })
                .expect("the index reads")
                .map(|of| of.at.height)
        };
        vouts.filter_map(spender).min()
    }

    /// Panics unless a `none` says who proves it, and that one can.
    fn assert_proven(&self, case: &Case, row: &ScreenRow, what: &str) {
        match row.proven_by.map(|by| by.name()) {
            Some("caller") => {
                let is_named = matches!(self.word.vouch, Some(Vouch::Block(hash)) if case.heights.contains_key(&hash));
                assert!(is_named, "{what}");
                assert!(!self.can_search, "the node knows better than the caller: {what}");
                assert!(row.why.contains("according to the caller"), "{what}");
            }
            Some("node") => {
                assert!(self.node != "unasked" && row.why.contains("according to the node"), "{what}");
            }
            Some("index") => {
                assert!(row.why.contains("recorded") || row.why.contains("according to the index"), "{what}");
            }
            None => {
                assert!(row.why.contains("not confirmed yet"), "{what}");
                let is_confirmed = self.node == "txindex" && case.on_node.1.contains(&self.txid);
                assert!(!is_confirmed, "the node has it in a block: {what}");
            }
            Some(other) => panic!("{other}: {what}"),
        }
    }

    /// Panics if the index or the node can say that the target is not where the caller says, or where the answer says.
    fn assert_place(&self, case: &Case, snapshot: &Snapshot, row: &ScreenRow, what: &str) {
        let is_recorded = !snapshot.reader.positions(self.txid).expect("the index reads").is_empty();
        let spent = self.spent_at(snapshot);
        let is_waiting = case.waiting.iter().any(|waiting| waiting.compute_txid() == self.txid);
        let place = match self.word.vouch {
            Some(Vouch::Height(height)) => Some(height).filter(|height| (*height as usize) < case.indexed.len()),
            Some(Vouch::Block(hash)) => case.heights.get(&hash).copied(),
            None => {
                // Without being told where, a record of its spend is enough, unless more has to be known of it.
                let is_index = row.proven_by.is_some_and(|by| by.name() == "index");
                let is_enough =
                    (self.form.vout().is_some() || case.late() == 0) && self.since.unwrap_or(0) >= case.late();
                let is_doubted = is_waiting && self.can_search && !is_recorded && is_index;
                assert!(!is_doubted || is_enough, "the node has it unconfirmed: {what}");
                return;
            }
        };
        let Some(height) = place else { panic!("the index has no such block: {what}") };
        let is_there = case.places.get(&self.txid) == Some(&height);
        assert!(is_there || !(is_recorded || self.can_search), "it is not there: {what}");
        assert!(is_recorded || spent.is_none_or(|spent| height <= spent), "it was spent below: {what}");
        let is_left = !case.on_node.0.contains(&case.indexed[height as usize].block_hash());
        assert!(is_recorded || !self.can_search || !is_left, "the node has left that block: {what}");
    }
}

/// Panics if a script is called clean a coin of which, on the index's chain, has flagged money in it.
fn assert_addresses(case: &Case, snapshot: &Snapshot, truth: &Truth, since: Option<u32>) {
    let unasked = NoLookup("no node was asked".into());
    let mut screener = Screener::new(snapshot, &unasked).expect("the index reads").since(since);
    let mut dirty: BTreeMap<ScriptBuf, bool> = BTreeMap::new();
    for (_, transaction) in truth.transactions.values() {
        for (at, output) in outputs(transaction) {
            *dirty.entry(output.script_pubkey.clone()).or_default() |= truth.dirty.contains(&at);
        }
    }
    for (script, is_dirty) in dirty {
        let row = screener.screen(&target(&script), None, None).expect("a good target").remove(0);
        let what = format!("{}: {script:?}, since {since:?}: {row:?}", case.name);
        assert!(row.verdict != Verdict::None || !is_dirty, "a false none: {what}");
        assert!(since.is_some() || case.late() > 0 || is_dirty == (row.verdict < Verdict::Unknown), "{what}");
    }
}

#[test]
fn no_none_hides_flagged_money_and_all_ways_to_ask_agree() {
    each_case(
        40,
        |number| {
            let case = Case::draw(number);
            (case.name.clone(), case)
        },
        check,
    );
}
