//! The node's BIP158 filters, from the node's files if they can be read, else over REST. Each is proven by its filter header before
//! anything is concluded from it. What the filters are matched against is left to the caller.
//!
//! ```text
//! Filters ─┬─ files   fltr?????.dat in the node's folder
//!          ├─ rest    /rest/blockfilter, /rest/blockfilterheaders
//!          └─ proof   chains filters up to a filter header; pure
//! ```

mod files;
mod proof;
mod rest;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, RwLock};

use bitcoin::BlockHash;
use bitcoin::bip158::{FilterHash, FilterHeader};
use bitcoin::hashes::Hash;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::Node;
use super::answers::Indexes;
use super::error::{CallError, NodeError};
use super::info::{Capabilities, FILTER_INDEX, FilterIndex};
use super::transport::rest::Rest;
use super::transport::rpc::Rpc;
use crate::chain::{BlockId, Height};
use crate::lock::{lock, read, write};
use files::{FilterFileError, FilterFiles, RecordReader, SearchFrom};

/// The most blocks that one thread takes at a time: their records are mostly in one file.
const BLOCKS_PER_PART: usize = 64;

/// The filters of one node, for any number of threads.
pub struct Filters {
    node: Node,
    source: FilterSource,
    /// Whether REST is open: then filter headers come over it, even if the filters come from files.
    rest: bool,
    /// The node's version, on which the form of some REST paths depends.
    version: u64,
    /// Height up to which the node's index is known to have filters. If it has fallen back since, it has no filter headers there.
    reached: AtomicU32,
    /// The block whose filter was last proven, and its filter header. The next request mostly begins with the block above it.
    last: Mutex<Option<(BlockHash, FilterHeader)>>,
}

enum FilterSource {
    Files(RwLock<FilterFiles>),
    Rest,
}

/// What was computed from a block's filter, and the filter's hash, by which the filter is still to be proven.
struct Unproven<T> {
    hash: FilterHash,
    result: T,
}

impl<T> Unproven<T> {
    fn of(filter: &[u8], result: T) -> Self {
        Self { hash: FilterHash::hash(filter), result }
    }
}

impl Node {
    /// The node's filters. Checks whether the filter files can be read; they are walked when blocks are requested.
    ///
    /// # Errors
    /// [`NodeError::LaneCannotServe`] if the node has no filters, or neither its files nor REST can be read, with the way out.
    pub fn filters(&self, capabilities: &Capabilities) -> Result<Filters, NodeError> {
        let conf = self.access().conf_name();
        let Some(reached) = capabilities.filter_index.through() else {
            return Err(no_filters(format!(
                "the node has no filter index; add blockfilterindex=1 to {conf} and restart it, or use --lane auto"
            )));
        };
        let files = match self.access().directory() {
            Some(directory) => {
                FilterFiles::open(directory.join("indexes/blockfilter/basic")).map_err(|error| error.to_string())
            }
            None => Err("the node's directory is not known (--bitcoin-datadir)".into()),
        };
        let source = match files {
            Ok(files) => FilterSource::Files(RwLock::new(files)),
            Err(why) if capabilities.rest => {
                tracing::info!("filters come over REST, not from the node's files: {why}");
                FilterSource::Rest
            }
            Err(why) => {
                return Err(no_filters(format!(
                    "{why}; run as the node's user, or add rest=1 to {conf} and restart it, or use --lane auto"
                )));
            }
        };
        Ok(Filters {
            node: self.clone(),
            source,
            rest: capabilities.rest,
            version: capabilities.version,
            reached: AtomicU32::new(reached),
            last: Mutex::default(),
        })
    }
}

