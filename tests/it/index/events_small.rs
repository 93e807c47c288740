//! Events are positions of a few bytes, read from the records when they are shown, and what they say of a transaction doesn't change when
//! its record is removed or changes.

use std::collections::BTreeMap;

use bitcoin::{Block, BlockHash, OutPoint, ScriptBuf};
use coinhound::index::raw::{Family, RawRows};
use coinhound::sync::plan::wanted::{Entries, Lists, Wanted, WantedTrace};
use coinhound::watchlist::Role;
use serde_json::{Value, json};

use crate::support::chain::{RegtestChain, outputs};
use crate::support::event_log::{facts_in_force, messages};
use crate::support::lists::entry;
use crate::support::random::{self, Rng};
use crate::support::scripts::Shape;
use crate::support::source::{Branch, MemorySource};
use crate::support::swept::{SLOWEST, SweptIndex};
use crate::support::traffic::Traffic;

const TRACE: WantedTrace = WantedTrace { rules: None, min_taint_sat: Some(1), max_hops: None };

/// Every fourth of these scripts belongs to a service, the others are flagged, each with a label of its own.
fn entries(scripts: &[(ScriptBuf, u32)]) -> Entries {
    let listed = scripts.iter().enumerate().map(|(number, (script, _))| {
        let role = if number % 4 == 0 { Role::Service } else { Role::Flagged };
        entry(script, Some(0), &[(role, format!("case {number}"))])
    });
    listed.collect()
}

/// A log without labels, which are those of the lists as they are now.
fn unlabelled(log: &[Value]) -> Vec<Value> {
    let strip = |event: &Value| {
        let mut event = event.clone();
        event.as_object_mut().unwrap().retain(|name, _| !name.starts_with("labels"));
        event
    };
    log.iter().map(strip).collect()
}

/// Panics unless each event about a transaction says what the chain's blocks say of it.
fn assert_true(log: &[Value], blocks: &BTreeMap<String, Block>) {
    for event in log.iter().filter(|event| event["txid"].is_string()) {
        let block = &blocks[event["block"].as_str().unwrap()];
        let index = usize::try_from(event["tx_index"].as_u64().unwrap()).unwrap();
        let transaction = &block.txdata[index];
        assert_eq!(event["txid"], json!(transaction.compute_txid()), "{event}");
        assert_eq!(event["time"], json!(block.header.time), "{event}");
        let kind = event["was"].as_str().unwrap_or(event["kind"].as_str().unwrap());
        let made: BTreeMap<OutPoint, u64> = outputs(transaction).map(|(at, out)| (at, out.value.to_sat())).collect();
        let value = match kind {
            "moved" => {
                let spent = event["spent"].as_array().unwrap();
                assert_eq!(
                    (spent.len() as u64, &spent[0]["outpoint"]),
                    (event["inputs"].as_u64().unwrap(), &event["from"])
                );
                for input in spent {
                    let vin = usize::try_from(input["vin"].as_u64().unwrap()).unwrap();
                    assert_eq!(input["outpoint"], json!(transaction.input[vin].previous_output.to_string()), "{event}");
                }
                for paid in event["to"].as_array().unwrap() {
                    let outpoint: OutPoint = paid["outpoint"].as_str().unwrap().parse().unwrap();
                    assert_eq!(paid["value_sat"], json!(made[&outpoint]), "{event}");
                }
                spent.iter().map(|input| output_value(blocks, &input["outpoint"])).sum()
            }
            _ => output_value(blocks, &event["outpoint"]),
        };
        assert_eq!(event["value_sat"], json!(value), "{event}");
    }
}

/// The value of an output of any of these blocks.
fn output_value(blocks: &BTreeMap<String, Block>, outpoint: &Value) -> u64 {
    let outpoint: OutPoint = outpoint.as_str().unwrap().parse().unwrap();
    let all = blocks.values().flat_map(|block| &block.txdata).flat_map(outputs);
    all.filter(|(at, _)| *at == outpoint)
        .map(|(_, output)| output.value.to_sat())
        .next()
        .expect("an output of the chain")
}

fn by_hash(chains: &[&RegtestChain]) -> BTreeMap<String, Block> {
    let blocks = chains.iter().flat_map(|chain| chain.blocks());
    blocks.map(|block| (block.block_hash().to_string(), block.clone())).collect()
}

