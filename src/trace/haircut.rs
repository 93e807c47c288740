//! `haircut`: every output and the fee get taint in proportion to their value, in whole satoshis by highest averages (D'Hondt).
//!
//! With D'Hondt each share is at least the floor of its quota, and more taint in never means less on any output. Largest remainder
//! would break that: of outputs 22, 16, 7 the third gets 5 of a taint of 29, but 4 of 30.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::share::{Part, Share, TaintShares};

/// Spreads taint in proportion to value; the fee takes part as if it were the last output.
pub fn spread(inputs: &[Part<'_>], outputs: &[u64]) -> TaintShares {
    let value = inputs.iter().map(|input| u128::from(input.value)).sum::<u128>();
    let taint = inputs.iter().map(|input| u128::from(input.taint)).sum::<u128>();
    let paid = outputs.iter().map(|output| u128::from(*output)).sum::<u128>();
    let fee = u64::try_from(value.saturating_sub(paid)).unwrap_or(u64::MAX);
    let values: Vec<u64> = outputs.iter().copied().chain([fee]).collect();
    let mut shares = apportion(&values, value, taint);
    let fee = shares.pop().unwrap_or(0);
    TaintShares { outputs: shares.into_iter().map(|taint| Share { taint, segments: Vec::new() }).collect(), fee }
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

/// Divides `taint` satoshis among `values`, whose sum is `total`: first the floor of each quota, then the rest one by one.
fn apportion(values: &[u64], total: u128, taint: u128) -> Vec<u64> {
    if total == 0 || taint == 0 {
        return vec![0; values.len()];
    }
    let quotas = values.iter().map(|value| u128::from(*value) * taint / total);
    let mut shares: Vec<u64> = quotas.map(|quota| u64::try_from(quota).unwrap_or(u64::MAX)).collect();
    let given: u128 = shares.iter().copied().map(u128::from).sum();
    let claims = values.iter().zip(&shares).enumerate();
    let mut claims: BinaryHeap<_> =
        claims.map(|(index, (value, share))| Claim { value: *value, share: *share, index: Reverse(index) }).collect();
    // Fewer than there are values, since each floor is short by less than one satoshi.
    for _ in given..taint {
        let Some(mut claim) = claims.pop() else { break };
        claim.share += 1;
        shares[claim.index.0] = claim.share;
        claims.push(claim);
    }
    shares
}
