//! The node layer against a real bitcoind.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin::block::Header;
use bitcoin::consensus::deserialize;
use bitcoin::{Block, BlockHash, OutPoint, TxOut};
use coinhound::chain::{BlockId, Chain};
use coinhound::node::{
    Capabilities, FilterIndex, Given, LaneChoice, Node, NodeAccess, NodeError, NodeInfo, NodeSettings, Origin, Worker,
};
use coinhound::stop::Stop;
use serde_json::json;

use crate::support::bitcoind::{self, Bitcoind, free_port};
use crate::support::chain::outputs;
use crate::support::records::raw_mainnet;
use crate::support::wait;

const SECOND: Duration = Duration::from_secs(1);

/// A handle to the node of these settings.
fn node(settings: &NodeSettings) -> Node {
    Node::new(NodeAccess::resolve(settings).unwrap(), Stop::default())
}

fn worker(bitcoind: &Bitcoind, choice: LaneChoice) -> Worker {
    let node = bitcoind.handle();
    let capabilities = node.capabilities(&node.info().unwrap()).unwrap();
    node.lane(choice, &capabilities).unwrap().worker()
}

/// Mines blocks to a script.
/// Mines in several calls, each of which stays within the rig's time limit on a busy machine too.
fn generate(bitcoind: &Bitcoind, blocks: usize, descriptor: &str) {
    for mined in (0..blocks).step_by(500) {
        bitcoind.rpc("generatetodescriptor", json!([500.min(blocks - mined), descriptor]));
    }
}

/// The outputs that each transaction of a block spends: the slow, obvious way.
fn spend(unspent: &mut HashMap<OutPoint, TxOut>, block: &Block) -> Vec<Vec<TxOut>> {
    let mut spent = Vec::new();
    for tx in &block.txdata {
        let inputs = tx.input.iter().filter(|_| !tx.is_coinbase());
        spent.push(inputs.map(|input| unspent.remove(&input.previous_output).unwrap()).collect());
        unspent.extend(outputs(tx).map(|(outpoint, output)| (outpoint, output.clone())));
    }
    spent
}

/// Panics unless a worker gives these blocks and the outputs that they spend.
fn assert_blocks(worker: &mut Worker, name: &str, raw: &[Vec<u8>]) {
    let (mut unspent, mut spends) = (HashMap::new(), 0);
    for (height, raw) in raw.iter().enumerate() {
        let block: Block = deserialize(raw).unwrap();
        let id = BlockId { height: height.try_into().unwrap(), hash: block.block_hash() };
        assert_eq!(worker.block(id).unwrap(), *raw, "{name} {id}");
        let expected = spend(&mut unspent, &block);
        for (index, (tx, expected)) in block.txdata.iter().zip(&expected).enumerate() {
            spends += expected.len();
            assert_eq!(worker.prevouts(id, tx.compute_txid(), index).unwrap(), *expected, "{name} {id} {index}");
        }
        if name == "rest" || expected.len() > 1 || height % 50 == 0 {
            assert_eq!(worker.spent_outputs(id).unwrap(), expected, "{name} {id}");
        }
    }
    assert_eq!(spends, 25);
}

/// Panics unless a worker gives these headers, from any height and in any number.
fn assert_headers(worker: &mut Worker, name: &str, headers: &[Header]) {
    for (first, count) in [(0, 10_000), (0, 600), (0, 500), (590, 5), (599, 10), (600, 10), (u32::MAX, 3), (3, 0)] {
        let from = usize::try_from(first).unwrap().min(600);
        let expected = &headers[from..600.min(from.saturating_add(count))];
        assert_eq!(worker.headers(first, count).unwrap(), expected, "{name} {first} {count}");
    }
}

