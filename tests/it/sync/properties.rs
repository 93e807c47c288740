//! P3 to P6 and P8 on random chains, forks and lists, without a node. A failure names its seed; `PROPTEST_CASES` sets the number of
//! cases that each property draws.

use std::sync::Arc;

use coinhound::node::NodeError;
use coinhound::sync::SyncError;
use coinhound::sync::sweep::run::Pace;

use crate::support::chain::{RegtestChain, Template, outpoints};
use crate::support::effort::{each_case, watched};
use crate::support::lists::List;
use crate::support::random::{self, Rng};
use crate::support::scripts::Shape;
use crate::support::source::{Branch, MemorySource};
use crate::support::swept::{RowMap, SLOWEST, SweptIndex, assert_same_rows};

/// A chain, a list for it, and the generator for whatever else a property draws.
struct ListCase {
    name: String,
    rng: Rng,
    chain: RegtestChain,
    branch: Arc<Branch>,
    list: List,
}

impl ListCase {
    fn draw(property: u64, number: u64) -> Self {
        let seed = property * 1_000_000 + number;
        let mut rng = Rng::new(seed);
        // Coinbases are spent from height 101 on; coins are published again every hundred blocks.
        let height = match number % 4 {
            0 => 1 + rng.below(60),
            1 | 2 => 101 + rng.below(40),
            _ => 200 + rng.below(40),
        };
        let chain = random::chain(seed, u32::try_from(height).expect("a short chain"));
        let count = match number % 5 {
            0 => 400,
            1 => 1 + rng.index(3),
            _ => 5 + rng.index(60),
        };
        let mut list = random::watchlist(&chain, &mut rng, count);
        if number.is_multiple_of(3) {
            list.iter_mut().for_each(|(_, from)| *from = 0);
        }
        let branch = Branch::new(chain.blocks());
        Self { name: format!("seed {seed}, height {height}, {} scripts", list.len()), rng, chain, branch, list }
    }

    fn pace(&mut self) -> Pace {
        Pace { threads: *self.rng.pick(&[1, 2, 8]), batch_blocks: *self.rng.pick(&[1, 2, 7, 64, 500]) }
    }

    /// A branch that leaves the chain up to 100 blocks below its tip.
    fn fork(&mut self, longer: u32) -> (u32, RegtestChain) {
        let depth = 1 + self.below(self.chain.height().min(100));
        (depth, random::fork(&mut self.chain, &mut self.rng, depth, longer))
    }

    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.rng.below(u64::from(bound))).expect("below a small number")
    }

    /// Panics unless the index equals a new one of this chain, and the model.
    fn assert_fresh(&self, index: &SweptIndex, branch: &Arc<Branch>, what: &str) {
        let (what, height) = (format!("{}: {what}", self.name), branch.height());
        let fresh = SweptIndex::fresh(branch, &self.list);
        assert_same_rows(&index.rows(), &fresh.rows(), &what);
        assert_eq!(index.digest(height), fresh.digest(height), "{what}");
        index.assert_model(&branch.blocks, &self.list, &what);
    }
}

/// Draws cases of a property.
fn each(property: u64, check: impl Fn(&mut ListCase)) {
    let draw = |number| {
        let case = ListCase::draw(property, number);
        (case.name.clone(), case)
    };
    each_case(12, draw, check);
}

#[test]
fn p3_threads_and_batches_dont_matter() {
    each(3, |case| {
        let fresh = SweptIndex::fresh(&case.branch, &case.list);
        let expected = fresh.rows();
        fresh.assert_model(&case.branch.blocks, &case.list, &case.name);
        for threads in [1, 2, 8] {
            let pace = Pace { threads, ..case.pace() };
            let index = SweptIndex::new(&case.list);
            let outcome = index.sweep(&MemorySource::on(&case.branch), pace).expect("an honest source");
            assert_eq!((outcome.through, outcome.stopped), (Some(case.branch.height()), false), "{}", case.name);
            assert_same_rows(&index.rows(), &expected, &format!("{}: {pace:?}", case.name));
            // The digest at any height is that of an index which ends there.
            let height = case.below(case.branch.height() + 1);
            assert_eq!(index.digest(height), fresh.digest(height), "{}", case.name);
        }
        let height = case.below(case.branch.height() + 1);
        let part = SweptIndex::new(&case.list);
        part.sweep_to(Some(height), &MemorySource::on(&case.branch), SLOWEST).expect("an honest source");
        assert_eq!(part.digest(height), fresh.digest(height), "{}: at {height}", case.name);
    });
}

