//! A node that fails or gives wrong answers: the run reports the right error and writes nothing wrong, and the next run with an
//! honest node gives the same index as an undisturbed one.

use std::sync::Arc;

use bitcoin::{Amount, ScriptBuf, consensus};
use coinhound::chain::BlockId;
use coinhound::node::NodeError;
use coinhound::scan::ScanError;
use coinhound::sync::SyncError;
use coinhound::sync::fetch::source::SpentOutputs;
use coinhound::sync::sweep::run::Pace;

use crate::support::chain::{RegtestChain, Template, outpoints};
use crate::support::effort::watched;
use crate::support::lists::List;
use crate::support::random::Rng;
use crate::support::scripts::Shape;
use crate::support::source::{Branch, MemorySource, SourceAnswer, SourceCall};
use crate::support::swept::{RowMap, SLOWEST, SweptIndex, assert_same_rows};

const QUICK: Pace = Pace { threads: 2, batch_blocks: 7 };

/// A chain whose block `at` holds four transactions that touch, three of which spend coins made in the same block.
struct BusyBlock {
    branch: Arc<Branch>,
    at: u32,
    list: List,
    full: SweptIndex,
    expected: RowMap,
}

impl BusyBlock {
    /// One of the two scripts is listed from height `from` on. If that isn't 0, the outputs that a block spends are read for every block.
    fn new(from: u32) -> Self {
        let mut chain = RegtestChain::regtest(70);
        let [a, b] = [Shape::P2pkh, Shape::P2wsh].map(|shape| chain.script(shape, 1));
        let money = chain.mature(2);
        let before = chain.spend(&money[..1], &[(a.clone(), 5_000), (chain.miner(), 7_000)]);
        let [a0, miner0] = outpoints(&before);
        chain.mine(vec![before]);
        chain.mine_empty(10);
        let first = chain.spend(&[money[1], a0, miner0], &[(a.clone(), 4_000), (b.clone(), 300)]);
        let [a1, b1] = outpoints(&first);
        let second = chain.spend(&[b1], &[(chain.miner(), 200)]);
        let third = chain.spend(&[a1], &[(a.clone(), 3_000), (b.clone(), 500)]);
        let [a2, b2] = outpoints(&third);
        let fourth = chain.spend(&[b2, a2], &[(chain.miner(), 100)]);
        chain.mine_template(Template {
            transactions: vec![first, second, third, fourth],
            coinbase: vec![(b.clone(), 11)],
            ..Template::default()
        });
        let at = chain.height();
        chain.mine_paying(Vec::new(), &[(a.clone(), 77)]);
        chain.mine_empty(10);
        let list = vec![(a, from), (b, 0)];
        let branch = Branch::new(chain.blocks());
        let full = SweptIndex::fresh(&branch, &list);
        full.assert_model(&branch.blocks, &list, "the chain");
        Self { expected: full.rows(), branch, at, list, full }
    }

    fn id(&self) -> BlockId {
        self.branch.id(self.at)
    }

    fn both() -> [Self; 2] {
        [Self::new(0), Self::new(90)]
    }

    /// Sweeps from a source that changes its answers about the block. Panics unless that fails, writes nothing of the block, and an
    /// honest source completes the index; returns the error.
    fn fails(
        &self,
        what: &str,
        change: impl Fn(usize, &mut SourceAnswer) -> Result<(), NodeError> + Send + Clone + 'static,
    ) -> SyncError {
        watched(what, || {
            let (mut index, mut error) = (SweptIndex::new(&self.list), None);
            for pace in [SLOWEST, QUICK, Pace { threads: 8, batch_blocks: 500 }] {
                let (id, change, mut asked) = (self.id(), change.clone(), 0);
                let source = MemorySource::hooked(&self.branch, move |_, _, call, answer| match call {
                    SourceCall::Block(of) | SourceCall::AllSpent(of) | SourceCall::Spent(of) if of == id => {
                        asked += usize::from(matches!(call, SourceCall::Spent(_)));
                        change(asked, answer)
                    }
                    _ => Ok(()),
                });
                error = Some(index.sweep(&source, pace).expect_err(what));
                self.assert_recovers(&mut index, &format!("{what}, {pace:?}"));
                index.undo(0);
            }
            error.expect("three runs")
        })
    }

