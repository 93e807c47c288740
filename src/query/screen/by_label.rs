//! One trace for each label, made when it is first asked for: so a sanction can be told from a scam.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::chain::{Height, ScriptHash};
use crate::index::keys::CoinKey;
use crate::query::trace::CoinState;
use crate::query::trace::source::Sources;
use crate::query::trace::walk::{Question, walk};
use crate::query::{Result, Snapshot};
use crate::trace::{Gates, Taint};

/// What each coin of one label's trace holds, by tracked rule; with it, whether the rule follows the coin.
pub type Holdings = HashMap<CoinKey, Vec<Option<(Taint, bool)>>, foldhash::quality::RandomState>;

/// The traces made so far.
#[derive(Default)]
pub struct ByLabel {
    made: BTreeMap<String, Rc<Holdings>>,
    /// The scripts of every label of a flagged entry; read when the first is asked for.
    scripts: Option<BTreeMap<String, Vec<ScriptHash>>>,
}

impl ByLabel {
    /// The trace from the scripts of a label, under the index's rules and gates.
    ///
    /// # Errors
    /// What reading reports.
    pub fn of(&mut self, snapshot: &Snapshot, label: &str) -> Result<Rc<Holdings>> {
        if let Some(known) = self.made.get(label) {
            return Ok(Rc::clone(known));
        }
        let scripts = match &mut self.scripts {
            Some(scripts) => scripts,
            none => none.insert(scripts_by_label(snapshot)?),
        };
        let mut entries = Vec::new();
        for hash in scripts.get(label).into_iter().flatten() {
            let entry = snapshot.reader.entry(*hash)?;
            entries.extend(entry.map(|entry| (*hash, entry)));
        }
        let sources = Sources::of_entries(entries.iter().map(|(hash, entry)| (*hash, entry)));
        let question = Question {
            sources: &sources,
            rules: &snapshot.trace.rules,
            gates: gates(snapshot),
            stop_flagged: false,
            at: snapshot.tip.map_or(Height::MAX, |tip| tip.height),
        };
        let mut holdings = Holdings::default();
        for coin in walk(snapshot, &question)?.coins {
            let Some(made) = coin.made else { continue };
            let held = coin.holds.into_iter().map(|held| {
                let held = held.filter(|held| held.since_made)?;
                let followed = matches!(held.state, CoinState::Spent | CoinState::Unspent);
                Some((held.taint, followed))
            });
            holdings.insert(CoinKey { outpoint: coin.outpoint, height: made.height }, held.collect());
        }
        let holdings = Rc::new(holdings);
        self.made.insert(label.to_owned(), Rc::clone(&holdings));
        Ok(holdings)
    }
}

fn scripts_by_label(snapshot: &Snapshot) -> Result<BTreeMap<String, Vec<ScriptHash>>> {
    let mut scripts: BTreeMap<String, Vec<ScriptHash>> = BTreeMap::new();
    for entry in snapshot.reader.entries() {
        let (hash, entry) = entry?;
        if !entry.flagged {
            continue;
        }
        for label in entry.label_texts() {
            match scripts.get_mut(&label) {
                Some(of_label) => of_label.push(hash),
                None => drop(scripts.insert(label, vec![hash])),
            }
        }
    }
    Ok(scripts)
}

/// How far the index follows coins.
pub fn gates(snapshot: &Snapshot) -> Gates {
    Gates { min_taint: snapshot.trace.min_taint_sat.max(1), max_hops: snapshot.trace.max_hops }
}
