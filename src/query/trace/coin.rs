//! What a trace finds: coins with what they hold under each rule, and the transactions that moved them.

use std::rc::Rc;

use bitcoin::{OutPoint, Txid};

use crate::index::keys::TxPosition;
use crate::query::facts::script::ScriptListing;
use crate::query::facts::{CoinState, SpentBy};
use crate::trace::Taint;

/// Everything that one trace found.
pub struct Trail {
    /// Every coin that is a source or holds taint under some rule, in the order of the pass.
    pub coins: Vec<TracedCoin>,
    /// Every transaction that spent one of these, in chain order.
    pub moves: Vec<TracedMove>,
}

/// A coin of a trace.
pub struct TracedCoin {
    /// The output.
    pub outpoint: OutPoint,
    /// The transaction that made it; `None` where only its spend is known.
    pub made: Option<TxPosition>,
    /// The time of that block.
    pub time: Option<u32>,
    /// Satoshis.
    pub value: u64,
    /// Its script, with its listing.
    pub listing: Rc<ScriptListing>,
    /// Whether it is a source.
    pub source: bool,
    /// The input whose script made it a source, of a coin that is older than the height its script is flagged from.
    pub by_spend: Option<(TxPosition, u32)>,
    /// By rule, in the order asked for; `None` where it holds no taint.
    pub holds: Vec<Option<TaintHeld>>,
    /// The input that spent it, if the pass reached that.
    pub spent_by: Option<SpentBy>,
}

/// What a coin holds under one rule.
#[derive(Clone, Debug)]
pub struct TaintHeld {
    /// Satoshis, hops and segments.
    pub taint: Taint,
    /// Taint of this trace that its transaction passed on to it, satoshis.
    pub carried: u64,
    /// What became of it.
    pub state: CoinState,
    /// Whether it belonged to the trace from its making on, not by its spend alone.
    pub since_made: bool,
}

impl TaintHeld {
    /// The taint that its spend carries on.
    pub(super) fn open(&self) -> Option<&Taint> {
        (self.state == CoinState::Unspent).then_some(&self.taint)
    }
}

/// A transaction that spent coins of a trace.
pub struct TracedMove {
    /// Where it is.
    pub at: TxPosition,
    /// Its block's time.
    pub time: u32,
    /// Its id.
    pub txid: Txid,
    /// The tainted inputs: index, coin, satoshis by rule.
    pub inputs: Vec<(u32, OutPoint, Vec<u64>)>,
    /// Tainted satoshis that went to the miner, by rule.
    pub fees: Vec<u64>,
}

impl TracedCoin {
    /// Makes it a source: its script became flagged between its making and its spend.
    pub(super) fn become_source(&mut self, at: TxPosition, vin: u32) {
        if self.source {
            return;
        }
        self.source = true;
        self.by_spend = Some((at, vin));
        for held in &mut self.holds {
            let carried = held.as_ref().map_or(0, |held| held.taint.amount);
            let taint = Taint { amount: self.value, hops: 0, segments: Vec::new() };
            *held = Some(TaintHeld { taint, carried, state: CoinState::Unspent, since_made: held.is_some() });
        }
    }

    /// A later coin took its outpoint (BIP30): it can never be spent.
    pub(super) fn overwrite(&mut self) {
        for held in self.holds.iter_mut().flatten().filter(|held| held.state > CoinState::Unspendable) {
            held.state = CoinState::Unspendable;
        }
    }
}
