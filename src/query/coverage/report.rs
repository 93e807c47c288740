//! The coverage of an answer as it is printed.

use bitcoin::BlockHash;
use serde::{Deserialize, Serialize};

use crate::chain::{Chain, Height};
use crate::query::now::NodeCoverage;
use crate::trace::Rule;

/// The coverage of one answer (docs/cli.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// The chain.
    pub chain: Chain,
    /// The greatest `from` of the entries; `None` where there are none.
    pub from: Option<Height>,
    /// The height through which all of them are scanned; `None` before the first block.
    pub through: Option<Height>,
    /// The index's last block.
    pub tip: Option<BlockHash>,
    /// That block's time, Unix seconds.
    pub tip_time: Option<u32>,
    /// Seconds since then; `None` without a block, and where the question names a moment.
    pub age_s: Option<u64>,
    /// The node's active chain; `None` where the node was not asked or didn't answer in time.
    pub node: Option<NodeCoverage>,
    /// Blocks that the node is ahead on the index's chain; `None` where that isn't known.
    pub lag: Option<Height>,
    /// Whether nothing is missing from the answer: there is no reason in `why`.
    pub complete: bool,
    /// Why the answer is not complete, each reason with the way out.
    pub why: Vec<String>,
    /// The version of the lists.
    pub lists: String,
    /// Whether the configured lists differ from those that the index took in.
    pub lists_changed: bool,
    /// Rows of the lists that could not be read.
    pub quarantined: u64,
    /// How coins are followed.
    pub trace: TraceCoverage,
    /// The missing ranges.
    pub gaps: Vec<Gap>,
}

impl Coverage {
    /// Adds a reason why the answer is not complete.
    pub fn doubt(&mut self, reason: String) {
        self.complete = false;
        self.why.push(reason);
    }
}

/// How coins are followed, and the height through which that is settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceCoverage {
    /// The tracked rules.
    pub rules: Vec<Rule>,
    /// Coins with less taint are not followed; satoshis.
    pub min_taint_sat: u64,
    /// Coins with more hops are not followed.
    pub max_hops: Option<u32>,
    /// The height through which the trace is settled.
    pub settled: Option<Height>,
}

/// A range of heights that was not scanned for some entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Its first height.
    pub from: Height,
    /// Its last height.
    pub through: Height,
    /// Number of the answer's entries that it is missing for.
    pub entries: u64,
    /// The lists they are on.
    pub lists: Vec<String>,
}
