//! An index written row by row from what the naive tracer says: what a sweep with tracing must come to, without a sweep.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use bitcoin::{Block, OutPoint, Transaction, TxOut};
use coinhound::chain::ScriptHash;
use coinhound::chain::merkle::Tree;
use coinhound::index::keys::{CoinKey, ScriptKey, TouchKey, TouchKind, TxPosition, outpoint_key, txid_key};
use coinhound::index::meta::{self, TakenLists, TraceParameters};
use coinhound::index::values::{Coin, EntryRow, MAIN_SWEEP, Record, Spender, Sweep};
use coinhound::index::{Family, Step, Writer};
use coinhound::trace::{Column, Fate, Taint};
use coinhound::watchlist::{Label, Role};
use tempfile::TempDir;

use super::blocks::outputs;
use super::swept::identity;
use super::tracer::{Ask, Listed, Made, trace};

/// What such an index holds.
pub struct Indexed {
    /// Where it is.
    pub dir: TempDir,
    /// Coins whose spends the index looked for, because some rule follows them.
    followed: BTreeSet<(OutPoint, u32)>,
    /// Inputs of records.
    spent: BTreeSet<OutPoint>,
    listed: Vec<Listed>,
}

impl Indexed {
    /// The index of these blocks.
    pub fn new(blocks: &[Block], listed: &[Listed], parameters: &TraceParameters) -> Self {
        let flagged: BTreeMap<_, _> =
            listed.iter().filter_map(|listed| Some((listed.script.clone(), listed.flagged?))).collect();
        let at = u32::try_from(blocks.len() - 1).expect("a short chain");
        let columns = parameters.rules.iter().map(|rule| {
            let ask = Ask {
                scripts: flagged.clone(),
                outpoints: BTreeSet::new(),
                rule: *rule,
                min_taint: parameters.min_taint_sat,
                max_hops: parameters.max_hops,
                stop_flagged: false,
                at,
            };
            (*rule, trace(blocks, listed, &ask, &|_, _, _| true))
        });
        let columns: Vec<_> = columns.collect();
        let dir = tempfile::tempdir().expect("a folder for the index");
        let mut indexed = Self { dir, followed: BTreeSet::new(), spent: BTreeSet::new(), listed: listed.to_vec() };
        Writer::create(&indexed.path(), &identity(), |writer| {
            let mut step = writer.step();
            meta::put_trace(&mut step, parameters);
            meta::put_lists(&mut step, &TakenLists::default());
            step.put(Family::Sweeps, &MAIN_SWEEP.to_be_bytes(), &Sweep { next: at + 1 }.value());
            listed.iter().for_each(|listed| put_entry(&mut step, listed));
            let mut made: HashMap<OutPoint, TxOut> = HashMap::new();
            for (height, block) in (0..=at).zip(blocks) {
                step.put(Family::Headers, &height.to_be_bytes(), &bitcoin::consensus::serialize(&block.header));
                let txids: Vec<_> = block.txdata.iter().map(Transaction::compute_txid).collect();
                let tree = Tree::new(&txids).expect("there is a coinbase");
                for (tx_index, transaction) in (0..).zip(&block.txdata) {
                    let inputs: &[_] = if tx_index == 0 { &[] } else { &transaction.input };
                    let spent = inputs.iter().map(|input| made[&input.previous_output].clone()).collect();
                    made.extend(outputs(transaction).map(|(at, output)| (at, output.clone())));
                    let mut record =
                        Record { transaction: transaction.clone(), spent, branch: tree.branch(tx_index as usize) };
                    record.transaction.input.iter_mut().for_each(|input| input.witness.clear());
                    let columns = columns.iter().map(|(rule, traced)| {
                        let moved = traced.moves.contains(&(height, tx_index));
                        let of = |outpoint| traced.made.get(&(outpoint, height)).map(|made| column(*rule, made));
                        (moved, of)
                    });
                    indexed.put_record(
                        &mut step,
                        TxPosition { height, tx_index },
                        &record,
                        &columns.collect::<Vec<_>>(),
                    );
                }
            }
            step.commit(false)
        })
        .expect("an index is made");
        indexed
    }

