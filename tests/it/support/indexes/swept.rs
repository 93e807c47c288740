//! An index that is swept from a source in memory: its rows and its digest, compared with other indexes and with the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use bitcoin::{Block, Network};
use coinhound::chain::Chain;
use coinhound::index::digest::digest;
use coinhound::index::entries::EntryRow;
use coinhound::index::events::Seen;
use coinhound::index::meta::Identity;
use coinhound::index::raw::{Family, RawRows};
use coinhound::index::rows::row::IndexRow;
use coinhound::index::{View, Writer};
use coinhound::sync::SyncError;
use coinhound::sync::apply::batch::RunTally;
use coinhound::sync::apply::disconnect::disconnect;
use coinhound::sync::plan::open::open;
use coinhound::sync::plan::wanted::{Entries, Lists, Wanted, WantedTrace};
use coinhound::sync::sweep::run::{Observer, Outcome, Pace};
use coinhound::sync::sweep::sweeper::Sweeper;
use tempfile::TempDir;

use crate::oracle::answers::Answers;
use crate::oracle::touches::Model;
use crate::support::library::Library;
use crate::support::lists::{List, entries};
use crate::support::source::{Branch, MemorySource, SharedSource};

/// One thread, one block in a batch: the reference for every other pace.
pub const SLOWEST: Pace = Pace { threads: 1, batch_blocks: 1 };

/// Follows no coins: only transactions that touch are recorded, as in the naive model.
pub const UNTRACKED: WantedTrace = WantedTrace { rules: Some(Vec::new()), min_taint_sat: None, max_hops: None };

