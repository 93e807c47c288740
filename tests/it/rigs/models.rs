//! The naive model of touches, compared with a real node, with known facts, and with tables made by hand.

use std::collections::{BTreeSet, HashMap};

use bitcoin::{Amount, Block, Network, OutPoint, ScriptBuf, Transaction, TxIn, TxOut};
use serde_json::{Value, json};

use super::chains::sat;
use crate::oracle::touches::{Model, SpendState, Touch, TouchKind};
use crate::support::bitcoind::Bitcoind;
use crate::support::chain::{RegtestChain, Template, all_outputs};
use crate::support::random::{self, Rng};
use crate::support::records::mainnet;
use crate::support::scripts::Shape;

/// Panics unless the model agrees with the node: on touches, with its blocks and their spent outputs, and on unspent coins, with its
/// UTXO set.
pub fn assert_model_agrees_with(node: &Bitcoind, chain: &RegtestChain, seed: u64) {
    let list = random::watchlist(chain, &mut Rng::new(seed), 40);
    let model = Model::new(chain.blocks(), &list);
    let from: HashMap<&ScriptBuf, u32> = list.iter().map(|(script, from)| (script, *from)).collect();
    let mut touches = Vec::new();
    for height in 0..=chain.height() {
        let block = node.rpc("getblock", json!([node.hash_at(height), 3]));
        for (tx_index, transaction) in (0..).zip(block["tx"].as_array().unwrap()) {
            let txid = transaction["txid"].as_str().unwrap().parse().unwrap();
            let mut touch = |kind, io_index, outpoint, output: &Value, script: &Value| {
                let script = ScriptBuf::from_hex(script["hex"].as_str().unwrap()).unwrap();
                if from.get(&script).is_some_and(|from| *from <= height) {
                    let value_sat = sat(&output["value"]);
                    touches.push(Touch { height, tx_index, kind, io_index, txid, outpoint, value_sat, script });
                }
            };
            for (vin, input) in (0..).zip(transaction["vin"].as_array().unwrap()) {
                if let Some(prevout) = input.get("prevout") {
                    let txid = input["txid"].as_str().unwrap().parse().unwrap();
                    let vout = input["vout"].as_u64().unwrap().try_into().unwrap();
                    touch(TouchKind::Spending, vin, OutPoint { txid, vout }, prevout, &prevout["scriptPubKey"]);
                }
            }
            for (vout, output) in (0..).zip(transaction["vout"].as_array().unwrap()) {
                touch(TouchKind::Funding, vout, OutPoint { txid, vout }, output, &output["scriptPubKey"]);
            }
        }
    }
    assert_eq!(model.touches, touches, "seed {seed}");
    assert!(touches.iter().any(|touch| touch.kind == TouchKind::Spending), "seed {seed}: too quiet a chain");

    let whole: Vec<_> = list.into_iter().map(|(script, _)| (script, 0)).collect();
    let mut balances = Model::new(chain.blocks(), &whole).balances();
    // An empty raw() is no descriptor.
    balances.retain(|balance| !balance.script.is_empty());
    let descriptors: Vec<_> = balances.iter().map(|one| format!("raw({})", one.script.to_hex_string())).collect();
    let scan = node.rpc("scantxoutset", json!(["start", descriptors]));
    let unspent = scan["unspents"].as_array().unwrap();
    for balance in balances {
        let script = json!(balance.script.to_hex_string());
        let values: Vec<u64> =
            unspent.iter().filter(|coin| coin["scriptPubKey"] == script).map(|coin| sat(&coin["amount"])).collect();
        assert_eq!((values.len(), values.iter().sum()), (balance.unspent, balance.unspent_sat), "{seed}: {balance:?}");
    }
}

