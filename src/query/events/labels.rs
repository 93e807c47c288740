//! The labels that the taint of a transaction comes from: those of the sources that its tainted inputs lead back to, through the records as
//! they were when the event was logged.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::rc::Rc;

use bitcoin::{Script, Txid};

use super::past::{PastRecord, PastRecords};
use crate::chain::ScriptHash;
use crate::index::keys::TxPosition;
use crate::index::{ReadRows, Result, View};

/// The most transactions that are looked at for one event, the nearest first: a pool of coins may lead back through all of the index.
const MOST_TRANSACTIONS: usize = 256;
/// The most labels and parents that are kept for the events that follow.
const MOST_KEPT: usize = 200_000;

/// The labels that taint comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLabels {
    /// The texts, each once, sorted.
    pub texts: BTreeSet<String>,
    /// Whether all sources were found. If not, more transactions than are looked at lie between, or one of them was removed before.
    pub complete: bool,
}

/// Where the tainted inputs of a transaction lead.
#[derive(Default)]
struct TaintSources {
    /// The labels of those that are sources.
    labels: BTreeSet<String>,
    /// The transactions that made the coins of the others, each once.
    parents: BTreeSet<(TxPosition, Txid)>,
    /// Whether one of those isn't known.
    lost: bool,
}

/// Finds labels; keeps what it read, since the events that follow mostly lead back through the same transactions.
pub struct LabelSearch<'a> {
    view: &'a View,
    past: PastRecords<'a>,
    /// By position, and the next change of the record there.
    known: HashMap<(TxPosition, Option<u64>), (Txid, Rc<TaintSources>)>,
    kept: usize,
}

impl<'a> LabelSearch<'a> {
    /// Of an index that doesn't change meanwhile.
    pub fn new(view: &'a View) -> Self {
        Self { view, past: PastRecords::new(view), known: HashMap::new(), kept: 0 }
    }

    /// The labels of a script now.
    pub fn of_script(&self, script: &Script) -> Result<Vec<String>> {
        Ok(self.view.entry(ScriptHash::of(script))?.map(|entry| entry.label_texts()).unwrap_or_default())
    }

    /// The labels that the taint of the transaction at `at` comes from, as of the event with number `seq`.
    pub fn of_sources(&mut self, at: TxPosition, seq: u64) -> Result<SourceLabels> {
        let mut found = SourceLabels { texts: BTreeSet::new(), complete: true };
        let mut visited = HashSet::new();
        let mut next: VecDeque<_> = self.origin(at, seq)?.map(|(_, origin)| origin).into_iter().collect();
        while let Some(origin) = next.pop_front() {
            found.texts.extend(origin.labels.iter().cloned());
            found.complete &= !origin.lost;
            for (parent, txid) in &origin.parents {
                if visited.len() >= MOST_TRANSACTIONS {
                    found.complete &= visited.contains(parent);
                } else if visited.insert(*parent) {
                    match self.origin(*parent, seq)?.filter(|(made, _)| made == txid) {
                        Some((_, origin)) => next.push_back(origin),
                        None => found.complete = false,
                    }
                }
            }
        }
        Ok(found)
    }

    /// The transaction at a position as of the event `seq`, and where its tainted inputs lead; `None` where there was none.
    fn origin(&mut self, at: TxPosition, seq: u64) -> Result<Option<(Txid, Rc<TaintSources>)>> {
        let change = self.past.next_change(at, seq)?;
        if let Some(known) = self.known.get(&(at, change)) {
            return Ok(Some(known.clone()));
        }
        if change.is_none() && self.view.record(at)?.is_none() {
            return Ok(None);
        }
        let past = self.past.before(at, change)?;
        let origin = Rc::new(self.read(at, &past)?);
        self.kept += 1 + origin.labels.len() + origin.parents.len();
        if self.kept > MOST_KEPT {
            self.known.clear();
            self.kept = 0;
        }
        self.known.insert((at, change), (past.txid, Rc::clone(&origin)));
        Ok(Some((past.txid, origin)))
    }

    fn read(&self, at: TxPosition, past: &PastRecord) -> Result<TaintSources> {
        let mut origin = TaintSources::default();
        let taint = past.taint(self.view, at)?;
        let derived: BTreeSet<u32> = taint.derived_inputs().collect();
        for vin in taint.inputs.keys().filter(|vin| !derived.contains(*vin)) {
            if let Some(spent) = past.record.spent.get(*vin as usize) {
                origin.labels.extend(self.of_script(&spent.script_pubkey)?);
            }
        }
        for vin in derived {
            // More than are looked at make no difference.
            if origin.parents.len() > MOST_TRANSACTIONS {
                break;
            }
            let input = past.record.transaction.input.get(vin as usize);
            match input.zip(past.parent(self.view, at, vin)?) {
                Some((input, parent)) => drop(origin.parents.insert((parent, input.previous_output.txid))),
                None => origin.lost = true,
            }
        }
        Ok(origin)
    }
}
