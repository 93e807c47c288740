//! Nodes that can't serve all that an index needs, or are not what they were: pruned, loaded from a UTXO snapshot, with a whitelist, on a
//! tied branch, on another chain. The tip is followed all the same, and what can't be had is a gap with its reason.

use std::fs;
use std::time::{Duration, Instant};

use bitcoin::ScriptBuf;
use serde_json::{Value, json};

use crate::support::bitcoind::Bitcoind;
use crate::support::files::text;
use crate::support::lists::csv;
use crate::support::program::{Program, ProgramOutput};
use crate::support::proxy::Proxy;
use crate::support::wait;
use crate::sync::steady::{Mined, end, mine, script};

/// Runs a command, which must end by itself.
fn ends(program: &Program, arguments: &[&str]) -> ProgramOutput {
    let out = program.spawn(arguments).wait(wait::PATIENCE);
    assert!(!out.stderr.contains("panicked"), "{out:?}");
    out
}

/// The gaps of everything flagged.
fn gaps(program: &Program) -> Vec<(u64, u64, u64)> {
    let answer = program.json(&["status"]).1;
    let number = |gap: &Value, name: &str| gap[name].as_u64().expect("a number");
    let gaps = answer["coverage"]["gaps"].as_array().expect("gaps");
    gaps.iter().map(|gap| (number(gap, "from"), number(gap, "through"), number(gap, "entries"))).collect()
}

#[test]
fn a_pruned_nodes_tip_is_followed_whatever_a_list_gains_and_the_line_can_be_taken_off_again() {
    let node = Bitcoind::regtest_with(&["-prune=1", "-fastprune"]);
    mine(&node, 1000, 2);
    node.rpc("pruneblockchain", json!([600]));
    let lowest = node.rpc("getblockchaininfo", json!([]))["pruneheight"].as_u64().expect("a height");
    assert!(lowest > 1 && lowest <= 601, "{lowest}");
    let mined = Mined::through(&node, node.rpc_url());
    let list = mined.program.write_list(&[(script(1), 700), (script(2), 700), (script(3), 700)]);
    let first = fs::read_to_string(&list).expect("a file of the test");
    let program = Program::new(&node, mined.program.index()).with(&["--watch", text(&list)]);
    let mined = Mined { program, ..mined };
    let mut running = mined.follow();
    mined.await_tip(&node, &mut running, "at first");
    // A line without a height asks for blocks that the node no longer has.
    fs::write(&list, format!("{first}script:{},,\n", script(4).to_hex_string())).expect("a file of the test");
    let why = format!("it has blocks from {lowest} on");
    let waiting = mined.await_waiting(Some(&why), "a line without a height");
    assert!(waiting["for"].as_str().is_some_and(|what| what.contains("height 0")), "{waiting}");
    assert!(running.is_running());
    // New blocks are searched for it at once; what is older is a gap.
    let block = mine(&node, 1, 4);
    mined.await_tip(&node, &mut running, "with the new line");
    let (code, history) = mined.program.json(&["history", &format!("script:{}", script(4).to_hex_string())]);
    assert_eq!((code, &history["rows"][0]["block"]), (3, &json!(block[0])), "{history}");
    assert_eq!(gaps(&mined.program), [(0, 1000, 1)]);
    end(running);
    // Every later run works, and says that something is missing.
    for arguments in [&["backfill"][..], &["backfill"], &["backfill", "--from", "700"]] {
        mine(&node, 1, 1);
        let out = mined.program.run(arguments);
        let expected = if arguments.len() > 1 { 0 } else { 3 };
        assert_eq!(out.code, expected, "{arguments:?}: {out:?}");
        assert_eq!(mined.status()["tip"]["hash"], node.best().to_string().as_str(), "{arguments:?}");
    }
    // With the height that the node has, the past above it was scanned and nothing is missing.
    assert!(gaps(&mined.program).is_empty());
    fs::write(
        &list,
        format!("{first}script:{},,\nscript:{},,\n", script(4).to_hex_string(), script(5).to_hex_string()),
    )
    .expect("a file of the test");
    assert_eq!(mined.program.run(&["backfill"]).code, 3);
    // The line is taken off again, and the gap with it.
    fs::write(&list, format!("{first}script:{},,\n", script(4).to_hex_string())).expect("a file of the test");
    let out = mined.program.run(&["backfill"]);
    assert_eq!(out.code, 0, "{out:?}");
    assert!(gaps(&mined.program).is_empty() && mined.status()["waiting"].is_null());
}

