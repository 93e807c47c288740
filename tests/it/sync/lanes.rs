//! P2 on a real node: every lane gives one digest, and with filters few blocks are read. Filters come from the node's files, or over
//! REST if the files can't be read.

use std::collections::BTreeSet;
use std::path::Path;

use bitcoin::{Block, ScriptBuf};
use serde_json::{Value, json};

use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::files::text;
use crate::support::lists::List;
use crate::support::program::Program;
use crate::support::random::{self, Rng};
use crate::support::records::mainnet;

/// A lane, and whether the node's folder is out of reach.
const WAYS: [(&str, bool); 5] =
    [("rpc", false), ("rest", false), ("filters", false), ("filters", true), ("auto", false)];

/// The program on this lane; `empty` is a folder in place of the node's, if that is out of reach.
fn program(node: &Bitcoind, index: &Path, list: &List, lane: &str, empty: Option<&Path>) -> Program {
    let program = Program::new(node, index.to_owned());
    let program = program.watching(list).with(&["--lane", lane, "--rpc-cookie-file", text(&node.cookie_file())]);
    match empty {
        None => program,
        Some(empty) => program.with_datadir(empty),
    }
}

/// Backfills; returns the answer and the digest.
fn backfill(program: &Program, what: &str) -> (Value, String) {
    (program.backfill(what), program.digest())
}

/// Number of blocks that a backfill read.
fn blocks_read(answer: &Value) -> u64 {
    answer["blocks_read"].as_u64().expect("a number")
}

#[test]
fn on_the_real_chain_every_lane_gives_one_digest() {
    let node = Bitcoind::mainnet_offline_with(&["-blockfilterindex=1", "-maxtipage=10000000000"]);
    node.feed_mainnet(599);
    node.await_filters();
    let blocks: Vec<Block> = mainnet();
    let ninth: ScriptBuf = blocks[9].txdata[0].output[0].script_pubkey.clone();
    let (dir, list) = (tempfile::tempdir().expect("a folder"), vec![(ninth, 0)]);
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).expect("a folder of the test");
    let mut digests = BTreeSet::new();
    for (number, (lane, apart)) in WAYS.into_iter().enumerate() {
        let what = format!("{lane}, {apart}");
        let index = dir.path().join(format!("index-{number}"));
        let program = program(&node, &index, &list, lane, apart.then_some(empty.as_path()));
        let (mut answer, digest) = backfill(&program, &what);
        digests.insert(digest);
        // By itself it asks filters where that takes less time than reading, which a busy machine can make look otherwise for a moment.
        for _ in 0..20 {
            if lane != "auto" || blocks_read(&answer) < 60 {
                break;
            }
            let again = program.elsewhere();
            let (next, digest) = backfill(&again, &what);
            digests.insert(digest);
            answer = next;
        }
        assert_eq!(digests.len(), 1, "{what}");
        let expected = if lane == "auto" { "filters" } else { lane };
        assert_eq!((&answer["lanes"], &answer["blocks"]), (&json!([expected]), &json!(600)), "{what}: {answer}");
        assert!(
            if expected == "filters" { blocks_read(&answer) < 60 } else { blocks_read(&answer) == 600 },
            "{what}: {answer}"
        );
        let (code, check) = program.json(&["check"]);
        assert_eq!((code, &check["lane"]), (0, &json!(expected)), "{what}: {check}");
        let filters = &check["lanes"][0];
        let source = if apart { "over REST" } else { "from the node's files" };
        let why = filters["why"].as_str().expect("words");
        assert!(filters["open"] == true && why.contains(source), "{what}: {filters}");
    }
}

/// Three of a list's scripts that are paid a few times each, and that filters contain.
fn rare(chain: &RegtestChain, list: List) -> List {
    let transactions = chain.blocks().iter().flat_map(|block| &block.txdata);
    let outputs: Vec<_> = transactions.flat_map(|transaction| &transaction.output).collect();
    let paid = |script: &ScriptBuf| outputs.iter().filter(|output| output.script_pubkey == *script).count();
    let good = |(script, _): &(ScriptBuf, u32)| !script.is_empty() && !script.is_op_return() && paid(script) < 5;
    let some: List = list.into_iter().filter(good).take(3).collect();
    assert_eq!(some.len(), 3);
    some
}

#[test]
fn on_random_chains_every_lane_gives_one_digest_also_after_a_reorg() {
    let mut rng = Rng::new(77);
    let mut chain = random::chain(77, 150);
    let node = Bitcoind::regtest_with(&["-blockfilterindex=1"]);
    chain.submit_to(&node);
    let dir = tempfile::tempdir().expect("a folder");
    let list = rare(&chain, random::watchlist(&chain, &mut rng, 60));
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).expect("a folder of the test");
    let programs = WAYS.map(|(lane, apart)| {
        let index = dir.path().join(format!("{lane}-{apart}"));
        program(&node, &index, &list, lane, apart.then_some(empty.as_path()))
    });
    for round in 0..3 {
        node.await_filters();
        let mut digests = BTreeSet::new();
        for (way, program) in WAYS.into_iter().zip(&programs) {
            let what = format!("round {round}, {way:?}");
            let (answer, digest) = backfill(program, &what);
            digests.insert(digest);
            assert_eq!(digests.len(), 1, "{what}");
            if way.0 == "filters" {
                assert_eq!(answer["lanes"], json!(["filters"]), "{what}");
                assert!(blocks_read(&answer) < answer["blocks"].as_u64().expect("a number"), "{what}: {answer}");
            }
        }
        chain = random::fork(&mut chain, &mut rng, 30, 5);
        chain.submit_to(&node);
    }
}

#[test]
fn a_node_without_filters_is_refused_with_advice() {
    let node = Bitcoind::regtest();
    let dir = tempfile::tempdir().expect("a folder");
    let list = vec![(ScriptBuf::from_bytes(vec![0x51]), 0)];
    let program = program(&node, &dir.path().join("index"), &list, "filters", None);
    let (code, answer) = program.json(&["backfill"]);
    assert_eq!(code, 2, "{answer}");
    let (code, answer) = program.json(&["check"]);
    assert_eq!(code, 1, "{answer}");
    let filters = &answer["lanes"][0];
    assert_eq!((&filters["lane"], &filters["open"]), (&json!("filters"), &json!(false)));
    assert!(filters["how_to_open"].to_string().contains("blockfilterindex=1"), "{filters}");
    assert!(answer["problems"].to_string().contains("blockfilterindex=1"), "{answer}");
}
