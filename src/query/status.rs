//! `status`: the contents, progress and size of the index.

use bitcoin::BlockHash;
use serde::Serialize;

use super::at::Moment;
use super::coverage::{Basis, Coverage};
use super::{Result, Snapshot};
use crate::chain::Height;
use crate::index::FORMAT;
use crate::index::entries::{FLAGGED, SERVICE};
use crate::index::meta::{self, Waiter, Waiting};
use crate::index::sums::SumKey;

/// The state of the index, and of the node if it answered.
#[derive(Clone, Debug, Serialize)]
pub struct StatusAnswer {
    /// Of every flagged entry.
    pub coverage: Coverage,
    /// The index's last block.
    pub tip: Option<TipRow>,
    /// The node, if it answers.
    pub node: Option<NodeRow>,
    /// As in the coverage.
    pub lag: Option<u32>,
    /// What a run waits for, if one does.
    pub waiting: Option<Waiting>,
    /// Entries by role.
    pub entries: EntryCounts,
    /// Touched transactions.
    pub records: u64,
    /// Records per 1,000 blocks.
    pub records_per_1000_blocks: u64,
    /// Touches.
    pub touches: u64,
    /// Coins whose spend the index searches for, spent ones included.
    pub followed: u64,
    /// Of these, the unspent ones.
    pub live: u64,
    /// The files.
    pub index: IndexFiles,
}

/// A block, with its time.
#[derive(Clone, Debug, Serialize)]
pub struct TipRow {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
    /// Its time, Unix seconds.
    pub time: u32,
}

/// A node.
#[derive(Clone, Debug, Serialize)]
pub struct NodeRow {
    /// The height of its tip.
    pub height: Height,
    /// Its user agent (`subversion` of `getnetworkinfo`).
    pub version: String,
}

/// Entries by role.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct EntryCounts {
    /// Money to find.
    pub flagged: u64,
    /// Places where tracing stops.
    pub service: u64,
}

/// The index's files.
#[derive(Clone, Debug, Serialize)]
pub struct IndexFiles {
    /// Its folder.
    pub path: String,
    /// The version of its format.
    pub format: u32,
    /// The size of its files.
    pub bytes: u64,
}

/// What a run waits for, the most important first.
fn waiting(snapshot: &Snapshot) -> Result<Option<Waiting>> {
    for waiter in [Waiter::Run, Waiter::Below, Waiter::Unserved] {
        if let Some(waiting) = meta::waiting(&snapshot.reader, waiter)? {
            return Ok(Some(waiting));
        }
    }
    Ok(None)
}

/// Reads what the index counts of its rows; `node` is the node's answer, if it gave one.
///
/// # Errors
/// What reading reports.
pub fn status(snapshot: &Snapshot, node: Option<NodeRow>) -> Result<StatusAnswer> {
    let sums = snapshot.reader.sums()?;
    let basis = Basis::of_flagged(snapshot)?.progress().whole().traced();
    let records = sums.get(&SumKey::Records);
    let tip = snapshot.tip.zip(snapshot.tip_time);
    let coverage = basis.coverage(snapshot, Moment::now(snapshot));
    Ok(StatusAnswer {
        lag: coverage.lag,
        coverage,
        node,
        tip: tip.map(|(tip, time)| TipRow { height: tip.height, hash: tip.hash, time }),
        waiting: waiting(snapshot)?,
        entries: EntryCounts {
            flagged: sums.entries(|roles| roles & FLAGGED != 0),
            service: sums.entries(|roles| roles & SERVICE != 0),
        },
        records,
        records_per_1000_blocks: records.saturating_mul(1000) / u64::from(snapshot.next.max(1)),
        touches: sums.get(&SumKey::Touches),
        followed: sums.get(&SumKey::Followed),
        live: sums.get(&SumKey::Live),
        index: IndexFiles {
            path: snapshot.reader.path().display().to_string(),
            format: FORMAT,
            bytes: snapshot.reader.bytes_on_disk()?,
        },
    })
}