/// The rows that depend on the chain and the lists alone, not on the runs that made them: family and key, value.
pub type RowMap = BTreeMap<(&'static str, Vec<u8>), Vec<u8>>;

/// The identity of an index of regtest.
pub fn identity() -> Identity {
    Identity { chain: Chain::Regtest, genesis: Chain::Regtest.genesis_hash(), challenge: None }
}

/// An index in a folder of its own.
pub struct SweptIndex {
    dir: TempDir,
    wanted: Wanted,
    writer: Option<Writer>,
}

impl SweptIndex {
    /// An index for this list that follows no coins, still without a block.
    pub fn new(list: &List) -> Self {
        Self::tracking(entries(list), &UNTRACKED)
    }

    /// An index for these entries that follows coins as `trace` says, still without a block.
    pub fn tracking(entries: Entries, trace: &WantedTrace) -> Self {
        let dir = tempfile::tempdir().expect("a folder for the index");
        let lists = Some(Lists { entries, ..Lists::default() });
        let wanted = Wanted { lists, trace: trace.clone(), ..Wanted::default() };
        let mut swept = Self { dir, wanted, writer: None };
        swept.reopen();
        swept
    }

    /// Changes the lists and the trace settings, and opens the index with them.
    pub fn want(&mut self, wanted: Wanted) {
        self.wanted = wanted;
        self.reopen();
    }

    /// An index of this list that follows no coins, swept to the chain's tip at the slowest pace.
    pub fn fresh(branch: &Arc<Branch>, list: &List) -> Self {
        Self::fresh_tracking(branch, entries(list), &UNTRACKED)
    }

    /// An index of these entries, swept to the chain's tip at the slowest pace.
    pub fn fresh_tracking(branch: &Arc<Branch>, entries: Entries, trace: &WantedTrace) -> Self {
        let swept = Self::tracking(entries, trace);
        swept.sweep(&MemorySource::on(branch), SLOWEST).expect("an honest source");
        assert_eq!(swept.tip(), Some(branch.height()));
        swept
    }

    /// Closes the index, and opens it as the next run does.
    pub fn reopen(&mut self) {
        self.writer = None;
        let path = self.dir.path().join("index");
        self.writer = Some(open(&path, &identity(), &self.wanted).expect("the index opens").0);
    }

    /// The index itself.
    pub fn writer(&self) -> &Writer {
        self.writer.as_ref().expect("the index is open between calls")
    }

    /// Sweeps to the source's tip.
    pub fn sweep(&self, source: &Arc<MemorySource>, pace: Pace) -> Result<Outcome, SyncError> {
        self.sweep_to(None, source, pace)
    }

    /// Sweeps to a height, or to the source's tip.
    pub fn sweep_to(&self, to: Option<u32>, source: &Arc<MemorySource>, pace: Pace) -> Result<Outcome, SyncError> {
        let shared = Arc::new(SharedSource(Arc::clone(source)));
        Sweeper::new(self.writer(), shared, pace, &source.stop).run(to, &mut NoObserver)
    }

    /// Height of the last block, if there is one.
    pub fn tip(&self) -> Option<u32> {
        self.writer().tip().expect("the index reads").map(|tip| tip.height)
    }

    /// Undoes every block above this height.
    pub fn undo(&self, fork: u32) {
        let tip = self.writer().tip().expect("the index reads").expect("the index has blocks");
        disconnect(self.writer(), tip, fork, Seen::Sweep).expect("the index undoes itself");
    }

    /// The digest of the state after a block.
    pub fn digest(&self, height: u32) -> Option<String> {
        digest(self.writer(), height).expect("the index reads").map(|hash| hash.to_string())
    }

    /// See [`RowMap`].
    pub fn rows(&self) -> RowMap {
        rows(self.writer())
    }

    /// Panics unless touches, coins, spends and records are the model's after the last of these blocks, and there are no other rows.
    pub fn assert_model(&self, blocks: &[Block], list: &List, what: &str) {
        let height = u32::try_from(blocks.len() - 1).expect("a short chain");
        let expected = Answers::at(blocks, Network::Regtest, list, height);
        let library = Library::open(self.writer().path());
        assert_eq!(library.through(), Some(height), "{what}");
        expected.assert_all(&library, height, what);
        expected.assert_transactions(&library, height, what);
        self.assert_counts(blocks, list, what);
    }

    /// Panics unless every family has as many rows as the model says.
    pub fn assert_counts(&self, blocks: &[Block], list: &List, what: &str) {
        let model = Model::new(blocks, list);
        let spends: usize = model.records.iter().map(|record| record.spent.len()).sum();
        let (records, touches, coins) = (model.records.len(), model.touches.len(), model.coins.len());
        let counts = [
            (Family::Headers, blocks.len()),
            (Family::Records, records),
            (Family::Txids, records),
            (Family::Touches, touches),
            (Family::Coins, coins),
            (Family::Scripts, coins),
            (Family::Spends, spends),
            (Family::Entries, list.len()),
            (Family::Sweeps, 1),
        ];
        for (family, rows) in counts {
            assert_eq!(
                self.writer().raw_prefix(family, &[]).collect::<Result<Vec<_>, _>>().expect("the index reads").len(),
                rows,
                "{what}: {}",
                family.name()
            );
        }
    }
}

/// The rows of an index that depend on the chain and the lists alone.
pub fn rows(view: &View) -> RowMap {
    let entries = view.entries().map(|entry| {
        let (script, entry) = entry.expect("the index reads");
        // Which sweep took in an entry depends on the runs.
        let plain = EntryRow { sweep: 0, ..entry };
        (("entries", script.0.to_vec()), plain.value())
    });
    let of = |family: Family| {
        view.raw_prefix(family, &[]).map(move |row| {
            let (key, value) = row.expect("the index reads");
            ((family.name(), key.into_vec()), value.into_vec())
        })
    };
    Family::DIGESTED.into_iter().flat_map(of).chain(entries).collect()
}

/// Panics, naming a row that differs, unless both have the same rows.
pub fn assert_same_rows(found: &RowMap, expected: &RowMap, what: &str) {
    let name = |(family, key): &(&str, Vec<u8>)| format!("{family} {}", const_hex::encode(key));
    for (key, value) in found {
        assert_eq!(Some(value), expected.get(key), "{what}: {}", name(key));
    }
    for key in expected.keys() {
        assert!(found.contains_key(key), "{what}: row {} is missing", name(key));
    }
}

/// Ignores the progress of a sweep.
pub struct NoObserver;

impl Observer for NoObserver {
    fn begin(&mut self, _first: u32, _last: u32, _tally: &RunTally) {}
    fn passed(&mut self, _height: u32, _tally: &RunTally) {}
    fn end(&mut self) {}
}
