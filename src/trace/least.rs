//! What the outputs of a transaction hold at least, where some of its inputs are not known (docs/taint.md, "An unknown input").
//!
//! More taint in never means less taint on any output, so an unknown coin counts as clean. Its value isn't known either, and the
//! larger it is, the less is left of the known taint: under haircut its share of the whole falls, under FIFO and LIFO what lies behind
//! it in the queue may all go to the fee. So it counts as large as a coin can be. TIHO doesn't look at the inputs' values.

use super::flow::{Gates, PassedTaint, TracedInput, TracedOutput, pass};
use super::rule::Rule;

/// The most satoshis that can exist, and that the inputs of a transaction can hold together (Core's `MAX_MONEY`).
const MAX_MONEY: u64 = 21_000_000 * 100_000_000;

/// What the known taint of a transaction comes to, whatever its unknown inputs are.
pub struct LeastTaint {
    /// What outputs and fee hold at least.
    pub passed: PassedTaint,
    /// For each output, whether the known taint may reach it, be it for certain or with the right unknown inputs.
    pub reached: Vec<bool>,
}

/// As [`pass`], where `None` is an input of which neither value nor taint is known. An input whose value is known and whose taint is
/// not is given with the taint that it holds at least.
pub fn pass_at_least(
    rule: Rule,
    gates: Gates,
    inputs: &[Option<TracedInput<'_>>],
    outputs: &[TracedOutput],
) -> LeastTaint {
    let order = in_order_of(rule, inputs.len());
    // In the rule's order, as all unknown inputs together hold at most this: what precedes the first keeps its place.
    let first = order.iter().copied().find(|index| inputs[*index].is_none());
    let paid = outputs.iter().map(|output| output.value).fold(0, u64::saturating_add);
    let filled = inputs.iter().enumerate().map(|(index, input)| {
        let most = if Some(index) == first { MAX_MONEY.max(paid) } else { 0 };
        input.unwrap_or(TracedInput { value: most, whole: false, taint: None })
    });
    let filled: Vec<TracedInput<'_>> = filled.collect();
    let passed = pass(rule, gates, &filled, outputs);
    let mut reached: Vec<bool> = passed.received.iter().map(|taint| *taint > 0).collect();
    if let Some(first) = first {
        let (before, behind) = split(&order, first);
        let is_tainted_behind = behind.iter().filter_map(|index| inputs[*index]).any(|input| has_taint(&input));
        let value_before = before.iter().filter_map(|index| inputs[*index]).map(|input| input.value);
        let may_reach: u64 = match rule {
            // Whatever has a value has a share, which may be rounded to nothing.
            Rule::Poison | Rule::Haircut if inputs.iter().flatten().any(has_taint) => 0,
            // What lies behind the first unknown input comes after everything before it.
            Rule::Fifo | Rule::Lifo if is_tainted_behind => value_before.fold(0, u64::saturating_add),
            _ => u64::MAX,
        };
        let mut end: u64 = 0;
        for (reached, output) in reached.iter_mut().zip(outputs) {
            end = end.saturating_add(output.value);
            *reached |= output.value > 0 && end > may_reach;
        }
    }
    LeastTaint { passed, reached }
}

/// The inputs in the order in which the rule meets them.
fn in_order_of(rule: Rule, count: usize) -> Vec<usize> {
    match rule {
        Rule::Lifo => (0..count).rev().collect(),
        Rule::Poison | Rule::Haircut | Rule::Fifo | Rule::Tiho => (0..count).collect(),
    }
}

/// What comes before an element, and what comes behind it.
fn split(order: &[usize], at: usize) -> (&[usize], &[usize]) {
    let position = order.iter().position(|index| *index == at).unwrap_or(order.len());
    (&order[..position], order.get(position + 1..).unwrap_or_default())
}

fn has_taint(input: &TracedInput<'_>) -> bool {
    (input.whole && input.value > 0) || input.taint.is_some_and(|taint| taint.amount > 0)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::trace::samples::{Lot, OPEN, plain};

    fn least(rule: Rule, inputs: &[Option<Lot>], outputs: &[u64]) -> LeastTaint {
        let inputs: Vec<_> = inputs.iter().map(|lot| lot.as_ref().map(Lot::input)).collect();
        pass_at_least(rule, OPEN, &inputs, &plain(outputs))
    }

    fn exact(rule: Rule, inputs: &[Lot], outputs: &[u64]) -> Vec<u64> {
        let inputs: Vec<_> = inputs.iter().map(Lot::input).collect();
        pass(rule, OPEN, &inputs, &plain(outputs)).received
    }

    /// The example of docs/taint.md.
    #[test]
    fn a_tainted_coin_beside_an_unknown_one_leaves_what_the_page_says() {
        let btc = 100_000_000;
        let tainted = Lot::of(&[(true, 10 * btc)]);
        // inputs, outputs, then the least taint of each output: haircut, fifo, lifo, tiho
        type PageCase = (Vec<Option<Lot>>, [u64; 2], [[u64; 2]; 4]);
        let cases: [PageCase; 2] = [
            (
                vec![Some(tainted.clone()), None],
                [8 * btc, 4 * btc],
                [[380, 190], [8 * btc, 2 * btc], [0, 0], [8 * btc, 2 * btc]],
            ),
            (
                vec![None, Some(tainted)],
                [8 * btc, 4 * btc],
                [[380, 190], [0, 0], [8 * btc, 2 * btc], [8 * btc, 2 * btc]],
            ),
        ];
        for (inputs, outputs, expected) in cases {
            for (rule, expected) in [Rule::Haircut, Rule::Fifo, Rule::Lifo, Rule::Tiho].into_iter().zip(expected) {
                let found = least(rule, &inputs, &outputs);
                assert_eq!(found.passed.received, expected, "{rule}");
                assert_eq!(found.reached, [true, true], "{rule}");
            }
        }
    }

    #[test]
    fn taint_that_no_unknown_coin_can_move_reaches_nothing_else() {
        let [clean, tainted] = [[(false, 5)], [(true, 5)]].map(|runs| Some(Lot::of(&runs)));
        // The first output is paid by the clean coin, whatever the unknown one is.
        let inputs = [clean, None, tainted];
        assert_eq!(least(Rule::Fifo, &inputs, &[5, 5]).reached, [false, true]);
        assert_eq!(least(Rule::Lifo, &inputs, &[5, 5]).reached, [true, false]);
        assert_eq!(least(Rule::Haircut, &inputs, &[5, 0]).reached, [true, false]);
        assert_eq!(least(Rule::Tiho, &inputs, &[6, 4]).reached, [true, false]);
    }

    /// Inputs, some of which are unknown (a completion of each is drawn, too), and outputs worth no more than they are.
    #[test]
    fn a_coin_of_a_source_behind_an_unknown_one_may_reach_the_outputs() {
        let source = TracedInput { value: 5, whole: true, taint: None };
        let found = pass_at_least(Rule::Fifo, OPEN, &[None, Some(source)], &plain(&[5]));
        assert_eq!((found.passed.received, found.reached), (vec![0], vec![true]));
    }

    #[test]
    fn outputs_of_more_than_all_money_hold_no_more_taint_than_there_is() {
        let tainted = Some(Lot::of(&[(true, 10)]));
        for rule in [Rule::Haircut, Rule::Fifo, Rule::Lifo, Rule::Tiho] {
            let found = least(rule, &[tainted.clone(), None], &[2 * MAX_MONEY]).passed;
            assert!(found.received[0] <= 10, "{rule}: {}", found.received[0]);
        }
    }

    fn transaction() -> impl Strategy<Value = (Vec<(Lot, bool)>, Vec<u64>)> {
        let runs = vec((any::<bool>(), prop_oneof![0..=40_u64, 0..=1_000_000_u64]), 0..4);
        let inputs = vec((runs.prop_map(|runs| Lot::of(&runs)), option::of(Just(()))), 1..6);
        (inputs, vec(0..=1_000_000_u64, 0..6)).prop_map(|(inputs, cuts)| {
            let inputs: Vec<(Lot, bool)> =
                inputs.into_iter().map(|(lot, is_known)| (lot, is_known.is_some())).collect();
            let mut left: u64 = inputs.iter().map(|(lot, _)| lot.value).sum();
            let mut outputs = Vec::new();
            for cut in cuts {
                let value = if cut % 3 == 0 { left / 2 } else { cut.min(left) };
                outputs.push(value);
                left -= value;
            }
            (inputs, outputs)
        })
    }

    proptest! {
        #[test]
        fn no_completion_of_the_unknown_inputs_gives_less_than_the_bound((inputs, outputs) in transaction()) {
            let known: Vec<Option<Lot>> = inputs.iter().map(|(lot, known)| known.then(|| lot.clone())).collect();
            let complete: Vec<Lot> = inputs.iter().map(|(lot, _)| lot.clone()).collect();
            let washed: Vec<Lot> =
                inputs.iter().map(|(lot, known)| if *known { lot.clone() } else { lot.washed() }).collect();
            for rule in Rule::ALL {
                let bound = least(rule, &known, &outputs);
                let truth = exact(rule, &complete, &outputs);
                for (bound, truth) in bound.passed.received.iter().zip(&truth) {
                    prop_assert!(bound <= truth, "{}: at least {}, in truth {}", rule, bound, truth);
                }
                // Where the unknown inputs are clean, all taint is known taint.
                for (reached, taint) in bound.reached.iter().zip(exact(rule, &washed, &outputs)) {
                    prop_assert!(*reached || taint == 0, "{}: known taint of {} unannounced", rule, taint);
                }
            }
        }

        #[test]
        fn a_coin_of_known_value_and_unknown_taint_counts_as_clean((inputs, outputs) in transaction()) {
            let known: Vec<Option<Lot>> =
                inputs.iter().map(|(lot, known)| Some(if *known { lot.clone() } else { lot.washed() })).collect();
            let complete: Vec<Lot> = inputs.iter().map(|(lot, _)| lot.clone()).collect();
            for rule in Rule::ALL {
                let bound = least(rule, &known, &outputs);
                for (bound, truth) in bound.passed.received.iter().zip(exact(rule, &complete, &outputs)) {
                    prop_assert!(*bound <= truth, "{}: at least {}, in truth {}", rule, bound, truth);
                }
            }
        }

        #[test]
        fn the_bound_is_met_where_the_first_unknown_coin_is_as_large_as_can_be((inputs, outputs) in transaction()) {
            for rule in Rule::ALL {
                let order = in_order_of(rule, inputs.len());
                let first = order.iter().copied().find(|index| !inputs[*index].1);
                let known: Vec<Option<Lot>> = inputs.iter().map(|(lot, known)| known.then(|| lot.clone())).collect();
                let worst: Vec<Lot> = inputs.iter().enumerate().map(|(index, (lot, known))| match known {
                    true => lot.clone(),
                    false => Lot::of(&[(false, if Some(index) == first { MAX_MONEY } else { 0 })]),
                }).collect();
                prop_assert_eq!(least(rule, &known, &outputs).passed.received, exact(rule, &worst, &outputs), "{}", rule);
            }
        }
    }
}
