//! Lookups of coins and transactions that the index doesn't hold: in a node, or nowhere.

use bitcoin::{BlockHash, OutPoint, Transaction, TxOut, Txid};

use crate::chain::BlockId;

/// A source of coins and transactions of the chain outside the index.
pub trait ChainLookup {
    /// An unspent coin of the chain, with the block that made it; spends in the mempool don't count. `None` where it is not known.
    fn coin(&self, outpoint: OutPoint) -> Option<(TxOut, BlockId)>;

    /// A transaction, with its block, or without one if it is not confirmed. `None` where it is not known.
    fn transaction(&self, txid: Txid) -> Option<(Transaction, Option<BlockId>)>;

    /// Whether a block holds a transaction. A node can say that without an index of transactions.
    fn in_block(&self, _txid: Txid, _block: BlockHash) -> InBlock {
        InBlock::Unsaid
    }

    /// Its name for the reason in an answer, or after a call has failed, why it can't be asked.
    fn name(&self) -> String;
}

/// What a lookup says of a transaction and a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InBlock {
    /// The block is on the active chain and holds this transaction.
    Holds(Transaction),
    /// The block is on the active chain and doesn't hold it.
    Lacks,
    /// The block is not on the active chain.
    Stale,
    /// It can't say: it lacks the block, or can't be asked.
    Unsaid,
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
