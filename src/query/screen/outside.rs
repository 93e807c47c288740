//! What somebody outside the index can tell of transactions that it doesn't hold: the node, or nobody.

use bitcoin::{OutPoint, Transaction, TxOut, Txid};

use crate::chain::BlockId;

/// Somebody who knows the chain's transactions, as far as they are told.
pub trait Outside {
    /// A coin that nobody in the chain has spent, with the block that made it; the mempool is none of it.
    fn coin(&self, outpoint: OutPoint) -> Option<(TxOut, BlockId)>;

    /// A transaction, with its block; without one, it waits to be confirmed.
    fn transaction(&self, txid: Txid) -> Option<(Transaction, Option<BlockId>)>;

    /// Who that is, or why it can tell nothing, for the reason in an answer.
    fn name(&self) -> String;
}

/// Nobody to ask.
pub struct Nobody(
    /// Why.
    pub String,
);

impl Outside for Nobody {
    fn coin(&self, _outpoint: OutPoint) -> Option<(TxOut, BlockId)> {
        None
    }

    fn transaction(&self, _txid: Txid) -> Option<(Transaction, Option<BlockId>)> {
        None
    }

    fn name(&self) -> String {
        self.0.clone()
    }
}