#[test]
fn every_lane_gives_the_same_headers_blocks_and_spent_outputs() {
    let bitcoind = Bitcoind::mainnet_offline();
    bitcoind.feed_mainnet(599);
    let raw = raw_mainnet();
    assert_eq!(raw.len(), 600);
    let node = bitcoind.handle();
    let info = node.info().unwrap();
    assert_eq!((info.blocks, info.pruned, info.chain), (599, false, Chain::Main));
    assert!(info.version >= 230_000 && info.size_on_disk > 100_000, "{info:?}");
    let able = node.capabilities(&info).unwrap();
    assert!(able.rest && able.rest_spent_outputs && able.transaction_prevouts, "{able:?}");
    assert_eq!(able.filter_index, FilterIndex::Absent);

    // With the capabilities of newer and older nodes: every way that a worker may have to take.
    let old_rest = Capabilities { rest_spent_outputs: false, ..able.clone() };
    let old = Capabilities { version: 230_000, rest_spent_outputs: false, transaction_prevouts: false, ..able.clone() };
    let ways = [
        ("rest", LaneChoice::Rest, &able),
        ("rpc", LaneChoice::Rpc, &able),
        ("rest without spent outputs", LaneChoice::Rest, &old_rest),
        ("rest of an old node", LaneChoice::Rest, &old),
        ("rpc of an old node", LaneChoice::Rpc, &old),
    ];
    let headers: Vec<Header> = raw.iter().map(|raw| deserialize(&raw[..80]).unwrap()).collect();
    for (name, choice, capabilities) in ways {
        let lane = node.lane(choice, capabilities).unwrap();
        assert_eq!(lane.name(), choice.name());
        assert_eq!(lane.gives_spent_outputs_cheaply(), choice == LaneChoice::Rest && capabilities.rest_spent_outputs);
        let mut worker = lane.worker();
        assert_headers(&mut worker, name, &headers);
        assert_blocks(&mut worker, name, &raw);
    }
    let nowhere = BlockId { height: 5, hash: Chain::Regtest.genesis_hash() };
    let elsewhere = BlockId { height: 5, hash: headers[6].block_hash() };
    for choice in [LaneChoice::Rest, LaneChoice::Rpc] {
        let mut worker = worker(&bitcoind, choice);
        assert!(matches!(worker.block(nowhere), Err(NodeError::NotOnChain(id)) if id == nowhere));
        assert!(matches!(worker.spent_outputs(nowhere), Err(NodeError::NotOnChain(_))));
        assert!(worker.block(elsewhere).is_ok(), "a block is requested by its hash");
    }
}

#[test]
fn headers_are_complete_across_calls_and_follow_a_reorg() {
    let bitcoind = Bitcoind::regtest();
    generate(&bitcoind, 4100, "raw(51)");
    let (mut rest, mut rpc) = (worker(&bitcoind, LaneChoice::Auto), worker(&bitcoind, LaneChoice::Rpc));
    let headers = rest.headers(0, 10_000).unwrap();
    assert_eq!(headers.len(), 4101);
    assert_eq!(rpc.headers(0, 10_000).unwrap(), headers);
    assert_eq!(headers[0].block_hash(), Chain::Regtest.genesis_hash());

    bitcoind.rpc("invalidateblock", json!([headers[4000].block_hash().to_string()]));
    // To another script: to the same one the node would mine the block that was just called invalid.
    generate(&bitcoind, 7, "raw(52)");
    for worker in [&mut rest, &mut rpc] {
        let now = worker.headers(3990, 10_000).unwrap();
        assert_eq!(now.len(), 17);
        assert_eq!(now[..10], headers[3990..4000]);
        assert_ne!(now[10], headers[4000]);
    }
}

