//! The rows that an index which follows coins must hold: slow code over the whole chain, straight from the taint rules
//! (docs/design.md, "Trace").

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bitcoin::{Block, OutPoint, ScriptBuf, Transaction, TxOut};
use coinhound::chain::ScriptHash;
use coinhound::index::keys::TxPosition;
use coinhound::index::meta::TraceParameters;
use coinhound::index::raw::{Family, RawRows};
use coinhound::index::rows::row::IndexKey;
use coinhound::index::{ReadRows, View};
use coinhound::sync::plan::wanted::Entries;
use coinhound::trace::{Part, Rule, Segment};
use coinhound::watchlist::Role;

use crate::oracle::taint::MOST_SEGMENTS;
use crate::oracle::touches::is_unspendable;
use crate::support::lists::entry;
use crate::support::swept::RowMap;

/// The roles of a script on the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptRoles {
    /// Whether its coins are sources of taint.
    pub flagged: bool,
    /// Whether tracing stops at it.
    pub service: bool,
    /// Height it is flagged from.
    pub from: u32,
}

/// All scripts on the lists.
pub type RolesByScript = BTreeMap<ScriptBuf, ScriptRoles>;

/// The lists as index entries.
pub fn entries(listed: &RolesByScript) -> Entries {
    let of = |(script, listed): (&ScriptBuf, &ScriptRoles)| {
        let roles = [(listed.flagged, Role::Flagged), (listed.service, Role::Service)];
        let roles = roles.into_iter().filter(|(has, _)| *has).map(|(_, role)| (role, format!("{role:?}")));
        entry(script, Some(listed.from), &roles.collect::<Vec<_>>())
    };
    listed.iter().map(of).collect()
}

/// The taint of a coin under one rule, as its row stores it: satoshis, hops, the fate's number, and the runs of tainted satoshis.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HeldTaint {
    taint: u64,
    hops: u32,
    fate: u8,
    segments: Vec<Segment>,
}

// Fates, by their numbers in a coin's row.
const FOLLOWED: u8 = 0;
const SERVICE: u8 = 1;
const UNSPENDABLE: u8 = 2;
const ANYONE_CAN_SPEND: u8 = 3;
const MAX_HOPS: u8 = 4;
const BELOW_MIN_TAINT: u8 = 5;
const FLAGGED_SERVICE: u8 = 6;
const TOO_FRAGMENTED: u8 = 7;

impl HeldTaint {
    fn is_followed(&self) -> bool {
        self.fate == FOLLOWED || self.fate == FLAGGED_SERVICE
    }
}

/// The rows that an index must hold: the keys of `records`, `coins` with their values, and the keys of `touches`.
#[derive(Default)]
pub struct IndexRows {
    records: BTreeSet<(u32, u32)>,
    coins: BTreeMap<Vec<u8>, Vec<u8>>,
    touches: BTreeSet<Vec<u8>>,
}

/// A walk up a chain.
struct Walk<'a> {
    listed: &'a RolesByScript,
    parameters: &'a TraceParameters,
    rows: IndexRows,
    outputs: HashMap<OutPoint, TxOut>,
    held: HashMap<(OutPoint, Rule), HeldTaint>,
}

/// The taint of each output of a transaction under each rule.
type Columns = Vec<Vec<(Rule, HeldTaint)>>;