    /// Where the index is.
    pub fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("index")
    }

    /// Whether the index looked for the spend of a coin: as [`trace`] asks.
    pub fn in_sight(&self, script: &bitcoin::Script, outpoint: OutPoint, height: u32, named: bool) -> bool {
        let flagged = self.flagged(script).is_some_and(|from| from <= height);
        flagged || self.followed.contains(&(outpoint, height)) || (named && self.spent.contains(&outpoint))
    }

    fn flagged(&self, script: &bitcoin::Script) -> Option<u32> {
        self.listed.iter().find(|listed| *listed.script == *script)?.flagged
    }

    fn put_record(
        &mut self,
        step: &mut Step<'_>,
        at: TxPosition,
        record: &Record,
        columns: &[(bool, impl Fn(OutPoint) -> Option<Column>)],
    ) {
        let txid = record.txid();
        let is_flagged = |script: &bitcoin::Script| self.flagged(script).is_some_and(|from| from <= at.height);
        let spends = record.spent.iter().map(|output| is_flagged(&output.script_pubkey)).collect::<Vec<_>>();
        let pays = record.transaction.output.iter().map(|output| is_flagged(&output.script_pubkey)).collect::<Vec<_>>();
        if ![&spends[..], &pays[..]].concat().contains(&true) && !columns.iter().any(|(moved, _)| *moved) {
            return;
        }
        step.put(Family::Records, &at.key(), &record.value());
        step.put(Family::Txids, &txid_key(txid, at), &[]);
        let touch = |step: &mut Step<'_>, output: &TxOut, kind, io_index| {
            let key = TouchKey { script: ScriptHash::of(&output.script_pubkey), at, kind, io_index };
            step.put(Family::Touches, &key.key(), &output.value.to_sat().to_be_bytes());
        };
        for (((vin, input), spent), flagged) in (0..).zip(&record.transaction.input).zip(&record.spent).zip(spends) {
            step.put(Family::Spends, &outpoint_key(&input.previous_output), &Spender { at, vin }.value());
            self.spent.insert(input.previous_output);
            if flagged {
                touch(step, spent, TouchKind::Spending, vin);
            }
        }
        for ((vout, output), flagged) in (0..).zip(&record.transaction.output).zip(pays) {
            let outpoint = OutPoint { txid, vout };
            let columns: Vec<Column> = columns.iter().filter_map(|(_, of)| of(outpoint)).collect();
            if flagged {
                touch(step, output, TouchKind::Funding, vout);
            } else if columns.is_empty() {
                continue;
            }
            if columns.iter().any(|column| column.fate == Fate::Followed) {
                self.followed.insert((outpoint, at.height));
            }
            let script = ScriptHash::of(&output.script_pubkey);
            let coin = Coin { value: output.value.to_sat(), script, coinbase: at.tx_index == 0, columns };
            step.put(Family::Coins, &CoinKey { outpoint, height: at.height }.key(), &coin.value());
            step.put(Family::Scripts, &ScriptKey { script, at, vout }.key(), &[]);
        }
    }
}

fn column(rule: coinhound::trace::Rule, made: &Made) -> Column {
    let (amount, hops, segments, fate) = made.clone();
    let fate = match fate {
        "followed" => Fate::Followed,
        "service" => Fate::Service,
        "unspendable" => Fate::Unspendable,
        "anyone_can_spend" => Fate::AnyoneCanSpend,
        "max_hops" => Fate::MaxHops,
        "below_min_taint" => Fate::BelowMinTaint,
        other => panic!("no fate in an index is called {other}"),
    };
    Column { rule, taint: Taint { amount, hops, segments }, fate }
}

fn put_entry(step: &mut Step<'_>, listed: &Listed) {
    let label = |role| Label {
        list: "list.csv".into(),
        label: Some(listed.label.clone()),
        source: None,
        category: None,
        role,
        from: None,
        line: 1,
        extra: BTreeMap::new(),
    };
    let roles = [(listed.flagged.is_some(), Role::Flagged), (listed.service, Role::Service)];
    let entry = EntryRow {
        script: listed.script.clone(),
        flagged: listed.flagged.is_some(),
        service: listed.service,
        from: listed.flagged.unwrap_or(0),
        sweep: MAIN_SWEEP,
        labels: roles.into_iter().filter(|(has, _)| *has).map(|(_, role)| label(role)).collect(),
    };
    step.put(Family::Entries, &ScriptHash::of(&listed.script).0, &entry.value());
}

/// Opens such an index for questions.
pub fn ask(path: &Path) -> coinhound::query::Snapshot {
    let reader = coinhound::index::Reader::open(path).expect("the index opens");
    coinhound::query::Snapshot::new(reader, |_| false).expect("the index has all that each has")
}
