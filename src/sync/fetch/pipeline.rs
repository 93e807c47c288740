//! Everything before chain order matters, in parallel: headers, fetching, parsing, matching; handed on by height.
//!
//! ```text
//! headers ──jobs──▶ fetch-N ──▶ scan-N (rayon) ──results──▶ the caller, by height
//!    ▲                                                          │
//!    └────────────── which heights were handed on ◀─────────────┘
//! ```
//!
//! Where filters rule a block out, its filter goes to the caller in its place.
//!
//! A height waits before it is asked for until there is room, so that only so many blocks and filters are in memory (`room`), however
//! fast the node or slow the disk.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bitcoin::BlockHash;
use bitcoin::block::Header;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::filter::{RuledOut, Sieve, Verdict};
use super::interest::{Interest, WINDOW};
use super::source::{Connection, Filtering, Source, Spent};
use super::window::{Room, Way};
use crate::chain::header::{self, HeaderError};
use crate::chain::{BlockId, Height};
use crate::node::HEADERS_PER_CALL;
use crate::scan::block::Proof;
use crate::scan::{BlockScan, scan};
use crate::stop::Stop;
use crate::sync::SyncError;

/// Blocks whose memory is kept for those to come.
const SPARE: usize = 16;

/// What to read.
pub struct Order {
    /// Every height of these is handed on.
    pub heights: RangeInclusive<Height>,
    /// The block before the first.
    pub previous: BlockHash,
    /// Below this, headers suffice.
    pub blocks_from: Height,
    /// From here on, the spent outputs of every block are needed.
    pub spent_from: Option<Height>,
    /// Whether filters are to rule out blocks.
    pub filtering: Filtering,
}

impl Order {
    fn all_spent(&self, height: Height) -> bool {
        self.spent_from.is_some_and(|from| from <= height)
    }
}

/// One height, in chain order.
pub struct Arrived {
    /// Which block.
    pub id: BlockId,
    /// Its header, linked and with its work.
    pub header: Header,
    /// What is known of it.
    pub shown: Shown,
}

/// What is known of a block.
pub enum Shown {
    /// Its header: nothing else was asked for.
    Header,
    /// Its filter, which says that it doesn't matter to the scripts sought when it was asked for.
    RuledOut(RuledOut),
    /// All of it.
    Read {
        /// The block.
        content: Box<Content>,
        /// Whether its filter said that it has to be read.
        by_filter: bool,
    },
}

impl Arrived {
    /// The block, where it was read.
    pub fn content(&self) -> Option<&Content> {
        match &self.shown {
            Shown::Read { content, .. } => Some(content.as_ref()),
            Shown::Header | Shown::RuledOut(_) => None,
        }
    }
}

/// A block, scanned.
pub struct Content {
    /// Its candidates.
    pub scan: BlockScan,
    /// Its transaction ids, proven; there if it has candidates.
    pub proof: Option<Proof>,
    /// Spent outputs, of the candidates at least, if it has any.
    pub spent: Option<Spent>,
    /// The publication of coins it was scanned with.
    pub version: u64,
    /// Where its memory goes.
    spare: Sender<Vec<u8>>,
}

impl Drop for Content {
    fn drop(&mut self) {
        // Where there is enough already it is freed.
        let _ = self.spare.try_send(self.scan.take_raw());
    }
}

struct Job {
    id: BlockId,
    header: Header,
    all_spent: bool,
    by_filter: bool,
}

type Outcome = Result<Arrived, SyncError>;
/// What each transaction of a block spends, where all of it is wanted.
type AllSpent = Option<Vec<Vec<bitcoin::TxOut>>>;

/// Connections for whoever needs one now and then.
pub struct ConnectionPool {
    source: Arc<dyn Source>,
    idle: Mutex<Vec<Box<dyn Connection>>>,
    /// Memory of blocks that are done with: to have the system make and take back some MB for each costs a tenth of all time.
    spare: (Sender<Vec<u8>>, Receiver<Vec<u8>>),
}

