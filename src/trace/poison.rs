//! `poison`: one tainted input taints all outputs and the fee wholly. An exposure, never an amount: it conserves nothing.

use super::share::{Part, Share, TaintShares};

/// Gives every output and the fee their whole value if any input is tainted.
pub fn spread(inputs: &[Part<'_>], outputs: &[u64]) -> TaintShares {
    if inputs.iter().all(|input| input.taint == 0) {
        return TaintShares::untainted(outputs.len());
    }
    let spent: u64 = inputs.iter().map(|input| input.value).fold(0, u64::saturating_add);
    let fee = outputs.iter().fold(spent, |left, value| left.saturating_sub(*value));
    TaintShares { outputs: outputs.iter().map(|value| Share { taint: *value, segments: Vec::new() }).collect(), fee }
}