impl Walk<'_> {
    fn is_flagged(&self, script: &ScriptBuf, height: u32) -> bool {
        self.listed.get(script).is_some_and(|listed| listed.flagged && listed.from <= height)
    }

    fn is_service(&self, script: &ScriptBuf) -> bool {
        self.listed.get(script).is_some_and(|listed| listed.service)
    }

    /// Applies a transaction, which is at this height and index.
    fn apply(&mut self, at: (u32, u32), transaction: &Transaction) {
        let (txid, is_coinbase) = (transaction.compute_txid(), at.1 == 0);
        let inputs: Vec<OutPoint> = transaction.input.iter().map(|input| input.previous_output).collect();
        let inputs = if is_coinbase { &[][..] } else { &inputs };
        let spent: Vec<TxOut> =
            inputs.iter().map(|input| self.outputs.remove(input).expect("a coin of the chain")).collect();
        let follows = |(input, rule)| self.held.get(&(input, rule)).is_some_and(HeldTaint::is_followed);
        let rules = &self.parameters.rules;
        let mut is_record = inputs.iter().any(|input| rules.iter().any(|rule| follows((*input, *rule))));
        for (vin, output) in (0u32..).zip(&spent) {
            if self.is_flagged(&output.script_pubkey, at.0) {
                is_record = true;
                self.rows.touch(&output.script_pubkey, at, 0, vin);
            }
        }
        let columns = self.columns(at.0, inputs, &spent, &transaction.output);
        for input in inputs {
            Rule::ALL.into_iter().for_each(|rule| drop(self.held.remove(&(*input, rule))));
        }
        for ((vout, output), column) in (0u32..).zip(&transaction.output).zip(columns) {
            let outpoint = OutPoint { txid, vout };
            self.outputs.insert(outpoint, output.clone());
            let is_source = self.is_flagged(&output.script_pubkey, at.0);
            if is_source {
                is_record = true;
                self.rows.touch(&output.script_pubkey, at, 1, vout);
            }
            // BIP30: a coin with the same outpoint is overwritten.
            Rule::ALL.into_iter().for_each(|rule| drop(self.held.remove(&(outpoint, rule))));
            if is_source || !column.is_empty() {
                self.rows.coin((outpoint, at.0), output, is_coinbase, &column);
                self.held.extend(column.into_iter().map(|(rule, coin)| ((outpoint, rule), coin)));
            }
        }
        if is_record {
            self.rows.records.insert(at);
        }
    }

    /// The taint that each output gets under each tracked rule.
    fn columns(&self, height: u32, inputs: &[OutPoint], spent: &[TxOut], outputs: &[TxOut]) -> Columns {
        let mut columns: Columns = vec![Vec::new(); outputs.len()];
        let values: Vec<u64> = outputs.iter().map(|output| output.value.to_sat()).collect();
        for rule in &self.parameters.rules {
            let brought = |(input, output): (&OutPoint, &TxOut)| {
                let value = output.value.to_sat();
                if self.is_flagged(&output.script_pubkey, height) {
                    return (value, value, 0, Vec::new());
                }
                let coin = self.held.get(&(*input, *rule)).filter(|coin| coin.is_followed()).cloned();
                coin.map_or((value, 0, 0, Vec::new()), |coin| (value, coin.taint, coin.hops, coin.segments))
            };
            let brought: Vec<_> = inputs.iter().zip(spent).map(brought).collect();
            let fewest = brought.iter().filter(|(_, taint, ..)| *taint > 0).map(|(_, _, hops, _)| *hops).min();
            let parts: Vec<_> = brought
                .iter()
                .map(|(value, taint, _, segments)| Part { value: *value, taint: *taint, segments })
                .collect();
            let shares = rule.spread(&parts, &values);
            for ((output, share), column) in outputs.iter().zip(shares.outputs).zip(&mut columns) {
                let reached = fewest.is_some() && share.taint > 0;
                let script = &output.script_pubkey;
                if self.is_flagged(script, height) {
                    let fate = if reached && self.is_service(script) { FLAGGED_SERVICE } else { FOLLOWED };
                    let taint = output.value.to_sat();
                    column.push((*rule, HeldTaint { taint, hops: 0, fate, segments: Vec::new() }));
                } else if let Some(fewest) = fewest.filter(|_| reached) {
                    let hops = fewest + 1;
                    let fate = self.fate(script, share.taint, hops, share.segments.len());
                    let segments = if share.segments.len() > MOST_SEGMENTS { Vec::new() } else { share.segments };
                    column.push((*rule, HeldTaint { taint: share.taint, hops, fate, segments }));
                }
            }
        }
        columns
    }

    /// The fate of a coin that isn't a source: the first that applies.
    fn fate(&self, script: &ScriptBuf, taint: u64, hops: u32, segments: usize) -> u8 {
        if self.is_service(script) {
            SERVICE
        } else if is_unspendable(script) {
            UNSPENDABLE
        } else if script.is_empty() {
            ANYONE_CAN_SPEND
        } else if self.parameters.max_hops.is_some_and(|most| hops > most) {
            MAX_HOPS
        } else if taint < self.parameters.min_taint_sat {
            BELOW_MIN_TAINT
        } else if segments > MOST_SEGMENTS {
            TOO_FRAGMENTED
        } else {
            FOLLOWED
        }
    }
}

impl IndexRows {
    /// Walks up the chain.
    pub fn new(blocks: &[Block], listed: &RolesByScript, parameters: &TraceParameters) -> Self {
        let (outputs, held) = (HashMap::new(), HashMap::new());
        let mut walk = Walk { listed, parameters, rows: Self::default(), outputs, held };
        for (height, block) in (0u32..).zip(blocks) {
            for (tx_index, transaction) in (0u32..).zip(&block.txdata) {
                walk.apply((height, tx_index), transaction);
            }
        }
        walk.rows
    }

    fn touch(&mut self, script: &ScriptBuf, at: (u32, u32), kind: u8, io_index: u32) {
        let mut key = ScriptHash::of(script).0.to_vec();
        key.extend_from_slice(&at.0.to_be_bytes());
        key.extend_from_slice(&at.1.to_be_bytes());
        key.push(kind);
        key.extend_from_slice(&io_index.to_be_bytes());
        self.touches.insert(key);
    }

    fn coin(
        &mut self,
        (outpoint, height): (OutPoint, u32),
        output: &TxOut,
        coinbase: bool,
        columns: &[(Rule, HeldTaint)],
    ) {
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

    /// Panics unless the records, coins and touches of an index are exactly these.
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

    /// Panics unless the touches of each flagged entry are these, within the heights that the index covers for it.
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
