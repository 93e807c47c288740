//! Proves the tests' own support: blocks against a real node, the naive model against hand-known facts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bitcoin::{Amount, Block, Network, OutPoint, ScriptBuf, Transaction, TxIn, TxOut};
use serde_json::{Value, json};

use crate::oracle::touches::{Model, SpendState, Touch, TouchKind};
use crate::support::bitcoind::Bitcoind;
use crate::support::chain::{MATURITY, RegtestChain, Template, outputs, subsidy};
use crate::support::program::{Program, RunningProgram};
use crate::support::random::{self, Rng};
use crate::support::records::{mainnet, read_records};
use crate::support::scripts::{MAX_SCRIPT_SIZE, Shape};

fn sat(value: &Value) -> u64 {
    Amount::from_btc(value.as_f64().unwrap()).unwrap().to_sat()
}

/// The node's UTXO set is the chain's own: as many coins, worth as much.
fn assert_same_coins(node: &Bitcoind, chain: &RegtestChain, what: &str) {
    assert_eq!(node.best(), chain.tip(), "{what}");
    let set = node.rpc("gettxoutsetinfo", json!(["none"]));
    assert_eq!(set["txouts"], chain.coins().len(), "{what}");
    let total: u64 = chain.coins().values().map(|coin| coin.output.value.to_sat()).sum();
    assert_eq!(sat(&set["total_amount"]), total, "{what}");
}

#[test]
fn a_node_accepts_every_shape_and_its_spend() {
    let node = Bitcoind::regtest();
    let mut chain = RegtestChain::regtest(1);
    let money = chain.mature(2);
    let value = 10_000_000;
    // Created in one block and spent in the next, each by its own transaction, so that one failure names its shape.
    let pays = |n: u32| Shape::all().into_iter().map(|shape| (chain.script(shape, n), value)).collect::<Vec<_>>();
    let create = chain.spend(&money[..1], &pays(7));
    chain.mine(vec![create.clone()]);
    chain.submit_to(&node);
    for (shape, (at, output)) in Shape::all().into_iter().zip(outputs(&create)) {
        assert_eq!(output.script_pubkey, chain.script(shape, 7), "{shape:?}");
        let kept = node.rpc("gettxout", json!([at.txid, at.vout]));
        assert_eq!(kept.is_object(), shape.is_kept(), "{shape:?}: {kept}");
        assert_eq!(chain.coins().contains_key(&at), shape.is_kept(), "{shape:?}");
        assert_eq!(chain.spendable().contains_key(&at), shape.is_spendable(), "{shape:?}");
        if shape.is_spendable() {
            let spend = chain.spend(&[at], &[(chain.script(shape, 8), value - 1000)]);
            chain.mine(vec![spend]);
            chain.submit_to(&node);
        }
    }
    // Created and spent, all together, in one block.
    let spendable = Shape::spendable();
    let pays: Vec<_> = spendable.iter().map(|shape| (chain.script(*shape, 9), value)).collect();
    let create = chain.spend(&money[1..], &pays);
    let inputs: Vec<_> = outputs(&create).map(|(at, _)| at).collect();
    let spend = chain.spend(&inputs, &[(chain.script(Shape::P2trKey, 0), value)]);
    chain.mine(vec![create, spend]);
    chain.submit_to(&node);
    assert_same_coins(&node, &chain, "after all shapes");
}

