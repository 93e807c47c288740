//! Satoshis in a row, tainted and clean ones: what FIFO and LIFO pay outputs from.

use std::collections::VecDeque;

use super::rule::{Part, Segment, Share, Shares};

/// What the inputs brought, front first.
pub struct Queue(VecDeque<Segment>);

impl Queue {
    /// The satoshis of `inputs`, one input after the other.
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

    /// Pays the outputs in order from the front; the fee gets what is left.
    pub fn pay(mut self, outputs: &[u64]) -> Shares {
        let outputs = outputs.iter().map(|value| self.take(*value)).collect();
        let fee = self.0.iter().filter(|segment| segment.tainted).map(|segment| segment.length).sum();
        Shares { outputs, fee }
    }

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
            if length == 0 {
                continue;
            }
            taint += if tainted { length } else { 0 };
            match segments.last_mut().filter(|last| last.tainted == tainted) {
                Some(last) => last.length += length,
                None => segments.push(Segment { tainted, length }),
            }
        }
        if segments.len() < 2 {
            segments.clear();
        }
        Share { taint, segments }
    }
}
