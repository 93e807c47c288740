//! The facts about a generated chain, in a file beside it: the bench checks answers against them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Grows when the generator makes another chain of the same seed.
pub const FORMAT: u32 = 1;

/// Facts about a generated chain.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`] when the chain was made.
    pub format: u32,
    /// Seed of the generator.
    pub seed: u64,
    /// Blocks made to look like the main chain's recent ones.
    pub full_blocks: u32,
    /// Height of the first full block; those below it mint and split the first coins.
    pub first_full_height: u32,
    /// Height of the last block.
    pub tip_height: u32,
    /// Hash of the last block, in hex.
    pub tip_hash: String,
    /// Transactions of the full blocks, coinbases included.
    pub transactions: u64,
    /// Inputs of the full blocks' transactions, coinbases left out.
    pub inputs: u64,
    /// Outputs of the full blocks' transactions, coinbases left out.
    pub outputs: u64,
    /// Bytes of all blocks.
    pub bytes: u64,
    /// Bytes of each block, by height from genesis on.
    pub block_bytes: Vec<u64>,
    /// The watchlists, by their number of scripts.
    pub lists: BTreeMap<u64, List>,
    /// The block filters, sampled; absent where the node keeps none.
    pub filters: Option<Filters>,
}

/// A watchlist, and where the chain touches it.
#[derive(Debug, Serialize, Deserialize)]
pub struct List {
    /// File name beside the manifest.
    pub file: String,
    /// SHA-256 of that file, in hex.
    pub sha256: String,
    /// Outputs that pay it.
    pub fundings: u64,
    /// Inputs that spend from it.
    pub spendings: u64,
    /// The touches by height; other blocks have none.
    pub by_height: BTreeMap<u32, Touches>,
}

/// How often a list is touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touches {
    /// Outputs that pay it.
    pub fundings: u64,
    /// Inputs that spend from it.
    pub spendings: u64,
}

/// Elements of a block's basic filter (BIP158), over a sample of the full blocks.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Filters {
    /// Blocks in the sample.
    pub sampled: u64,
    /// Least number of elements.
    pub least: u64,
    /// Mean, rounded down.
    pub mean: u64,
    /// Greatest number.
    pub most: u64,
}
