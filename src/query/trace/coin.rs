//! What a trace finds: coins with what they hold under each rule, and the transactions that moved them.

use std::rc::Rc;

use bitcoin::{OutPoint, Txid};

use super::CoinState;
use super::place::Place;
use crate::index::keys::TxPosition;
use crate::query::SpentBy;
use crate::trace::Taint;

/// What was found.
pub struct Walk {
    /// Every coin that is a source or holds taint under some rule, in the order the pass came to them.
    pub coins: Vec<Coin>,
    /// Every transaction that spent one of these, in chain order.
    pub moves: Vec<Move>,
}

/// A coin of a trace.
pub struct Coin {
    /// The output.
    pub outpoint: OutPoint,
    /// The transaction that made it; `None` where only its spend is known.
    pub made: Option<TxPosition>,
    /// The time of that block.
    pub time: Option<u32>,
    /// Satoshis.
    pub value: u64,
    /// Its script, with what lists say of it.
    pub place: Rc<Place>,
    /// Whether it is a source.
    pub source: bool,
    /// Of a coin older than the height its script is a source from, the input that made it one by spending it.
    pub by_spend: Option<(TxPosition, u32)>,
    /// By rule, in the order asked for; `None` where it holds no taint.
    pub holds: Vec<Option<Held>>,
    /// The input that spent it, if the pass came to that.
    pub spent_by: Option<SpentBy>,
}

/// What a coin holds under one rule.
#[derive(Clone, Debug)]
pub struct Held {
    /// Satoshis, hops, and where they lie.
    pub taint: Taint,
    /// What taint of this trace brought into it.
    pub carried: u64,
    /// What became of it.
    pub state: CoinState,
    /// Whether the coin was one of this trace since it was made, not by its spend alone.
    pub since_made: bool,
}

impl Held {
    /// What its spend brings along.
    pub(super) fn open(&self) -> Option<&Taint> {
        (self.state == CoinState::Unspent).then_some(&self.taint)
    }
}

/// A transaction that spent coins of a trace.
pub struct Move {
    /// Where it is.
    pub at: TxPosition,
    /// Its block's time.
    pub time: u32,
    /// Its id.
    pub txid: Txid,
    /// The inputs that brought taint under some rule: index, coin, satoshis by rule.
    pub brought: Vec<(u32, OutPoint, Vec<u64>)>,
    /// Tainted satoshis that went to the miner, by rule.
    pub fees: Vec<u64>,
}

impl Coin {
    /// Makes it a source: its script is flagged since a height between its making and its spend.
    pub(super) fn become_source(&mut self, at: TxPosition, vin: u32) {
        if self.source {
            return;
        }
        self.source = true;
        self.by_spend = Some((at, vin));
        for held in &mut self.holds {
            let carried = held.as_ref().map_or(0, |held| held.taint.amount);
            let taint = Taint { amount: self.value, hops: 0, segments: Vec::new() };
            *held = Some(Held { taint, carried, state: CoinState::Unspent, since_made: held.is_some() });
        }
    }

    /// A later coin took its outpoint (BIP30): it can never be spent.
    pub(super) fn overwrite(&mut self) {
        for held in self.holds.iter_mut().flatten().filter(|held| held.state > CoinState::Unspendable) {
            held.state = CoinState::Unspendable;
        }
    }
}
