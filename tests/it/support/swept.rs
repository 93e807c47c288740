//! An index of a test's own, swept from a source in memory; its rows, its digest, and what the model says they must be.

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use bitcoin::{Block, Network};
use coinhound::chain::Chain;
use coinhound::index::digest::digest;
use coinhound::index::entries::EntryRow;
use coinhound::index::events::Seen;
use coinhound::index::meta::{Identity, TakenLists};
use coinhound::index::{Family, View, Writer};
use coinhound::sync::SyncError;
use coinhound::sync::apply::advance::Tally;
use coinhound::sync::apply::disconnect::disconnect;
use coinhound::sync::plan::change::{Entries, Wanted, WantedTrace};
use coinhound::sync::plan::open::open;
use coinhound::sync::sweep::sweeper::{Observer, Outcome, Pace, Sweeper};
use coinhound::watchlist::entries::merge;
use coinhound::watchlist::{ListOptions, read};
use tempfile::TempDir;

use crate::oracle::answers::{Answers, List, assert_rows, csv, scripts};
use crate::oracle::touches::Model;
use crate::support::library::Library;
use crate::support::source::{Branch, MemorySource, SharedSource};

/// One thread, one block in a batch: what every other pace must equal.
pub const SLOWEST: Pace = Pace { threads: 1, batch_blocks: 1 };

/// Tracks nothing: only what touches is recorded, as the naive model has it.
pub const UNTRACKED: WantedTrace = WantedTrace { rules: Some(Vec::new()), min_taint_sat: None, max_hops: None };

/// All rows that the chain and the lists decide, not how they were come by: family and key, value.
pub type RowMap = BTreeMap<(&'static str, Vec<u8>), Vec<u8>>;

/// What an index of the tests' chain is of.
pub fn identity() -> Identity {
    Identity { chain: Chain::Regtest, genesis: Chain::Regtest.genesis_hash(), challenge: None }
}

/// The entries of a list, read as a file would be.
pub fn entries(list: &List) -> Entries {
    let options = ListOptions::default();
    let read = read(&mut csv(list).as_bytes(), "list.csv", Chain::Regtest, &options).expect("a good list");
    let entries = merge([read], 0);
    assert_eq!(entries.len(), list.len(), "every script is an entry");
    entries
}

/// An index.
pub struct SweptIndex {
    dir: TempDir,
    wanted: Wanted,
    writer: Option<Writer>,
}

impl SweptIndex {
    /// An index for this list that tracks nothing, without a block.
    pub fn new(list: &List) -> Self {
        Self::tracking(entries(list), &UNTRACKED)
    }

    /// An index for these entries that follows coins so far, without a block.
    pub fn tracking(entries: Entries, trace: &WantedTrace) -> Self {
        let dir = tempfile::tempdir().expect("a folder for the index");
        let lists = Some((entries, TakenLists::default()));
        let wanted = Wanted { lists, trace: trace.clone(), ..Wanted::default() };
        let mut swept = Self { dir, wanted, writer: None };
        swept.reopen();
        swept
    }

    /// Asks for something else from now on.
    pub fn want(&mut self, wanted: Wanted) {
        self.wanted = wanted;
        self.reopen();
    }

    /// An index of this list swept up the chain at the slowest pace; it tracks nothing.
    pub fn fresh(branch: &Arc<Branch>, list: &List) -> Self {
        Self::fresh_tracking(branch, entries(list), &UNTRACKED)
    }

    /// An index of these entries swept up the chain at the slowest pace.
    pub fn fresh_tracking(branch: &Arc<Branch>, entries: Entries, trace: &WantedTrace) -> Self {
        let swept = Self::tracking(entries, trace);
        swept.sweep(&MemorySource::on(branch), SLOWEST).expect("a sane source");
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
        self.writer.as_ref().expect("it is open between calls")
    }

    /// Sweeps up to the source's tip.
    pub fn sweep(&self, source: &Arc<MemorySource>, pace: Pace) -> Result<Outcome, SyncError> {
        self.sweep_to(None, source, pace)
    }

    /// Sweeps up to a height, or the source's tip.
    pub fn sweep_to(&self, to: Option<u32>, source: &Arc<MemorySource>, pace: Pace) -> Result<Outcome, SyncError> {
        let shared = Arc::new(SharedSource(Arc::clone(source)));
        Sweeper::new(self.writer(), shared, pace, &source.stop).run(to, &mut NoObserver)
    }

    /// Height of the last block, if there is any.
    pub fn tip(&self) -> Option<u32> {
        self.writer().tip().expect("the index reads").map(|tip| tip.height)
    }

    /// Undoes every block above this height.
    pub fn undo(&self, fork: u32) {
        let tip = self.writer().tip().expect("the index reads").expect("it has blocks");
        disconnect(self.writer(), tip, fork, Seen::Sweep).expect("the index undoes itself");
    }

    /// The digest of the state after a block.
    pub fn digest(&self, height: u32) -> Option<String> {
        digest(self.writer(), height).expect("the index reads").map(|hash| hash.to_string())
    }

    /// All rows but those of `meta`.
    pub fn rows(&self) -> RowMap {
        rows(self.writer())
    }

    /// Panics unless touches, coins, spends and records are the model's after the last of these blocks, and nothing is left over.
    pub fn assert_model(&self, blocks: &[Block], list: &List, what: &str) {
        let height = u32::try_from(blocks.len() - 1).expect("a short chain");
        let (expected, all) = (Answers::at(blocks, Network::Regtest, list, height), scripts(list));
        let library = Library::open(self.writer().path());
        assert_eq!(library.through(), Some(height), "{what}");
        assert_rows(&library.history("all", height), &expected.history(&all), what);
        assert_rows(&library.coins("all", height), &expected.coins(&all), what);
        assert_rows(&library.balances("all", height), &expected.balances(&all), what);
        let model = &expected.model;
        // BIP30's twins share an id, and `tx` tells of one of them.
        for record in model.records.iter().filter(|record| {
            model.records.iter().all(|other| other.txid != record.txid || other.height == record.height)
        }) {
            assert_eq!(library.tx(record.txid, height), expected.tx(record.txid), "{what}");
        }
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
                self.writer().raw_count(family).expect("the index reads"),
                rows as u64,
                "{what}: {}",
                family.name()
            );
        }
    }
}