#[test]
fn a_refused_call_is_named_with_the_line_to_paste_and_a_reorg_is_followed_by_its_headers() {
    let rig = "generatetodescriptor,invalidateblock,reconsiderblock,getblockcount,stop";
    let ours = "getbestblockhash,getblock,getblockchaininfo,getblockhash,getblockheader,getindexinfo,getnetworkinfo";
    let node = Bitcoind::regtest_with(&[
        &format!("-rpcwhitelist=__cookie__:{rig},{ours},getrawtransaction,waitfornewblock"),
        "-rpcwhitelistdefault=0",
    ]);
    mine(&node, 5, 1);
    let mined = Mined::through(&node, node.rpc_url());
    let (code, answer) = mined.program.json(&["check"]);
    assert_eq!(code, 1, "{answer}");
    let problems = answer["problems"].to_string();
    for words in ["getchaintips", "scantxoutset", "rpcwhitelist=__cookie__:getbestblockhash,getblock,"] {
        assert!(problems.contains(words), "{words}: {problems}");
    }
    assert!(!problems.contains("call getblock,"), "{problems}");
    let mut running = mined.follow();
    mined.await_tip(&node, &mut running, "at first");
    let stale = mine(&node, 2, 1);
    mined.await_tip(&node, &mut running, "two blocks");
    node.rpc("invalidateblock", json!([stale[0]]));
    // Whether the node calls that branch invalid can't be asked: it is waited for, with the call's name.
    let waiting = mined.await_waiting(Some("getchaintips"), "a shorter chain");
    assert!(waiting["error"].as_str().is_some_and(|error| error.contains("rpcwhitelist=")), "{waiting}");
    mine(&node, 3, 2);
    mined.await_tip(&node, &mut running, "a better branch");
    mined.await_waiting(None, "a better branch");
    end(running);
}

#[test]
fn a_node_of_another_signet_that_takes_the_place_of_the_first_ends_the_run_and_nothing_of_it_is_indexed() {
    let nodes = ["51", "5151"].map(Bitcoind::signet);
    // To two scripts: both challenges need no signature, so that the same block, mined in the same second, would be valid on both.
    for (node, blocks) in nodes.iter().zip([1, 2]) {
        let descriptor = format!("raw({})", script(blocks).to_hex_string());
        node.rpc("generatetodescriptor", json!([blocks, descriptor, 2_000_000_000]));
    }
    let [first, second] = &nodes;
    let proxy = Proxy::before([first, second]);
    let cookie = proxy.cookie_file();
    let mined = Mined::through(first, proxy.url());
    let program = mined.program.with(&["--rpc-cookie-file", text(&cookie)]);
    let mined = Mined { program, ..mined };
    let mut running = mined.follow();
    mined.await_tip(first, &mut running, "at first");
    proxy.switch_to_second();
    let out = running.wait(wait::PATIENCE);
    assert_eq!(out.code, 5, "{out:?}");
    assert!(out.stderr.contains("challenge 5151"), "{out:?}");
    // A later run says the same, and the index is what it was.
    let out = mined.program.run(&["follow"]);
    assert_eq!(out.code, 5, "{out:?}");
    assert_eq!(mined.status()["tip"]["hash"], first.best().to_string().as_str());
}