impl Filters {
    /// Where the filters come from: `files` or `rest`.
    pub fn source(&self) -> &'static str {
        match self.source {
            FilterSource::Files(_) => "files",
            FilterSource::Rest => "rest",
        }
    }

    /// Height up to which the node's index has filters; `None` if it has none, or no longer any.
    ///
    /// # Errors
    /// [`NodeError::BadAnswer`], [`NodeError::Stopped`].
    pub fn through(&self) -> Result<Option<Height>, NodeError> {
        let indexes: Indexes = self.rpc().call_until_answered("getindexinfo", &[json!(FILTER_INDEX)])?;
        Ok(FilterIndex::of(&indexes).through())
    }

    /// Calls `inspect` with the filter of each of `blocks` and returns the results. The blocks follow each other on the active chain, the
    /// first follows `previous` (of no matter for the genesis block). The result is `None` if there is no filter, or if it doesn't match
    /// the node's filter header, after `inspect` was called in vain; such a block has to be read.
    ///
    /// Spreads the blocks over the threads of the rayon pool that it is called in. `new_state` makes the state that `inspect` keeps from
    /// one block to the next.
    ///
    /// # Errors
    /// [`NodeError::BadAnswer`], [`NodeError::Stopped`]. If files can't be read, their blocks are `None`.
    pub fn inspect<S, T: Send>(
        &self,
        previous: BlockHash,
        blocks: &[BlockId],
        new_state: impl Fn() -> S + Send + Sync,
        inspect: impl Fn(&mut S, BlockId, &[u8]) -> T + Send + Sync,
    ) -> Result<Vec<Option<T>>, NodeError> {
        let indexed = self.indexed(blocks)?;
        let mut results: Vec<Option<T>> = Vec::new();
        results.resize_with(blocks.len(), || None);
        let Some(first) = indexed.first() else { return Ok(results) };
        let mut headers = FilterHeaders { filters: self, blocks: indexed, known: HashMap::new() };
        let last = *lock(&self.last);
        let before = match (first.height, last) {
            (0, _) => Some(FilterHeader::all_zeros()),
            (_, Some((block, header))) if block == previous => Some(header),
            _ => self.header(previous)?,
        };
        // Without it nothing can be proven. The node has it once it has indexed that block.
        let Some(before) = before else { return Ok(results) };

        let unproven = self.inspect_unproven(indexed, &new_state, &inspect)?;
        let hashes: Vec<_> = unproven.iter().map(|found| found.as_ref().map(|found| found.hash)).collect();
        let right = proof::prove(before, &hashes, |at| headers.of(at))?;
        if let (Some(last), Some(header)) = (indexed.last(), headers.of(indexed.len() - 1)?) {
            *lock(&self.last) = Some((last.hash, header));
        }
        for (at, (found, right)) in unproven.into_iter().zip(right).enumerate() {
            results[at] = match found {
                Some(found) if right => Some(found.result),
                Some(_) => match (headers.before(before, at)?, headers.of(at)?) {
                    (Some(previous), Some(own)) => {
                        let filter = self.find_filter_with_header(indexed[at], previous, own);
                        filter.map(|filter| inspect(&mut new_state(), indexed[at], &filter))
                    }
                    // The index has fallen back since.
                    _ => None,
                },
                None => None,
            };
        }
        Ok(results)
    }

    /// Those of `blocks` for which the node's index has filters.
    fn indexed<'a>(&self, blocks: &'a [BlockId]) -> Result<&'a [BlockId], NodeError> {
        if blocks.last().is_some_and(|last| last.height > self.reached.load(Ordering::Relaxed)) {
            let Some(through) = self.through()? else { return Ok(&[]) };
            self.reached.store(through, Ordering::Relaxed);
        }
        let reached = self.reached.load(Ordering::Relaxed);
        Ok(&blocks[..blocks.partition_point(|id| id.height <= reached)])
    }

    /// Locates the filters of `blocks`. [`Self::inspect`] does so too. But it can take seconds, and a caller that measures what matching
    /// costs calls this first.
    pub fn locate(&self, blocks: &[BlockId]) {
        if let FilterSource::Files(files) = &self.source
            && let Err(error) = self.walk_files(files, blocks)
        {
            tracing::warn!("{error}: blocks are read instead");
        }
    }

    /// Walks files if one of `blocks` isn't located yet.
    fn walk_files(&self, files: &RwLock<FilterFiles>, blocks: &[BlockId]) -> Result<(), FilterFileError> {
        let is_complete = {
            let files = read(files);
            blocks.iter().all(|id| !files.locations(id.hash).is_empty())
        };
        if is_complete {
            return Ok(());
        }
        // For a block near the index's end, the files need not be walked from the first on.
        let reached = self.reached.load(Ordering::Relaxed);
        let is_near_end = blocks.first().is_some_and(|first| first.height > reached - reached / 8);
        let from = if is_near_end { SearchFrom::Newest } else { SearchFrom::Oldest };
        write(files).search(blocks, from, || self.node.link.stop.requested())
    }

    /// Calls `inspect` with the first filter that is found for each block.
    fn inspect_unproven<S, T: Send>(
        &self,
        blocks: &[BlockId],
        new_state: impl Fn() -> S + Send + Sync,
        inspect: impl Fn(&mut S, BlockId, &[u8]) -> T + Send + Sync,
    ) -> Result<Vec<Option<Unproven<T>>>, NodeError> {
        // Small enough that each thread gets a part.
        let part_length = blocks.len().div_ceil(rayon::current_num_threads()).clamp(1, BLOCKS_PER_PART);
        let parts = blocks.par_chunks(part_length);
        let FilterSource::Files(files) = &self.source else {
            let parts: Result<Vec<_>, NodeError> = parts
                .map_init(new_state, |state, part| {
                    let filters = part.iter().map(|id| {
                        let filter = self.filter_over_rest(id.hash)?;
                        Ok(filter.map(|filter| Unproven::of(&filter, inspect(state, *id, &filter))))
                    });
                    filters.collect::<Result<Vec<_>, NodeError>>()
                })
                .collect();
            return Ok(parts?.into_iter().flatten().collect());
        };
        self.locate(blocks);
        let files = read(files);
        let warned = AtomicBool::new(false);
        let parts: Vec<_> = parts
            .map_init(
                || (new_state(), RecordReader::default()),
                |(state, reader), part| {
                    let filters = part.iter().map(|id| {
                        inspect_file_filter(&files, reader, *id, &warned, |filter| {
                            Unproven::of(filter, inspect(state, *id, filter))
                        })
                    });
                    filters.collect::<Vec<_>>()
                },
            )
            .collect();
        Ok(parts.into_iter().flatten().collect())
    }

    /// The filter of a block that results in the filter header `own`, if it is in the files: after a crash of the node, a block can have
    /// two records, and the first one was another filter.
    fn find_filter_with_header(&self, id: BlockId, previous: FilterHeader, own: FilterHeader) -> Option<Vec<u8>> {
        if let FilterSource::Files(files) = &self.source {
            let files = read(files);
            let mut reader = RecordReader::default();
            for location in files.locations(id.hash) {
                if let Ok(Some(filter)) = reader.read(&files, id.hash, *location)
                    && FilterHash::hash(filter).filter_header(&previous) == own
                {
                    return Some(filter.to_vec());
                }
            }
        }
        tracing::warn!("the filter of block {id} doesn't match the node's filter header: the block is read instead");
        None
    }

    fn filter_over_rest(&self, block: BlockHash) -> Result<Option<Vec<u8>>, NodeError> {
        let rest = self.rest();
        rest.caller.persist(format_args!("the filter of block {block}"), || rest::filter(&rest, block))
    }

    /// The node's filter header of a block; `None` if it has none, or not yet.
    fn header(&self, block: BlockHash) -> Result<Option<FilterHeader>, NodeError> {
        let what = format!("the filter header of block {block}");
        if self.rest {
            let rest = self.rest();
            return rest.caller.persist(what, || rest::header(&rest, block, self.version));
        }
        let rpc = self.rpc();
        rpc.caller.persist(what, || {
            match rpc.call::<BlockFilterAnswer>("getblockfilter", &[json!(block.to_string())]) {
                Ok(answer) => Ok(Some(answer.header)),
                // Not indexed yet, not connected, unknown block: Core has a code for each, and all mean that there is none.
                Err(CallError::Rpc { .. }) => Ok(None),
                Err(other) => Err(other),
            }
        })
    }

    fn rpc(&self) -> Rpc {
        self.node.rpc(self.node.link.patience)
    }

    fn rest(&self) -> Rest {
        self.node.rest(self.node.link.patience)
    }
}