#[test]
fn a_worker_survives_a_restart_of_the_node_and_its_new_cookie() {
    let mut bitcoind = Bitcoind::regtest();
    generate(&bitcoind, 3, "raw(51)");
    let done = AtomicUsize::new(0);
    let old_cookie = bitcoind.cookie();
    let workers = [worker(&bitcoind, LaneChoice::Rpc), worker(&bitcoind, LaneChoice::Rest)];
    let ended = Stop::default();
    thread::scope(|scope| {
        for mut worker in workers {
            let (done, ended) = (&done, ended.clone());
            scope.spawn(move || {
                while !ended.requested() {
                    let headers = worker.headers(0, 10).unwrap();
                    assert_eq!(headers.len(), 4);
                    let id = BlockId { height: 2, hash: headers[2].block_hash() };
                    assert!(worker.block(id).unwrap().len() > 80);
                    assert_eq!(worker.spent_outputs(id).unwrap(), [vec![]]);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let wait_for_more = || {
            let before = done.load(Ordering::SeqCst);
            wait::until("the workers read more blocks", || done.load(Ordering::SeqCst) >= before + 20);
        };
        wait_for_more();
        bitcoind.stop();
        thread::sleep(SECOND / 2);
        bitcoind.start();
        wait_for_more();
        ended.request();
    });
    assert_ne!(bitcoind.cookie(), old_cookie);
}

/// Starts a node that the rig can't talk to, since it has no cookie or an unusual configuration.
fn spawn(dir: &Path, port: u16, arguments: &[&str]) -> Child {
    let mut command = bitcoind::command("regtest", dir, port);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("BITCOIND runs")
}

#[test]
fn a_wrong_password_fails_at_once_and_the_right_one_works() {
    let dir = tempfile::tempdir().unwrap();
    // With these a node writes no cookie.
    let port = free_port();
    let mut child = spawn(dir.path(), port, &["-rpcuser=hound", "-rpcpassword=right"]);
    let with = |password: &str| {
        let file = dir.path().join("password");
        std::fs::write(&file, password).unwrap();
        node(&NodeSettings {
            rpc_url: Some(Given::new(format!("127.0.0.1:{port}"), Origin::Flag)),
            rpc_user: Some(Given::new("hound".into(), Origin::Flag)),
            rpc_password_file: Some(Given::new(file, Origin::Flag)),
            ..NodeSettings::for_chain(Chain::Regtest)
        })
    };
    let right = with("right\n").info_within(wait::PATIENCE);
    let began = Instant::now();
    let wrong = with("wrong\n").info();
    let took = began.elapsed();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(right.is_ok(), "{right:?}");
    let error = wrong.unwrap_err();
    assert!(matches!(error, NodeError::Unauthorized { .. }), "{error}");
    assert!(error.to_string().contains("hound") && !error.to_string().contains("wrong"), "{error}");
    // A cookie that is refused is tried again for as long as the caller waits, here without a limit.
    assert!(took < 30 * SECOND, "{took:?}");
}

#[test]
fn a_node_is_found_from_its_directory_alone() {
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let conf = format!("rpcport=1\nincludeconf=more.conf\n[regtest]\nrpcport={port} # here\n");
    std::fs::write(dir.path().join("bitcoin.conf"), conf).unwrap();
    std::fs::write(dir.path().join("more.conf"), "rpccookiefile=my.cookie\nregtest.rest=1\n").unwrap();
    let mut child = spawn(dir.path(), port, &[]);
    let settings = NodeSettings {
        datadir: Some(Given::new(dir.path().to_owned(), Origin::Flag)),
        ..NodeSettings::for_chain(Chain::Regtest)
    };
    let node = node(&settings);
    let open = node.info_within(wait::PATIENCE).and_then(|info| node.capabilities_within(&info, wait::PATIENCE));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(open.unwrap().rest);
    let report = node.access().report();
    let cookie = report.iter().find(|setting| setting.name == "node.rpc_cookie_file").unwrap();
    assert_eq!(cookie.value, dir.path().join("regtest/my.cookie").display().to_string());
    assert!(cookie.origin.to_string().ends_with("more.conf line 1"), "{}", cookie.origin);
}

#[test]
fn another_chain_is_an_error_at_once_and_says_which() {
    let bitcoind = Bitcoind::regtest();
    let settings = NodeSettings {
        rpc_url: Some(Given::new(bitcoind.rpc_url(), Origin::Flag)),
        rpc_cookie_file: Some(Given::new(bitcoind.cookie_file(), Origin::Flag)),
        ..NodeSettings::for_chain(Chain::Main)
    };
    let error = node(&settings).info().unwrap_err();
    assert!(
        matches!(&error, NodeError::WrongChain { expected: Chain::Main, found, .. } if found == "regtest"),
        "{error}"
    );
    assert!(error.to_string().contains("--chain"), "{error}");
}

#[test]
fn a_closed_lane_is_refused_with_advice() {
    let bitcoind = Bitcoind::regtest_with(&["-rest=0", "-blockfilterindex=1"]);
    generate(&bitcoind, 2, "raw(51)");
    let node = bitcoind.handle();
    let info = node.info().unwrap();
    let mut able = node.capabilities(&info).unwrap();
    wait::until("the filter index is synced", || {
        able = node.capabilities(&info).unwrap();
        matches!(able.filter_index, FilterIndex::Synced { through: 2 })
    });
    assert_eq!(able.filter_index, FilterIndex::Synced { through: 2 });
    assert!(!able.rest && !able.rest_spent_outputs);
    assert_eq!(node.lane(LaneChoice::Auto, &able).unwrap().name(), "rpc");
    let error = node.lane(LaneChoice::Rest, &able).err().unwrap();
    assert!(error.is_usage() && error.to_string().contains("rest=1"), "{error}");
    assert_eq!(node.lane(LaneChoice::Filters, &able).unwrap().name(), "rpc", "the best lane for blocks");
    assert_eq!(node.filters(&able).unwrap().source(), "files");
    let lanes = node.lanes(&info, &able);
    let conf = bitcoind.datadir().join("bitcoin.conf").display().to_string();
    let rest = lanes.iter().find(|lane| lane.lane == "rest").unwrap();
    assert!(!rest.open && rest.how_to_open.iter().any(|line| line.contains(&conf)), "{rest:?}");
}

#[test]
fn a_pruned_block_is_an_error_that_names_the_lowest_height_left() {
    let bitcoind = Bitcoind::regtest_with(&["-prune=1", "-fastprune"]);
    generate(&bitcoind, 1000, "raw(51)");
    let headers = worker(&bitcoind, LaneChoice::Auto).headers(0, 2000).unwrap();
    bitcoind.rpc("pruneblockchain", json!([600]));
    let info = bitcoind.handle().info().unwrap();
    let lowest = info.prune_height.unwrap();
    assert!(info.pruned && lowest > 1, "{info:?}");
    assert!(info.serves_from(lowest).is_ok());
    assert!(matches!(info.serves_from(lowest - 1), Err(NodeError::Pruned { lowest: Some(at), .. }) if at == lowest));
    let id = |height: u32| BlockId { height, hash: headers[usize::try_from(height).unwrap()].block_hash() };
    for choice in [LaneChoice::Rest, LaneChoice::Rpc] {
        let mut worker = worker(&bitcoind, choice);
        for result in [worker.block(id(1)).err(), worker.spent_outputs(id(1)).err()] {
            let error = result.unwrap();
            assert!(
                matches!(error, NodeError::Pruned { height: 1, lowest: Some(at) } if at == lowest),
                "{choice}: {error}"
            );
        }
        assert!(worker.block(id(lowest)).is_ok());
    }
}

#[test]
fn a_node_that_is_down_is_reported_within_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let settings = NodeSettings {
        datadir: Some(Given::new(dir.path().to_owned(), Origin::Flag)),
        rpc_url: Some(Given::new(format!("127.0.0.1:{}", free_port()), Origin::Flag)),
        ..NodeSettings::for_chain(Chain::Regtest)
    };
    let node = node(&settings);
    let began = Instant::now();
    let error = node.info_within(SECOND / 2).unwrap_err();
    assert!(matches!(error, NodeError::Unreachable { .. }), "{error}");
    // Without a limit it is waited for until it is up.
    assert!(began.elapsed() < 30 * SECOND);
}

#[test]
fn the_report_of_check_can_be_written_as_json() {
    fn assert_serialize<T: serde::Serialize>(_: &T) {}
    let bitcoind = Bitcoind::regtest();
    let node = bitcoind.handle();
    let info: NodeInfo = node.info().unwrap();
    let able = node.capabilities(&info).unwrap();
    assert_serialize(&(&info, &able, node.lanes(&info, &able)));
    let report = serde_json::to_value(node.access().report()).unwrap();
    let url = report.as_array().unwrap().iter().find(|setting| setting["name"] == "node.rpc_url").unwrap();
    assert_eq!((url["value"].as_str().unwrap(), &url["origin"]), (bitcoind.rpc_url().as_str(), &json!("command line")));
    let cookie = bitcoind.cookie();
    assert!(!report.to_string().contains(cookie.split(':').nth(1).unwrap()));
    let best: BlockHash = info.best;
    assert_eq!(best, Chain::Regtest.genesis_hash());
}
