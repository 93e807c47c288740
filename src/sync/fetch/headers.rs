//! Walks the headers of an order: checks that they link and have their proof of work, sends out the blocks to read, and hands on the
//! heights whose blocks need not be read.

use std::iter::zip;

use bitcoin::BlockHash;
use bitcoin::block::Header;
use crossbeam_channel::Sender;

use super::block::{BlockData, FetchedBlock};
use super::filter::{BlockSelector, Selection};
use super::read::{BlockReader, ReadJob};
use super::window::{Slot, Window};
use crate::chain::header::{self, HeaderError};
use crate::chain::{BlockId, Height};
use crate::node::HEADERS_PER_CALL;
use crate::sync::SyncError;
use crate::sync::interrupt::{Flow, Interrupt};

/// A header's hash, if it follows the block `previous` and has its proof of work. A header that follows another block is of another
/// branch.
///
/// # Errors
/// [`Interrupt::ChainMoved`], [`SyncError::Header`].
pub fn linked(header: &Header, height: Height, previous: BlockHash) -> Flow<BlockHash> {
    match header::check(header, height, previous) {
        Err(HeaderError::Unlinked { .. }) => Err(Interrupt::ChainMoved.into()),
        checked => Ok(checked.map_err(SyncError::Header)?),
    }
}

/// The next stages are gone; they say why.
struct Closed;

/// The first stage of the pipeline.
pub(super) struct HeaderWalk<'a> {
    /// The order, and what its blocks are searched for.
    pub reader: &'a BlockReader,
    /// The threads that match filters.
    pub scanners: &'a rayon::ThreadPool,
    /// Limits how far it is ahead.
    pub window: Window,
    /// Takes the blocks to read.
    pub jobs: Sender<ReadJob>,
    /// Takes the heights whose blocks are not read.
    pub results: Sender<Flow<FetchedBlock>>,
}

impl HeaderWalk<'_> {
    /// Walks all headers of the order; ends early where the next stages do.
    pub fn run(mut self) -> Flow<()> {
        let (reader, scanners) = (self.reader, self.scanners);
        let last = *reader.order.heights.end();
        let (mut next, mut previous) = (*reader.order.heights.start(), reader.order.previous);
        // The node usually shares the cores of our machine.
        let threads = u32::try_from(scanners.current_num_threads()).unwrap_or(1);
        let read_cost = reader.pool.source().read_cost() / threads;
        let mut selector = reader.search.filters.as_ref().map(|scripts| BlockSelector::new(scripts, read_cost));
        while next <= last {
            let headers = self.headers(next, last)?;
            let ids = check(&headers, next, previous)?;
            let mut at = 0;
            while at < ids.len() {
                // Headers below the first block needed are handed on as they are.
                let below = ids[at..].iter().take_while(|id| id.height < reader.order.blocks_from).count();
                let end = match &selector {
                    _ if below > 0 => at + below,
                    Some(selector) => ids.len().min(at + selector.at_once()),
                    None => ids.len(),
                };
                let (part, of_part) = (&ids[at..end], &headers[at..end]);
                let sent = match &mut selector {
                    _ if below > 0 => self.hand_on(part, of_part),
                    Some(selector) => {
                        let before = at.checked_sub(1).map_or(previous, |below| ids[below].hash);
                        let selections = scanners.install(|| selector.select(&reader.pool, before, part))?;
                        self.send_selected(part, of_part, selections)
                    }
                    None => self.send_all(part, of_part),
                };
                if let Err(Closed) = sent {
                    return Ok(());
                }
                at = end;
            }
            // Never empty: `headers` sees to that.
            let Some(reached) = ids.last() else { break };
            (next, previous) = (reached.height + 1, reached.hash);
        }
        Ok(())
    }

    /// The headers from height `next` on, as many as one call gives.
    fn headers(&self, next: Height, last: Height) -> Flow<Vec<Header>> {
        let wanted = HEADERS_PER_CALL.min((last - next) as usize + 1);
        let headers = self.reader.pool.with(|connection| connection.headers(next, wanted))?;
        if headers.is_empty() || headers.len() > wanted {
            // The source's tip was at height `last` or above a moment ago.
            return Err(Interrupt::ChainMoved.into());
        }
        Ok(headers)
    }

    fn hand_on(&mut self, ids: &[BlockId], headers: &[Header]) -> Result<(), Closed> {
        zip(ids, headers).try_for_each(|(id, header)| self.pass(*id, *header, BlockData::Header))
    }

    fn send_all(&mut self, ids: &[BlockId], headers: &[Header]) -> Result<(), Closed> {
        zip(ids, headers).try_for_each(|(id, header)| self.send(*id, *header, false))
    }

    fn send_selected(&mut self, ids: &[BlockId], headers: &[Header], selections: Vec<Selection>) -> Result<(), Closed> {
        let mut selections = selections.into_iter();
        for (id, header) in zip(ids, headers) {
            match selections.next() {
                Some(Selection::RuledOut(ruled_out)) => self.pass(*id, *header, BlockData::RuledOut(ruled_out))?,
                Some(Selection::Read { by_filter }) => self.send(*id, *header, by_filter)?,
                None => self.send(*id, *header, false)?,
            }
        }
        Ok(())
    }

    /// Hands on a height whose block is not read.
    fn pass(&mut self, id: BlockId, header: Header, data: BlockData) -> Result<(), Closed> {
        let entered = self.window.enter(Slot::Unread);
        let passed = entered && self.results.send(Ok(FetchedBlock { id, header, data })).is_ok();
        if passed { Ok(()) } else { Err(Closed) }
    }

    /// Sends out a block to be read.
    fn send(&mut self, id: BlockId, header: Header, by_filter: bool) -> Result<(), Closed> {
        let entered = self.window.enter(Slot::Read);
        let sent = entered && self.jobs.send(ReadJob { id, header, by_filter }).is_ok();
        if sent { Ok(()) } else { Err(Closed) }
    }
}

/// The blocks of headers that begin at height `first` and follow `previous`.
fn check(headers: &[Header], first: Height, mut previous: BlockHash) -> Flow<Vec<BlockId>> {
    let mut ids = Vec::with_capacity(headers.len());
    for (height, header) in (first..).zip(headers) {
        previous = linked(header, height, previous)?;
        ids.push(BlockId { height, hash: previous });
    }
    Ok(ids)
}
