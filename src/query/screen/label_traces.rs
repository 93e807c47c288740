//! One trace for each label, made when it is first needed, so that a sanction can be told from a scam.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::chain::{Height, ScriptHash};
use crate::index::ReadRows;
use crate::index::keys::CoinKey;
use crate::query::facts::CoinState;
use crate::query::trace::source::Sources;
use crate::query::trace::walk::{TraceQuestion, walk};
use crate::query::{Result, Snapshot};
use crate::trace::Taint;

/// What one coin holds under one rule in the trace of one label.
pub struct LabelTaint {
    /// Satoshis, hops, and where they lie.
    pub taint: Taint,
    /// Whether the rule follows the coin.
    pub is_followed: bool,
}

/// What each coin of one label's trace holds, by tracked rule.
pub type LabelHoldings = HashMap<CoinKey, Vec<Option<LabelTaint>>, foldhash::quality::RandomState>;

/// The traces made so far.
#[derive(Default)]
pub struct LabelTraces {
    made: BTreeMap<String, Rc<LabelHoldings>>,
    /// The scripts of every label of a flagged entry; read when the first is asked for.
    scripts: Option<BTreeMap<String, Vec<ScriptHash>>>,
}

impl LabelTraces {
    /// The trace from the scripts of a label, under the index's rules and gates.
    ///
    /// # Errors
    /// What reading reports.
    pub fn get(&mut self, snapshot: &Snapshot, label: &str) -> Result<Rc<LabelHoldings>> {
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
        let holdings =
            Rc::new(trace(snapshot, &Sources::of_entries(entries.iter().map(|(hash, entry)| (*hash, entry))))?);
        self.made.insert(label.to_owned(), Rc::clone(&holdings));
        Ok(holdings)
    }
}

fn trace(snapshot: &Snapshot, sources: &Sources) -> Result<LabelHoldings> {
    let question = TraceQuestion {
        sources,
        rules: &snapshot.trace.rules,
        gates: snapshot.trace.gates(),
        stop_flagged: false,
        at: snapshot.tip.map_or(Height::MAX, |tip| tip.height),
    };
    let mut holdings = LabelHoldings::default();
    for coin in walk(snapshot, &question)?.coins {
        let Some(made) = coin.made else { continue };
        let held = coin.holds.into_iter().map(|held| {
            let held = held.filter(|held| held.since_made)?;
            let is_followed = matches!(held.state, CoinState::Spent | CoinState::Unspent);
            Some(LabelTaint { taint: held.taint, is_followed })
        });
        holdings.insert(CoinKey { outpoint: coin.outpoint, height: made.height }, held.collect());
    }
    Ok(holdings)
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
