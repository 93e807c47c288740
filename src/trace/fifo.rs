//! `fifo`: first in, first out (Clayton's Case). Input segments in order; outputs take from the front, the fee gets what is left.

use super::queue::Queue;
use super::rule::{Part, Shares};

/// In the order of the inputs.
pub fn spread(inputs: &[Part<'_>], outputs: &[u64]) -> Shares {
    Queue::of(inputs.iter()).pay(outputs)
}