    /// Panics unless the index ends below the block and is valid there, and an honest source completes it.
    fn assert_recovers(&self, index: &mut SweptIndex, what: &str) {
        if let Some(tip) = index.tip() {
            assert!(tip < self.at, "{what}: a part of the block was written");
            assert_eq!(index.digest(tip), self.full.digest(tip), "{what}");
            index.assert_counts(&self.branch.blocks[..=tip as usize], &self.list, what);
        }
        index.reopen();
        index.sweep(&MemorySource::on(&self.branch), QUICK).expect("an honest source");
        assert_same_rows(&index.rows(), &self.expected, what);
    }
}

fn refused() -> NodeError {
    NodeError::BadAnswer { what: "a question".into(), detail: "on purpose".into() }
}

#[test]
fn spent_outputs_that_fail_at_any_candidate_leave_nothing_of_the_block() {
    let busy = BusyBlock::new(0);
    // The first call asks for the candidates that scanning found, the others for those that applying the block finds.
    for nth in 1..=4 {
        let error = busy.fails(&format!("question {nth}"), move |asked, answer| match answer {
            // The block is read once more after a failure, and the later questions are those of the second reading.
            SourceAnswer::Spent(_) if asked >= nth => Err(refused()),
            // One candidate at a time, so that there are four calls.
            SourceAnswer::Spent(SpentOutputs::All(all)) => {
                let all = std::mem::take(all);
                let index = all.iter().enumerate().filter(|(at, _)| *at == asked);
                let some = index.map(|(at, spent)| (u32::try_from(at).expect("a small number"), spent.clone()));
                *answer = SourceAnswer::Spent(SpentOutputs::Some(some.collect()));
                Ok(())
            }
            _ => Ok(()),
        });
        assert!(matches!(error, SyncError::Node(NodeError::BadAnswer { .. })), "question {nth}: {error}");
    }
}

/// The spent outputs to change: index of the transaction, index of the input, name.
const SPENDS: [(usize, usize, &str); 4] = [
    (1, 1, "a live coin"),
    (1, 2, "another output of a record"),
    (2, 0, "a coin of the same block"),
    (4, 1, "a coin of the same block, second input"),
];

#[test]
fn a_spent_output_that_differs_from_the_one_made_is_refused() {
    for busy in BusyBlock::both() {
        for (tx_index, vin, name) in SPENDS {
            let block = &busy.branch.blocks[busy.at as usize];
            let spent = block.txdata[tx_index].input[vin].previous_output;
            for wrong in ["value", "script"] {
                let error = busy.fails(&format!("{wrong} of {name}"), move |_, answer| {
                    let list = match answer {
                        SourceAnswer::AllSpent(all) | SourceAnswer::Spent(SpentOutputs::All(all)) => {
                            all.get_mut(tx_index)
                        }
                        SourceAnswer::Spent(SpentOutputs::Some(some)) => {
                            some.get_mut(&u32::try_from(tx_index).expect("a small number"))
                        }
                        _ => None,
                    };
                    if let Some(output) = list.and_then(|list| list.get_mut(vin)) {
                        match wrong {
                            "value" => output.value += Amount::ONE_SAT,
                            _ => output.script_pubkey = ScriptBuf::from_bytes(vec![0x51]),
                        }
                    }
                    Ok(())
                });
                match error {
                    SyncError::SpentOutput { outpoint, block } => {
                        assert_eq!((outpoint, block), (spent, busy.id()), "{wrong} of {name}")
                    }
                    other => panic!("{wrong} of {name}: {other}"),
                }
            }
        }
    }
}