/// Facts about the main chain's first 600 blocks that are known from elsewhere.
#[test]
fn the_model_agrees_with_known_facts_of_the_main_chain() {
    let blocks = mainnet();
    assert_eq!(blocks.len(), 600);
    let scripts: BTreeSet<ScriptBuf> = all_outputs(&blocks).map(|(_, output)| output.script_pubkey).collect();
    let all: Vec<(ScriptBuf, u32)> = scripts.into_iter().map(|script| (script, 0)).collect();
    let model = Model::new(&blocks, &all);
    let count = |kind| model.touches.iter().filter(|touch| touch.kind == kind).count();
    assert_eq!(model.records.len(), 616, "transactions");
    assert_eq!((count(TouchKind::Funding), count(TouchKind::Spending)), (627, 25));
    assert_eq!(model.coins.len(), 627);
    assert!(model.coins.iter().all(|coin| coin.script.is_p2pk()));
    let ids: Vec<_> = blocks.iter().flat_map(|block| &block.txdata).map(Transaction::compute_txid).collect();
    assert_eq!(model.records.iter().map(|record| record.txid).collect::<Vec<_>>(), ids, "in chain order");

    let genesis = &model.coins[0];
    assert_eq!((genesis.height, genesis.value_sat, genesis.coinbase), (0, 5_000_000_000, true));
    assert_eq!(genesis.state, SpendState::Unspendable);
    let ninth = model.coins.iter().find(|coin| coin.height == 9).unwrap();
    let spender = ninth.spent_by.unwrap();
    assert_eq!((spender.height, spender.tx_index, spender.vin), (170, 1, 0));
    assert_eq!(spender.txid.to_string(), "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16");
    // The first payment: 10 BTC to Hal Finney, 40 back.
    let history = model.history(std::slice::from_ref(&ninth.script));
    let first: Vec<_> =
        history.iter().map(|(touch, balance)| (touch.height, touch.kind, touch.value_sat, *balance)).collect();
    let btc = |btc: u64| btc * 100_000_000;
    let moved = [(9, TouchKind::Funding, btc(50), Some(btc(50))), (170, TouchKind::Spending, btc(50), Some(0))];
    assert_eq!(first[..2], moved);
    assert_eq!(first[2], (170, TouchKind::Funding, btc(40), Some(btc(40))));
    let same_block = model.coins.iter().filter(|coin| coin.spent_by.is_some_and(|by| by.height == coin.height));
    assert_eq!(same_block.map(|coin| coin.height).min(), Some(546));

    let earlier = Model::at(&blocks, &all, 169);
    assert_eq!(earlier.touches, model.touches[..earlier.touches.len()]);
    assert_eq!(earlier.balance(&ninth.script).balance_sat, Some(btc(50)));
    assert!(earlier.coins.iter().all(|coin| coin.spent_by.is_none()));
}

/// Blocks of these transactions, without valid headers, which the model doesn't check.
fn blocks_of(transactions: Vec<Vec<Transaction>>) -> Vec<Block> {
    let header = bitcoin::constants::genesis_block(Network::Regtest).header;
    transactions.into_iter().map(|txdata| Block { header, txdata }).collect()
}

fn transaction(inputs: &[OutPoint], pays: &[(&ScriptBuf, u64)]) -> Transaction {
    let output = |(script, value): &(&ScriptBuf, u64)| TxOut {
        value: Amount::from_sat(*value),
        script_pubkey: (*script).clone(),
    };
    Transaction {
        version: bitcoin::transaction::Version::ONE,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: inputs.iter().map(|at| TxIn { previous_output: *at, ..TxIn::default() }).collect(),
        output: pays.iter().map(output).collect(),
    }
}

/// A chain made by hand, and the transactions of interest.
struct HandMade {
    flagged: ScriptBuf,
    late: ScriptBuf,
    data: ScriptBuf,
    genesis: Transaction,
    twin: Transaction,
    a: Transaction,
    b: Transaction,
    c: Transaction,
    four: Transaction,
    d: Transaction,
    blocks: Vec<Block>,
    list: [(ScriptBuf, u32); 4],
}

/// An output of a transaction.
fn at(transaction: &Transaction, vout: u32) -> OutPoint {
    OutPoint { txid: transaction.compute_txid(), vout }
}

