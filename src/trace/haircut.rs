//! `haircut`: every output and the fee hold taint in proportion to their value, in whole satoshis by highest averages (D'Hondt).
//!
//! D'Hondt gives each share at least the floor of its quota, and more taint in never means less on any output; largest remainder
//! would not do: for outputs 22, 16, 7 the third gets 5 of 29 but 4 of 30.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::rule::{Part, Share, Shares};

/// Its share for each output; the fee counts as the last of them.
pub fn spread(inputs: &[Part<'_>], outputs: &[u64]) -> Shares {
    let value = inputs.iter().map(|input| u128::from(input.value)).sum::<u128>();
    let taint = inputs.iter().map(|input| u128::from(input.taint)).sum::<u128>();
    let paid = outputs.iter().map(|output| u128::from(*output)).sum::<u128>();
    let fee = u64::try_from(value.saturating_sub(paid)).unwrap_or(u64::MAX);
    let values: Vec<u64> = outputs.iter().copied().chain([fee]).collect();
    let mut shares = apportion(&values, value, taint);
    let fee = shares.pop().unwrap_or(0);
    Shares { outputs: shares.into_iter().map(|taint| Share { taint, segments: Vec::new() }).collect(), fee }
}

/// A claim on the next satoshi: the higher value / (share + 1) first, ties to the lowest index.
#[derive(PartialEq, Eq)]
struct Claim {
    value: u64,
    share: u64,
    index: Reverse<usize>,
}

impl Ord for Claim {
    fn cmp(&self, other: &Self) -> Ordering {
        // value / (share + 1), compared without dividing.
        let mine = u128::from(self.value) * (u128::from(other.share) + 1);
        let theirs = u128::from(other.value) * (u128::from(self.share) + 1);
        mine.cmp(&theirs).then(self.index.cmp(&other.index))
    }
}

impl PartialOrd for Claim {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `taint` satoshis over `values`, whose sum is `total`: the floor of each quota, then one by one.
fn apportion(values: &[u64], total: u128, taint: u128) -> Vec<u64> {
    if total == 0 || taint == 0 {
        return vec![0; values.len()];
    }
    let floor = |value: &u64| u64::try_from(u128::from(*value) * taint / total).unwrap_or(u64::MAX);
    let mut shares: Vec<u64> = values.iter().map(floor).collect();
    let given: u128 = shares.iter().copied().map(u128::from).sum();
    let claim =
        |index: usize, shares: &[u64]| Claim { value: values[index], share: shares[index], index: Reverse(index) };
    let mut claims: BinaryHeap<_> = (0..values.len()).map(|index| claim(index, &shares)).collect();
    for _ in given..taint {
        let Some(Claim { index: Reverse(index), .. }) = claims.pop() else { break };
        shares[index] += 1;
        claims.push(claim(index, &shares));
    }
    shares
}
