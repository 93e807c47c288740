//! Lookups of coins and transactions that the index doesn't hold: in a node, or nowhere.

use bitcoin::{OutPoint, Transaction, TxOut, Txid};

use crate::chain::BlockId;

/// A source of coins and transactions of the chain outside the index.
pub trait ChainLookup {
    /// An unspent coin of the chain, with the block that made it; spends in the mempool don't count. `None` where it is not known.
    fn coin(&self, outpoint: OutPoint) -> Option<(TxOut, BlockId)>;

    /// A transaction, with its block, or without one if it is not confirmed. `None` where it is not known.
    fn transaction(&self, txid: Txid) -> Option<(Transaction, Option<BlockId>)>;

    /// Its name for the reason in an answer, or after a call has failed, why it can't be asked.
    fn name(&self) -> String;
}

/// No lookup: coins and transactions that the index doesn't hold stay unknown.
pub struct NoLookup(
    /// Why there is none, for the reason in an answer.
    pub String,
);

impl ChainLookup for NoLookup {
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