fn no_filters(why: String) -> NodeError {
    NodeError::LaneCannotServe { lane: "filters", why }
}

/// Calls `inspect` with the first filter of a block that can be read. Logs an error, unless `warned` says that one was logged.
fn inspect_file_filter<T>(
    files: &FilterFiles,
    reader: &mut RecordReader,
    id: BlockId,
    warned: &AtomicBool,
    inspect: impl FnOnce(&[u8]) -> T,
) -> Option<T> {
    for location in files.locations(id.hash) {
        match reader.read(files, id.hash, *location) {
            Ok(Some(filter)) => return Some(inspect(filter)),
            Ok(None) => {}
            Err(error) if !warned.swap(true, Ordering::Relaxed) => {
                tracing::warn!("{error}: block {id} is read instead, and others like it");
            }
            Err(_) => {}
        }
    }
    None
}

/// Of `getblockfilter`.
#[derive(Debug, Deserialize)]
struct BlockFilterAnswer {
    header: FilterHeader,
}

/// The node's filter headers of consecutive blocks, each requested once.
struct FilterHeaders<'a> {
    filters: &'a Filters,
    blocks: &'a [BlockId],
    known: HashMap<usize, Option<FilterHeader>>,
}

impl FilterHeaders<'_> {
    /// The filter header of the block before the one at index `at`; for the first, `first`.
    fn before(&mut self, first: FilterHeader, at: usize) -> Result<Option<FilterHeader>, NodeError> {
        at.checked_sub(1).map_or(Ok(Some(first)), |before| self.of(before))
    }

    fn of(&mut self, at: usize) -> Result<Option<FilterHeader>, NodeError> {
        if let Some(header) = self.known.get(&at) {
            return Ok(*header);
        }
        let header = self.filters.header(self.blocks[at].hash)?;
        self.known.insert(at, header);
        Ok(header)
    }
}
