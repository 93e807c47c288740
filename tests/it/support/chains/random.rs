//! Chains drawn from a seed, with random mixes of everything that real blocks do, and branches and watchlists for them.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::absolute::LockTime;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, transaction};

use crate::support::chain::{RegtestChain, Template, Utxo, outputs, subsidy};
use crate::support::scripts::Shape;

/// Number of keys that all outputs share, so that scripts are used again and again.
const KEYS: u64 = 5;

/// SplitMix64: the same seed gives the same numbers, whatever the versions of other crates.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator; close seeds give unrelated numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }

    /// An index into something of this length, which is at least 1.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a length")
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of these, at least one of which there must be.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }
}

/// A regtest chain of this height; the same seed gives the same chain. Coinbases are spent from height 101 on: blocks above that are
/// busy, blocks below it have coinbases of every shape.
pub fn chain(seed: u64, height: u32) -> RegtestChain {
    let mut chain = RegtestChain::regtest(seed);
    grow(&mut chain, &mut Rng::new(seed), height);
    chain
}

/// Adds `blocks` random blocks.
pub fn grow(chain: &mut RegtestChain, rng: &mut Rng, blocks: u32) {
    for _ in 0..blocks {
        grow_with(chain, rng, &mut Vec::new());
    }
}

/// A branch that leaves the chain `depth` blocks below its tip and ends `longer` blocks above it.
///
/// Most transactions of the stale blocks are mined again: at the same height and index, or elsewhere. Some are double-spent instead,
/// and some, with their descendants, exist on the old branch only.
pub fn fork(chain: &mut RegtestChain, rng: &mut Rng, depth: u32, longer: u32) -> RegtestChain {
    let at = chain.height().checked_sub(depth).expect("a fork isn't deeper than the chain");
    let mut again: Vec<Transaction> =
        chain.blocks()[at as usize + 1..].iter().flat_map(|block| block.txdata[1..].to_vec()).collect();
    let mut fork = chain.fork_at(at);
    for _ in 0..depth + longer {
        grow_with(&mut fork, rng, &mut again);
    }
    fork
}

/// Up to `count` scripts of the chain, each once, with the height it is flagged from: 0 for half of them. One more script is never
/// paid by the chain.
pub fn watchlist(chain: &RegtestChain, rng: &mut Rng, count: usize) -> Vec<(ScriptBuf, u32)> {
    let transactions = chain.blocks().iter().flat_map(|block| &block.txdata);
    let scripts = transactions.flat_map(|transaction| &transaction.output).map(|output| &output.script_pubkey);
    let mut scripts: Vec<ScriptBuf> = scripts.collect::<BTreeSet<_>>().into_iter().cloned().collect();
    let mut drawn = vec![chain.wallet.script(Shape::P2wpkh, 1 << 20)];
    while !scripts.is_empty() && drawn.len() <= count {
        drawn.push(scripts.swap_remove(rng.index(scripts.len())));
    }
    let mut from = || if rng.once_in(2) { 0 } else { rng.below(u64::from(chain.height()) + 2) };
    drawn.into_iter().map(|script| (script, u32::try_from(from()).expect("about a height"))).collect()
}

/// Adds a random block. Some transactions of `again` come first, if their coins exist.
fn grow_with(chain: &mut RegtestChain, rng: &mut Rng, again: &mut Vec<Transaction>) {
    let mut coins = chain.spendable();
    let mut transactions = Vec::new();
    for transaction in std::mem::take(again) {
        let possible = transaction.input.iter().all(|input| coins.contains_key(&input.previous_output));
        if possible && !rng.once_in(3) {
            follow(chain, &mut coins, &transaction);
            transactions.push(transaction);
        } else {
            again.push(transaction);
        }
    }
    let mut fresh = Vec::new();
    let count = if rng.once_in(4) { 0 } else { 1 + rng.below(6) };
    for _ in 0..count {
        let Some(transaction) = draw_transaction(chain, rng, &coins, &fresh) else { break };
        follow(chain, &mut coins, &transaction);
        fresh.extend(outputs(&transaction).map(|(at, _)| at));
        fresh.retain(|at| coins.contains_key(at));
        transactions.push(transaction);
    }
    let height = chain.height() + 1;
    let previous = chain.blocks()[chain.height() as usize].header.time;
    // The times of real headers go back now and then.
    let back = rng.once_in(8) && previous - 300 > chain.median_time();
    let template = Template {
        transactions,
        coinbase: draw_coinbase(chain, rng, subsidy(height)),
        claim_rest: !rng.once_in(10),
        commitment: !rng.once_in(3),
        time: Some(if back { previous - 300 } else { previous + 600 }),
        twin: None,
    };
    chain.mine_template(template);
}

/// Removes the coins that `transaction` spends, and adds those that it makes.
fn follow(chain: &RegtestChain, coins: &mut BTreeMap<OutPoint, Utxo>, transaction: &Transaction) {
    for input in &transaction.input {
        coins.remove(&input.previous_output);
    }
    for (at, output) in outputs(transaction) {
        if chain.wallet.recall(&output.script_pubkey).is_some_and(|(shape, _)| shape.is_spendable()) {
            coins.insert(at, Utxo { output: output.clone(), height: chain.height() + 1, coinbase: false });
        }
    }
}

