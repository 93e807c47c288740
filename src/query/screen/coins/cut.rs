//! Coins at which the index stopped following, among those that a transaction spends: their taint was not passed on, so the reason of a row
//! that finds nothing has to name them.

use std::cmp::Reverse;

use bitcoin::OutPoint;
use serde::Serialize;

use crate::chain::Height;
use crate::index::ReadRows;
use crate::query::by_rule::ByRule;
use crate::query::facts::CoinState;
use crate::query::{Result, Snapshot};
use crate::trace::{Fate, RuleTaint};

/// Coins that a row names one by one; a sweep of dust may spend thousands.
const NAMED: usize = 10;

/// A coin at which the index stopped following.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CutCoin {
    /// The coin.
    pub outpoint: OutPoint,
    /// Why the index stopped, under the rule by which it holds most.
    pub state: CoinState,
    /// The taint that was not passed on, by tracked rule.
    pub taint_sat: ByRule,
}

/// The cut coins among those that a transaction spends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CutCoins {
    /// The taint of all of them.
    pub taint: Option<ByRule>,
    /// Those that hold most.
    pub coins: Vec<CutCoin>,
    /// How many there are.
    pub count: usize,
}

impl CutCoins {
    /// Those among these coins, which are spent at a height.
    ///
    /// # Errors
    /// What reading reports.
    pub fn among(snapshot: &Snapshot, spent: impl Iterator<Item = OutPoint>, height: Height) -> Result<Self> {
        let rules = &snapshot.trace.rules;
        let mut cut = Self::default();
        for outpoint in spent {
            let Some((_, coin)) = snapshot.reader.coin_at(&outpoint, height)? else { continue };
            let columns: Vec<RuleTaint> =
                coin.columns.into_iter().filter(|column| state(column.fate).is_some()).collect();
            let Some(most) = columns.iter().max_by_key(|column| column.taint.amount) else { continue };
            let Some(state) = state(most.fate) else { continue };
            let taint_sat = ByRule::of_columns(rules, &columns);
            cut.taint.get_or_insert_with(|| ByRule::none(rules)).add(&taint_sat);
            cut.count += 1;
            cut.coins.push(CutCoin { outpoint, state, taint_sat });
            if cut.coins.len() > 2 * NAMED {
                cut.keep_largest();
            }
        }
        cut.keep_largest();
        Ok(cut)
    }

    fn keep_largest(&mut self) {
        self.coins.sort_by_key(|coin| (Reverse(most(&coin.taint_sat)), coin.outpoint));
        self.coins.truncate(NAMED);
    }

    /// In words; `None` without any.
    pub fn words(&self) -> Option<String> {
        let (taint, first) = (self.taint.as_ref()?, self.coins.first()?);
        let (taint, outpoint, state) = (taint.words(), first.outpoint, first.state.name());
        Some(match self.count {
            1 => format!("it spends {outpoint}, where the index stopped following {taint} ({state})"),
            count => format!(
                "it spends {count} coins where the index stopped following {taint} in all, the largest {outpoint} ({state})"
            ),
        })
    }
}

fn most(taint: &ByRule) -> u64 {
    taint.iter().map(|(_, taint)| taint).max().unwrap_or_default()
}

/// The state of a coin that is not followed because of a gate, or because anyone can spend it.
fn state(fate: Fate) -> Option<CoinState> {
    match fate {
        Fate::AnyoneCanSpend => Some(CoinState::AnyoneCanSpend),
        Fate::MaxHops => Some(CoinState::MaxHops),
        Fate::BelowMinTaint => Some(CoinState::BelowMinTaint),
        Fate::TooFragmented => Some(CoinState::TooFragmented),
        Fate::Followed | Fate::Service | Fate::Unspendable | Fate::FlaggedService => None,
    }
}
