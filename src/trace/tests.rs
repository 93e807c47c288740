//! The vectors of docs/taint.md, the rules against slow counting, and P7: conserved, capped by value, monotone.

use proptest::collection::vec;
use proptest::prelude::*;

use super::samples::{Lot, OPEN, plain};
use super::share::TaintShares;
use super::*;

/// An input as docs/taint.md writes it: wholly tainted, or clean.
fn part(value: u64, tainted: bool) -> Part<'static> {
    Part { value, taint: if tainted { value } else { 0 }, segments: &[] }
}

fn taints(shares: &TaintShares) -> Vec<u64> {
    shares.outputs.iter().map(|share| share.taint).collect()
}

/// The page that states the rules and the vectors.
const PAGE: &str = include_str!("../../docs/taint.md");

/// The ids of its vectors of one transaction: a vector that is left out of the page fails the test.
const IDS: [&str; 11] = ["A", "B", "C", "D", "F", "G", "H", "I", "J", "K", "L"];

/// One vector of the page: inputs, outputs, fee, and for each rule in its order what outputs and fee get.
struct Vector {
    id: &'static str,
    inputs: Vec<(u64, bool)>,
    outputs: Vec<u64>,
    fee: u64,
    results: Vec<(Vec<u64>, u64)>,
}

/// The cells of the page's table rows whose first cell is one of `IDS`.
fn vectors_of_the_page() -> Vec<Vector> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split(" | ").collect::<Vec<_>>()).filter(|cells| IDS.contains(&cells[0]));
    rows.map(|cells| {
        let (inputs, made) = cells[1].split_once(" → ").expect("inputs → outputs (fee)");
        let (outputs, fee) = made.strip_suffix(')').and_then(|made| made.split_once(" (")).expect("outputs (fee)");
        Vector {
            id: cells[0],
            inputs: inputs.split(", ").map(input_of).collect(),
            outputs: numbers(outputs),
            fee: number(fee),
            results: cells[2..].iter().map(|cell| result_of(cell)).collect(),
        }
    })
    .collect()
}

/// An input's value, and whether it is tainted.
fn input_of(text: &str) -> (u64, bool) {
    (number(text.trim_end_matches('T')), text.ends_with('T'))
}

/// What a rule gives the outputs, and the fee.
fn result_of(cell: &str) -> (Vec<u64>, u64) {
    let (shares, fee) = cell.split_once(" f").unwrap_or((cell, "0"));
    (numbers(shares), number(fee))
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("'{text}' is no number of satoshis"))
}

fn numbers(list: &str) -> Vec<u64> {
    list.split(", ").map(number).collect()
}

#[test]
fn the_vectors_of_the_page_hold_under_every_rule() {
    let vectors = vectors_of_the_page();
    assert_eq!(vectors.iter().map(|vector| vector.id).collect::<Vec<_>>(), IDS);
    for Vector { id, inputs, outputs, fee, results } in vectors {
        let parts: Vec<_> = inputs.iter().map(|(value, tainted)| part(*value, *tainted)).collect();
        let left = inputs.iter().map(|(value, _)| value).sum::<u64>() - outputs.iter().sum::<u64>();
        assert_eq!((left, results.len()), (fee, Rule::ALL.len()), "{id}");
        for (rule, expected) in Rule::ALL.into_iter().zip(results) {
            let found = rule.spread(&parts, &outputs);
            assert_eq!((taints(&found), found.fee), expected, "{id} under {rule}");
        }
    }
}

/// Passes taint on to plain outputs of these values.
fn pass_plainly(rule: Rule, inputs: &[TracedInput<'_>], outputs: &[u64]) -> Vec<Option<Taint>> {
    let passed = pass(rule, OPEN, inputs, &plain(outputs));
    passed.outputs.into_iter().map(|output| output.map(|output| output.taint)).collect()
}

fn spend(value: u64, taint: Option<&Taint>) -> TracedInput<'_> {
    TracedInput { value, whole: false, taint }
}

