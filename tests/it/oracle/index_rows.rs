//! A naive model of what is tracked: a page of slow code over the whole chain, straight from the definition (docs/design.md,
//! "Trace").

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bitcoin::{Block, OutPoint, ScriptBuf, TxOut};
use coinhound::chain::ScriptHash;
use coinhound::index::Family;
use coinhound::index::View;
use coinhound::index::keys::TxPosition;
use coinhound::index::meta::TraceParameters;
use coinhound::trace::{Part, Rule, Segment};
use coinhound::watchlist::entries::Entry;
use coinhound::watchlist::{Label, Role};

use crate::support::swept::RowMap;

/// A script on the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptRoles {
    /// Money to find.
    pub flagged: bool,
    /// Where tracing stops.
    pub service: bool,
    /// From which height on.
    pub from: u32,
}

/// All scripts on the lists.
pub type RolesByScript = BTreeMap<ScriptBuf, ScriptRoles>;

/// The lists as entries.
pub fn entries(state: &RolesByScript) -> coinhound::sync::plan::change::Entries {
    let entry = |(script, listed): (&ScriptBuf, &ScriptRoles)| {
        let roles: BTreeSet<Role> = [(listed.flagged, Role::Flagged), (listed.service, Role::Service)]
            .into_iter()
            .filter_map(|(has, role)| has.then_some(role))
            .collect();
        let label = |role: &Role| Label {
            list: "list.csv".into(),
            label: Some(format!("{role:?}")),
            source: None,
            category: None,
            role: *role,
            from: Some(listed.from),
            line: 1,
            extra: BTreeMap::new(),
        };
        let labels = roles.iter().map(label).collect();
        (ScriptHash::of(script), Entry { script: script.clone(), from: listed.from, labels })
    };
    state.iter().map(entry).collect()
}

/// What one rule says of a coin: taint, hops, fate by its number, and where the tainted satoshis are, one by one run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HeldTaint {
    taint: u64,
    hops: u32,
    fate: u8,
    segments: Vec<Segment>,
}

const FOLLOWED: u8 = 0;
const FLAGGED_SERVICE: u8 = 6;

impl HeldTaint {
    fn followed(&self) -> bool {
        self.fate == FOLLOWED || self.fate == FLAGGED_SERVICE
    }
}

/// What must be in the index: the rows of `records` (their keys), `coins` and `touches`.
#[derive(Default)]
pub struct IndexRows {
    records: BTreeSet<(u32, u32)>,
    coins: BTreeMap<Vec<u8>, Vec<u8>>,
    touches: BTreeSet<Vec<u8>>,
}

impl IndexRows {
    /// Walks the chain.
    pub fn new(blocks: &[Block], state: &RolesByScript, parameters: &TraceParameters) -> Self {
        let mut tracked = Self::default();
        let mut outputs: HashMap<OutPoint, TxOut> = HashMap::new();
        let mut held: HashMap<(OutPoint, Rule), HeldTaint> = HashMap::new();
        let flagged =
            |script: &ScriptBuf, height: u32| state.get(script).is_some_and(|l| l.flagged && l.from <= height);
        let service = |script: &ScriptBuf| state.get(script).is_some_and(|l| l.service);
        for (height, block) in (0u32..).zip(blocks) {
            for (tx_index, transaction) in (0u32..).zip(&block.txdata) {
                let txid = transaction.compute_txid();
                let inputs = if tx_index == 0 { &[][..] } else { &transaction.input[..] };
                let spent: Vec<TxOut> = inputs
                    .iter()
                    .map(|input| outputs.remove(&input.previous_output).expect("a coin of the chain"))
                    .collect();
                let mut is_record = false;
                let mut columns: Vec<Vec<(Rule, HeldTaint)>> = vec![Vec::new(); transaction.output.len()];
                for (vin, output) in (0u32..).zip(&spent) {
                    if flagged(&output.script_pubkey, height) {
                        is_record = true;
                        tracked.touch(&output.script_pubkey, (height, tx_index), 0, vin);
                    }
                }
                for rule in &parameters.rules {
                    let mut parts = Vec::new();
                    let mut fewest = None::<u32>;
                    for (input, output) in inputs.iter().zip(&spent) {
                        let value = output.value.to_sat();
                        let coin = held.get(&(input.previous_output, *rule)).filter(|coin| coin.followed()).cloned();
                        is_record |= coin.is_some();
                        let (taint, hops, segments) = if flagged(&output.script_pubkey, height) {
                            (value, 0, Vec::new())
                        } else {
                            coin.map_or((0, 0, Vec::new()), |coin| (coin.taint, coin.hops, coin.segments))
                        };
                        if taint > 0 {
                            fewest = Some(fewest.map_or(hops, |known| known.min(hops)));
                        }
                        parts.push((value, taint, segments));
                    }
                    let parts: Vec<_> = parts
                        .iter()
                        .map(|(value, taint, segments)| Part { value: *value, taint: *taint, segments })
                        .collect();
                    let values: Vec<u64> = transaction.output.iter().map(|output| output.value.to_sat()).collect();
                    let shares = rule.spread(&parts, &values);
                    for ((output, share), column) in transaction.output.iter().zip(shares.outputs).zip(&mut columns) {
                        let script = &output.script_pubkey;
                        if flagged(script, height) {
                            let reached = service(script) && fewest.is_some() && share.taint > 0;
                            let fate = if reached { FLAGGED_SERVICE } else { FOLLOWED };
                            let taint = output.value.to_sat();
                            column.push((*rule, HeldTaint { taint, hops: 0, fate, segments: Vec::new() }));
                        } else if let Some(fewest) = fewest.filter(|_| share.taint > 0) {
                            let hops = fewest + 1;
                            let fate = if service(script) {
                                1
                            } else if script.is_op_return() || script.len() > 10_000 {
                                2
                            } else if script.is_empty() {
                                3
                            } else if parameters.max_hops.is_some_and(|most| hops > most) {
                                4
                            } else if share.taint < parameters.min_taint_sat {
                                5
                            } else {
                                FOLLOWED
                            };
                            column
                                .push((*rule, HeldTaint { taint: share.taint, hops, fate, segments: share.segments }));
                        }
                    }
                }
                for input in inputs {
                    for rule in Rule::ALL {
                        held.remove(&(input.previous_output, rule));
                    }
                }
                for ((vout, output), column) in (0u32..).zip(&transaction.output).zip(columns) {
                    let outpoint = OutPoint { txid, vout };
                    outputs.insert(outpoint, output.clone());
                    let is_source = flagged(&output.script_pubkey, height);
                    if is_source {
                        is_record = true;
                        tracked.touch(&output.script_pubkey, (height, tx_index), 1, vout);
                    }
                    for rule in Rule::ALL {
                        held.remove(&(outpoint, rule));
                    }
                    if is_source || !column.is_empty() {
                        tracked.coin(outpoint, height, output, tx_index == 0, &column);
                        held.extend(column.into_iter().map(|(rule, coin)| ((outpoint, rule), coin)));
                    }
                }
                if is_record {
                    tracked.records.insert((height, tx_index));
                }
            }
        }
        tracked
    }

