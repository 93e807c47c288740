//! `lifo`: last in, first out. The inputs queue up in reverse order; outputs, in order, take from the front, the fee gets the rest.

use super::queue::Queue;
use super::share::{Part, TaintShares};

/// Spreads taint with the last input at the front of the queue; within an input, segments keep their order.
pub fn spread(inputs: &[Part<'_>], outputs: &[u64]) -> TaintShares {
    Queue::of(inputs.iter().rev()).pay(outputs)
}
