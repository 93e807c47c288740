//! Cases for the properties of an index that follows coins: a random chain, and lists and gates that change.

use std::collections::BTreeMap;
use std::sync::Arc;

use bitcoin::ScriptBuf;
use coinhound::audit::verify::verify;
use coinhound::index::meta::TraceParameters;
use coinhound::sync::plan::wanted::{Lists, Wanted, WantedTrace};
use coinhound::sync::sweep::run::Pace;
use coinhound::trace::Rule;
use serde_json::Value;

use crate::oracle::index_rows::{IndexRows, RolesByScript, ScriptRoles, entries};
use crate::support::chain::RegtestChain;
use crate::support::effort::each_case;
use crate::support::event_log::{self, messages};
use crate::support::random::{self, Rng};
use crate::support::source::Branch;
use crate::support::swept::{RowMap, SweptIndex, assert_same_rows};

/// A chain, and what an index of it is to hold.
pub struct FollowCase {
    /// Names the case if a check fails.
    pub name: String,
    /// For whatever else a property draws.
    pub rng: Rng,
    /// The node's chain.
    pub chain: RegtestChain,
    /// The same chain, for a source in memory.
    pub branch: Arc<Branch>,
    /// All scripts of the first chain.
    pub scripts: Vec<ScriptBuf>,
    /// The lists.
    pub state: RolesByScript,
    /// The gates.
    pub trace: WantedTrace,
}

