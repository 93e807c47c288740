//! Coins: whether one was spent by some height.

use bitcoin::{Script, Txid};
use serde::{Deserialize, Serialize};

use super::Txids;
use crate::chain::Height;
use crate::index::ReadRows;
use crate::index::keys::CoinKey;
use crate::index::values::Spender;
use crate::query::{Result, Snapshot};
use crate::trace::flow::is_unspendable;

/// The input that spent a coin, as answers name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpentBy {
    /// The spending transaction.
    pub txid: Txid,
    /// Its input.
    pub vin: u32,
    /// The height of its block.
    pub height: Height,
}

/// What became of a coin, as answers spell it. A trace gives the first state that fits, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoinState {
    /// On a flagged script that is no source of the trace, where `--stop flagged` ends it.
    Flagged,
    /// On a service's script.
    Service,
    /// Can never be spent.
    Unspendable,
    /// On an empty script.
    AnyoneCanSpend,
    /// More hops from its source than the gate allows.
    MaxHops,
    /// Less taint than the gate asks for.
    BelowMinTaint,
    /// More runs of tainted and clean satoshis than a coin keeps.
    TooFragmented,
    /// The index did not search for its spend.
    NotFollowed,
    /// Spent by an input that the index has.
    Spent,
    /// Not spent.
    Unspent,
}

impl CoinState {
    /// As answers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flagged => "flagged",
            Self::Service => "service",
            Self::Unspendable => "unspendable",
            Self::AnyoneCanSpend => "anyone_can_spend",
            Self::MaxHops => "max_hops",
            Self::BelowMinTaint => "below_min_taint",
            Self::TooFragmented => "too_fragmented",
            Self::NotFollowed => "not_followed",
            Self::Spent => "spent",
            Self::Unspent => "unspent",
        }
    }
}

/// Whether a coin was spent by some height, as far as records show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spending {
    /// It can never be spent.
    Unspendable,
    /// By this input.
    Spent(Spender),
    /// No record spends it.
    Unspent,
}

impl Spending {
    /// That of a coin on `script`, after the block at `at`.
    ///
    /// # Errors
    /// What reading reports.
    pub fn of(snapshot: &Snapshot, coin: &CoinKey, script: &Script, at: Height) -> Result<Self> {
        // The genesis coinbase is in no node's UTXO set.
        if coin.height == 0 || is_unspendable(script) {
            return Ok(Self::Unspendable);
        }
        let spender = snapshot.reader.spender_of(coin)?;
        let mut heights = snapshot.reader.coin_heights(&coin.outpoint)?.into_iter();
        let twin = heights.find(|height| *height > coin.height && *height <= at);
        // BIP30: a later coin took its outpoint, unless this one had been spent by then.
        if twin.is_some_and(|twin| spender.as_ref().is_none_or(|spender| spender.at.height >= twin)) {
            return Ok(Self::Unspendable);
        }
        Ok(spender.filter(|spender| spender.at.height <= at).map_or(Self::Unspent, Self::Spent))
    }

    /// The state that it is, for a coin whose spend the index searches for.
    pub fn state(&self) -> CoinState {
        match self {
            Self::Unspendable => CoinState::Unspendable,
            Self::Spent(_) => CoinState::Spent,
            Self::Unspent => CoinState::Unspent,
        }
    }

    /// The input that spent it, with its transaction's id.
    ///
    /// # Errors
    /// What reading reports.
    pub fn spent_by(&self, txids: &Txids<'_>) -> Result<Option<SpentBy>> {
        let Self::Spent(spender) = self else { return Ok(None) };
        Ok(Some(SpentBy { txid: txids.get(spender.at)?, vin: spender.vin, height: spender.at.height }))
    }
}