/// A transaction of one to six of these coins, some of them made in this block; `None` if there is no coin.
fn draw_transaction(
    chain: &RegtestChain,
    rng: &mut Rng,
    coins: &BTreeMap<OutPoint, Utxo>,
    fresh: &[OutPoint],
) -> Option<Transaction> {
    let all: Vec<OutPoint> = coins.keys().copied().collect();
    let mut inputs: Vec<OutPoint> = Vec::new();
    for _ in 0..=rng.below(5) {
        let from = if !fresh.is_empty() && rng.once_in(2) { fresh } else { &all };
        let at = *from.get(rng.index(from.len().max(1)))?;
        if !inputs.contains(&at) {
            inputs.push(at);
        }
    }
    let spent: Vec<&TxOut> = inputs.iter().map(|at| &coins[at].output).collect();
    let paid: u64 = spent.iter().map(|output| output.value.to_sat()).sum();
    let fee = if rng.once_in(10) { 0 } else { rng.below(paid / 50 + 1) };
    // Zero is a BIP68 lock of no blocks, so it's valid in every version.
    let sequences = [Sequence::MAX, Sequence::ENABLE_RBF_NO_LOCKTIME, Sequence::ZERO];
    let input = |at: &OutPoint| TxIn { previous_output: *at, sequence: *rng.pick(&sequences), ..TxIn::default() };
    let input = inputs.iter().map(input).collect();
    let mut transaction = Transaction {
        version: transaction::Version(*rng.pick(&[1, 2, 2, 2, 3, -1])),
        lock_time: LockTime::ZERO,
        input,
        output: draw_outputs(chain, rng, paid - fee, &spent),
    };
    chain.sign(&mut transaction);
    Some(transaction)
}

/// One to six outputs of at most `total` satoshis: new scripts, spent ones, the same output twice, outputs of no value.
fn draw_outputs(chain: &RegtestChain, rng: &mut Rng, total: u64, spent: &[&TxOut]) -> Vec<TxOut> {
    let mut left = total;
    let mut made: Vec<TxOut> = Vec::new();
    for _ in 0..rng.below(6) {
        let output = match (rng.below(5), made.last()) {
            // The same script and value again.
            (0, Some(last)) if last.value.to_sat() <= left => last.clone(),
            // Back to a spent script.
            (1, _) if !spent.is_empty() => pay(rng.pick(spent).script_pubkey.clone(), rng.below(left + 1)),
            (2, _) => pay(draw_script(chain, rng), 0),
            _ => {
                let (script, value) = (draw_script(chain, rng), rng.below(left + 1));
                let lost = !chain.wallet.recall(&script).is_some_and(|(shape, _)| shape.is_spendable());
                pay(script, if lost { value.min(1_000) } else { value })
            }
        };
        left -= output.value.to_sat();
        made.push(output);
    }
    // The rest goes to a spendable script, so that the chain doesn't run out of coins; seldom it all becomes the fee.
    if made.is_empty() || !rng.once_in(20) {
        let at = rng.index(made.len() + 1);
        made.insert(at, pay(draw_spendable(chain, rng), left));
    }
    made
}

/// The chosen outputs of a coinbase: up to four, some of them equal.
fn draw_coinbase(chain: &RegtestChain, rng: &mut Rng, reward: u64) -> Vec<(ScriptBuf, u64)> {
    let mut left = reward;
    let mut pays: Vec<(ScriptBuf, u64)> = Vec::new();
    for _ in 0..rng.below(5) {
        let next = match pays.last() {
            Some(last) if last.1 <= left && rng.once_in(4) => last.clone(),
            _ if rng.once_in(6) => (draw_script(chain, rng), 0),
            _ => (draw_spendable(chain, rng), rng.below(left + 1)),
        };
        left -= next.1;
        pays.push(next);
    }
    pays
}

/// A script of any shape.
fn draw_script(chain: &RegtestChain, rng: &mut Rng) -> ScriptBuf {
    draw_of(chain, rng, &Shape::all())
}

/// A script that can be spent.
fn draw_spendable(chain: &RegtestChain, rng: &mut Rng) -> ScriptBuf {
    draw_of(chain, rng, &Shape::spendable())
}

fn draw_of(chain: &RegtestChain, rng: &mut Rng, shapes: &[Shape]) -> ScriptBuf {
    let mut shape = *rng.pick(shapes);
    // Scripts of ten thousand bytes, and the many witness versions that are alike, are drawn less often.
    let seldom = |shape| matches!(shape, Shape::Longest | Shape::Oversized | Shape::Witness(_));
    if seldom(shape) && !rng.once_in(4) {
        shape = *rng.pick(shapes);
    }
    let n = u32::try_from(rng.below(KEYS)).expect("few keys");
    chain.script(shape, n)
}

fn pay(script_pubkey: ScriptBuf, value: u64) -> TxOut {
    TxOut { value: Amount::from_sat(value), script_pubkey }
}