#[test]
fn p9_events_say_the_same_after_their_records_were_removed_or_changed() {
    for seed in [11, 12, 13] {
        let (mut chain, mut rng) = (random::chain(seed, 125), Rng::new(seed));
        let scripts = random::watchlist(&chain, &mut rng, 24);
        let mut index = SweptIndex::fresh_tracking(&Branch::new(chain.blocks()), entries(&scripts[..16]), &TRACE);
        let first = messages(index.writer());
        let other = random::fork(&mut chain, &mut rng, 12, 1);
        let blocks = by_hash(&[&chain, &other]);
        assert_true(&first, &blocks);

        // Records are removed, and others come to the same positions.
        let source = MemorySource::on(&Branch::new(other.blocks()));
        index.sweep(&source, SLOWEST).expect("an honest source");
        let second = messages(index.writer());
        assert_eq!(second[..first.len()], first, "seed {seed}: after a reorg");
        assert_true(&second, &blocks);

        // More sources: the same coins hold more taint. Then fewer: records are removed that nothing touches any longer.
        let mut known = second;
        for (what, scripts) in [("more entries", &scripts[..]), ("fewer entries", &scripts[8..14])] {
            let lists = Some(Lists { entries: entries(scripts), ..Lists::default() });
            index.want(Wanted { lists, trace: TRACE, forget: true, accept_shrink: true, ..Wanted::default() });
            index.sweep(&source, SLOWEST).expect("an honest source");
            let log = messages(index.writer());
            assert_eq!(unlabelled(&log[..known.len()]), unlabelled(&known), "seed {seed}: after {what}");
            assert_true(&log, &blocks);
            assert!(log.len() > known.len(), "seed {seed}: {what} change nothing");
            known = log;
        }
        assert!(known.iter().any(|event| event["revised"] == true), "seed {seed}: no number changed");

        // A retraction says what the fact said.
        let mut said: BTreeMap<&str, &Value> = BTreeMap::new();
        let mut retracted = 0;
        for event in &known {
            let id = event["id"].as_str().unwrap();
            if event["kind"] == "retracted" {
                retracted += 1;
                for field in ["height", "block", "time", "txid", "tx_index", "outpoint", "value_sat", "taint", "to"] {
                    assert_eq!(event.get(field), said[id].get(field), "seed {seed}: {field} of {id}");
                }
            }
            said.insert(id, event);
        }
        assert!(retracted > 20, "seed {seed}: {retracted} retractions");
        let lists = entries(&scripts[8..14]);
        let fresh = SweptIndex::fresh_tracking(&Branch::new(other.blocks()), lists, &TRACE);
        let (found, expected) = (facts_in_force(&known), facts_in_force(&messages(fresh.writer())));
        assert_eq!(found, expected, "seed {seed}");
    }
}

/// The bytes of a family's rows, and their number.
fn size(index: &SweptIndex, family: Family) -> (usize, usize) {
    let rows = index.writer().raw_prefix(family, &[]).map(Result::unwrap);
    rows.fold((0, 0), |(bytes, rows), (key, value)| (bytes + key.len() + value.len(), rows + 1))
}

#[test]
fn thousands_of_flagged_inputs_write_kilobytes_of_events_and_one_move() {
    const COINS: u32 = 3_000;
    let mut chain = RegtestChain::regtest(5);
    // Anyone can spend it: to sign thousands of inputs would take minutes.
    let flagged = chain.script(Shape::Drop, 1);
    let paid: Vec<_> = (0..COINS).map(|number| (flagged.clone(), 1_000_000 + u64::from(number))).collect();
    let coinbase = chain.mine_paying(Vec::new(), &paid).txdata[0].clone();
    chain.mine_empty(100);
    let coins: Vec<OutPoint> =
        outputs(&coinbase).filter(|(_, out)| out.script_pubkey == flagged).map(|(at, _)| at).collect();
    assert_eq!(coins.len(), COINS as usize);
    let elsewhere = chain.miner();
    let transaction = chain.spend(&coins, &[(elsewhere, 3_000_000_000)]);
    let block: BlockHash = chain.mine(vec![transaction]).block_hash();

    let listed: Entries = [entry(&flagged, Some(0), &[(Role::Flagged, "case".to_owned())])].into_iter().collect();
    let branch = Branch::new(chain.blocks());
    let index = SweptIndex::fresh_tracking(&branch, listed, &WantedTrace::default());
    let touches = size(&index, Family::Touches).1;
    assert_eq!(touches, 2 * COINS as usize);
    let (bytes, events) = size(&index, Family::Events);
    assert_eq!(events, touches + 2, "a touch each, one move, one for catching up");
    assert!(bytes < 25 * touches, "{bytes} bytes of events for {touches} touches");

    let log = messages(index.writer());
    let moved: Vec<_> = log.iter().filter(|event| event["kind"] == "moved").collect();
    let [moved] = moved[..] else { panic!("{} moves", moved.len()) };
    assert_eq!((&moved["block"], &moved["inputs"], &moved["outputs"]), (&json!(block), &json!(COINS), &json!(1)));
    assert_eq!(moved["labels"], json!(["case"]));
    let sum: u64 = paid.iter().map(|(_, value)| value).sum();
    assert_eq!((&moved["value_sat"], &moved["taint"][0]["taint_sat"]), (&json!(sum), &json!(sum)));

    // A reorg keeps the record once, however many events it retracts.
    let record = size(&index, Family::Records).0;
    index.undo(chain.height() - 1);
    let former = size(&index, Family::Former);
    assert!(former.1 == 1 && former.0 < 2 * record, "{former:?} for {record} bytes of records");
    assert_eq!(
        messages(index.writer()).iter().filter(|event| event["kind"] == "retracted").count(),
        COINS as usize + 1
    );
}

#[test]
fn events_take_few_bytes_a_touch_whatever_the_traffic() {
    for traffic in Traffic::kinds(300, 4_000) {
        let (chain, flagged) = traffic.chain();
        let listed: Entries = [entry(&flagged, Some(0), &[(Role::Flagged, "case".to_owned())])].into_iter().collect();
        let index = SweptIndex::fresh_tracking(&Branch::new(chain.blocks()), listed, &WantedTrace::default());
        let touches = size(&index, Family::Touches).1;
        let (bytes, _) = size(&index, Family::Events);
        assert!(bytes < 40 * touches, "{}: {bytes} bytes of events for {touches} touches", traffic.name);
    }
}