#[test]
fn a_tie_of_two_branches_is_named_by_backfill_which_ends_and_by_follow_which_waits_for_the_next_block() {
    let nodes = [(); 2].map(|()| Bitcoind::regtest());
    let [first, second] = &nodes;
    for hash in mine(first, 5, 1) {
        let block = first.block(hash.parse().expect("a hash"));
        second.submit(&block);
    }
    mine(first, 1, 1);
    mine(second, 1, 2);
    let proxy = Proxy::before([first, second]);
    let cookie = proxy.cookie_file();
    let mined = Mined::through(first, proxy.url());
    let program = mined.program.with(&["--rpc-cookie-file", text(&cookie)]);
    let mined = Mined { program, ..mined };
    mined.program.backfill("the first branch");
    proxy.switch_to_second();
    let began = Instant::now();
    let out = ends(&mined.program, &["backfill"]);
    assert_eq!(out.code, 3, "{out:?}");
    assert!(out.stderr.contains("the same work"), "{out:?}");
    assert!(began.elapsed() > Duration::from_secs(5), "it waits for a moment");
    let mut running = mined.follow();
    mined.await_waiting(Some("the same work"), "a tie");
    mine(second, 1, 2);
    mined.await_tip(second, &mut running, "the next block");
    mined.await_waiting(None, "the next block");
    end(running);
}

/// A node that was loaded from regtest's built-in UTXO snapshot, whose base is at height 110, with blocks through height 130; it lacks the
/// blocks below the base.
fn snapshot_node() -> Bitcoind {
    let whole = Bitcoind::regtest();
    let miner = "pk(0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798)";
    for height in 0..130 {
        if height < 110 {
            whole.rpc("setmocktime", json!([1_598_887_952 + height]));
            whole.rpc("generatetodescriptor", json!([1, miner]));
        } else {
            whole.rpc("setmocktime", json!([1_598_887_952 + height]));
            mine(&whole, 1, 1);
        }
        if height == 109 {
            let path = whole.datadir().join("utxo.dat");
            whole.rpc("dumptxoutset", json!([text(&path), "latest"]));
        }
    }
    let base = whole.hash_at(110).expect("a block").to_string();
    assert!(base.starts_with("696e9282"), "{base}");
    let node = Bitcoind::regtest();
    for height in 1..=130 {
        let hash = whole.hash_at(height).expect("a block");
        let header = whole.rpc("getblockheader", json!([hash, false]));
        node.rpc("submitheader", json!([header]));
    }
    node.rpc("loadtxoutset", json!([text(&whole.datadir().join("utxo.dat"))]));
    for height in 111..=130 {
        node.submit(&whole.block(whole.hash_at(height).expect("a block")));
    }
    assert_eq!(node.height(), 130);
    node
}

#[test]
fn a_node_loaded_from_a_snapshot_is_followed_at_its_tip_and_its_missing_history_is_named() {
    let node = snapshot_node();
    let miner =
        ScriptBuf::from_hex("210279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798ac").expect("hex");
    let mined = Mined::through(&node, node.rpc_url());
    // From the beginning: it can't be had, and no command waits for it.
    for arguments in [&["check"][..], &["backfill"]] {
        let out = ends(&mined.program, arguments);
        assert_eq!(out.code, 1, "{arguments:?}: {out:?}");
        let said = format!("{}{}", out.stdout, out.stderr);
        assert!(said.contains("UTXO snapshot"), "{arguments:?}: {out:?}");
    }
    assert!(!mined.program.index().exists(), "a run that can't start leaves nothing behind");
    let list = mined.program.write_list(&[(script(1), 111)]);
    let program = Program::new(&node, mined.program.index()).with(&["--watch", text(&list)]);
    let mined = Mined { program, ..mined };
    mined.program.backfill("from above the base");
    ends(&mined.program, &["verify", "--node"]);
    // An entry from the beginning has a gap, and new blocks are indexed.
    fs::write(&list, csv(&[(script(1), 111), (miner, 0)])).expect("a file of the test");
    mine(&node, 1, 1);
    let out = ends(&mined.program, &["backfill"]);
    assert_eq!(out.code, 3, "{out:?}");
    assert!(out.stderr.contains("UTXO snapshot"), "{out:?}");
    assert_eq!(mined.status()["tip"]["hash"], node.best().to_string().as_str());
    let mut running = mined.follow();
    for _ in 0..2 {
        mine(&node, 1, 1);
        mined.await_tip(&node, &mut running, "with an entry that can't be served");
    }
    mined.await_waiting(Some("UTXO snapshot"), "with an entry that can't be served");
    ends(&mined.program, &["verify", "--node"]);
    end(running);
}
