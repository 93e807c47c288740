//! `status`: what the index holds, how far it got, how much it is. And `watch list`: its entries.

use bitcoin::BlockHash;
use serde::Serialize;

use super::coverage::{Basis, Coverage};
use super::{Result, Rows, Snapshot, labels};
use crate::chain::{Height, ScriptHash};
use crate::index::entries::EntryRow;
use crate::index::{FORMAT, Family, IndexError};
use crate::watchlist::Label;

/// The state of the index, and of the node if it answered.
#[derive(Clone, Debug, Serialize)]
pub struct StatusAnswer {
    /// Of every flagged entry.
    pub coverage: Coverage,
    /// The index's last block.
    pub tip: Option<TipRow>,
    /// The node, if it answers.
    pub node: Option<NodeRow>,
    /// Blocks the index is behind the node; `None` where the node doesn't answer.
    pub lag: Option<u32>,
    /// How many entries.
    pub entries: EntryCounts,
    /// Touched transactions.
    pub records: u64,
    /// Of these, so many for each 1,000 blocks.
    pub records_per_1000_blocks: u64,
    /// Touches.
    pub touches: u64,
    /// Coins whose spends are looked for, ever.
    pub followed: u64,
    /// Of these, those not spent.
    pub live: u64,
    /// The files.
    pub index: IndexRow,
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

/// A node, briefly.
#[derive(Clone, Debug, Serialize)]
pub struct NodeRow {
    /// The height of its tip.
    pub height: Height,
    /// As it calls itself.
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
pub struct IndexRow {
    /// Where.
    pub path: String,
    /// Their format's version.
    pub format: u32,
    /// Their size.
    pub bytes: u64,
}

/// Counts everything; `node` is what the node told, if it did.
///
/// # Errors
/// What reading reports.
pub fn status(snapshot: &Snapshot, node: Option<NodeRow>) -> Result<StatusAnswer> {
    let mut basis = Basis::of_progress();
    (basis.whole, basis.traced) = (true, true);
    let mut entries = EntryCounts::default();
    for entry in snapshot.reader.entries() {
        let (_, entry) = entry?;
        entries.flagged += u64::from(entry.flagged);
        entries.service += u64::from(entry.service);
        if entry.flagged {
            basis.add(&entry, &snapshot.sweeps);
        }
    }
    let records = snapshot.reader.raw_count(Family::Txids)?;
    let (mut followed, mut live) = (0, 0);
    for coin in snapshot.reader.coins() {
        let (key, coin) = coin?;
        if !coin.is_followed() {
            continue;
        }
        followed += 1;
        live += u64::from(snapshot.reader.spender_of(&key)?.is_none());
    }
    let tip = match snapshot.tip {
        Some(tip) => Some(TipRow { height: tip.height, hash: tip.hash, time: snapshot.block(tip.height)?.1 }),
        None => None,
    };
    let heights = |node: &NodeRow| (node.height + 1).saturating_sub(snapshot.next);
    Ok(StatusAnswer {
        coverage: basis.coverage(snapshot, snapshot.asked()),
        lag: node.as_ref().map(heights),
        node,
        tip,
        entries,
        records,
        records_per_1000_blocks: records.saturating_mul(1000) / u64::from(snapshot.next.max(1)),
        touches: snapshot.reader.raw_count(Family::Touches)?,
        followed,
        live,
        index: IndexRow {
            path: snapshot.reader.path().display().to_string(),
            format: FORMAT,
            bytes: snapshot.reader.bytes_on_disk()?,
        },
    })
}

/// One entry, as the index knows it.
#[derive(Clone, Debug, Serialize)]
pub struct EntryAnswer {
    /// Its script, hex.
    pub script: String,
    /// The same as an address, where it has one.
    pub address: Option<String>,
    /// `flagged`, `service`, or both.
    pub roles: Vec<&'static str>,
    /// The first height it is complete from.
    pub from: Height,
    /// The height it is complete through; `None` before any.
    pub through: Option<Height>,
    /// Everything lists say of it.
    pub labels: Vec<Label>,
    /// The texts of these.
    pub label_texts: Vec<String>,
}

/// All entries, by the hash of their script.
pub fn entries(snapshot: &Snapshot) -> Rows<'_, EntryAnswer> {
    Box::new(snapshot.reader.entries().map(|entry| {
        let (_, entry) = entry?;
        Ok(entry_answer(snapshot, entry))
    }))
}

fn entry_answer(snapshot: &Snapshot, entry: EntryRow) -> EntryAnswer {
    let roles = [(entry.flagged, "flagged"), (entry.service, "service")];
    EntryAnswer {
        script: entry.script.to_hex_string(),
        address: snapshot.address(&entry.script),
        roles: roles.iter().filter(|(has, _)| *has).map(|(_, role)| *role).collect(),
        from: entry.from,
        through: snapshot.sweeps.next(entry.sweep).checked_sub(1),
        label_texts: labels::texts(Some(&entry)),
        labels: entry.labels,
    }
}

/// The coverage of everything flagged.
///
/// # Errors
/// What reading reports.
pub fn whole_coverage(snapshot: &Snapshot, asked: Option<Height>) -> Result<Coverage> {
    // Only a gap names lists, and with millions of entries their labels take most of the time.
    let coverage = coverage_of(snapshot, asked, snapshot.reader.entry_heads())?;
    if coverage.gaps.is_empty() { Ok(coverage) } else { coverage_of(snapshot, asked, snapshot.reader.entries()) }
}

fn coverage_of(
    snapshot: &Snapshot,
    asked: Option<Height>,
    entries: impl Iterator<Item = Result<(ScriptHash, EntryRow), IndexError>>,
) -> Result<Coverage> {
    let mut basis = Basis::of_progress();
    basis.traced = true;
    for entry in entries {
        let (_, entry) = entry?;
        if entry.flagged {
            basis.add(&entry, &snapshot.sweeps);
        }
    }
    Ok(basis.coverage(snapshot, asked))
}