impl ConnectionPool {
    /// Of a source.
    pub fn new(source: Arc<dyn Source>) -> Self {
        Self { source, idle: Mutex::default(), spare: bounded(SPARE) }
    }

    /// Lends a connection to `call`.
    pub fn with<T>(&self, call: impl FnOnce(&mut dyn Connection) -> T) -> T {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = idle.unwrap_or_else(|| self.source.connect());
        let result = call(connection.as_mut());
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        result
    }
}

/// Reads what `order` says and hands it to `consume` by height, until something fails or a stop is requested.
///
/// # Errors
/// The first failure of any stage; [`SyncError::Stopped`] where a stop was requested before the last height.
pub fn run(
    pool: &Arc<ConnectionPool>,
    interest: &Arc<Interest>,
    order: &Order,
    threads: usize,
    stop: &Stop,
    mut consume: impl FnMut(Arrived) -> Result<(), SyncError>,
) -> Result<(), SyncError> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|n| format!("scan-{n}"));
    let scanners = builder.build().map_err(|error| SyncError::Panic(error.to_string()))?;
    let (handed_on, left) = unbounded();
    let (job_sender, jobs) = bounded(WINDOW);
    // Holds no more than there is room for, and an error of each thread.
    let (results, arrivals) = unbounded();
    // Once nobody waits for them any more, blocks that were asked for are not fetched.
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let thread = |name: String| std::thread::Builder::new().name(name);
        let mut spawned = {
            let results = results.clone();
            let scanners = &scanners;
            let feed = move || {
                let room = Room::new(left);
                guarded(&results, || feed_headers(pool, interest, order, scanners, room, &job_sender, &results));
            };
            thread("headers".into()).spawn_scoped(scope, feed).map(drop)
        };
        for number in 0..pool.source.connections(threads) {
            let (jobs, results, scanners, over) = (jobs.clone(), results.clone(), &scanners, &over);
            let work = move || {
                let jobs = jobs.into_iter().take_while(|_| !over.load(Ordering::Relaxed));
                fetch(pool, interest, jobs, &results, scanners);
            };
            spawned = spawned.and_then(|()| thread(format!("fetch-{number}")).spawn_scoped(scope, work).map(drop));
        }
        drop((jobs, results));
        let mut rescue = GiveUp { source: pool.source.as_ref(), armed: true };
        let outcome = match spawned {
            Ok(()) => in_order(order, arrivals, handed_on, stop, &mut consume),
            Err(error) => Err(SyncError::Panic(format!("no thread could be started: {error}"))),
        };
        over.store(true, Ordering::Relaxed);
        rescue.armed =
            !matches!(outcome, Ok(()) | Err(SyncError::ChainMoved | SyncError::NewBlock | SyncError::Paused));
        outcome
    })
}

/// Unless disarmed, ends the readers' calls and waits when it is dropped, also by a panic: else they would wait for a node that
/// may be gone, and whoever joins them with them.
struct GiveUp<'a> {
    source: &'a dyn Source,
    armed: bool,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.source.give_up();
        }
    }
}

/// Runs a stage; what it fails with, a panic included, becomes a result.
fn guarded(results: &Sender<Outcome>, stage: impl FnOnce() -> Result<(), SyncError>) {
    let outcome =
        catch_unwind(AssertUnwindSafe(stage)).unwrap_or_else(|panic| Err(SyncError::Panic(words(panic.as_ref()))));
    if let Err(error) = outcome {
        // Nobody listens any more once another failure was handed on.
        let _ = results.send(Err(error));
    }
}

pub(super) fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

