//! The main sweep from where the index stands to the node's tip, once.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;

use super::SyncError;
use super::advance::{Advance, Tally};
use super::interest::Interest;
use super::lists::{self, Difference, Entries, row};
use super::pipeline::{self, ConnectionPool, Order};
use super::source::Source;
use crate::chain::{BlockId, Height};
use crate::index::meta::{self, Identity, TakenLists, TraceParameters};
use crate::index::values::MAIN_SWEEP;
use crate::index::values::Sweep;
use crate::index::writer::{FolderState, folder_state};
use crate::index::{Family, IndexError, Writer};
use crate::stop::Stop;

/// Hears how a sweep goes on; called by the one thread that advances.
pub trait Observer {
    /// A part of the way begins: the heights in it.
    fn begin(&mut self, first: Height, last: Height);
    /// A block was passed.
    fn passed(&mut self, height: Height, tally: &Tally);
    /// The end, or a stop.
    fn end(&mut self);
}

/// How to go about it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Scanning threads.
    pub threads: usize,
    /// Blocks in a batch at most.
    pub batch_blocks: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The first height that was still missing; above `through` where none was.
    pub from: Height,
    /// The last height done; `None` before any.
    pub through: Option<Height>,
    /// What was done.
    pub tally: Tally,
    /// Seconds it took.
    pub seconds: f64,
    /// Whether a stop was requested before the end.
    pub stopped: bool,
}

/// Opens the index at `path` for what the lists say, or makes it.
///
/// # Errors
/// [`IndexError::OtherChain`]; [`SyncError::ListsChanged`]; what is wrong with the index where something is.
pub fn open(path: &Path, identity: &Identity, entries: &Entries, taken: &TakenLists) -> Result<Writer, SyncError> {
    if folder_state(path)? == FolderState::Absent {
        let writer = Writer::create(path, identity, |step| {
            meta::put_trace(step, &TraceParameters::default());
            meta::put_lists(step, taken);
            for (script, entry) in entries {
                step.put(Family::Entries, &script.0, &row(entry).value());
            }
            step.put(Family::Sweeps, &MAIN_SWEEP.to_be_bytes(), &Sweep { next: 0 }.value());
        })?;
        return Ok(writer);
    }
    let writer = Writer::open(path)?;
    let found = Identity::read(&writer)?;
    if found != *identity {
        return Err(IndexError::OtherChain {
            path: path.to_owned(),
            found: found.describe(),
            expected: identity.describe(),
        }
        .into());
    }
    let entries = lists::keep_known_heights(entries, &writer)?;
    let difference = Difference::between(&entries, &writer)?;
    if difference.needs_sweep() {
        return Err(SyncError::ListsChanged { summary: difference.to_string() });
    }
    if difference.relabelled > 0 || meta::lists(&writer)? != *taken {
        let mut step = writer.step();
        for (script, entry) in &entries {
            step.put(Family::Entries, &script.0, &row(entry).value());
        }
        meta::put_lists(&mut step, &taken.clone().keeping(&meta::lists(&writer)?));
        step.commit(true)?;
    }
    Ok(writer)
}

/// Where the main sweep stands: the next height and the block before it.
///
/// # Errors
/// [`IndexError::Corrupt`] where position and headers don't fit.
pub fn position(writer: &Writer) -> Result<(Height, BlockHash), IndexError> {
    let corrupt = || crate::index::View::corrupt(Family::Sweeps, &MAIN_SWEEP.to_be_bytes());
    let next = writer.main_sweep()?.ok_or_else(corrupt)?.next;
    let tip = writer.tip()?;
    match tip {
        None if next == 0 => Ok((0, BlockHash::all_zeros())),
        Some(tip) if tip.height + 1 == next => Ok((next, tip.hash)),
        _ => Err(corrupt()),
    }
}

/// Sweeps up to the node's tip, or to height `to`, and again for what came meanwhile. `tip` tells the node's height, waiting
/// for a node that is away.
///
/// # Errors
/// [`SyncError`]; batches written before stay. A stop is no error.
pub fn run(
    writer: &Writer,
    source: Arc<dyn Source>,
    mut tip: impl FnMut() -> Result<Height, SyncError>,
    to: Option<Height>,
    pace: Pace,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> Result<Outcome, SyncError> {
    let start = Instant::now();
    let (from, _) = position(writer)?;
    let (interest, live) = Interest::load(writer)?;
    let (needs, interest) = (interest.needs(), Arc::new(interest));
    let pool = Arc::new(ConnectionPool::new(source));
    let mut advance = Advance::new(writer, Arc::clone(&interest), live, Arc::clone(&pool), pace.batch_blocks);
    let mut stopped = false;
    loop {
        let (next, previous) = position(writer)?;
        let node = match tip() {
            Err(SyncError::Stopped) => {
                stopped = true;
                break;
            }
            node => node?,
        };
        check_tip(&pool, next, previous, node)?;
        let last = to.map_or(node, |to| to.min(node));
        if next > last {
            break;
        }
        let order = Order {
            heights: next..=last,
            previous,
            blocks_from: needs.blocks_from.unwrap_or(Height::MAX),
            spent_from: needs.spent_from,
        };
        let mut step = writer.step();
        meta::put_goal(&mut step, last);
        step.commit(false)?;
        observer.begin(next, last);
        let swept = pipeline::run(&pool, &interest, &order, pace.threads, stop, |arrived| {
            let height = arrived.id.height;
            advance.apply(arrived)?;
            observer.passed(height, &advance.tally);
            Ok(())
        });
        observer.end();
        // What was applied is whole and in order, whatever failed after it.
        let written = advance.commit(true);
        match swept {
            Err(SyncError::Stopped) => {
                written?;
                stopped = true;
                break;
            }
            Err(error) => return Err(error),
            Ok(()) => written?,
        }
    }
    let (next, _) = position(writer)?;
    Ok(Outcome {
        from,
        through: next.checked_sub(1),
        tally: advance.tally,
        seconds: start.elapsed().as_secs_f64(),
        stopped,
    })
}

/// Whether the node's chain holds the index's tip.
fn check_tip(pool: &ConnectionPool, next: Height, previous: BlockHash, node: Height) -> Result<(), SyncError> {
    let Some(height) = next.checked_sub(1) else { return Ok(()) };
    if node < height {
        return Err(SyncError::NodeBehind { node, index: height });
    }
    let headers = pool.with(|node| node.headers(height, 1)).map_err(SyncError::from_node)?;
    match headers.first() {
        Some(header) if header.block_hash() == previous => Ok(()),
        Some(_) => Err(SyncError::ChainDiffers { ours: BlockId { height, hash: previous } }),
        None => Err(SyncError::NodeBehind { node, index: height }),
    }
}