#[test]
fn spent_outputs_that_dont_fit_the_inputs_are_refused() {
    for busy in BusyBlock::both() {
        for (name, longer) in [("one too few", false), ("one too many", true)] {
            let error = busy.fails(name, move |_, answer| {
                let list = match answer {
                    SourceAnswer::AllSpent(all) | SourceAnswer::Spent(SpentOutputs::All(all)) => all.get_mut(1),
                    SourceAnswer::Spent(SpentOutputs::Some(some)) => some.get_mut(&1),
                    _ => None,
                };
                if let Some(list) = list {
                    let last = list.pop().expect("three inputs");
                    list.extend(std::iter::repeat_n(last, if longer { 2 } else { 0 }));
                }
                Ok(())
            });
            let refused =
                matches!(&error, SyncError::Block { block, source: ScanError::SpentOutputs } if *block == busy.id());
            assert!(refused, "{name}: {error}");
        }
        let error = busy.fails("none at all", |_, answer| {
            match answer {
                SourceAnswer::AllSpent(all) | SourceAnswer::Spent(SpentOutputs::All(all)) => all.clear(),
                SourceAnswer::Spent(SpentOutputs::Some(some)) => some.clear(),
                _ => {}
            }
            Ok(())
        });
        assert!(matches!(error, SyncError::Block { source: ScanError::SpentOutputs, .. }), "none at all: {error}");
    }
}

#[test]
fn another_block_for_a_hash_is_refused() {
    for busy in BusyBlock::both() {
        for other in [busy.at - 1, busy.at + 1, 0] {
            let raw = consensus::serialize(&busy.branch.blocks[other as usize]);
            let error = busy.fails(&format!("block {other}"), move |_, answer| {
                if let SourceAnswer::Block(asked) = answer {
                    asked.clone_from(&raw);
                }
                Ok(())
            });
            let refused =
                matches!(&error, SyncError::Block { block, source: ScanError::OtherHeader } if *block == busy.id());
            assert!(refused, "block {other}: {error}");
        }
    }
}

/// Gives these answers for the block, each to an index that ends with the block before; returns how many were accepted.
fn accepted(busy: &BusyBlock, answers: impl Iterator<Item = (String, Vec<u8>)>) -> usize {
    let index = SweptIndex::new(&busy.list);
    index.sweep_to(Some(busy.at - 1), &MemorySource::on(&busy.branch), SLOWEST).expect("an honest source");
    let (before, mut taken) = (index.rows(), 0);
    let id = busy.id();
    for (what, raw) in answers {
        watched(&what, || {
            let source = MemorySource::hooked(&busy.branch, move |_, _, call, answer| {
                if let (true, SourceAnswer::Block(asked)) = (call == SourceCall::Block(id), answer) {
                    asked.clone_from(&raw);
                }
                Ok(())
            });
            match index.sweep_to(None, &source, QUICK) {
                Err(SyncError::Block { block, .. }) => assert_eq!(block, id, "{what}"),
                Err(error) => panic!("{what}: {error}"),
                Ok(_) => {
                    assert_same_rows(&index.rows(), &busy.expected, &what);
                    index.undo(busy.at - 1);
                    taken += 1;
                }
            }
            assert_same_rows(&index.rows(), &before, &what);
        });
    }
    index.sweep(&MemorySource::on(&busy.branch), QUICK).expect("an honest source");
    assert_same_rows(&index.rows(), &busy.expected, "at the end");
    taken
}

#[test]
fn a_changed_byte_of_a_touching_block_is_refused_outside_witnesses() {
    let busy = BusyBlock::new(0);
    let block = &busy.branch.blocks[busy.at as usize];
    let raw = consensus::serialize(block);
    let stripped: usize = 81 + block.txdata.iter().map(|transaction| transaction.base_size()).sum::<usize>();
    let mut rng = Rng::new(71);
    let places = (0..raw.len()).filter(|place| *place < 90 || place % 5 == 0);
    let flip = |place: usize| {
        let mut raw = raw.clone();
        raw[place] ^= 1 << rng.below(8);
        (format!("byte {place}"), raw)
    };
    let taken = accepted(&busy, places.map(flip));
    assert!(taken > 0 && taken < raw.len() - stripped, "{taken} of {} witness bytes", raw.len() - stripped);
}

#[test]
fn a_block_cut_short_or_with_a_tail_is_refused() {
    let busy = BusyBlock::new(0);
    let raw = consensus::serialize(&busy.branch.blocks[busy.at as usize]);
    let cut = (0..raw.len()).filter(|length| length % 13 == 0 || (79..83).contains(length)).chain([raw.len() - 1]);
    let cut = cut.map(|length| (format!("{length} bytes"), raw[..length].to_vec()));
    let longer = (String::from("a byte too many"), [&raw[..], &[0]].concat());
    assert_eq!(accepted(&busy, cut.chain([longer])), 0);
}