impl HandMade {
    fn new() -> Self {
        let [flagged, late, clean] = [1, 2, 3].map(|n| RegtestChain::regtest(0).script(Shape::P2pkh, n));
        let data = RegtestChain::regtest(0).script(Shape::OpReturn, 1);
        let null = [OutPoint::null()];
        let genesis = transaction(&null, &[(&flagged, 50)]);
        // The same coinbase at heights 1 and 2 (BIP30): the first twin is overwritten before it is spent.
        let twin = transaction(&null, &[(&flagged, 7), (&late, 8)]);
        // Height 3: the second twin is spent with an older coin of the late script; C spends B spends A.
        let three = transaction(&null, &[(&clean, 3)]);
        let a = transaction(&[at(&twin, 0)], &[(&flagged, 2), (&flagged, 2), (&clean, 3)]);
        let b = transaction(&[at(&a, 2), at(&a, 1)], &[(&clean, 4), (&flagged, 1), (&data, 0)]);
        let c = transaction(&[at(&b, 0), at(&twin, 1)], &[(&late, 12)]);
        let four = transaction(&null, &[(&late, 9), (&clean, 9)]);
        let d = transaction(&[at(&c, 0), at(&four, 1)], &[(&clean, 21)]);
        // Height 5: the same coinbase again, after it was spent.
        let blocks = blocks_of(vec![
            vec![genesis.clone()],
            vec![twin.clone()],
            vec![twin.clone()],
            vec![three, a.clone(), b.clone(), c.clone()],
            vec![four.clone(), d.clone()],
            vec![twin.clone()],
        ]);
        let list = [(flagged.clone(), 0), (late.clone(), 9), (late.clone(), 3), (data.clone(), 0)];
        Self { flagged, late, data, genesis, twin, a, b, c, four, d, blocks, list }
    }

    fn model(&self) -> Model {
        Model::new(&self.blocks, &self.list)
    }
}

#[test]
fn the_model_has_the_touches_of_a_hand_made_chain() {
    let hand = HandMade::new();
    let HandMade { flagged, late, data, genesis, twin, a, b, c, four, d, .. } = &hand;
    let model = hand.model();
    use TouchKind::{Funding, Spending};
    let touches: Vec<_> = model
        .touches
        .iter()
        .map(|t| (t.height, t.tx_index, t.kind, t.io_index, t.txid, t.outpoint, t.value_sat, &t.script))
        .collect();
    let id = Transaction::compute_txid;
    let expected = vec![
        (0, 0, Funding, 0, id(genesis), at(genesis, 0), 50, flagged),
        (1, 0, Funding, 0, id(twin), at(twin, 0), 7, flagged),
        (2, 0, Funding, 0, id(twin), at(twin, 0), 7, flagged),
        (3, 1, Spending, 0, id(a), at(twin, 0), 7, flagged),
        (3, 1, Funding, 0, id(a), at(a, 0), 2, flagged),
        (3, 1, Funding, 1, id(a), at(a, 1), 2, flagged),
        (3, 2, Spending, 1, id(b), at(a, 1), 2, flagged),
        (3, 2, Funding, 1, id(b), at(b, 1), 1, flagged),
        (3, 2, Funding, 2, id(b), at(b, 2), 0, data),
        (3, 3, Spending, 1, id(c), at(twin, 1), 8, late),
        (3, 3, Funding, 0, id(c), at(c, 0), 12, late),
        (4, 0, Funding, 0, id(four), at(four, 0), 9, late),
        (4, 1, Spending, 0, id(d), at(c, 0), 12, late),
        (5, 0, Funding, 0, id(twin), at(twin, 0), 7, flagged),
        (5, 0, Funding, 1, id(twin), at(twin, 1), 8, late),
    ];
    assert_eq!(touches, expected);
}

