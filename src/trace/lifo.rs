//! `lifo`: last in, first out. Inputs in reverse order; outputs, in order, take from the front, the fee gets what is left.

use super::queue::Queue;
use super::rule::{Part, Shares};

/// The last input first; within an input its segments keep their order.
pub fn spread(inputs: &[Part<'_>], outputs: &[u64]) -> Shares {
    Queue::of(inputs.iter().rev()).pay(outputs)
}
