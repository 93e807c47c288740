//! A coin keeps at most 1,024 runs of tainted and clean satoshis: one with more is not followed under that rule, and lies on the frontier.

use std::collections::BTreeSet;

use coinhound::index::raw::{Family, RawRows};
use coinhound::query::at::Moment;
use coinhound::query::facts::CoinState;
use coinhound::query::trace;
use coinhound::sync::plan::wanted::{Lists, Wanted, WantedTrace};
use coinhound::trace::{MAX_SEGMENTS, Rule};

use crate::oracle::index_rows::{IndexRows, RolesByScript, ScriptRoles, entries};
use crate::oracle::taint::{self, ListedScript, MOST_SEGMENTS, Question};
use crate::support::chain::RegtestChain;
use crate::support::fragments::{free, merged};
use crate::support::library::Library;
use crate::support::lists::target;
use crate::support::source::{Branch, MemorySource};
use crate::support::swept::{SLOWEST, SweptIndex, assert_same_rows};
use crate::support::taint_cases::assert_traced;

fn flagged(numbers: &[u8]) -> RolesByScript {
    let roles = ScriptRoles { flagged: true, service: false, from: 0 };
    numbers.iter().map(|number| (free(*number), roles)).collect()
}

const FIFO: WantedTrace = WantedTrace { rules: None, min_taint_sat: Some(1), max_hops: None };

fn fifo() -> WantedTrace {
    WantedTrace { rules: Some(vec![Rule::Fifo]), ..FIFO }
}

/// Panics unless the index has the rows of the model and of a new index.
fn assert_right(index: &SweptIndex, chain: &RegtestChain, listed: &RolesByScript, trace: &WantedTrace, what: &str) {
    let branch = Branch::new(chain.blocks());
    let rows = index.rows();
    IndexRows::new(chain.blocks(), listed, &trace.over(&Default::default())).assert_rows(&rows, what);
    let fresh = SweptIndex::fresh_tracking(&branch, entries(listed), trace);
    assert_same_rows(&rows, &fresh.rows(), what);
    assert_eq!(index.digest(chain.height()), fresh.digest(chain.height()), "{what}");
}

/// The rows of a family: their number, and their bytes.
fn size(index: &SweptIndex, family: Family) -> (usize, usize) {
    let rows = index.writer().raw_prefix(family, &[]).map(Result::unwrap);
    rows.fold((0, 0), |(rows, bytes), (key, value)| (rows + 1, bytes + key.len() + value.len()))
}

#[test]
fn a_coin_with_as_many_runs_as_it_may_keep_is_followed_and_one_with_more_is_on_the_frontier() {
    assert_eq!(MAX_SEGMENTS, MOST_SEGMENTS);
    for (runs, state) in [(MOST_SEGMENTS, CoinState::Spent), (MOST_SEGMENTS + 1, CoinState::TooFragmented)] {
        let order: Vec<u8> = (0..runs).map(|number| 1 + u8::try_from(number % 2).unwrap()).collect();
        let (chain, listed) = (merged(&order, 3), flagged(&[1]));
        let branch = Branch::new(chain.blocks());
        for trace in [&fifo(), &FIFO] {
            let index = SweptIndex::fresh_tracking(&branch, entries(&listed), trace);
            assert_right(&index, &chain, &listed, trace, &format!("{runs} runs"));
        }

        let index = SweptIndex::fresh_tracking(&branch, entries(&listed), &FIFO);
        let snapshot = Library::open(index.writer().path()).snapshot;
        let rules = vec![Rule::Haircut, Rule::Fifo, Rule::Lifo];
        let asked = trace::TraceOptions { rules, ..trace::TraceOptions::default() };
        let at = chain.height();
        let answer =
            trace::trace(&snapshot, &[target(&free(1))], None, &asked, Moment::at(at)).expect("a good question");
        let of_list = [ListedScript { script: free(1), flagged: Some(0), service: false, label: "x".to_owned() }];
        for found in &answer.rules {
            let scripts = taint::flagged(&of_list);
            let outpoints = BTreeSet::new();
            let (min_taint, max_hops, stop_flagged) = (1, None, false);
            let ask = Question { scripts, outpoints, rule: found.rule, min_taint, max_hops, stop_flagged, at };
            let expected = taint::trace(chain.blocks(), &of_list, &ask, &|_, _, _| true);
            assert_traced(found, &expected, found.rule.name());
            let made = found.coins.iter().filter(|coin| coin.hops == 1).collect::<Vec<_>>();
            let expected = if found.rule == Rule::Haircut { CoinState::Spent } else { state };
            assert_eq!(made.iter().map(|coin| coin.state).collect::<Vec<_>>(), [expected], "{runs}: {}", found.rule);
            let cut = if expected == CoinState::TooFragmented { made[0].taint_sat } else { 0 };
            assert_eq!(
                (found.frontier.too_fragmented_sat, found.sum.frontier_sat),
                (cut, cut),
                "{runs}: {}",
                found.rule
            );
        }
    }
}

#[test]
fn p1_lists_that_merge_or_part_runs_lead_to_the_index_of_a_fresh_run() {
    // With both scripts flagged there is one run; with the first alone some 1,400; with the third there are some 600 more or less.
    let pairs = |numbers: [u8; 2], times: usize| numbers.into_iter().cycle().take(2 * times);
    let order: Vec<u8> = pairs([1, 3], 300).chain(pairs([2, 3], 400)).collect();
    let chain = merged(&order, 5);
    let source = MemorySource::on(&Branch::new(chain.blocks()));
    let states: [&[u8]; 7] = [&[1, 2], &[1, 2, 3], &[1, 2], &[1], &[1, 2], &[2], &[1, 2, 3]];
    for trace in [fifo(), FIFO] {
        let mut index = SweptIndex::tracking(entries(&flagged(&[1])), &trace);
        index.sweep(&source, SLOWEST).expect("an honest source");
        for (number, listed) in states.iter().enumerate() {
            let listed = flagged(listed);
            let lists = Some(Lists { entries: entries(&listed), ..Lists::default() });
            index.want(Wanted { lists, trace: trace.clone(), forget: true, accept_shrink: true, ..Wanted::default() });
            index.sweep(&source, SLOWEST).expect("an honest source");
            assert_right(&index, &chain, &listed, &trace, &format!("change {number}"));
        }
    }
}

#[test]
fn a_stranger_can_not_make_an_index_store_gigabytes() {
    const PAIRS: usize = 5_000;
    const MOVES: usize = 4_000;
    let order: Vec<u8> = [1, 2].into_iter().cycle().take(2 * PAIRS).collect();
    let chain = merged(&order, MOVES);
    let branch = Branch::new(chain.blocks());
    let index = SweptIndex::fresh_tracking(&branch, entries(&flagged(&[1])), &FIFO);
    // Under haircut the coin is followed, so each move is a record; of the runs no row has any.
    let (records, _) = size(&index, Family::Records);
    let (coins, bytes) = size(&index, Family::Coins);
    assert!(records > MOVES && coins > PAIRS + MOVES, "{records} records, {coins} coins");
    assert!(bytes / coins < 150, "{bytes} bytes in {coins} rows");
}