#[test]
fn vector_n_gathers_both_branches_when_met_in_chain_order() {
    let row = PAGE.lines().find_map(|line| line.strip_prefix("| taint of d | ")?.strip_suffix(" |"));
    let of_page: Vec<u64> = row.expect("the page has vector N").split(" | ").map(number).collect();
    assert_eq!(of_page, [15, 10, 10, 10, 10]);
    for (rule, expected) in Rule::ALL.into_iter().zip(of_page) {
        let x = pass_plainly(rule, &[TracedInput { value: 10, whole: true, taint: None }], &[5, 5]);
        let y = pass_plainly(rule, &[spend(5, x[0].as_ref()), spend(5, None)], &[10]);
        let z = pass_plainly(rule, &[spend(5, x[1].as_ref()), spend(10, y[0].as_ref())], &[15]);
        let taint = z[0].as_ref().map(|taint| (taint.amount, taint.hops));
        // The fewest hops among the inputs count: b has 1, c has 2.
        assert_eq!(taint, Some((expected, 2)), "{rule}");
    }
}

#[test]
fn the_fate_of_a_coin_is_the_first_that_fits() {
    let gates = Gates { min_taint: 10, max_hops: Some(1) };
    let near = Taint { amount: 100, hops: 0, segments: Vec::new() };
    let far = Taint { hops: 1, ..near.clone() };
    let cases = [
        (OutputKind::Plain, 100, &near, Some((100, 1, Fate::Followed))),
        (OutputKind::Plain, 9, &near, Some((9, 1, Fate::BelowMinTaint))),
        (OutputKind::Plain, 10, &near, Some((10, 1, Fate::Followed))),
        (OutputKind::Plain, 9, &far, Some((9, 2, Fate::MaxHops))),
        (OutputKind::Plain, 0, &near, None),
        (OutputKind::Service, 9, &far, Some((9, 2, Fate::Service))),
        (OutputKind::Unspendable, 9, &far, Some((9, 2, Fate::Unspendable))),
        (OutputKind::AnyoneCanSpend, 9, &far, Some((9, 2, Fate::AnyoneCanSpend))),
        (OutputKind::Source, 9, &far, Some((9, 0, Fate::Followed))),
        (OutputKind::Source, 0, &far, Some((0, 0, Fate::Followed))),
        (OutputKind::FlaggedService, 9, &far, Some((9, 0, Fate::FlaggedService))),
        (OutputKind::FlaggedService, 0, &far, Some((0, 0, Fate::Followed))),
    ];
    for (kind, value, taint, expected) in cases {
        let outputs = [TracedOutput { value, kind }, TracedOutput { value: 100 - value, kind: OutputKind::Plain }];
        let passed = pass(Rule::Fifo, gates, &[spend(100, Some(taint))], &outputs);
        let found = passed.outputs[0].as_ref().map(|output| (output.taint.amount, output.taint.hops, output.fate));
        assert_eq!(found, expected, "{kind:?} of {value} after {} hops", taint.hops);
        assert_eq!(passed.received[0], value, "a source gets its share too");
    }
}

#[test]
fn each_fate_carries_taint_on_or_cuts_it_or_neither() {
    // the fate, whether a spend carries its taint on, whether the taint lies on the frontier
    let cases = [
        (Fate::Followed, true, false),
        (Fate::Service, false, false),
        (Fate::Unspendable, false, false),
        (Fate::AnyoneCanSpend, false, true),
        (Fate::MaxHops, false, true),
        (Fate::BelowMinTaint, false, true),
        (Fate::FlaggedService, true, false),
        (Fate::TooFragmented, false, true),
    ];
    assert_eq!(cases.map(|(fate, ..)| fate), Fate::ALL);
    for (fate, is_carried, is_cut) in cases {
        let taint = Taint { amount: 5, hops: 1, segments: Vec::new() };
        let column = RuleTaint { rule: Rule::Fifo, taint, fate };
        assert_eq!(
            (column.is_followed(), column.carried().is_some(), fate.is_cut()),
            (is_carried, is_carried, is_cut),
            "{fate:?}"
        );
    }
}

#[test]
fn a_coin_of_a_source_is_tainted_as_a_whole_whatever_it_held() {
    let held = Taint { amount: 3, hops: 4, segments: Vec::new() };
    for rule in Rule::ALL {
        let made = pass_plainly(rule, &[TracedInput { value: 10, whole: true, taint: Some(&held) }], &[10]);
        assert_eq!(made[0].as_ref().map(|taint| (taint.amount, taint.hops)), Some((10, 1)), "{rule}");
    }
}

