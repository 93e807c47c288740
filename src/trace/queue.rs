//! The queue of tainted and clean satoshis from which FIFO and LIFO pay outputs.

use std::collections::VecDeque;

use super::share::{Part, Segment, Share, TaintShares};

/// The satoshis that are still to be paid out, front first.
pub struct Queue(VecDeque<Segment>);

impl Queue {
    /// Queues up the satoshis of `inputs`, one input after the other.
    pub fn of<'a>(inputs: impl Iterator<Item = &'a Part<'a>>) -> Self {
        let mut queue = VecDeque::new();
        for input in inputs {
            if input.segments.is_empty() {
                queue.push_back(Segment { tainted: input.taint > 0, length: input.value });
            } else {
                queue.extend(input.segments);
            }
        }
        Self(queue)
    }

    /// Pays outputs of these values from the front, in order; the fee gets the rest.
    pub fn pay(mut self, outputs: &[u64]) -> TaintShares {
        let outputs = outputs.iter().map(|value| self.take(*value)).collect();
        let fee = self.0.iter().filter(|segment| segment.tainted).map(|segment| segment.length).sum();
        TaintShares { outputs, fee }
    }

    /// Takes `value` satoshis from the front, or as many as there are.
    fn take(&mut self, value: u64) -> Share {
        let (mut left, mut taint) = (value, 0);
        let mut segments: Vec<Segment> = Vec::new();
        while left > 0 {
            let Some(front) = self.0.front_mut() else { break };
            let length = front.length.min(left);
            let tainted = front.tainted;
            front.length -= length;
            left -= length;
            if front.length == 0 {
                self.0.pop_front();
            }
            // A run of an input without value.
            if length == 0 {
                continue;
            }
            taint += if tainted { length } else { 0 };
            match segments.last_mut().filter(|last| last.tainted == tainted) {
                Some(last) => last.length += length,
                None => segments.push(Segment { tainted, length }),
            }
        }
        // A single run has no order to keep: the amount says all.
        if segments.len() < 2 {
            segments.clear();
        }
        Share { taint, segments }
    }
}
