//! Reads and searches blocks on many threads, and hands them on in order of height.
//!
//! ```text
//! headers ──jobs──▶ fetch-N ──▶ scan-N (rayon) ──results──▶ the caller, by height
//!    ▲                                                          │
//!    └──────────────────── slots freed ◀────────────────────────┘
//! ```
//!
//! Where filters rule a block out, the header thread hands its filter on in place of the block. Before a height is sent out it
//! waits for a slot ([`super::window`]), so that the memory in use is bounded, however fast the node or slow the disk.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, Scope};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::block::{BlockOrder, FetchedBlock};
use super::headers::HeaderWalk;
use super::read::{BlockReader, ReadJob};
use super::source::BlockSource;
use super::window::{READ_AHEAD, Slot, Window};
use crate::stop::Stop;
use crate::sync::SyncError;
use crate::sync::interrupt::{Flow, Halt, Interrupt};

/// How often the stop flag is read while no block arrives.
const LOOK_FOR_STOP: Duration = Duration::from_millis(100);

type Results = Sender<Flow<FetchedBlock>>;

/// Reads what the reader's order says, searched by `threads` threads, and hands it to `consume` by height.
///
/// # Errors
/// What ends any of the stages first; [`Interrupt::Stop`] where a stop was requested before the last height.
pub fn run(
    reader: &Arc<BlockReader>,
    threads: usize,
    stop: &Stop,
    mut consume: impl FnMut(FetchedBlock) -> Flow<()>,
) -> Flow<()> {
    let scanners = ThreadPoolBuilder::new().num_threads(threads).thread_name(|n| format!("scan-{n}")).build();
    let scanners = scanners.map_err(|error| SyncError::Thread(io::Error::other(error)))?;
    let (free, freed) = unbounded();
    // Holds no more than the window has slots, and an error of each thread.
    let (results, arrivals) = unbounded();
    // Once the last result was taken, blocks still asked for are not fetched.
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stages = Stages { reader, scanners: &scanners, over: &over };
        let started = stages.start(scope, Window::new(freed), results, reader.pool.source().connections(threads));
        let mut rescue = GiveUp { source: reader.pool.source(), armed: true };
        let outcome = match started {
            Ok(()) => in_order(&reader.order, arrivals, free, stop, &mut consume),
            Err(error) => Err(SyncError::Thread(error).into()),
        };
        over.store(true, Ordering::Relaxed);
        rescue.armed = match &outcome {
            Ok(()) => false,
            Err(Halt::Interrupted(interrupt)) => !interrupt.resumes(),
            Err(Halt::Failed(_)) => true,
        };
        outcome
    })
}

/// On drop, unless disarmed, it cancels the readers' calls and waits, also after a panic. Otherwise they would wait for a node that may
/// be gone, and the thread that joins them would wait with them.
struct GiveUp<'a> {
    source: &'a dyn BlockSource,
    armed: bool,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.source.give_up();
        }
    }
}

/// What the threads of the pipeline share.
#[derive(Clone, Copy)]
struct Stages<'a> {
    reader: &'a Arc<BlockReader>,
    scanners: &'a ThreadPool,
    over: &'a AtomicBool,
}

impl<'a> Stages<'a> {
    /// Starts the header thread and the threads that fetch.
    fn start<'scope>(
        self,
        scope: &'scope Scope<'scope, 'a>,
        window: Window,
        results: Results,
        connections: usize,
    ) -> io::Result<()> {
        let (job_sender, jobs) = bounded(READ_AHEAD);
        let walk = HeaderWalk {
            reader: self.reader,
            scanners: self.scanners,
            window,
            jobs: job_sender,
            results: results.clone(),
        };
        let of_headers = results.clone();
        Builder::new().name("headers".into()).spawn_scoped(scope, move || guarded(&of_headers, || walk.run()))?;
        for number in 0..connections {
            let (jobs, results) = (jobs.clone(), results.clone());
            let fetcher = Builder::new().name(format!("fetch-{number}"));
            fetcher.spawn_scoped(scope, move || self.fetch(&jobs, &results))?;
        }
        Ok(())
    }

    /// Fetches blocks and leaves the rest to the scanners.
    fn fetch(self, jobs: &Receiver<ReadJob>, results: &Results) {
        guarded(results, || {
            let pool = &self.reader.pool;
            let mut connection = pool.source().connect();
            for job in jobs.iter().take_while(|_| !self.over.load(Ordering::Relaxed)) {
                if let Some(buffer) = pool.spare_buffer() {
                    connection.reuse(buffer);
                }
                let fetched = self.reader.fetch(connection.as_mut(), job);
                if let Err(Halt::Interrupted(interrupt)) = fetched {
                    return Err(interrupt.into());
                }
                let (reader, results) = (Arc::clone(self.reader), results.clone());
                self.scanners.spawn_fifo(move || {
                    guarded(&results, || {
                        let block = reader.prove(job, fetched)?;
                        // Not received once a failure was handed on.
                        let _ = results.send(Ok(block));
                        Ok(())
                    });
                });
            }
            Ok(())
        });
    }
}

/// Runs a stage; what it fails with, a panic included, becomes a result.
fn guarded(results: &Results, stage: impl FnOnce() -> Flow<()>) {
    let outcome =
        catch_unwind(AssertUnwindSafe(stage)).unwrap_or_else(|panic| Err(SyncError::from_panic(panic.as_ref()).into()));
    if let Err(halt) = outcome {
        // Not received once another failure was handed on.
        let _ = results.send(Err(halt));
    }
}

/// Puts what arrives in order of height and hands it on.
fn in_order(
    order: &BlockOrder,
    arrivals: Receiver<Flow<FetchedBlock>>,
    free: Sender<Slot>,
    stop: &Stop,
    consume: &mut impl FnMut(FetchedBlock) -> Flow<()>,
) -> Flow<()> {
    let (mut next, last) = (*order.heights.start(), *order.heights.end());
    let mut early = BTreeMap::new();
    while next <= last {
        if stop.requested() {
            return Err(Interrupt::Stop.into());
        }
        match arrivals.recv_timeout(LOOK_FOR_STOP) {
            Ok(arrived) => {
                let block = arrived?;
                early.insert(block.id.height, block);
            }
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(SyncError::Panic("the readers ended early".into()).into());
            }
        }
        while let Some(block) = early.remove(&next) {
            let slot = if block.block().is_some() { Slot::Read } else { Slot::Unread };
            consume(block)?;
            // The header thread may have sent its last job already.
            let _ = free.send(slot);
            next += 1;
            if stop.requested() && next <= last {
                return Err(Interrupt::Stop.into());
            }
        }
    }
    Ok(())
}
