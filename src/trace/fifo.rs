//! `fifo`: first in, first out (Clayton's Case). The inputs queue up in order; outputs take from the front, the fee gets the rest.

use super::queue::Queue;
use super::share::{Part, TaintShares};

/// Spreads taint with the first input at the front of the queue.
pub fn spread(inputs: &[Part<'_>], outputs: &[u64]) -> TaintShares {
    Queue::of(inputs.iter()).pay(outputs)
}