#[test]
fn a_coinbase_and_a_clean_transaction_pass_no_taint_on_but_create_sources() {
    for inputs in [&[][..], &[TracedInput { value: 50, whole: false, taint: None }]] {
        let outputs =
            [OutputKind::Source, OutputKind::Plain, OutputKind::Service].map(|kind| TracedOutput { value: 10, kind });
        for rule in Rule::ALL {
            let passed = pass(rule, OPEN, inputs, &outputs);
            let taints: Vec<_> = passed.outputs.iter().map(|output| output.as_ref().map(|o| o.taint.amount)).collect();
            assert_eq!((taints, passed.received, passed.fee), (vec![Some(10), None, None], vec![0, 0, 0], 0), "{rule}");
        }
    }
}

#[test]
fn unspendable_and_anyone_can_spend_scripts_are_recognized() {
    use bitcoin::ScriptBuf;
    for (script, kind) in [
        (vec![0x6a], OutputKind::Unspendable),
        (vec![0x6a, 1, 2], OutputKind::Unspendable),
        (vec![0x51; 10_001], OutputKind::Unspendable),
        (vec![0x51; 10_000], OutputKind::Plain),
        (vec![], OutputKind::AnyoneCanSpend),
        (vec![0x51], OutputKind::Plain),
    ] {
        assert_eq!(OutputKind::of(&ScriptBuf::from_bytes(script.clone())), kind, "{} bytes", script.len());
    }
}

/// D'Hondt as it is defined: seat by seat to the highest value / (share + 1), ties to the lowest index.
fn seat_by_seat(values: &[u64], seats: u64) -> Vec<u64> {
    let mut shares = vec![0; values.len()];
    for _ in 0..seats {
        let mut best = 0;
        for index in 1..values.len() {
            // value / (share + 1) is higher; multiplied out.
            if values[index] * (shares[best] + 1) > values[best] * (shares[index] + 1) {
                best = index;
            }
        }
        shares[best] += 1;
    }
    shares
}

#[test]
fn twenty_thousand_outputs_of_all_bitcoins_share_exactly() {
    const ALL: u64 = 2_100_000_000_000_000;
    let count = 20_000;
    let outputs: Vec<u64> = (0..count).map(|n| ALL / count - n % 7).collect();
    let inputs = [part(ALL / 3, true), part(ALL - ALL / 3, false)];
    for rule in [Rule::Haircut, Rule::Fifo, Rule::Lifo, Rule::Tiho] {
        let shares = rule.spread(&inputs, &outputs);
        let sum: u64 = taints(&shares).iter().sum();
        assert_eq!(sum + shares.fee, ALL / 3, "{rule}");
        assert!(shares.outputs.iter().zip(&outputs).all(|(share, value)| share.taint <= *value), "{rule}");
    }
    let shares = taints(&Rule::Haircut.spread(&inputs, &outputs));
    for (share, value) in shares.iter().zip(&outputs) {
        let quota = u128::from(*value) * u128::from(ALL / 3) / u128::from(ALL);
        assert!(u128::from(*share) >= quota, "no less than floor");
    }
    // More satoshis than a u64 holds when multiplied out, and one output that takes nearly all.
    let shares = Rule::Haircut.spread(&[part(ALL, true), part(1, false)], &[ALL, 1]);
    assert_eq!((taints(&shares), shares.fee), (vec![ALL, 0], 0));
}

/// Inputs as runs, and outputs worth no more than they are.
fn transaction(most: u64) -> impl Strategy<Value = (Vec<Vec<(bool, u64)>>, Vec<u64>)> {
    let runs = vec((any::<bool>(), 0..=most), 0..4);
    (vec(runs, 1..6), vec((0..=most, 0..4u8), 0..7)).prop_map(|(inputs, cuts)| {
        let mut left: u64 = inputs.iter().flatten().map(|(_, length)| length).sum();
        let mut outputs = Vec::new();
        for (value, kind) in cuts {
            // Equal values and all that is left are where ties and empty fees come from.
            let value = match (kind, outputs.last()) {
                (0, Some(last)) => *last,
                (1, _) => left,
                _ => value,
            };
            outputs.push(value.min(left));
            left -= value.min(left);
        }
        (inputs, outputs)
    })
}

fn spread(rule: Rule, lots: &[Lot], outputs: &[u64]) -> TaintShares {
    let parts: Vec<_> = lots.iter().map(Lot::part).collect();
    rule.spread(&parts, outputs)
}

