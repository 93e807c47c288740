//! Sweeps over chains in memory, for which a real node is too slow, or which it would refuse: many random chains (P3, P8), BIP30's
//! twins, more coins than are published at once, and a node that lies in the middle of a block.

use std::path::Path;

use bitcoin::{Network, OutPoint, ScriptBuf};
use coinhound::sync::SyncError;
use coinhound::sync::sweep::run::Pace;
use tempfile::TempDir;

use crate::oracle::answers::Answers;
use crate::oracle::touches::{Model, ModelRecord, SpendState, Touch, TouchKind};
use crate::support::chain::{RegtestChain, Template, outputs};
use crate::support::fake_node::{FakeNode, Lie};
use crate::support::library::Library;
use crate::support::lists::{List, from_genesis};
use crate::support::random::{self, Rng};
use crate::support::scripts::Shape;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for indexes")
}

/// Panics unless the index ends with block `through` and answers like the model, also about heights above that.
fn assert_index(path: &Path, chain: &RegtestChain, list: &[(ScriptBuf, u32)], through: u32, what: &str) {
    let library = Library::open(path);
    assert_eq!(library.through(), Some(through), "{what}");
    let expected = Answers::at(chain.blocks(), Network::Regtest, list, through);
    expected.assert_all(&library, u32::MAX, what);
    expected.assert_transactions(&library, u32::MAX, what);
}

#[test]
fn random_chains_at_any_pace_and_in_any_pieces_equal_the_model() {
    let folder = folder();
    for seed in 100..112 {
        let mut rng = Rng::new(seed);
        let chain = random::chain(seed, 140);
        let (memory, tip) = (FakeNode::new(chain.blocks()), chain.height());
        let count = [1, 5, 30, 1000][rng.index(4)];
        let list = random::watchlist(&chain, &mut rng, count);
        let list = if rng.once_in(3) { from_genesis(&list) } else { list };
        let whole = folder.path().join(format!("{seed}-whole"));
        memory.sweep(&whole, &list, None, Pace { threads: 1, batch_blocks: 1 }).expect("an honest node");
        assert_index(&whole, &chain, &list, tip, &format!("seed {seed}"));
        // The same in pieces, each at a pace of its own.
        let pieces = folder.path().join(format!("{seed}-pieces"));
        let mut next = 0;
        while next <= tip {
            let pace = Pace { threads: *rng.pick(&[1, 2, 8]), batch_blocks: *rng.pick(&[1, 7, 500]) };
            let to = next + u32::try_from(rng.below(80)).expect("a small number");
            let outcome = memory.sweep(&pieces, &list, Some(to), pace).expect("an honest node");
            let through = to.min(tip);
            let facts = (outcome.from, outcome.through, outcome.tally.blocks, outcome.stopped);
            assert_eq!(facts, (next, Some(through), u64::from(through + 1 - next), false), "seed {seed}");
            let reference = Library::open(&whole).digest(through);
            assert_eq!(Library::open(&pieces).digest(through), reference, "seed {seed} to {to}");
            next = through + 1;
        }
    }
}

#[test]
fn an_overwritten_twin_is_lost_and_its_successor_lives() {
    // The coinbases of heights 2 and 3 are repeated at 5 and 6, as those of 91722 and 91812 were; one of the repeated coins is spent.
    let mut chain = RegtestChain::regtest(6);
    let [a, b] = [1, 2].map(|n| chain.script(Shape::P2pkh, n));
    chain.mine_empty(1);
    let pay = |script: &ScriptBuf| [(script.clone(), 5_000), (script.clone(), 6_000)];
    let first = chain.mine_paying(Vec::new(), &pay(&a)).txdata[0].clone();
    let second = chain.mine_paying(Vec::new(), &pay(&b)).txdata[0].clone();
    chain.mine_empty(1);
    for twin in [&first, &second] {
        chain.mine_template(Template { twin: Some(twin.clone()), ..Template::default() });
    }
    chain.mine_empty(100);
    let coin = OutPoint { txid: first.compute_txid(), vout: 1 };
    let spend = chain.spend(&[coin], &[(b.clone(), 5_500)]);
    chain.mine(vec![spend]);
    let list: List = vec![(a.clone(), 0), (b.clone(), 0)];
    let (folder, memory, tip) = (folder(), FakeNode::new(chain.blocks()), chain.height());
    let path = folder.path().join("index");
    memory.sweep(&path, &list, None, Pace { threads: 2, batch_blocks: 7 }).expect("an honest node");
    assert_index(&path, &chain, &list, tip, "twins");
    let expected = Answers::at(chain.blocks(), Network::Regtest, &list, tip);
    let states: Vec<_> = expected.model.coins.iter().map(|coin| (coin.height, coin.state)).collect();
    use SpendState::{Spent, Unspendable, Unspent};
    let by_hand = [
        [(2, Unspendable), (2, Unspendable), (3, Unspendable), (3, Unspendable)].as_slice(),
        &[(5, Unspent), (5, Spent), (6, Unspent), (6, Unspent), (tip, Unspent)],
    ];
    assert_eq!(states, by_hand.concat());
    // Before the second twins came, the first coins were unspent.
    let library = Library::open(&path);
    for height in [3, 4, 5, 6, tip - 1] {
        let expected = Answers::at(chain.blocks(), Network::Regtest, &list, height);
        expected.assert_all(&library, height, &format!("at {height}"));
    }
}

