//! The labels that the taint of a transaction comes from: those of the flagged scripts that its tainted inputs lead back to.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::rc::Rc;

use bitcoin::{OutPoint, Script, TxOut};

use crate::chain::{Height, ScriptHash};
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
    /// Whether all sources were found. If not, more transactions than are looked at lie between, or a reorg removed one.
    pub complete: bool,
}

/// Where the tainted inputs of a transaction lead.
#[derive(Default)]
struct Origin {
    /// The labels of those that spend from flagged scripts.
    labels: BTreeSet<String>,
    /// The transactions that made the coins of the others, each once.
    parents: Vec<TxPosition>,
    /// Whether one of those isn't in the index.
    lost: bool,
}

/// Finds labels; keeps what it read, since the events that follow mostly lead back through the same transactions.
pub struct LabelSearch<'a> {
    view: &'a View,
    known: HashMap<TxPosition, Rc<Origin>>,
    kept: usize,
}

impl<'a> LabelSearch<'a> {
    /// Of an index that doesn't change meanwhile.
    pub fn new(view: &'a View) -> Self {
        Self { view, known: HashMap::new(), kept: 0 }
    }

    /// The labels of a script now.
    pub fn of_script(&self, script: &Script) -> Result<Vec<String>> {
        Ok(self.view.entry(ScriptHash::of(script))?.map(|entry| entry.label_texts()).unwrap_or_default())
    }

    /// The labels that the taint of these inputs, which a transaction at `height` spends, comes from.
    pub fn of_inputs<'r>(
        &mut self,
        height: Height,
        inputs: impl Iterator<Item = (OutPoint, &'r TxOut)>,
    ) -> Result<SourceLabels> {
        let mut found = SourceLabels { texts: BTreeSet::new(), complete: true };
        let (mut visited, mut next) = (HashSet::new(), VecDeque::from([Rc::new(self.origin(height, inputs)?)]));
        while let Some(origin) = next.pop_front() {
            found.texts.extend(origin.labels.iter().cloned());
            found.complete &= !origin.lost;
            for parent in &origin.parents {
                if visited.len() >= MOST_TRANSACTIONS {
                    found.complete &= visited.contains(parent);
                } else if visited.insert(*parent) {
                    next.push_back(self.origin_of_record(*parent)?);
                }
            }
        }
        Ok(found)
    }

    fn origin_of_record(&mut self, at: TxPosition) -> Result<Rc<Origin>> {
        if let Some(known) = self.known.get(&at) {
            return Ok(Rc::clone(known));
        }
        let record = self.view.known_record(at)?;
        let mut tainted = Vec::new();
        for (input, spent) in record.transaction.input.iter().zip(&record.spent) {
            let spender = self.view.spender(&input.previous_output)?;
            if spender.is_some_and(|spender| spender.at == at && !spender.brought.is_empty()) {
                tainted.push((input.previous_output, spent));
            }
        }
        let origin = Rc::new(self.origin(at.height, tainted.into_iter())?);
        self.kept += 1 + origin.labels.len() + origin.parents.len();
        if self.kept > MOST_KEPT {
            self.known.clear();
            self.kept = 0;
        }
        self.known.insert(at, Rc::clone(&origin));
        Ok(origin)
    }

    /// Where these inputs lead, which a transaction at `height` spends.
    fn origin<'r>(&self, height: Height, inputs: impl Iterator<Item = (OutPoint, &'r TxOut)>) -> Result<Origin> {
        let mut origin = Origin::default();
        let mut parents = BTreeSet::new();
        for (outpoint, spent) in inputs {
            match self.view.entry(ScriptHash::of(&spent.script_pubkey))? {
                Some(entry) if entry.is_flagged_at(height) => origin.labels.extend(entry.label_texts()),
                // More than are looked at make no difference.
                _ if parents.len() > MOST_TRANSACTIONS => {}
                _ => {
                    let made = self.view.positions(outpoint.txid)?.into_iter().rfind(|at| at.height <= height);
                    origin.lost |= made.is_none();
                    parents.extend(made);
                }
            }
        }
        origin.parents = parents.into_iter().collect();
        Ok(origin)
    }
}