proptest! {
    #[test]
    fn p7_taint_is_conserved_and_capped_by_value((inputs, outputs) in transaction(1_000_000_000)) {
        let lots: Vec<_> = inputs.iter().map(|runs| Lot::of(runs)).collect();
        let taint_in: u64 = lots.iter().map(|lot| lot.taint.amount).sum();
        let fee = lots.iter().map(|lot| lot.value).sum::<u64>() - outputs.iter().sum::<u64>();
        for rule in Rule::ALL {
            let shares = spread(rule, &lots, &outputs);
            prop_assert_eq!(shares.outputs.len(), outputs.len());
            prop_assert!(shares.fee <= fee, "{}", rule);
            for (share, value) in shares.outputs.iter().zip(&outputs) {
                prop_assert!(share.taint <= *value, "{}", rule);
            }
            let passed = taints(&shares).iter().sum::<u64>() + shares.fee;
            prop_assert!(!rule.conserves() || passed == taint_in, "{}: {} of {}", rule, passed, taint_in);
            prop_assert!(taint_in > 0 || passed == 0, "{} makes taint", rule);
        }
    }

    #[test]
    fn p7_more_taint_in_never_means_less_anywhere(
        (inputs, outputs) in transaction(1_000_000), flips in vec(any::<bool>(), 24)
    ) {
        // The same satoshis, some of the clean runs now tainted.
        let mut flip = flips.into_iter().cycle();
        let more: Vec<Vec<_>> = inputs
            .iter()
            .map(|runs| runs.iter().map(|(tainted, length)| (*tainted || flip.next().unwrap_or(true), *length)).collect())
            .collect();
        let [less, more] = [&inputs, &more].map(|inputs| inputs.iter().map(|runs| Lot::of(runs)).collect::<Vec<_>>());
        for rule in Rule::ALL {
            let [before, after] = [&less, &more].map(|lots| spread(rule, lots, &outputs));
            prop_assert!(before.fee <= after.fee, "{}: the fee", rule);
            for (before, after) in before.outputs.iter().zip(&after.outputs) {
                prop_assert!(before.taint <= after.taint, "{}", rule);
            }
        }
    }

    #[test]
    fn haircut_is_dhondt_seat_by_seat((inputs, outputs) in transaction(40)) {
        let lots: Vec<_> = inputs.iter().map(|runs| Lot::of(runs)).collect();
        let fee = lots.iter().map(|lot| lot.value).sum::<u64>() - outputs.iter().sum::<u64>();
        let values: Vec<u64> = outputs.iter().copied().chain([fee]).collect();
        let mut expected = seat_by_seat(&values, lots.iter().map(|lot| lot.taint.amount).sum());
        let expected_fee = expected.pop().unwrap();
        let shares = spread(Rule::Haircut, &lots, &outputs);
        prop_assert_eq!((taints(&shares), shares.fee), (expected, expected_fee));
    }

    #[test]
    fn fifo_and_lifo_are_satoshis_in_a_row((inputs, outputs) in transaction(40)) {
        let lots: Vec<_> = inputs.iter().map(|runs| Lot::of(runs)).collect();
        let forward: Vec<bool> = lots.iter().flat_map(Lot::satoshis).collect();
        let backward: Vec<bool> = lots.iter().rev().flat_map(Lot::satoshis).collect();
        for (rule, row) in [(Rule::Fifo, forward), (Rule::Lifo, backward)] {
            let shares = spread(rule, &lots, &outputs);
            let mut row = row.as_slice();
            for (share, value) in shares.outputs.iter().zip(&outputs) {
                let (taken, rest) = row.split_at(usize::try_from(*value).unwrap());
                row = rest;
                let runs: Vec<_> = taken.iter().map(|tainted| (*tainted, 1)).collect();
                let expected = Lot::of(&runs);
                prop_assert_eq!((share.taint, &share.segments), (expected.taint.amount, &expected.taint.segments), "{}", rule);
            }
            prop_assert_eq!(shares.fee, row.iter().filter(|tainted| **tainted).count() as u64);
        }
    }

    #[test]
    fn tiho_leaves_no_tainted_satoshi_to_a_smaller_output((inputs, outputs) in transaction(1_000)) {
        let lots: Vec<_> = inputs.iter().map(|runs| Lot::of(runs)).collect();
        let shares = spread(Rule::Tiho, &lots, &outputs);
        for (one, value) in shares.outputs.iter().zip(&outputs) {
            for (other, smaller) in shares.outputs.iter().zip(&outputs) {
                prop_assert!(smaller >= value || other.taint == 0 || one.taint == *value);
            }
            prop_assert!(shares.fee == 0 || one.taint == *value);
        }
    }
}