/// Walks the headers, checks that they link and carry their work, and asks for the blocks that matter.
fn feed_headers(
    pool: &ConnectionPool,
    interest: &Interest,
    order: &Order,
    scanners: &rayon::ThreadPool,
    mut room: Room,
    jobs: &Sender<Job>,
    results: &Sender<Outcome>,
) -> Result<(), SyncError> {
    let (mut next, last) = (*order.heights.start(), *order.heights.end());
    let mut previous = order.previous;
    // Both run where we do, as a rule.
    let costs = pool.source.costs() / u32::try_from(scanners.current_num_threads()).unwrap_or(1);
    let mut sieve = Sieve::new(interest.sought.as_ref(), order.filtering, costs);
    while next <= last {
        let wanted = HEADERS_PER_CALL.min((last - next) as usize + 1);
        let headers = pool.with(|node| node.headers(next, wanted)).map_err(SyncError::from_node)?;
        if headers.is_empty() || headers.len() > wanted {
            // The height was the node's own a moment ago.
            return Err(SyncError::ChainMoved);
        }
        let mut ids = Vec::with_capacity(headers.len());
        let mut before = Vec::with_capacity(headers.len());
        for header in &headers {
            let id = BlockId { height: next, hash: linked(header, next, previous)? };
            ids.push(id);
            before.push(previous);
            previous = id.hash;
            next += 1;
        }
        let mut at = 0;
        while at < ids.len() {
            // What lies below the first block wanted goes by itself.
            let below = ids[at..].iter().take_while(|id| id.height < order.blocks_from).count();
            let some = match &sieve {
                _ if below > 0 => below,
                Some(sieve) => sieve.at_once().min(ids.len() - at),
                None => ids.len() - at,
            };
            let part = &ids[at..at + some];
            let verdicts = match &mut sieve {
                Some(sieve) if below == 0 => Some(scanners.install(|| sieve.sift(pool, before[at], part))?),
                _ => None,
            };
            let mut verdicts = verdicts.map(Vec::into_iter);
            for (id, header) in part.iter().zip(&headers[at..]) {
                let verdict = verdicts.as_mut().and_then(Iterator::next);
                let unread = below > 0 || matches!(verdict, Some(Verdict::Out(_)));
                if !room.enter(if unread { Way::Unread } else { Way::Read }) {
                    return Ok(());
                }
                let (id, header, all_spent) = (*id, *header, order.all_spent(id.height));
                let pass = |shown| results.send(Ok(Arrived { id, header, shown })).is_ok();
                let read = |by_filter| jobs.send(Job { id, header, all_spent, by_filter }).is_ok();
                let sent = match verdict {
                    _ if below > 0 => pass(Shown::Header),
                    None => read(false),
                    Some(Verdict::Read { by_filter }) => read(by_filter),
                    Some(Verdict::Out(ruled_out)) => pass(Shown::RuledOut(ruled_out)),
                };
                if !sent {
                    return Ok(());
                }
            }
            at += some;
        }
    }
    Ok(())
}

/// Reads a block of which only the header came, or its filter: on this thread, at once.
pub(in crate::sync) fn read_now(
    pool: &ConnectionPool,
    interest: &Interest,
    order: &Order,
    arrived: &Arrived,
    by_filter: bool,
) -> Result<Arrived, SyncError> {
    let Arrived { id, header, .. } = *arrived;
    let job = Job { id, header, all_spent: order.all_spent(id.height), by_filter };
    let (raw, spent) = pool.with(|node| read(node, &job))?;
    scan_block(pool, interest, &job, raw, spent)
}

/// A block, and what all of it spends where that is wanted.
fn read(node: &mut dyn Connection, job: &Job) -> Result<(Vec<u8>, AllSpent), SyncError> {
    let raw = node.block(job.id).map_err(SyncError::from_node)?;
    let spent = match job.all_spent {
        true => Some(node.all_spent(job.id).map_err(SyncError::from_node)?),
        false => None,
    };
    Ok((raw, spent))
}

