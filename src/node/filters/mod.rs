//! The node's BIP158 filters, each proven before anything is concluded from it: from the node's own files where they can be read,
//! else over REST. Knows which bytes are a block's filter, not what is looked for in it.
//!
//! ```text
//! Filters ─┬─ flat    fltr?????.dat in the node's folder
//!          ├─ rest    /rest/blockfilter, /rest/blockfilterheaders
//!          └─ proof   chained, are they the node's own? pure
//! ```

mod flat;
mod proof;
mod rest;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bitcoin::BlockHash;
use bitcoin::bip158::{FilterHash, FilterHeader};
use bitcoin::hashes::Hash;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::Node;
use super::answers::Indexes;
use super::error::{NodeError, Problem};
use super::info::{Capabilities, FILTER_INDEX, FilterIndex};
use super::link::{Link, Patience};
use super::rest::Rest;
use super::rpc::Rpc;
use crate::chain::{BlockId, Height};
use flat::{End, Flat, FlatError, Reader};

/// Blocks that one thread goes through in one go, at most: their records mostly lie in one file.
const AT_ONCE: usize = 64;

/// The filters of one node, for any number of threads.
pub struct Filters {
    link: Arc<Link>,
    way: Way,
    /// Whether REST is open: for filter headers, where the filters come from the files too.
    rest: bool,
    version: u64,
    /// The height that the node's index is known to have come to. Where it fell back since, its filter headers tell.
    reached: AtomicU32,
    /// The block proven last, with its filter header: what is asked for next mostly follows it.
    last: Mutex<Option<(BlockHash, FilterHeader)>>,
}

enum Way {
    Files(RwLock<Flat>),
    Rest,
}

/// What is known of a block's filter before it is proven.
struct Looked<T> {
    hash: FilterHash,
    told: T,
}

impl Node {
    /// The node's filters. Looks whether their files can be read; they are walked when a block is asked for.
    ///
    /// # Errors
    /// [`NodeError::LaneCannotServe`] where the node keeps none, or neither its files nor REST give them, with the way out.
    pub fn filters(&self, capabilities: &Capabilities) -> Result<Filters, NodeError> {
        let conf = self.link.connection.conf_name();
        let cannot = |why: String| Err(NodeError::LaneCannotServe { lane: "filters", why });
        let Some(reached) = capabilities.filter_index.through() else {
            return cannot(format!(
                "the node keeps no filter index; add blockfilterindex=1 to {conf} and restart it, or use --lane auto"
            ));
        };
        let folder = self.link.connection.directory().map(|directory| directory.join("indexes/blockfilter/basic"));
        let files = match folder {
            Some(folder) => Flat::open(folder).map_err(|error| error.to_string()),
            None => Err("the node's directory is not known (--bitcoin-datadir)".into()),
        };
        let way = match files {
            Ok(flat) => Way::Files(RwLock::new(flat)),
            Err(why) if capabilities.rest => {
                tracing::info!("filters come over REST, not from the node's files: {why}");
                Way::Rest
            }
            Err(why) => {
                return cannot(format!(
                    "{why}; run as the node's user, or add rest=1 to {conf} and restart it, or use --lane auto"
                ));
            }
        };
        let (link, rest, version) = (Arc::clone(&self.link), capabilities.rest, capabilities.version);
        Ok(Filters { link, way, rest, version, reached: AtomicU32::new(reached), last: Mutex::default() })
    }
}

