//! Asks an index through coinhound's library, as the commands do: many questions of one snapshot, answered as JSON.

use std::path::Path;

use bitcoin::Txid;
use coinhound::index::{IndexError, Reader};
use coinhound::query::at::Moment;
use coinhound::query::target::Targets;
use coinhound::query::{Snapshot, balance, coins, history, tx};
use serde::Serialize;
use serde_json::Value;

use crate::oracle::answers::without_taint;

/// An index as it was when it was opened.
pub struct Library {
    /// The snapshot that all questions are asked of.
    pub snapshot: Snapshot,
}

impl Library {
    /// Opens the index.
    pub fn open(index: &Path) -> Self {
        Self::try_open(index).expect("the index opens")
    }

    /// Opens the index, or returns why it can't be opened.
    pub fn try_open(index: &Path) -> Result<Self, IndexError> {
        let snapshot = Snapshot::new(Reader::open(index)?, |_| false).expect("every index has lists and sweeps");
        Ok(Self { snapshot })
    }

    /// The height of its last block.
    pub fn through(&self) -> Option<u32> {
        self.snapshot.next.checked_sub(1)
    }

    fn targets(&self, target: &str) -> Targets {
        let targets = Targets::resolve(&self.snapshot, &[target.to_owned()], None).expect("a good target");
        assert!(targets.unknown.is_empty(), "{target} isn't an entry");
        targets
    }

    /// The rows of `history`.
    pub fn history(&self, target: &str, at: u32) -> Vec<Value> {
        let targets = self.targets(target);
        let rows = history::history(&self.snapshot, &targets, at, None).expect("the index reads");
        rows.map(|row| value(&row.expect("the index reads").1)).collect()
    }

    /// The rows of `coins`.
    pub fn coins(&self, target: &str, at: u32) -> Vec<Value> {
        let targets = self.targets(target);
        let rows = coins::coins(&self.snapshot, &targets, at, false, None).expect("the index reads");
        rows.map(|row| value(&row.expect("the index reads").1)).collect()
    }

    /// The rows of `balance`.
    pub fn balances(&self, target: &str, at: u32) -> Vec<Value> {
        let targets = self.targets(target);
        balance::balances(&self.snapshot, &targets, at).map(|row| value(&row.expect("the index reads"))).collect()
    }

    /// The answer of `tx`, without coverage, taint and the block that it is about, which must be the one asked for.
    pub fn tx(&self, txid: Txid, at: u32) -> Value {
        let answer = tx::transaction(&self.snapshot, txid, Moment::at(at)).expect("the index reads");
        let mut answer = without_taint(value(&answer));
        let about = answer.as_object_mut().and_then(|answer| answer.remove("at")).expect("the block is named");
        assert_eq!(about["height"], at, "{answer}");
        answer
    }

    /// The digest of the state after a block.
    pub fn digest(&self, at: u32) -> Option<String> {
        coinhound::index::digest::digest(&self.snapshot.reader, at)
            .expect("the index reads")
            .map(|hash| hash.to_string())
    }
}

fn value(row: &impl Serialize) -> Value {
    serde_json::to_value(row).expect("strings and numbers")
}
