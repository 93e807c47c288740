//! An index that no run changes any longer: its blocks, its digest after each of them, and its log of events.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bitcoin::BlockHash;
use coinhound::chain::BlockId;
use serde_json::Value;

use crate::oracle::answers::assert_rows;
use crate::support::event_log::messages;
use crate::support::library::Library;
use crate::support::swept::{RowMap, rows};

/// An index that no run changes any longer.
pub struct SettledIndex {
    /// For questions to it.
    pub library: Library,
    /// The hash of each of its blocks.
    pub hashes: Vec<BlockHash>,
    digests: Mutex<BTreeMap<u32, String>>,
}

impl SettledIndex {
    /// Opens it.
    pub fn open(index: &Path) -> Self {
        let library = Library::open(index);
        let hash = |height| library.snapshot.block(height).expect("each block up to the tip has a header").0;
        let hashes = library.through().map_or_else(Vec::new, |tip| (0..=tip).map(hash).collect());
        Self { library, hashes, digests: Mutex::default() }
    }

    /// Whether it has this block.
    pub fn has(&self, block: BlockId) -> bool {
        self.hashes.get(block.height as usize) == Some(&block.hash)
    }

    /// Its last block, and the digest there.
    pub fn last(&self) -> (BlockId, String) {
        let block = self.library.snapshot.tip.expect("an index with blocks");
        (block, self.digest(block.height))
    }

    /// The digest after the block at a height up to the tip.
    pub fn digest(&self, height: u32) -> String {
        let made = || self.library.digest(height).expect("each block up to the tip has a digest");
        self.digests.lock().unwrap_or_else(PoisonError::into_inner).entry(height).or_insert_with(made).clone()
    }
}

/// The rows of an index that come from blocks up to this height.
pub fn derived(library: &Library, height: u32) -> RowMap {
    let mut derived = rows(&library.snapshot.reader);
    derived.retain(|(family, key), value| {
        let value: &Vec<u8> = value;
        let (bytes, at) = match *family {
            "headers" | "records" => (key, 0),
            "coins" => (key, 36),
            "txids" | "touches" | "scripts" => (key, 32),
            "spends" => (value, 0),
            _ => return false,
        };
        u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes")) <= height
    });
    derived
}

/// The events of the log in order, without the reorgs, and the ids of the reorgs: a reorg that is interrupted between two batches is
/// logged again by the run that resumes, from the block that it finds at the tip.
fn events(library: &Library) -> (Vec<Value>, BTreeSet<String>) {
    let all = messages(&library.snapshot.reader).into_iter().zip(1_u64..).map(|(mut event, seq)| {
        assert_eq!(event["seq"], seq, "a number is missing");
        event.as_object_mut().expect("an object").remove("seq");
        event
    });
    let (reorgs, others): (Vec<Value>, Vec<Value>) = all.partition(|event: &Value| event["kind"] == "reorg");
    (others, reorgs.iter().map(|event| event["id"].to_string()).collect())
}

/// Panics, naming the first event that differs, unless a log has the events of another one, and its reorgs at least.
pub fn assert_events(found: &Library, right: &Library, what: &str) {
    let ((found, reorgs), (right, right_reorgs)) = (events(found), events(right));
    assert_rows(&found, &right, &format!("{what}: events"));
    assert!(right_reorgs.is_subset(&reorgs), "{what}: {right_reorgs:?} aren't all in {reorgs:?}");
}