#[test]
fn coins_that_are_not_published_yet_are_followed_all_the_same() {
    // Scanners are given new coins by the thousand; until then only the thread that applies blocks looks for them. Scripts from 90
    // on are unlisted: a spend that pays only these is found by its coin alone.
    let mut chain = RegtestChain::regtest(8);
    let mut rng = Rng::new(8);
    let money = chain.mature(1);
    let pays: Vec<_> = (0..200).map(|n| (chain.script(Shape::Drop, n % 90), 1_000_000)).collect();
    let mut block = vec![chain.spend(&money, &pays)];
    let mut coins: Vec<OutPoint> = Vec::new();
    for _ in 0..420 {
        coins.extend(
            block.iter().flat_map(outputs).filter(|(_, output)| output.value.to_sat() > 1_000).map(|(at, _)| at),
        );
        chain.mine(block);
        let worth = |at: &OutPoint| chain.coins()[at].output.value.to_sat();
        // Old and new coins are spent into several.
        let inputs: Vec<_> = (0..20).map(|_| coins.swap_remove(rng.index(coins.len()))).collect();
        let value = inputs.iter().map(worth).sum::<u64>() / 70;
        let mut draw = |_| (chain.script(Shape::Drop, u32::try_from(rng.below(100)).expect("below 100")), value);
        let pays: Vec<_> = (0..70).map(&mut draw).collect();
        block = vec![chain.spend(&inputs, &pays)];
        // Some are spent alone, most of them a few blocks old.
        for turn in 0..12 {
            let at =
                if turn % 4 == 0 { rng.index(coins.len()) } else { coins.len() - 1 - rng.index(coins.len().min(500)) };
            let at = coins.remove(at);
            block.push(chain.spend(&[at], &[(chain.script(Shape::Drop, 95), worth(&at).min(1_000))]));
        }
    }
    let list: List = (0..90).map(|n| (chain.script(Shape::Drop, n), 0)).collect();
    let (folder, memory) = (folder(), FakeNode::new(chain.blocks()));
    let mut digests = Vec::new();
    for (number, (threads, batch_blocks)) in [(1, 1), (8, 500)].into_iter().enumerate() {
        let path = folder.path().join(number.to_string());
        memory.sweep(&path, &list, None, Pace { threads, batch_blocks }).expect("an honest node");
        digests.push(Library::open(&path).digest(chain.height()).expect("the tip is there"));
    }
    assert_eq!(digests[0], digests[1]);
    let path = folder.path().join("0");
    let expected = Answers::at(chain.blocks(), Network::Regtest, &list, chain.height());
    assert!(expected.model.coins.len() > 20_000);
    expected.assert_all(&Library::open(&path), u32::MAX, "many coins");
}

/// Height and index of a transaction that spends a listed coin after another touching transaction of its block.
fn middle_of_a_block(chain: &RegtestChain, list: &[(ScriptBuf, u32)]) -> (u32, u32) {
    let model = Model::new(chain.blocks(), list);
    let known = |touch: &&Touch| {
        touch.kind == TouchKind::Spending && model.coins.iter().any(|coin| coin.outpoint == touch.outpoint)
    };
    let after_another = |touch: &&Touch| {
        let before = |record: &ModelRecord| (1..touch.tx_index).contains(&record.tx_index);
        model.records.iter().any(|record| record.height == touch.height && before(record))
    };
    let found = model.touches.iter().rev().filter(known).find(after_another).expect("a busy chain");
    (found.height, found.tx_index)
}

#[test]
fn a_block_that_fails_halfway_leaves_nothing_of_itself() {
    let folder = folder();
    for (seed, lie) in [(30, Lie::Value), (31, Lie::Script), (32, Lie::Missing), (33, Lie::Value)] {
        let chain = random::chain(seed, 140);
        let list = from_genesis(&random::watchlist(&chain, &mut Rng::new(seed), 60));
        let (height, tx_index) = middle_of_a_block(&chain, &list);
        let whole = folder.path().join(format!("{seed}-whole"));
        let honest = FakeNode::new(chain.blocks());
        honest.sweep(&whole, &list, None, Pace { threads: 1, batch_blocks: 500 }).expect("an honest node");
        for batch_blocks in [1, 500] {
            let what = format!("seed {seed}, {lie:?} at {height}, {batch_blocks} a batch");
            let path = folder.path().join(format!("{seed}-{batch_blocks}"));
            let pace = Pace { threads: 2, batch_blocks };
            let error = FakeNode::lying(chain.blocks(), height, tx_index, lie).sweep(&path, &list, None, pace);
            let error = error.expect_err("a lie");
            let names = match &error {
                SyncError::SpentOutput { block, .. } | SyncError::Block { block, .. } => block.height,
                other => panic!("{what}: {other}"),
            };
            assert_eq!(names, height, "{what}: {error}");
            assert_index(&path, &chain, &list, height - 1, &what);
            assert_eq!(Library::open(&path).digest(height - 1), Library::open(&whole).digest(height - 1), "{what}");
            // An honest node has the rest.
            let outcome = honest.sweep(&path, &list, None, pace).expect("an honest node");
            assert_eq!(outcome.from, height, "{what}");
            assert_eq!(Library::open(&path).digest(140), Library::open(&whole).digest(140), "{what}");
        }
    }
}