    fn touch(&mut self, script: &ScriptBuf, at: (u32, u32), kind: u8, io_index: u32) {
        let mut key = ScriptHash::of(script).0.to_vec();
        key.extend_from_slice(&at.0.to_be_bytes());
        key.extend_from_slice(&at.1.to_be_bytes());
        key.push(kind);
        key.extend_from_slice(&io_index.to_be_bytes());
        self.touches.insert(key);
    }

    fn coin(&mut self, outpoint: OutPoint, height: u32, output: &TxOut, coinbase: bool, columns: &[(Rule, HeldTaint)]) {
        let mut key = bitcoin::hashes::Hash::as_byte_array(&outpoint.txid).to_vec();
        key.extend_from_slice(&outpoint.vout.to_be_bytes());
        key.extend_from_slice(&height.to_be_bytes());
        let mut value = output.value.to_sat().to_be_bytes().to_vec();
        value.extend_from_slice(&ScriptHash::of(&output.script_pubkey).0);
        value.push(u8::from(coinbase));
        for (rule, held) in columns {
            value.push(rule.byte());
            value.extend_from_slice(&held.taint.to_be_bytes());
            value.extend_from_slice(&held.hops.to_be_bytes());
            value.push(held.fate);
            value.extend_from_slice(&u32::try_from(held.segments.len()).expect("few").to_be_bytes());
            for segment in &held.segments {
                value.push(u8::from(segment.tainted));
                value.extend_from_slice(&segment.length.to_be_bytes());
            }
        }
        self.coins.insert(key, value);
    }

    /// Whether a coin on this script must be in the index.
    pub fn holds_coins(&self, script: &ScriptBuf) -> bool {
        let hash = ScriptHash::of(script);
        self.coins.values().any(|value| value[8..40] == hash.0)
    }

    /// Panics unless an index's records, coins and touches are these.
    pub fn assert_rows(&self, rows: &RowMap, what: &str) {
        let of = |name: &str| {
            let of_name: BTreeMap<_, _> = rows
                .iter()
                .filter(|((family, _), _)| *family == name)
                .map(|((_, key), value)| (key.clone(), value.clone()))
                .collect();
            of_name
        };
        let records: BTreeSet<(u32, u32)> = of("records")
            .keys()
            .map(|key| TxPosition::from_key(key).expect("a position"))
            .map(|at| (at.height, at.tx_index))
            .collect();
        assert_eq!(records, self.records, "{what}: records");
        let coins = of("coins");
        assert_eq!(coins.len(), self.coins.len(), "{what}: coins");
        for (key, value) in &self.coins {
            let (found, expected) = (coins.get(key).map(const_hex::encode), const_hex::encode(value));
            assert_eq!(found.as_ref(), Some(&expected), "{what}: coin {}", const_hex::encode(key));
        }
        assert_eq!(of("touches").into_keys().collect::<BTreeSet<_>>(), self.touches, "{what}: touches");
    }

    /// Panics unless each flagged entry's touches within what the index says is covered of it are these.
    pub fn assert_covered(&self, view: &View, what: &str) {
        let sweeps = view.sweeps().expect("the index reads");
        for entry in view.entries() {
            let (script, entry) = entry.expect("the index reads");
            if !entry.flagged {
                continue;
            }
            let next = sweeps.next(entry.sweep);
            let covered = |key: &[u8]| {
                let height = u32::from_be_bytes(key[32..36].try_into().expect("four bytes"));
                key.starts_with(&script.0) && entry.from <= height && height < next
            };
            let expected: BTreeSet<_> = self.touches.iter().filter(|key| covered(key)).cloned().collect();
            let found: BTreeSet<_> = view
                .raw_prefix(Family::Touches, &script.0)
                .map(|row| row.expect("the index reads").0.into_vec())
                .filter(|key| covered(key))
                .collect();
            assert_eq!(found, expected, "{what}: touches of {script:?} in [{}, {next})", entry.from);
        }
    }
}
