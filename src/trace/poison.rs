//! `poison`: one tainted input taints everything, the fee too. An exposure, never an amount: it conserves nothing.

use super::rule::{Part, Share, Shares};

/// Every output wholly, if any input holds taint.
pub fn spread(inputs: &[Part<'_>], outputs: &[u64]) -> Shares {
    let tainted = inputs.iter().any(|input| input.taint > 0);
    let share = |value: &u64| Share { taint: if tainted { *value } else { 0 }, segments: Vec::new() };
    let brought: u64 = inputs.iter().map(|input| input.value).fold(0, u64::saturating_add);
    let fee = outputs.iter().fold(brought, |left, value| left.saturating_sub(*value));
    Shares { outputs: outputs.iter().map(share).collect(), fee: if tainted { fee } else { 0 } }
}
