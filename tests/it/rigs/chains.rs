//! The chains that tests make, and the real one: a node accepts them, and refuses bad signatures.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bitcoin::{Amount, Network, OutPoint, ScriptBuf, TxOut};
use serde_json::{Value, json};

use super::models;
use crate::support::bitcoind::Bitcoind;
use crate::support::chain::{MATURITY, RegtestChain, Template, all_outputs, outpoints, outputs, subsidy};
use crate::support::random::{self, Rng};
use crate::support::records::{mainnet, read_records};
use crate::support::scripts::{MAX_SCRIPT_SIZE, Shape};

/// Satoshis of an amount as RPC writes it.
pub fn sat(value: &Value) -> u64 {
    Amount::from_btc(value.as_f64().unwrap()).unwrap().to_sat()
}

/// Panics unless the node's UTXO set has the same number and value of coins as the chain's.
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
    // Created in one block and spent in the next, each by a transaction of its own, so that a failure names the shape.
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
    // All created and spent in one block.
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
fn every_shape_has_the_script_that_it_names() {
    let chain = RegtestChain::regtest(1);
    let all = Shape::all();
    let scripts: BTreeSet<_> = all.iter().map(|shape| chain.script(*shape, 3)).collect();
    assert_eq!(scripts.len(), all.len(), "two shapes share a script");
    for shape in &all {
        assert_eq!(
            chain.script(*shape, 3),
            RegtestChain::regtest(1).script(*shape, 3),
            "{shape:?} depends on more than the seed"
        );
        let other = chain.script(*shape, 4);
        assert_eq!(other == chain.script(*shape, 3), shape.is_keyless(), "{shape:?}");
        if !shape.is_keyless() {
            assert_ne!(other, RegtestChain::regtest(2).script(*shape, 4), "{shape:?}: two seeds share a key");
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
        // A valid signature of another transaction; if nothing is signed, another secret.
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
fn a_block_has_what_its_template_says() {
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

    // A chain of spends within a block: one transaction pays a script twice with equal values, the next spends both and pays back.
    let money = chain.mature(1);
    let twice = chain.spend(&money, &[(one.clone(), 1000), (one.clone(), 1000), (two.clone(), 500_000)]);
    let [first, second, third] = outpoints(&twice);
    let both = chain.spend(&[first, second], &[(one.clone(), 1500), (one.clone(), 0)]);
    let next = chain.spend(&[third, OutPoint { txid: both.compute_txid(), vout: 1 }], &[(two.clone(), 400_000)]);
    let fees = chain.coins()[&money[0]].output.value.to_sat() - 502_000 + 500 + 100_000;
    let block = chain.mine(vec![twice, both, next]).clone();
    assert_eq!(block.txdata[0].output[0].value.to_sat(), subsidy(chain.height()) + fees);
    chain.submit_to(&node);
    assert_same_coins(&node, &chain, "after the chain within a block");
    assert_eq!(node.block(chain.tip()), block, "the node returns another block");
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
    assert_eq!(money, chain.mature(2), "other coins, though none was spent");
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
    assert_same_coins(&node, &chain, "after a restart");
    node.reconsider(other.blocks()[chain.height() as usize].block_hash());
    assert_same_coins(&node, &other, "to the longer one again");
    node.kill();
    assert!(node.try_rpc("getblockcount", json!([])).is_err());
    node.start();
    chain.mine_empty(2);
    other.submit_to(&node);
    chain.submit_to(&node);
    assert_same_coins(&node, &chain, "a killed node gets them again");
}

/// What random chains contain.
#[derive(Default)]
struct Census {
    /// Number of outputs of each shape, and of their spends.
    shapes: BTreeMap<Shape, [u32; 2]>,
    /// Number of spends of an output of the same block.
    within_block: usize,
}

impl Census {
    fn count(&mut self, chain: &RegtestChain) {
        for block in chain.blocks() {
            let mut here = BTreeSet::new();
            for transaction in &block.txdata {
                let within = transaction.input.iter().filter(|input| here.contains(&input.previous_output.txid));
                self.within_block += within.count();
                here.insert(transaction.compute_txid());
                let shapes = transaction.output.iter().filter_map(|output| chain.wallet.recall(&output.script_pubkey));
                shapes.for_each(|(shape, _)| self.shapes.entry(shape).or_default()[0] += 1);
            }
        }
        let coins: HashMap<OutPoint, TxOut> = all_outputs(chain.blocks()).collect();
        let transactions = chain.blocks().iter().flat_map(|block| &block.txdata);
        for input in transactions.flat_map(|transaction| &transaction.input) {
            let spent = coins.get(&input.previous_output).and_then(|output| chain.wallet.recall(&output.script_pubkey));
            spent.into_iter().for_each(|(shape, _)| self.shapes.entry(shape).or_default()[1] += 1);
        }
    }
}

#[test]
fn random_chains_are_accepted_to_their_tips() {
    let node = Bitcoind::regtest();
    let mut census = Census::default();
    for seed in 0..6 {
        let chain = random::chain(seed, 160);
        assert_eq!(chain.blocks(), random::chain(seed, 160).blocks(), "the seed decides everything");
        let first = chain.blocks()[1].block_hash();
        chain.submit_to(&node);
        assert_same_coins(&node, &chain, &format!("seed {seed}"));
        // The node takes most of this test's time for blocks with their spent outputs.
        if seed % 2 == 0 {
            models::assert_model_agrees_with(&node, &chain, seed);
        }
        node.invalidate(first);
        census.count(&chain);
    }
    assert!(census.within_block > 100, "only {} spends within a block", census.within_block);
    for shape in Shape::all() {
        let [made, spent] = census.shapes.get(&shape).copied().unwrap_or_default();
        assert!(made > 0 && (spent > 0) == shape.is_spendable(), "{shape:?}: {made} made, {spent} spent");
    }
}

#[test]
fn random_branches_are_accepted_to_their_tips() {
    let node = Bitcoind::regtest();
    let mut rng = Rng::new(77);
    let mut chain = random::chain(77, 130);
    let (mut again, mut elsewhere) = (0, 0);
    for round in 0..8 {
        let depth = 1 + u32::try_from(rng.below(20)).unwrap();
        chain.submit_to(&node);
        let fork = random::fork(&mut chain, &mut rng, depth, 1);
        let positions = |chain: &RegtestChain| -> HashMap<_, _> {
            let blocks = (0..).zip(chain.blocks()).skip((fork.height() - 1 - depth) as usize + 1);
            blocks
                .flat_map(|(height, block): (u32, _)| {
                    (0..).zip(&block.txdata).map(move |(index, tx): (u32, _)| (tx.compute_txid(), (height, index)))
                })
                .collect()
        };
        let (old, new) = (positions(&chain), positions(&fork));
        for (txid, at) in &new {
            again += usize::from(old.get(txid).is_some_and(|before| before == at));
            elsewhere += usize::from(old.get(txid).is_some_and(|before| before != at));
        }
        fork.submit_to(&node);
        assert_same_coins(&node, &fork, &format!("round {round}, {depth} deep"));
        chain = fork;
    }
    assert!(again > 5 && elsewhere > 20, "{again} at the same position, {elsewhere} at another");
}

#[test]
fn a_node_accepts_the_main_chain() {
    let node = Bitcoind::mainnet_offline();
    node.feed_mainnet(170);
    assert_eq!(node.best(), mainnet()[170].block_hash());
    node.feed_mainnet(599);
    assert_eq!(node.best(), mainnet()[599].block_hash());
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