impl Filters {
    /// `files` or `rest`: where the filters come from.
    pub fn source(&self) -> &'static str {
        match self.way {
            Way::Files(_) => "files",
            Way::Rest => "rest",
        }
    }

    /// The height that the node's index has come to; `None` where it has none, or none any more.
    ///
    /// # Errors
    /// [`NodeError::BadAnswer`], [`NodeError::Stopped`].
    pub fn through(&self) -> Result<Option<Height>, NodeError> {
        let indexes: Indexes = self.rpc().ask("getindexinfo", &[json!(FILTER_INDEX)])?;
        Ok(FilterIndex::of(&indexes).through())
    }

    /// What `look` says of the filter of each of `blocks`, one following the other on the node's chain, the first following
    /// `previous` (which doesn't matter for the genesis block). `None` where there is no filter, or where it isn't the one that the
    /// node has a filter header for: such a block has to be read. `look` may have been called for it, in vain.
    ///
    /// Blocks are spread over the threads of the rayon pool it is called in. `start` makes what `look` keeps between two blocks.
    ///
    /// # Errors
    /// [`NodeError::BadAnswer`], [`NodeError::Stopped`]. Files that can't be read are no error: their blocks are `None`.
    pub fn look<S, T: Send>(
        &self,
        previous: BlockHash,
        blocks: &[BlockId],
        start: impl Fn() -> S + Send + Sync,
        look: impl Fn(&mut S, BlockId, &[u8]) -> T + Send + Sync,
    ) -> Result<Vec<Option<T>>, NodeError> {
        let indexed = self.indexed(blocks)?;
        let mut told: Vec<Option<T>> = Vec::new();
        told.resize_with(blocks.len(), || None);
        let Some(first) = indexed.first() else { return Ok(told) };
        let mut headers = Headers { filters: self, blocks: indexed, known: HashMap::new() };
        let kept = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match (first.height, kept) {
            (0, _) => Some(FilterHeader::all_zeros()),
            (_, Some((block, header))) if block == previous => Some(header),
            _ => self.header(previous)?,
        };
        // Without it nothing can be proven; it comes when the index does.
        let Some(before) = before else { return Ok(told) };

        let found = self.look_at_all(indexed, &start, &look)?;
        let hashes: Vec<_> = found.iter().map(|found| found.as_ref().map(|found| found.hash)).collect();
        let right = proof::prove(before, &hashes, |at| headers.of(at))?;
        if let (Some(last), Some(header)) = (indexed.last(), headers.of(indexed.len() - 1)?) {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((last.hash, header));
        }
        for (at, (found, right)) in found.into_iter().zip(right).enumerate() {
            told[at] = match found {
                Some(found) if right => Some(found.told),
                Some(_) => match (headers.before(before, at)?, headers.of(at)?) {
                    (Some(previous), Some(wanted)) => self.look_elsewhere(indexed[at], previous, wanted, &start, &look),
                    // Not indexed yet, although it should be.
                    _ => None,
                },
                None => None,
            };
        }
        Ok(told)
    }

    /// Those of `blocks` that the node's index has come to.
    fn indexed<'a>(&self, blocks: &'a [BlockId]) -> Result<&'a [BlockId], NodeError> {
        if blocks.last().is_some_and(|last| last.height > self.reached.load(Ordering::Relaxed)) {
            let Some(through) = self.through()? else { return Ok(&[]) };
            self.reached.store(through, Ordering::Relaxed);
        }
        let reached = self.reached.load(Ordering::Relaxed);
        Ok(&blocks[..blocks.partition_point(|id| id.height <= reached)])
    }

    /// Finds out where the filters of `blocks` lie. [`Self::look`] does so too; but it may take seconds, which are no part of what
    /// looking costs.
    pub fn find(&self, blocks: &[BlockId]) {
        if let Way::Files(flat) = &self.way
            && let Err(error) = self.walk_for(flat, blocks)
        {
            tracing::warn!("{error}: blocks are read instead");
        }
    }

    /// Walks more files, and those that have changed, if one of these blocks isn't known yet.
    fn walk_for(&self, flat: &RwLock<Flat>, blocks: &[BlockId]) -> Result<(), FlatError> {
        let complete = {
            let flat = flat.read().unwrap_or_else(PoisonError::into_inner);
            blocks.iter().all(|id| !flat.places(id.hash).is_empty())
        };
        if complete {
            return Ok(());
        }
        // Whoever is near the index's end shall not wait for all that lies below.
        let reached = self.reached.load(Ordering::Relaxed);
        let near = blocks.first().is_some_and(|first| first.height > reached - reached / 8);
        let from = if near { End::Newest } else { End::Oldest };
        let stop = || self.link.stop.requested();
        flat.write().unwrap_or_else(PoisonError::into_inner).search(blocks, from, stop)
    }

    /// Each block's filter, where one is found, not proven yet.
    fn look_at_all<S, T: Send>(
        &self,
        blocks: &[BlockId],
        start: impl Fn() -> S + Send + Sync,
        look: impl Fn(&mut S, BlockId, &[u8]) -> T + Send + Sync,
    ) -> Result<Vec<Option<Looked<T>>>, NodeError> {
        let looked = |state: &mut S, id: BlockId, filter: &[u8]| Looked {
            hash: FilterHash::hash(filter),
            told: look(state, id, filter),
        };
        let flat = match &self.way {
            Way::Files(flat) => flat,
            Way::Rest => {
                let part = |state: &mut S, part: &[BlockId]| {
                    let one = |id: &BlockId| Ok(self.by_rest(id.hash)?.map(|filter| looked(state, *id, &filter)));
                    part.iter().map(one).collect::<Result<Vec<_>, NodeError>>()
                };
                let parts: Result<Vec<_>, _> = blocks.par_chunks(share(blocks)).map_init(start, part).collect();
                return Ok(parts?.into_iter().flatten().collect());
            }
        };
        self.find(blocks);
        let flat = flat.read().unwrap_or_else(PoisonError::into_inner);
        let warned = AtomicBool::new(false);
        let one = |(state, reader): &mut (S, Reader), id: BlockId| {
            for place in flat.places(id.hash) {
                match reader.read(&flat, id.hash, *place) {
                    Ok(Some(filter)) => return Some(looked(state, id, filter)),
                    Ok(None) => {}
                    Err(error) if !warned.swap(true, Ordering::Relaxed) => {
                        tracing::warn!("{error}: block {id} is read instead, and so are others like it");
                    }
                    Err(_) => {}
                }
            }
            None
        };
        let part = |kept: &mut (S, Reader), part: &[BlockId]| part.iter().map(|id| one(kept, *id)).collect::<Vec<_>>();
        let parts: Vec<_> = blocks.par_chunks(share(blocks)).map_init(|| (start(), Reader::default()), part).collect();
        Ok(parts.into_iter().flatten().collect())
    }

    /// The block's record that was found first holds another filter than the node's: after a crash there may be a second one.
    fn look_elsewhere<S, T>(
        &self,
        id: BlockId,
        previous: FilterHeader,
        wanted: FilterHeader,
        start: impl Fn() -> S,
        look: impl Fn(&mut S, BlockId, &[u8]) -> T,
    ) -> Option<T> {
        if let Way::Files(flat) = &self.way {
            let flat = flat.read().unwrap_or_else(PoisonError::into_inner);
            let mut reader = Reader::default();
            for place in flat.places(id.hash) {
                if let Ok(Some(filter)) = reader.read(&flat, id.hash, *place)
                    && FilterHash::hash(filter).filter_header(&previous) == wanted
                {
                    return Some(look(&mut start(), id, filter));
                }
            }
        }
        tracing::warn!(
            "the filter of block {id} is not the one that the node has a header for: the block is read instead"
        );
        None
    }

    fn by_rest(&self, block: BlockHash) -> Result<Option<Vec<u8>>, NodeError> {
        let rest = Rest { link: &self.link, patience: Patience::ENDLESS };
        self.link.persist(Patience::ENDLESS, || format!("the filter of block {block}"), || rest::filter(rest, block))
    }

    /// The filter header that the node has for a block; `None` where it has none (yet).
    fn header(&self, block: BlockHash) -> Result<Option<FilterHeader>, NodeError> {
        let what = || format!("the filter header of block {block}");
        if self.rest {
            let rest = Rest { link: &self.link, patience: Patience::ENDLESS };
            return self.link.persist(Patience::ENDLESS, what, || rest::header(rest, block, self.version));
        }
        let rpc = self.rpc();
        let ask = || match rpc.call::<FilterAnswer>("getblockfilter", &[json!(block.to_string())]) {
            Ok(answer) => Ok(Some(answer.header)),
            // Not indexed yet, not connected, unknown: Core has a code for each, and all mean that there is none.
            Err(Problem::Said { .. }) => Ok(None),
            Err(other) => Err(other),
        };
        self.link.persist(Patience::ENDLESS, what, ask)
    }

    fn rpc(&self) -> Rpc {
        Rpc::new(&self.link, Patience::ENDLESS)
    }
}

/// Of `getblockfilter`.
#[derive(Debug, Deserialize)]
struct FilterAnswer {
    header: FilterHeader,
}

/// The filter headers of a row of blocks, each asked for once.
struct Headers<'a> {
    filters: &'a Filters,
    blocks: &'a [BlockId],
    known: HashMap<usize, Option<FilterHeader>>,
}

impl Headers<'_> {
    /// The header before a block's: of the block before it, or `first`.
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

/// How many of `blocks` one thread goes through in one go: so many that all threads have some.
fn share(blocks: &[BlockId]) -> usize {
    blocks.len().div_ceil(rayon::current_num_threads()).clamp(1, AT_ONCE)
}