#[test]
fn the_model_has_the_coins_of_a_hand_made_chain() {
    let hand = HandMade::new();
    let HandMade { genesis, twin, a, b, c, four, .. } = &hand;
    let model = hand.model();
    let coins: Vec<_> = model
        .coins
        .iter()
        .map(|c| {
            (
                c.outpoint,
                c.height,
                c.value_sat,
                c.coinbase,
                c.state,
                c.spent_by.map(|by| (by.height, by.tx_index, by.vin)),
            )
        })
        .collect();
    use SpendState::{Spent, Unspendable, Unspent};
    let expected = vec![
        (at(genesis, 0), 0, 50, true, Unspendable, None),
        (at(twin, 0), 1, 7, true, Unspendable, None),
        (at(twin, 0), 2, 7, true, Spent, Some((3, 1, 0))),
        (at(a, 0), 3, 2, false, Unspent, None),
        (at(a, 1), 3, 2, false, Spent, Some((3, 2, 1))),
        (at(b, 1), 3, 1, false, Unspent, None),
        (at(b, 2), 3, 0, false, Unspendable, None),
        (at(c, 0), 3, 12, false, Spent, Some((4, 1, 0))),
        (at(four, 0), 4, 9, true, Unspent, None),
        (at(twin, 0), 5, 7, true, Unspent, None),
        (at(twin, 1), 5, 8, true, Unspent, None),
    ];
    assert_eq!(coins, expected);
}

#[test]
fn the_model_has_the_records_of_a_hand_made_chain() {
    let model = HandMade::new().model();
    let records: Vec<_> = model
        .records
        .iter()
        .map(|r| (r.height, r.tx_index, r.spent.iter().map(|output| output.value.to_sat()).collect::<Vec<_>>()))
        .collect();
    let expected = vec![
        (0, 0, vec![]),
        (1, 0, vec![]),
        (2, 0, vec![]),
        (3, 1, vec![7]),
        (3, 2, vec![3, 2]),
        (3, 3, vec![4, 8]),
        (4, 0, vec![]),
        (4, 1, vec![12, 9]),
        (5, 0, vec![]),
    ];
    assert_eq!(records, expected);
}

#[test]
fn the_model_sums_up_a_hand_made_chain() {
    let hand = HandMade::new();
    let HandMade { flagged, late, data, blocks, list, .. } = &hand;
    let model = hand.model();
    let sums = |model: &Model, script| {
        let b = model.balance(script);
        (b.received_sat, b.sent_sat, b.balance_sat, b.coins, b.unspent, b.unspent_sat, b.first_height, b.last_height)
    };
    assert_eq!(sums(&model, flagged), (76, 9, Some(67), 7, 3, 10, Some(0), Some(5)));
    assert_eq!(sums(&model, late), (29, 20, None, 3, 2, 17, Some(3), Some(5)));
    assert_eq!(sums(&model, data), (0, 0, Some(0), 1, 0, 0, Some(3), Some(3)));
    let then = Model::at(blocks, list, 1);
    assert_eq!(sums(&then, flagged), (57, 0, Some(57), 2, 1, 7, Some(0), Some(1)));
    assert_eq!(sums(&then, late), (0, 0, None, 0, 0, 0, None, None));
    assert_eq!(then.coins[1].state, SpendState::Unspent, "not overwritten yet");
    let history: Vec<_> =
        model.history(&[flagged.clone(), data.clone()]).into_iter().map(|(_, after)| after.unwrap()).collect();
    assert_eq!(history, [50, 57, 64, 57, 59, 61, 59, 60, 60, 67]);
    assert!(model.history(&[flagged.clone(), late.clone()]).iter().all(|(_, after)| after.is_none()));
}

/// A regtest node refuses BIP30's twins, but the builder of chains makes them.
#[test]
fn a_coinbase_is_repeated_where_a_test_wants_it() {
    let mut chain = RegtestChain::regtest(6);
    let script = chain.script(Shape::P2pk, 1);
    let twin = chain.mine_paying(Vec::new(), &[(script.clone(), 40)]).txdata[0].clone();
    chain.mine_empty(3);
    chain.mine_template(Template { twin: Some(twin.clone()), ..Template::default() });
    let at = OutPoint { txid: twin.compute_txid(), vout: 0 };
    assert_eq!(chain.coins()[&at].height, 5);
    let model = Model::new(chain.blocks(), &[(script, 0)]);
    let coins: Vec<_> = model.coins.iter().map(|coin| (coin.outpoint, coin.height, coin.state)).collect();
    assert_eq!(coins, [(at, 1, SpendState::Unspendable), (at, 5, SpendState::Unspent)]);
}