/// All rows of an index that the chain and the lists decide.
pub fn rows(view: &View) -> RowMap {
    let entries = view.entries().map(|entry| {
        let (script, entry) = entry.expect("the index reads");
        // Which sweep brought it is how it was come by.
        let plain = EntryRow { sweep: 0, ..entry };
        (("entries", script.0.to_vec()), plain.value())
    });
    let of = |family: Family| {
        view.raw_range(family, &[], None).map(move |row| {
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
        assert!(found.contains_key(key), "{what}: there is no row {}", name(key));
    }
}

/// Hears nothing.
pub struct NoObserver;

impl Observer for NoObserver {
    fn begin(&mut self, _first: u32, _last: u32, _tally: &Tally) {}
    fn passed(&mut self, _height: u32, _tally: &Tally) {}
    fn end(&mut self) {}
}

/// Runs a test's part, which `what` names where it fails. Where it hangs the process ends with a word, since a thread can't be
/// ended.
pub fn watched<T>(what: &str, part: impl FnOnce() -> T) -> T {
    // Nobody is left to tell where this fails.
    let say = |how: &str, what: &str| writeln!(std::io::stderr(), "{how}: {what}").ok();
    let (done, waiting) = channel::<()>();
    let name = what.to_owned();
    let dog = std::thread::spawn(move || {
        if waiting.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
            say("it hangs", &name);
            std::process::abort();
        }
    });
    let result = catch_unwind(AssertUnwindSafe(part));
    drop(done);
    dog.join().expect("a watchdog doesn't panic");
    result.unwrap_or_else(|panic| {
        say("it fails", what);
        resume_unwind(panic)
    })
}