/// What interrupts a run.
#[derive(Clone, Copy, Debug)]
enum Interruption {
    Stop,
    Panic,
    Refusal,
}

/// A source that interrupts the run at the call of this number.
fn interrupting(branch: &Arc<Branch>, at: usize, how: Interruption) -> Arc<MemorySource> {
    MemorySource::hooked(branch, move |memory, number, call, _| match how {
        _ if number != at => Ok(()),
        Interruption::Stop => {
            memory.stop.request();
            Ok(())
        }
        Interruption::Panic => panic!("on purpose, in {call:?}"),
        Interruption::Refusal => Err(NodeError::BadAnswer { what: format!("{call:?}"), detail: "on purpose".into() }),
    })
}

/// A run that may end early. Panics unless it ended as the interruption says.
fn interrupted_run(index: &SweptIndex, source: &Arc<MemorySource>, pace: Pace, how: Interruption, what: &str) {
    let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| index.sweep(source, pace)));
    match (how, run) {
        (_, Ok(Ok(_))) | (Interruption::Panic, Err(_) | Ok(Err(SyncError::Panic(_)))) => {}
        (Interruption::Refusal, Ok(Err(SyncError::Node(NodeError::BadAnswer { .. })))) => {}
        (_, Ok(Err(error))) => panic!("{what}: {error}"),
        (_, Err(panic)) => std::panic::resume_unwind(panic),
    }
}

/// Interrupts runs until one gets to the end. After each, the index must equal `expected` at its own tip, if that is at least
/// `from`.
fn sweep_with_interruptions(
    case: &mut ListCase,
    index: &mut SweptIndex,
    branch: &Arc<Branch>,
    expected: &SweptIndex,
    from: u32,
) {
    for run in 0.. {
        let how = *case.rng.pick(&[Interruption::Stop, Interruption::Panic, Interruption::Refusal]);
        let most = if run < 6 { 3 * branch.blocks.len() } else { usize::MAX >> 1 };
        let (at, pace) = (case.rng.index(most), case.pace());
        let what = format!("{}: run {run}, {how:?} at call {at}, {pace:?}", case.name);
        let source = interrupting(branch, at, how);
        interrupted_run(index, &source, pace, how, &what);
        if case.rng.once_in(2) {
            index.reopen();
        }
        if let Some(tip) = index.tip().filter(|tip| *tip >= from) {
            assert_eq!(index.digest(tip), expected.digest(tip), "{what}: at {tip}");
            let rows = |name| index.rows().keys().filter(|(family, _)| *family == name).count();
            assert_eq!(rows("headers"), tip as usize + 1, "{what}");
        }
        if index.tip() == Some(branch.height()) && source.calls() <= at {
            break;
        }
    }
}

#[test]
fn p4_a_run_interrupted_anywhere_leaves_whole_blocks_and_resumes() {
    each(4, |case| {
        let (branch, mut index) = (Arc::clone(&case.branch), SweptIndex::new(&case.list));
        let fresh = SweptIndex::fresh(&branch, &case.list);
        sweep_with_interruptions(case, &mut index, &branch, &fresh, 0);
        assert_same_rows(&index.rows(), &fresh.rows(), &case.name);
        // A digest ignores rows above its height; the comparison with a new index of a part of the chain doesn't.
        let mut part = SweptIndex::new(&case.list);
        let (at, pace) = (case.rng.index(2 * branch.blocks.len()), case.pace());
        interrupted_run(&part, &interrupting(&branch, at, Interruption::Panic), pace, Interruption::Panic, &case.name);
        if let Some(tip) = part.tip() {
            case.assert_fresh(&part, &branch.up_to(tip), &format!("panic at call {at}, {pace:?}"));
        }
        part.reopen();
        part.sweep(&MemorySource::on(&branch), pace).expect("an honest source");
        assert_same_rows(&part.rows(), &fresh.rows(), &case.name);
    });
}