impl FollowCase {
    pub fn draw(property: u64, number: u64) -> Self {
        let seed = property * 1_000_000 + number;
        let mut rng = Rng::new(seed);
        let height = u32::try_from(if number.is_multiple_of(3) { 20 + rng.below(90) } else { 110 + rng.below(60) })
            .expect("a short chain");
        let chain = random::chain(seed, height);
        let transactions = chain.blocks().iter().flat_map(|block| &block.txdata);
        let outputs = transactions.flat_map(|transaction| &transaction.output);
        let mut scripts: Vec<ScriptBuf> = outputs.map(|output| output.script_pubkey.clone()).collect();
        scripts.sort();
        scripts.dedup();
        let branch = Branch::new(chain.blocks());
        let name = format!("seed {seed}, height {height}");
        let mut case =
            Self { name, rng, chain, branch, scripts, state: RolesByScript::new(), trace: WantedTrace::default() };
        case.redraw_trace();
        for _ in 0..=case.rng.below(4) {
            case.list_one();
        }
        case
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.rng.below(u64::from(bound))).expect("below a small number")
    }

    /// Any pace: none may make a difference.
    pub fn pace(&mut self) -> Pace {
        Pace { threads: *self.rng.pick(&[1, 2, 4]), batch_blocks: *self.rng.pick(&[1, 3, 16, 500]) }
    }

    /// Draws other gates.
    fn redraw_trace(&mut self) {
        let sets: [&[Rule]; 5] = [
            &[Rule::Haircut, Rule::Fifo],
            &[Rule::Haircut, Rule::Fifo],
            &[Rule::Fifo],
            &[Rule::Haircut, Rule::Lifo, Rule::Tiho],
            &[Rule::Haircut],
        ];
        let hops = *self.rng.pick(&[None, None, Some(0), Some(1), Some(4)]);
        self.trace = WantedTrace {
            rules: Some(self.rng.pick(&sets).to_vec()),
            min_taint_sat: Some(*self.rng.pick(&[1, 100_000, 10_000_000, 1_000_000_000])),
            max_hops: Some(hops.into()),
        };
    }

    /// Lists a random script.
    fn list_one(&mut self) {
        let script = self.rng.pick(&self.scripts).clone();
        let from = if self.rng.once_in(2) { 0 } else { self.below(self.branch.height() + 10) };
        let service = self.rng.once_in(4);
        let flagged = !service || self.rng.once_in(3);
        self.state.insert(script, ScriptRoles { flagged, service, from });
    }

    /// Changes the lists or the gates. A flagged script is never flagged from a greater height than before.
    pub fn change(&mut self) {
        let before = self.state.clone();
        for _ in 0..=self.rng.below(3) {
            let known: Vec<ScriptBuf> = self.state.keys().cloned().collect();
            let picked = (!known.is_empty()).then(|| self.rng.pick(&known).clone());
            match (self.rng.below(9), picked) {
                (0..=3, _) | (_, None) => self.list_one(),
                (4, Some(script)) => drop(self.state.remove(&script)),
                (5, Some(script)) => {
                    let listed = self.state.get_mut(&script).expect("a listed script");
                    listed.from = u32::try_from(self.rng.below(u64::from(listed.from) + 1)).expect("small");
                }
                (6, Some(script)) => {
                    let listed = self.state.get_mut(&script).expect("a listed script");
                    listed.service = !listed.service || !listed.flagged;
                }
                (7, Some(script)) => {
                    let listed = self.state.get_mut(&script).expect("a listed script");
                    listed.flagged = !listed.flagged || !listed.service;
                }
                (_, Some(_)) => self.redraw_trace(),
            }
        }
        for (script, listed) in &mut self.state {
            if let Some(old) = before.get(script).filter(|old| old.flagged && listed.flagged) {
                listed.from = listed.from.min(old.from);
            }
        }
    }

    /// The lists and gates as the sweep is given them, with permission to forget and to shrink.
    pub fn wanted(&self) -> Wanted {
        let lists = Some(Lists { entries: entries(&self.state), ..Lists::default() });
        Wanted { lists, trace: self.trace.clone(), forget: true, accept_shrink: true, ..Wanted::default() }
    }

    fn parameters(&self) -> TraceParameters {
        self.trace.over(&TraceParameters::default())
    }

    /// The rows that an index of the case must hold.
    pub fn model(&self) -> IndexRows {
        IndexRows::new(&self.branch.blocks, &self.state, &self.parameters())
    }

    /// Replaces up to `most` blocks by a branch with more work.
    pub fn reorg(&mut self, most: u32) {
        let depth = 1 + self.below(self.chain.height().min(most));
        let longer = 1 + self.below(4);
        self.chain = random::fork(&mut self.chain, &mut self.rng, depth, longer);
        self.branch = Branch::new(self.chain.blocks());
    }

    /// Adds some blocks.
    pub fn grow(&mut self) {
        let more = 1 + self.below(4);
        random::grow(&mut self.chain, &mut self.rng, more);
        self.branch = Branch::new(self.chain.blocks());
    }

    fn fresh(&self) -> SweptIndex {
        SweptIndex::fresh_tracking(&self.branch, entries(&self.state), &self.trace)
    }

    /// Panics unless the index equals a new one and the model, and the same facts are in force by its log.
    pub fn assert_fresh(&self, index: &SweptIndex, what: &str) {
        let (what, fresh) = (format!("{}: {what}", self.name), self.fresh());
        let rows = index.rows();
        let verified = verify(index.writer()).expect("the index reads");
        assert!(verified.as_ref().is_ok_and(|verified| verified.records == records(&rows)), "{what}: {verified:?}");
        self.model().assert_rows(&rows, &what);
        assert_same_rows(&rows, &fresh.rows(), &what);
        let height = self.branch.height();
        assert_eq!(index.digest(height), fresh.digest(height), "{what}");
        let (facts, expected) = (facts_in_force(index, &what), facts_in_force(&fresh, &what));
        for (id, fact) in &expected {
            assert_eq!(facts.get(id), Some(fact), "{what}: {id}");
        }
        for id in facts.keys() {
            assert!(expected.contains_key(id), "{what}: {id} was not retracted");
        }
    }
}

/// Number of records among these rows.
pub fn records(rows: &RowMap) -> u64 {
    rows.keys().filter(|(family, _)| *family == "records").count() as u64
}

/// The facts that are in force after all events of the log. Panics unless the events are numbered without a gap.
fn facts_in_force(index: &SweptIndex, what: &str) -> BTreeMap<String, Value> {
    let log = messages(index.writer());
    for (expected, event) in (1_u64..).zip(&log) {
        assert_eq!(event["seq"], expected, "{what}: events are numbered without a gap");
    }
    let mut facts = event_log::facts_in_force(&log);
    // Labels are those of the sources when the event was logged, as far as the lists still name them.
    let fields = facts.values_mut().filter_map(Value::as_object_mut);
    fields.for_each(|fields| fields.retain(|name, _| !name.starts_with("labels")));
    facts
}

/// Draws cases of a property and checks each.
pub fn each(property: u64, check: impl Fn(&mut FollowCase)) {
    let draw = |number| {
        let case = FollowCase::draw(property, number);
        (case.name.clone(), case)
    };
    each_case(12, draw, check);
}