#[test]
fn shapes_are_what_they_say() {
    let chain = RegtestChain::regtest(1);
    let all = Shape::all();
    let scripts: BTreeSet<_> = all.iter().map(|shape| chain.script(*shape, 3)).collect();
    assert_eq!(scripts.len(), all.len(), "no two shapes share a script");
    for shape in &all {
        assert_eq!(
            chain.script(*shape, 3),
            RegtestChain::regtest(1).script(*shape, 3),
            "{shape:?} depends on the seed alone"
        );
        let other = chain.script(*shape, 4);
        assert_eq!(other == chain.script(*shape, 3), shape.is_keyless(), "{shape:?}");
        if !shape.is_keyless() {
            assert_ne!(other, RegtestChain::regtest(2).script(*shape, 4), "{shape:?}: another seed, another key");
        }
    }
    let length = |shape| chain.script(shape, 0).len();
    assert_eq!((length(Shape::Longest), length(Shape::Oversized)), (MAX_SCRIPT_SIZE, MAX_SCRIPT_SIZE + 1));
    assert_eq!(chain.script(Shape::Anchor, 0).to_hex_string(), "51024e73");
    type Test = fn(&bitcoin::Script) -> bool;
    let known: [(Shape, Test); 13] = [
        (Shape::P2pk, |script| script.is_p2pk() && script.len() == 35),
        (Shape::P2pkUncompressed, |script| script.is_p2pk() && script.len() == 67),
        (Shape::P2pkHybrid, |script| script.len() == 67 && matches!(script.as_bytes()[1], 6 | 7)),
        (Shape::P2pkh, |script| script.is_p2pkh()),
        (Shape::P2pkhUncompressed, |script| script.is_p2pkh()),
        (Shape::Multisig1of2, |script| script.is_multisig()),
        (Shape::Multisig2of3, |script| script.is_multisig()),
        (Shape::P2shMultisig, |script| script.is_p2sh()),
        (Shape::P2wpkh, |script| script.is_p2wpkh()),
        (Shape::P2wsh, |script| script.is_p2wsh()),
        (Shape::P2trKey, |script| script.is_p2tr()),
        (Shape::Witness(16), |script| script.is_witness_program() && script.as_bytes()[0] == 0x60),
        (Shape::OpReturn, |script| script.is_op_return()),
    ];
    for (shape, test) in known {
        assert!(test(&chain.script(shape, 5)), "{shape:?}");
    }
}

#[test]
fn a_node_refuses_a_spend_without_the_right_signature() {
    let node = Bitcoind::regtest();
    let mut chain = RegtestChain::regtest(2);
    let money = chain.mature(1);
    use Shape::{HashLock, P2pk, P2pkh, P2shMultisig, P2shP2wpkh, P2trKey, P2trScript, P2wpkh, P2wsh};
    let shapes =
        [P2pk, P2pkh, Shape::Multisig2of3, P2shMultisig, P2shP2wpkh, P2wpkh, P2wsh, P2trKey, P2trScript, HashLock];
    let pays: Vec<_> = shapes.iter().map(|shape| (chain.script(*shape, 0), 100_000)).collect();
    let create = chain.spend(&money, &pays);
    chain.mine(vec![create.clone()]);
    chain.submit_to(&node);
    for (shape, (at, _)) in shapes.into_iter().zip(outputs(&create)) {
        let mut branch = chain.fork_at(chain.height());
        let mut spend = branch.spend(&[at], &[(branch.miner(), 90_000)]);
        // A valid signature, but of what another transaction says; where nothing is signed, another secret.
        spend.output[0].value = Amount::from_sat(90_001);
        if shape == HashLock {
            spend.input[0].script_sig = ScriptBuf::from_bytes(vec![1, 7]);
        }
        let block = branch.mine(vec![spend]).clone();
        let refused = node.submit_raw(&bitcoin::consensus::encode::serialize_hex(&block));
        let reason = refused.expect_err("the node took it");
        assert!(reason.contains("script-verify"), "{shape:?}: {reason}");
        assert_eq!(node.best(), chain.tip(), "{shape:?}");
    }
}