#[test]
fn p4_a_reorg_interrupted_anywhere_is_resumed() {
    each(14, |case| {
        let (pace, (depth, fork)) = (case.pace(), case.fork(1));
        let (branch, fork) = (Arc::clone(&case.branch), Branch::new(fork.blocks()));
        let mut index = SweptIndex::new(&case.list);
        index.sweep(&MemorySource::on(&branch), pace).expect("an honest source");
        let fresh = SweptIndex::fresh(&fork, &case.list);
        // Only the new branch's tip tells that the reorg is done: below the fork both branches are the same.
        let from = fork.height();
        sweep_with_interruptions(case, &mut index, &fork, &fresh, from);
        assert_same_rows(&index.rows(), &fresh.rows(), &format!("{}: depth {depth}", case.name));
    });
}

#[test]
fn p5_after_a_reorg_the_index_equals_a_new_one_of_that_chain() {
    each(5, |case| {
        let (pace, longer) = (case.pace(), 1 + case.below(5));
        let (depth, mut fork) = case.fork(longer);
        let (first, second) = (Arc::clone(&case.branch), Branch::new(fork.blocks()));
        let mut index = SweptIndex::new(&case.list);
        let source = MemorySource::on(&first);
        index.sweep(&source, pace).expect("an honest source");
        let before = index.rows();
        source.switch(&second);
        index.sweep(&source, pace).expect("an honest source");
        case.assert_fresh(&index, &second, &format!("depth {depth}, {longer} longer, {pace:?}"));
        // A branch of the branch, after the index was opened again.
        index.reopen();
        let deeper = 1 + case.below(fork.height().min(100));
        let third = Branch::new(random::fork(&mut fork, &mut case.rng, deeper, 1).blocks());
        source.switch(&third);
        index.sweep(&source, pace).expect("an honest source");
        case.assert_fresh(&index, &third, &format!("depth {deeper} after {depth}, {pace:?}"));
        // Back to the first, which has less work: the node calls the others invalid.
        source.switch(&first);
        source.invalidate(&third, 0);
        index.sweep(&source, pace).expect("an honest source");
        assert_same_rows(&index.rows(), &before, &format!("{}: there and back", case.name));
        // A shorter chain.
        let height = case.below(first.height());
        let short = first.up_to(height);
        source.invalidate(&first, height);
        source.switch(&short);
        index.sweep(&source, pace).expect("an honest source");
        case.assert_fresh(&index, &short, &format!("down to {height}"));
    });
}

#[test]
fn p6_blocks_disconnected_and_connected_leave_no_trace() {
    each(6, |case| {
        let (pace, tip) = (case.pace(), case.branch.height());
        let mut index = SweptIndex::new(&case.list);
        index.sweep(&MemorySource::on(&case.branch), pace).expect("an honest source");
        let before = index.rows();
        for _ in 0..3 {
            let fork = case.below(tip);
            index.undo(fork);
            case.assert_fresh(&index, &case.branch.up_to(fork), &format!("disconnected to {fork}"));
            if case.rng.once_in(2) {
                index.reopen();
            }
            index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
            assert_same_rows(&index.rows(), &before, &format!("{}: connected again from {fork}", case.name));
        }
    });
}

#[test]
fn p6_more_blocks_than_a_batch_holds_are_disconnected() {
    let mut chain = RegtestChain::regtest(66);
    chain.mine_empty(1_100);
    let (branch, list) = (Branch::new(chain.blocks()), vec![(chain.miner(), 0)]);
    let index = SweptIndex::new(&list);
    let pace = Pace { threads: 2, batch_blocks: 500 };
    index.sweep(&MemorySource::on(&branch), pace).expect("an honest source");
    let before: RowMap = index.rows();
    index.undo(0);
    assert_same_rows(&index.rows(), &SweptIndex::fresh(&branch.up_to(0), &list).rows(), "down to genesis");
    index.sweep(&MemorySource::on(&branch), pace).expect("an honest source");
    assert_same_rows(&index.rows(), &before, "up again");
}

