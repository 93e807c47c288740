//! `tiho`: taint in, highest out. The inputs' taint fills the outputs from the largest to the smallest (Tironsakkul et al.).

use std::cmp::Reverse;

use super::share::{Part, Share, TaintShares};

/// Fills the largest output first, of equal ones the first; the fee gets the rest.
pub fn spread(inputs: &[Part<'_>], outputs: &[u64]) -> TaintShares {
    let mut left: u64 = inputs.iter().map(|input| input.taint).fold(0, u64::saturating_add);
    let mut order: Vec<usize> = (0..outputs.len()).collect();
    // Stable: of equal outputs the first comes first.
    order.sort_by_key(|index| Reverse(outputs[*index]));
    let mut shares = vec![Share::default(); outputs.len()];
    for index in order {
        let taken = left.min(outputs[index]);
        shares[index].taint = taken;
        left -= taken;
    }
    TaintShares { outputs: shares, fee: left }
}