#[test]
fn a_block_holds_what_its_template_says() {
    let node = Bitcoind::regtest();
    let mut chain = RegtestChain::regtest(3);
    let [one, two] = [chain.script(Shape::P2pkh, 1), chain.script(Shape::P2trKey, 2)];
    let pays = [(one.clone(), 7), (two.clone(), 5), (one.clone(), 7)];
    let block = chain.mine_paying(Vec::new(), &pays).clone();
    let coinbase: Vec<_> =
        block.txdata[0].output.iter().map(|output| (output.script_pubkey.clone(), output.value.to_sat())).collect();
    assert_eq!(coinbase[..3], pays);
    assert_eq!(coinbase[3], (chain.miner(), subsidy(1) - 19));
    assert!(coinbase[4].0.is_op_return(), "the commitment");
    let unclaimed =
        Template { claim_rest: false, commitment: false, coinbase: pays[..1].to_vec(), ..Template::default() };
    assert_eq!(chain.mine_template(unclaimed).txdata[0].output.len(), 1);
    let claims_nothing = Template { claim_rest: false, commitment: false, ..Template::default() };
    assert_eq!(chain.mine_template(claims_nothing).txdata[0].output[0].value, Amount::ZERO);

    // One transaction pays a script twice with equal values; one spends both and pays back; A, B, C in one block.
    let money = chain.mature(1);
    let twice = chain.spend(&money, &[(one.clone(), 1000), (one.clone(), 1000), (two.clone(), 500_000)]);
    let [first, second, third] = [0, 1, 2].map(|vout| OutPoint { txid: twice.compute_txid(), vout });
    let both = chain.spend(&[first, second], &[(one.clone(), 1500), (one.clone(), 0)]);
    let next = chain.spend(&[third, OutPoint { txid: both.compute_txid(), vout: 1 }], &[(two.clone(), 400_000)]);
    let fees = chain.coins()[&money[0]].output.value.to_sat() - 502_000 + 500 + 100_000;
    let block = chain.mine(vec![twice, both, next]).clone();
    assert_eq!(block.txdata[0].output[0].value.to_sat(), subsidy(chain.height()) + fees);
    chain.submit_to(&node);
    assert_same_coins(&node, &chain, "after the chain within a block");
    assert_eq!(node.block(chain.tip()), block, "and it comes back as it was made");
    assert_eq!(node.rpc("getblockchaininfo", json!([]))["initialblockdownload"], false);
    chain.mine_empty(50);
    chain.submit_to(&node);
    assert_eq!(subsidy(chain.height()), 25 * Amount::ONE_BTC.to_sat(), "past the halving at 150");
}

#[test]
fn coinbases_mature_after_a_hundred_blocks() {
    let mut chain = RegtestChain::regtest(4);
    let money = chain.mature(2);
    assert_eq!(chain.height(), 1 + MATURITY, "the coinbase of block 2 can go into block 102");
    assert_eq!(money, chain.mature(2), "the same until they are spent");
    let spend = chain.spend(&money, &[(chain.miner(), 1000)]);
    chain.mine(vec![spend]);
    let later = chain.mature(1);
    assert_eq!(chain.height(), 2 + MATURITY);
    assert!(!money.contains(&later[0]));
}

#[test]
fn a_transaction_is_mined_again_on_another_branch() {
    let mut node = Bitcoind::regtest();
    let mut chain = RegtestChain::regtest(5);
    let money = chain.mature(2);
    let again = chain.spend(&money[..1], &[(chain.script(Shape::P2wpkh, 1), 1000)]);
    let lost = chain.spend(&money[1..], &[(chain.script(Shape::P2wpkh, 2), 1000)]);
    let mut other = chain.fork_at(chain.height());
    chain.mine(vec![again.clone(), lost]);
    chain.submit_to(&node);
    let double = other.spend(&money[1..], &[(other.script(Shape::P2wpkh, 3), 1000)]);
    other.mine(vec![double]);
    other.mine(vec![again]);
    other.submit_to(&node);
    assert_same_coins(&node, &other, "the longer branch wins");
    assert_eq!(node.hash_at(chain.height()), Some(other.blocks()[chain.height() as usize].block_hash()));

    node.invalidate(node.hash_at(chain.height()).unwrap());
    assert_same_coins(&node, &chain, "back to the shorter one");
    node.restart();
    assert_same_coins(&node, &chain, "and so after a restart");
    node.reconsider(other.blocks()[chain.height() as usize].block_hash());
    assert_same_coins(&node, &other, "and forth");
    node.kill();
    assert!(node.try_rpc("getblockcount", json!([])).is_err());
    node.start();
    chain.mine_empty(2);
    other.submit_to(&node);
    chain.submit_to(&node);
    assert_same_coins(&node, &chain, "a killed node takes them again");
}