/// A header's hash, if it follows the block `previous` and has its work. One that follows another is of another branch.
pub(in crate::sync) fn linked(header: &Header, height: Height, previous: BlockHash) -> Result<BlockHash, SyncError> {
    match header::check(header, height, previous) {
        Err(HeaderError::Unlinked { .. }) => Err(SyncError::ChainMoved),
        checked => Ok(checked?),
    }
}

/// Fetches blocks and leaves the rest to the scanners.
fn fetch(
    pool: &Arc<ConnectionPool>,
    interest: &Arc<Interest>,
    jobs: impl Iterator<Item = Job>,
    results: &Sender<Outcome>,
    scanners: &rayon::ThreadPool,
) {
    guarded(results, || {
        let mut connection = pool.source.connect();
        for job in jobs {
            if let Ok(room) = pool.spare.1.try_recv() {
                connection.reuse(room);
            }
            let (raw, spent) = read(connection.as_mut(), &job)?;
            let (pool, interest, results) = (Arc::clone(pool), Arc::clone(interest), results.clone());
            scanners.spawn_fifo(move || {
                guarded(&results, || {
                    let arrived = scan_block(&pool, &interest, &job, raw, spent)?;
                    // Nobody listens any more once a failure was handed on.
                    let _ = results.send(Ok(arrived));
                    Ok(())
                });
            });
        }
        Ok(())
    });
}

/// Parses and matches one block; where something may touch, proves its transaction ids and asks for the spent outputs.
fn scan_block(
    pool: &ConnectionPool,
    interest: &Interest,
    job: &Job,
    raw: Vec<u8>,
    spent: AllSpent,
) -> Result<Arrived, SyncError> {
    let wrong = |source| SyncError::Block { block: job.id, source };
    let published = interest.published();
    let scan = scan(raw, &job.header, spent.as_deref(), &interest.scripts, &published.coins, &interest.hasher)
        .map_err(wrong)?;
    let spare = pool.spare.0.clone();
    let mut content = Content { scan, proof: None, spent: spent.map(Spent::All), version: published.version, spare };
    if !content.scan.candidates().is_empty() {
        let proof = content.scan.prove(&job.header).map_err(wrong)?;
        if content.spent.is_none() {
            let spending = content.scan.candidates().iter().filter(|tx_index| **tx_index > 0);
            let wanted: Vec<_> = spending.map(|tx_index| (*tx_index, proof.txid(*tx_index))).collect();
            if !wanted.is_empty() {
                content.spent = Some(pool.with(|node| node.spent(job.id, &wanted)).map_err(SyncError::from_node)?);
            }
        }
        content.proof = Some(proof);
    }
    let shown = Shown::Read { content: Box::new(content), by_filter: job.by_filter };
    Ok(Arrived { id: job.id, header: job.header, shown })
}

/// Puts what arrives in order of height and hands it on.
fn in_order(
    order: &Order,
    arrivals: Receiver<Outcome>,
    handed_on: Sender<Way>,
    stop: &Stop,
    consume: &mut impl FnMut(Arrived) -> Result<(), SyncError>,
) -> Result<(), SyncError> {
    let (mut next, last) = (*order.heights.start(), *order.heights.end());
    let mut early = BTreeMap::new();
    while next <= last {
        if stop.requested() {
            return Err(SyncError::Stopped);
        }
        match arrivals.recv_timeout(Duration::from_millis(100)) {
            Ok(arrived) => {
                let arrived = arrived?;
                early.insert(arrived.id.height, arrived);
            }
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Err(SyncError::Panic("the readers ended early".into())),
        }
        while let Some(arrived) = early.remove(&next) {
            let way = if arrived.content().is_some() { Way::Read } else { Way::Unread };
            consume(arrived)?;
            // The feeder may have sent its last job already.
            let _ = handed_on.send(way);
            next += 1;
            if stop.requested() && next <= last {
                return Err(SyncError::Stopped);
            }
        }
    }
    Ok(())
}