/// Height of the first of BIP30's twins.
const ELDER: u32 = 3;
/// Height of the block that spends the elder's second coin.
const BETWEEN: u32 = ELDER + 100;
/// Height of the second twin.
const TWIN: u32 = 107;
/// Height of the block that spends the second twin's first coin.
const SPENT: u32 = TWIN + 100;

/// A chain with BIP30's twins: a coinbase that is repeated after one of its two coins was spent. The other coin is overwritten, and
/// then spent; the spent coin exists again and stays unspent.
fn twins(seed: u64) -> (RegtestChain, List) {
    let (mut chain, mut rng) = (RegtestChain::regtest(seed), Rng::new(seed));
    random::grow(&mut chain, &mut rng, ELDER - 1);
    let scripts = [(Shape::P2wpkh, 8), (Shape::P2pkh, 9)].map(|(shape, n)| chain.script(shape, n));
    chain.mine_paying(Vec::new(), &scripts.each_ref().map(|script| (script.clone(), 1_000)));
    let coinbase = chain.blocks()[ELDER as usize].txdata[0].clone();
    let [first, second] = outpoints(&coinbase);
    random::grow(&mut chain, &mut rng, BETWEEN - ELDER - 1);
    let spend = chain.spend(&[second], &[(scripts[0].clone(), 800)]);
    chain.mine(vec![spend]);
    chain.mine_empty(TWIN - BETWEEN - 1);
    chain.mine_template(Template { twin: Some(coinbase.clone()), ..Template::default() });
    random::grow(&mut chain, &mut rng, 3);
    chain.mine_empty(SPENT - 1 - chain.height());
    let spend = chain.spend(&[first], &[(scripts[1].clone(), 900)]);
    chain.mine(vec![spend]);
    chain.mine_empty(2);
    (chain, scripts.map(|script| (script, 0)).to_vec())
}

#[test]
fn p3_to_p6_hold_with_bip30_twins() {
    // Both twins are flagged, or only the second, or neither: then only spends touch.
    for (from, seed) in [0, TWIN - 1, TWIN, TWIN + 1].into_iter().zip(30..) {
        let what = format!("twins from {from}, seed {seed}");
        watched(&what, || {
            let (chain, mut list) = twins(seed);
            list.iter_mut().for_each(|entry| entry.1 = from);
            let branch = Branch::new(chain.blocks());
            let fresh = SweptIndex::fresh(&branch, &list);
            fresh.assert_model(&branch.blocks, &list, &what);
            let mut index = SweptIndex::new(&list);
            // Reopened before the first twin, between both, after the second, and around its spend.
            for stop in [ELDER - 1, ELDER, BETWEEN, TWIN - 1, TWIN, SPENT - 1, SPENT] {
                let pace = Pace { threads: 2, batch_blocks: 7 };
                index.sweep_to(Some(stop), &MemorySource::on(&branch), pace).expect("an honest source");
                index.assert_model(&branch.blocks[..=stop as usize], &list, &format!("{what}: to {stop}"));
                index.reopen();
            }
            index.sweep(&MemorySource::on(&branch), SLOWEST).expect("an honest source");
            assert_same_rows(&index.rows(), &fresh.rows(), &what);
            for fork in [SPENT - 1, TWIN, TWIN - 1, BETWEEN - 1, ELDER, ELDER - 1] {
                let short = branch.up_to(fork);
                index.undo(fork);
                assert_same_rows(&index.rows(), &SweptIndex::fresh(&short, &list).rows(), &what);
                index.assert_model(&short.blocks, &list, &format!("{what}: disconnected to {fork}"));
                index.reopen();
                index.sweep(&MemorySource::on(&branch), SLOWEST).expect("an honest source");
                assert_same_rows(&index.rows(), &fresh.rows(), &format!("{what}: again from {fork}"));
            }
        });
    }
}