#[test]
fn rest_is_on_unless_it_is_switched_off() {
    let mut node = Bitcoind::regtest();
    let (status, body) = node.rest("/rest/chaininfo.json");
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["blocks"], 0);
    let port = node.rpc_port();
    node.restart_with(&["-rest=0", "-blockfilterindex=1"]);
    assert_eq!(node.rest("/rest/chaininfo.json").0, 404);
    assert_eq!(node.rpc_port(), port);
    assert!(node.rpc("getindexinfo", json!([])).get("basic block filter index").is_some());
    let error = node.try_rpc("getblockhash", json!([1])).unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (-8, "Block height out of range"));
}

#[test]
fn a_stopped_node_leaves_nothing_behind() {
    let mut node = Bitcoind::regtest();
    let datadir = node.datadir().to_owned();
    assert!(node.cookie_file().exists());
    node.stop();
    assert_eq!(node.pid(), None);
    drop(node);
    assert!(!datadir.exists());
}

#[test]
fn random_chains_are_accepted_whole() {
    let node = Bitcoind::regtest();
    let mut shapes = BTreeMap::new();
    let mut within_block = 0;
    for seed in 0..6 {
        let chain = random::chain(seed, 160);
        assert_eq!(chain.blocks(), random::chain(seed, 160).blocks(), "the seed says it all");
        let genesis = chain.blocks()[1].block_hash();
        chain.submit_to(&node);
        assert_same_coins(&node, &chain, &format!("seed {seed}"));
        // Its reading of whole blocks with their spent outputs is most of this test's time.
        if seed % 2 == 0 {
            assert_model_agrees_with(&node, &chain, seed);
        }
        node.invalidate(genesis);
        for block in chain.blocks() {
            let mut here = BTreeSet::new();
            for transaction in &block.txdata {
                within_block +=
                    transaction.input.iter().filter(|input| here.contains(&input.previous_output.txid)).count();
                here.insert(transaction.compute_txid());
                for (shape, _) in
                    transaction.output.iter().filter_map(|output| chain.wallet.recall(&output.script_pubkey))
                {
                    shapes.entry(shape).or_insert([0, 0])[0] += 1;
                }
            }
        }
        let coins: HashMap<OutPoint, TxOut> = all_outputs(chain.blocks()).collect();
        for input in chain.blocks().iter().flat_map(|block| &block.txdata).flat_map(|transaction| &transaction.input) {
            let spent = coins.get(&input.previous_output).and_then(|output| chain.wallet.recall(&output.script_pubkey));
            if let Some((shape, _)) = spent {
                shapes.entry(shape).or_insert([0, 0])[1] += 1;
            }
        }
    }
    assert!(within_block > 100, "only {within_block} spends within a block");
    for shape in Shape::all() {
        let [made, spent] = shapes.get(&shape).copied().unwrap_or_default();
        assert!(made > 0 && (spent > 0) == shape.is_spendable(), "{shape:?}: {made} made, {spent} spent");
    }
}

fn all_outputs(blocks: &[Block]) -> impl Iterator<Item = (OutPoint, TxOut)> + '_ {
    let transactions = blocks.iter().flat_map(|block| &block.txdata);
    transactions.flat_map(|transaction| outputs(transaction).map(|(at, output)| (at, output.clone())))
}

/// What the model says of a chain is what the node says of it: touches from its blocks and their spent outputs, one by one;
/// and what is unspent, script by script, from its own UTXO set.
fn assert_model_agrees_with(node: &Bitcoind, chain: &RegtestChain, seed: u64) {
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

#[test]
fn random_branches_are_accepted_whole() {
    let node = Bitcoind::regtest();
    let mut rng = Rng::new(77);
    let mut chain = random::chain(77, 130);
    let (mut again, mut elsewhere) = (0, 0);
    for round in 0..8 {
        let depth = 1 + u32::try_from(rng.below(20)).unwrap();
        chain.submit_to(&node);
        let fork = random::fork(&mut chain, &mut rng, depth, 1);
        let place = |chain: &RegtestChain| -> HashMap<_, _> {
            let blocks = (0..).zip(chain.blocks()).skip((fork.height() - 1 - depth) as usize + 1);
            blocks
                .flat_map(|(height, block): (u32, _)| {
                    (0..).zip(&block.txdata).map(move |(index, tx): (u32, _)| (tx.compute_txid(), (height, index)))
                })
                .collect()
        };
        let (old, new) = (place(&chain), place(&fork));
        for (txid, at) in &new {
            again += usize::from(old.get(txid).is_some_and(|before| before == at));
            elsewhere += usize::from(old.get(txid).is_some_and(|before| before != at));
        }
        fork.submit_to(&node);
        assert_same_coins(&node, &fork, &format!("round {round}, {depth} deep"));
        chain = fork;
    }
    assert!(again > 5 && elsewhere > 20, "{again} at the same place, {elsewhere} at another");
}

#[test]
fn a_node_takes_the_main_chain() {
    let node = Bitcoind::mainnet_offline();
    node.feed_mainnet(170);
    assert_eq!(node.best(), mainnet()[170].block_hash());
    node.feed_mainnet(599);
    assert_eq!(node.best(), mainnet()[599].block_hash());
}

/// The facts of the main chain's first 600 blocks, as known from elsewhere.
#[test]
fn the_model_knows_the_main_chain() {
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

/// Blocks of nothing but transactions: the model asks for no proof of anything.
fn hand_made(transactions: Vec<Vec<Transaction>>) -> Vec<Block> {
    let header = bitcoin::constants::genesis_block(Network::Regtest).header;
    transactions.into_iter().map(|txdata| Block { header, txdata }).collect()
}

fn hand_made_transaction(inputs: &[OutPoint], pays: &[(&ScriptBuf, u64)]) -> Transaction {
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

#[test]
fn the_model_gives_a_hand_written_table() {
    let [flagged, late, clean] = [1, 2, 3].map(|n| RegtestChain::regtest(0).script(Shape::P2pkh, n));
    let data = RegtestChain::regtest(0).script(Shape::OpReturn, 1);
    let null = [OutPoint::null()];
    let at = |transaction: &Transaction, vout| OutPoint { txid: transaction.compute_txid(), vout };
    let genesis = hand_made_transaction(&null, &[(&flagged, 50)]);
    // The same coinbase at heights 1 and 2 (BIP30): the first twin is overwritten unspent.
    let twin = hand_made_transaction(&null, &[(&flagged, 7), (&late, 8)]);
    // Height 3: the second twin is spent with an older coin of the late script; C spends B spends A.
    let three = hand_made_transaction(&null, &[(&clean, 3)]);
    let a = hand_made_transaction(&[at(&twin, 0)], &[(&flagged, 2), (&flagged, 2), (&clean, 3)]);
    let b = hand_made_transaction(&[at(&a, 2), at(&a, 1)], &[(&clean, 4), (&flagged, 1), (&data, 0)]);
    let c = hand_made_transaction(&[at(&b, 0), at(&twin, 1)], &[(&late, 12)]);
    let four = hand_made_transaction(&null, &[(&late, 9), (&clean, 9)]);
    let d = hand_made_transaction(&[at(&c, 0), at(&four, 1)], &[(&clean, 21)]);
    // Height 5: twice the same coinbase again, spent in between this time.
    let blocks = hand_made(vec![
        vec![genesis.clone()],
        vec![twin.clone()],
        vec![twin.clone()],
        vec![three, a.clone(), b.clone(), c.clone()],
        vec![four.clone(), d.clone()],
        vec![twin.clone()],
    ]);
    let list = [(flagged.clone(), 0), (late.clone(), 9), (late.clone(), 3), (data.clone(), 0)];
    let model = Model::new(&blocks, &list);
    use TouchKind::{Funding, Spending};
    let touches: Vec<_> = model
        .touches
        .iter()
        .map(|t| (t.height, t.tx_index, t.kind, t.io_index, t.txid, t.outpoint, t.value_sat, &t.script))
        .collect();
    let id = Transaction::compute_txid;
    let expected = vec![
        (0, 0, Funding, 0, id(&genesis), at(&genesis, 0), 50, &flagged),
        (1, 0, Funding, 0, id(&twin), at(&twin, 0), 7, &flagged),
        (2, 0, Funding, 0, id(&twin), at(&twin, 0), 7, &flagged),
        (3, 1, Spending, 0, id(&a), at(&twin, 0), 7, &flagged),
        (3, 1, Funding, 0, id(&a), at(&a, 0), 2, &flagged),
        (3, 1, Funding, 1, id(&a), at(&a, 1), 2, &flagged),
        (3, 2, Spending, 1, id(&b), at(&a, 1), 2, &flagged),
        (3, 2, Funding, 1, id(&b), at(&b, 1), 1, &flagged),
        (3, 2, Funding, 2, id(&b), at(&b, 2), 0, &data),
        (3, 3, Spending, 1, id(&c), at(&twin, 1), 8, &late),
        (3, 3, Funding, 0, id(&c), at(&c, 0), 12, &late),
        (4, 0, Funding, 0, id(&four), at(&four, 0), 9, &late),
        (4, 1, Spending, 0, id(&d), at(&c, 0), 12, &late),
        (5, 0, Funding, 0, id(&twin), at(&twin, 0), 7, &flagged),
        (5, 0, Funding, 1, id(&twin), at(&twin, 1), 8, &late),
    ];
    assert_eq!(touches, expected);
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
        (at(&genesis, 0), 0, 50, true, Unspendable, None),
        (at(&twin, 0), 1, 7, true, Unspendable, None),
        (at(&twin, 0), 2, 7, true, Spent, Some((3, 1, 0))),
        (at(&a, 0), 3, 2, false, Unspent, None),
        (at(&a, 1), 3, 2, false, Spent, Some((3, 2, 1))),
        (at(&b, 1), 3, 1, false, Unspent, None),
        (at(&b, 2), 3, 0, false, Unspendable, None),
        (at(&c, 0), 3, 12, false, Spent, Some((4, 1, 0))),
        (at(&four, 0), 4, 9, true, Unspent, None),
        (at(&twin, 0), 5, 7, true, Unspent, None),
        (at(&twin, 1), 5, 8, true, Unspent, None),
    ];
    assert_eq!(coins, expected);
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
    let sums = |model: &Model, script| {
        let b = model.balance(script);
        (b.received_sat, b.sent_sat, b.balance_sat, b.coins, b.unspent, b.unspent_sat, b.first_height, b.last_height)
    };
    assert_eq!(sums(&model, &flagged), (76, 9, Some(67), 7, 3, 10, Some(0), Some(5)));
    assert_eq!(sums(&model, &late), (29, 20, None, 3, 2, 17, Some(3), Some(5)));
    assert_eq!(sums(&model, &data), (0, 0, Some(0), 1, 0, 0, Some(3), Some(3)));
    let then = Model::at(&blocks, &list, 1);
    assert_eq!(sums(&then, &flagged), (57, 0, Some(57), 2, 1, 7, Some(0), Some(1)));
    assert_eq!(sums(&then, &late), (0, 0, None, 0, 0, 0, None, None));
    assert_eq!(then.coins[1].state, Unspent, "not overwritten yet");
    let history: Vec<_> =
        model.history(&[flagged.clone(), data.clone()]).into_iter().map(|(_, after)| after.unwrap()).collect();
    assert_eq!(history, [50, 57, 64, 57, 59, 61, 59, 60, 60, 67]);
    assert!(model.history(&[flagged, late]).iter().all(|(_, after)| after.is_none()));
}

/// The twins that no node of regtest takes, through the same builder.
#[test]
fn a_coinbase_comes_again_where_a_test_wants_it() {
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

#[test]
fn records_are_read_to_their_end() {
    let block = bitcoin::constants::genesis_block(Network::Regtest);
    let bytes = bitcoin::consensus::serialize(&block);
    let length = bitcoin::consensus::serialize(&u32::try_from(bytes.len()).unwrap());
    let record = [&Network::Regtest.magic().to_bytes()[..], &length, &bytes].concat();
    let blocks = read_records(&[record.clone(), record].concat(), Network::Regtest);
    assert_eq!(blocks, [block.clone(), block]);
}

#[test]
fn the_binary_runs_in_an_environment_of_its_own() {
    let node = Bitcoind::regtest();
    let program = Program::new(&node, node.datadir().join("index"));
    let out = program.run(&["--help"]);
    assert_eq!(out.code, 0, "{out:?}");
    let chain = RegtestChain::regtest(0);
    let [one, none] = [chain.script(Shape::Witness(2), 1), chain.script(Shape::Empty, 0)];
    let path = program.watchlist(&[(&one, "a label of words"), (&none, "nothing")]);
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text, format!("script:{} a label of words\nscript: nothing\n", one.to_hex_string()));
}

#[test]
fn runs_are_read_as_text_and_as_json_and_are_told_to_stop() {
    let node = Bitcoind::regtest();
    let program = Program::new(&node, "/nowhere/index").with_env("COINHOUND_LOG_LEVEL", "debug").with_script(
        // One command, in the background and waited for: dash drops a signal that comes while it starts one.
        r#"for last; do :; done
        case $last in
        do-answer) echo "{\"arguments\":\"$*\"}" ;;
        do-fail) echo 'not json' >&2; echo '{"error":{"message":"no","causes":[]}}' >&2; exit 2 ;;
        do-lines) echo '{"n":1}'; echo '{"n":2}'; exit 3 ;;
        do-env) env ;;
        do-follow) sleep 60 >/dev/null 2>&1 & trap 'kill $!; echo stopped; echo log >&2; exit 0' TERM INT; echo started; wait $! ;;
        esac"#,
    );
    let (datadir, url) = (node.datadir().display(), node.rpc_url());
    let settings = format!("--chain regtest --bitcoin-datadir {datadir} --rpc-url {url} --index /nowhere/index");
    let answer = json!({"arguments": format!("{settings} --format json backfill do-answer")});
    assert_eq!(program.json(&["backfill", "do-answer"]), (0, answer));
    assert_eq!(program.json(&["do-fail"]), (2, json!({"error": {"message": "no", "causes": []}})));
    assert_eq!(program.jsonl(&["do-lines"]), (3, vec![json!({"n": 1}), json!({"n": 2})]));
    let variables = program.run(&["do-env"]).stdout;
    assert!(variables.contains("COINHOUND_LOG_LEVEL=debug\n"));
    assert!(variables.contains(&format!("HOME={}\n", program.home().display())));
    assert!(!variables.contains("CARGO"), "nothing of the test's own: {variables}");

    let patience = Duration::from_secs(20);
    for stop in [RunningProgram::term as fn(&RunningProgram), RunningProgram::int] {
        let mut running = program.spawn(&["do-follow"]);
        assert_eq!(running.line(patience).as_deref(), Some("started"));
        assert_eq!(running.line(Duration::from_millis(50)), None);
        assert!(running.is_running());
        stop(&running);
        let out = running.wait(patience);
        assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (0, "started\nstopped\n", "log\n"));
    }
    let running = program.spawn(&["do-follow"]);
    running.kill();
    assert_eq!(running.wait(patience).code, -9);
}
