//! Answers that know about now: an index behind its node, a node that is catching up, on another branch or down, an old last block; and
//! `--at`, which asks about a block whatever came after.

use std::net::TcpListener;
use std::time::Duration;

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bitcoind::Bitcoind;
use crate::support::coverage::ask_with_node as ask;
use crate::support::files::text;
use crate::support::gate::Gate;
use crate::support::lists::List;
use crate::support::program::{Program, ProgramOutput};
use crate::support::records::mainnet;
use crate::support::small_index::{FIRST_PAYMENT, PAYER, SERVICE, SmallIndex, UNLISTED};
use crate::support::swept::SweptIndex;
use crate::support::wait;

/// Gets the coinbases; no test asks about it.
const MINER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
/// Is paid with the flagged coin.
const PAID: &str = "script:5187";

/// A regtest node at height 121, whose first block pays a flagged script that anyone can spend from, and an index of that.
struct Thief {
    node: Bitcoind,
    program: Program,
    folder: TempDir,
    loot: OutPoint,
}

impl Thief {
    fn new() -> Self {
        let node = Bitcoind::regtest();
        node.rpc("generatetodescriptor", json!([1, "raw(51)"]));
        mine(&node, 120);
        let loot = node.block(node.hash_at(1).expect("it was mined")).txdata[0].compute_txid();
        let folder = tempfile::tempdir().expect("a folder for the index");
        let program = Program::new(&node, folder.path().join("index"));
        let program = program.watching(&[(ScriptBuf::from_bytes(vec![0x51]), 0)]);
        program.backfill("the loot is where it was");
        Self { node, program, folder, loot: OutPoint { txid: loot, vout: 0 } }
    }

    /// Moves the flagged coin at height 122, and mines 1,000 blocks on top.
    fn move_on(&self) {
        let output =
            TxOut { value: Amount::from_sat(4_999_990_000), script_pubkey: ScriptBuf::from_bytes(vec![0x51, 0x87]) };
        let input = TxIn {
            previous_output: self.loot,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        };
        let version = bitcoin::transaction::Version::TWO;
        let lock_time = bitcoin::absolute::LockTime::ZERO;
        let moved = Transaction { version, lock_time, input: vec![input], output: vec![output] };
        self.node.rpc("generateblock", json!([MINER, [serialize_hex(&moved)]]));
        mine(&self.node, 1_000);
        assert_eq!(self.node.height(), 1_122);
    }
}

fn mine(node: &Bitcoind, blocks: u32) {
    node.rpc("generatetoaddress", json!([blocks, MINER]));
}

/// A table that has these words, which it only has where the node has answered in time: see `ask`.
fn table_with(program: &Program, question: &[&str], words: &str) -> ProgramOutput {
    let mut table = program.run(question);
    wait::until(&format!("{question:?} says '{words}'"), || {
        let found = table.stdout.contains(words);
        if !found {
            table = program.run(question);
        }
        found
    });
    table
}

/// The exit code, and the reasons joined; panics unless `complete` says that there is none.
fn judged((code, answer): &(i32, Value)) -> (i32, String) {
    let coverage = &answer["coverage"];
    let why: Vec<&str> = coverage["why"].as_array().expect("reasons").iter().filter_map(Value::as_str).collect();
    assert_eq!(coverage["complete"], why.is_empty(), "{coverage}");
    (*code, why.join("\n"))
}

/// Panics unless the answer is complete.
fn assert_complete(answer: &(i32, Value), code: i32) {
    assert_eq!(judged(answer), (code, String::new()), "{}", answer.1);
}

/// Panics unless the answer is not complete, with exactly one reason, which says these words.
fn assert_doubted(answer: &(i32, Value), words: &str) {
    let (code, why) = judged(answer);
    assert!(code == 3 && why.contains(words) && !why.contains('\n'), "{code}, without '{words}': {why}");
}

#[test]
fn an_index_a_thousand_blocks_behind_answers_nothing_about_now() {
    let thief = Thief::new();
    let (program, loot, txid) = (&thief.program, thief.loot.to_string(), thief.loot.txid.to_string());
    let questions: [&[&str]; 9] = [
        &["balance", "all"],
        &["history", "all"],
        &["coins", "all"],
        &["tx", &txid],
        &["trace", "all"],
        &["trace", &loot],
        &["digest"],
        &["verify"],
        &["retrace"],
    ];
    let paid = ["screen", PAID];
    for question in questions {
        assert_complete(&ask(program, question), 0);
    }
    let screened = ask(program, &paid);
    assert_complete(&screened, 0);
    assert_eq!(screened.1["rows"][0]["verdict"], "none", "true as long as the coin has not moved");

    thief.move_on();
    for question in questions {
        assert_doubted(&ask(program, question), "1001 blocks behind the node");
    }
    let (mut number, mut copy) = (0, (0, Value::Null));
    wait::until("the node answers a backup in time", || {
        number += 1;
        copy = program.json(&["backup", text(&thief.folder.path().join(number.to_string()))]);
        !copy.1["coverage"]["node"].is_null()
    });
    assert_doubted(&copy, "1001 blocks behind the node");
    let screened = ask(program, &paid);
    assert_doubted(&screened, "1001 blocks behind the node");
    let row = &screened.1["rows"][0];
    assert_eq!(row["verdict"], "unknown", "{row}");
    assert!(row["why"].as_str().is_some_and(|why| why.contains("1001 blocks behind")), "{row}");
    let coverage = &screened.1["coverage"];
    let node = json!({"height": 1_122, "headers": 1_122, "initial_block_download": false, "on_our_chain": true});
    assert_eq!((&coverage["node"], &coverage["lag"]), (&node, &json!(1_001)));

    // `status` says the same, and how far behind it is.
    let status = ask(program, &["status"]);
    let (_, why) = judged(&status);
    assert!(status.0 == 0 && why.contains("1001 blocks behind the node"), "{status:?}");
    assert_eq!((&status.1["lag"], &status.1["node"]["height"]), (&json!(1_001), &json!(1_122)));
    let table = table_with(program, &["balance", "all"], "1001 blocks behind the node");
    assert_eq!(table.code, 3, "{table:?}");

    assert_complete(&ask(program, &["--max-lag", "1001", "balance", "all"]), 0);
    assert_doubted(&ask(program, &["--max-lag", "1000", "balance", "all"]), "`--max-lag` allows 1000");
    assert_named_block_needs_no_now(program);

    program.backfill("it catches up");
    assert_complete(&ask(program, &["balance", "all"]), 0);
    let screened = ask(program, &paid);
    assert_complete(&screened, 4);
    assert_eq!(screened.1["rows"][0]["verdict"], "derived");
    for blocks in 1..=3 {
        mine(&thief.node, 1);
        let answer = ask(program, &["balance", "all"]);
        if blocks < 3 { assert_complete(&answer, 0) } else { assert_doubted(&answer, "3 blocks behind the node") }
    }
}

/// Fails unless questions about block 121 are answered without a look at the node and the clock.
fn assert_named_block_needs_no_now(program: &Program) {
    for question in [&["balance", "all"][..], &["history", "all"], &["coins", "all"], &["trace", "all"], &["digest"]] {
        let answer = program.json(&[question, &["--at", "121"]].concat());
        assert_complete(&answer, 0);
        let coverage = &answer.1["coverage"];
        assert_eq!(
            (&coverage["node"], &coverage["lag"], &coverage["age_s"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
    }
}

#[test]
fn a_node_that_lacks_blocks_of_its_headers_keeps_answers_incomplete() {
    let node = Bitcoind::mainnet_offline();
    node.feed_mainnet(300);
    let folder = tempfile::tempdir().expect("a folder for the index");
    let program = Program::new(&node, folder.path().join("index"));
    let coinbase = mainnet()[9].txdata[0].output[0].script_pubkey.clone();
    let program = program.watching(&[(coinbase, 0)]);
    program.backfill("the node knows of no more");
    for height in 301..=302 {
        node.rpc("submitheader", json!([serialize_hex(&mainnet()[height].header)]));
    }
    // Its last block is of 2009, so it says that it is in its initial download: shown, and not judged.
    let answer = ask(&program, &["balance", "all"]);
    assert_complete(&answer, 0);
    let shown = json!({"height": 300, "headers": 302, "initial_block_download": true, "on_our_chain": true});
    assert_eq!((&answer.1["coverage"]["node"], &answer.1["coverage"]["lag"]), (&shown, &json!(0)));
    for block in &mainnet()[303..] {
        node.rpc("submitheader", json!([serialize_hex(&block.header)]));
    }
    let words = "at height 300 and knows headers through 599, so it lacks 299 blocks";
    for question in [&["balance", "all"][..], &["screen", SERVICE], &["trace", "all"], &["backfill"], &["digest"]] {
        assert_doubted(&ask(&program, question), words);
    }
    let screened = ask(&program, &["screen", SERVICE]);
    assert_eq!(screened.1["rows"][0]["verdict"], "unknown", "{}", screened.1);
    let out = program.run(&["backfill"]);
    assert!(out.code == 3 && out.stdout.contains(words), "{out:?}");
    // What was asked for by its height is there.
    assert_complete(&program.json(&["backfill", "--to", "300"]), 0);
    assert_complete(&program.json(&["balance", "all", "--at", "300"]), 0);
    node.feed_mainnet(599);
    assert_eq!(judged(&ask(&program, &["balance", "all"])).0, 3);
    program.backfill("the node has all of its blocks");
    assert_complete(&ask(&program, &["balance", "all"]), 0);
}

#[test]
fn a_last_block_that_is_too_old_is_not_now_whether_the_node_answers_or_not() {
    let mut small = SmallIndex::at(200);
    let strict = small.program.replaced("main", "main").with_env("COINHOUND_QUERY_MAX_AGE", "3h");
    for (question, complete) in
        [(&["balance", PAYER][..], 0), (&["trace", PAYER], 0), (&["digest"], 0), (&["backfill"], 0)]
    {
        assert_complete(&ask(&small.program, question), complete);
        assert_doubted(&ask(&strict, question), "the node has no newer block either");
    }
    let backfill = strict.run(&["backfill"]);
    assert!(backfill.code == 3 && backfill.stdout.contains("`--max-age` allows 3 h"), "{backfill:?}");
    assert_complete(&strict.json(&["balance", PAYER, "--at", "200"]), 0);
    let by_file = small.program.home().join("strict.toml");
    std::fs::write(&by_file, "[query]\nmax_age = \"2d\"\n").expect("a file of the test");
    let bare = Program::bare().with(&["--index", text(small.program.index()), "--config", text(&by_file)]);
    assert_doubted(&bare.json(&["balance", PAYER]), "`--max-age` allows 2 d");
    let default = Program::bare().with(&["--index", text(small.program.index())]);
    assert_doubted(&default.json(&["balance", PAYER]), "`--max-age` allows 3 h");

    small.node.stop();
    let (code, answer) = small.program.json(&["balance", PAYER]);
    assert_eq!((&answer["coverage"]["node"], &answer["coverage"]["lag"]), (&Value::Null, &Value::Null));
    assert!(answer["coverage"]["age_s"].as_u64().is_some_and(|age| age > 500_000_000), "{answer}");
    assert_complete(&(code, answer), 0);
    assert_doubted(&strict.json(&["balance", PAYER]), "run `coinhound backfill`");
    let (code, dry) = strict.json(&["backfill", "--dry-run"]);
    assert_eq!((code, &dry["coverage"]["complete"]), (0, &json!(false)), "{dry}");
}

#[test]
fn a_node_without_the_indexs_last_block_proves_nothing_about_now() {
    let thief = Thief::new();
    let (node, program) = (&thief.node, &thief.program);
    // Another branch, of more work.
    let stale = node.hash_at(120).expect("it was mined");
    node.invalidate(stale);
    node.rpc("generatetodescriptor", json!([4, "raw(52)"]));
    let words = "121, is not on the node's active chain";
    for question in [&["balance", "all"][..], &["screen", PAID], &["digest"]] {
        let answer = ask(program, question);
        assert_doubted(&answer, words);
        let coverage = &answer.1["coverage"];
        assert_eq!((&coverage["node"]["on_our_chain"], &coverage["lag"]), (&json!(false), &Value::Null));
    }
    let status = ask(program, &["status"]);
    assert_eq!((status.0, &status.1["lag"], &status.1["node"]["height"]), (0, &Value::Null, &json!(123)));
    table_with(program, &["status"], "doesn't have the index's last block");
    assert_complete(&program.json(&["balance", "all", "--at", "121"]), 0);

    // Of another chain of the same name, and of another name.
    let (other, main) = (Bitcoind::regtest(), Bitcoind::mainnet_offline());
    mine(&other, 130);
    for node in [&other, &main] {
        let url = node.rpc_url();
        let cookie = node.cookie_file();
        let lost = Program::bare().with(&[
            "--index",
            text(program.index()),
            "--rpc-url",
            &url,
            "--rpc-cookie-file",
            text(&cookie),
        ]);
        let answer = ask(&lost, &["balance", "all"]);
        assert_doubted(&answer, words);
        assert_eq!(answer.1["coverage"]["node"]["on_our_chain"], false);
    }

    // Back on the index's chain, but below its last block.
    node.invalidate(node.hash_at(120).expect("the other branch"));
    node.reconsider(stale);
    assert_complete(&ask(program, &["balance", "all"]), 0);
    node.invalidate(node.hash_at(101).expect("it was mined"));
    let answer = ask(program, &["screen", PAID]);
    // Some versions of Bitcoin Core still count the headers of the blocks that `invalidateblock` named.
    let (code, why) = judged(&answer);
    let words = "the node is at height 100 and doesn't have the index's last block, 121";
    assert!(code == 3 && why.starts_with(words), "{why}");
    let coverage = &answer.1["coverage"];
    assert_eq!((&coverage["node"]["on_our_chain"], &coverage["lag"]), (&json!(false), &json!(0)));
    assert_eq!(answer.1["rows"][0]["verdict"], "unknown");
}

#[test]
fn a_node_that_is_down_silent_or_talks_nonsense_fails_no_answer() {
    let mut thief = Thief::new();
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = silent.local_addr().expect("a bound socket has an address").port();
    let hung = Program::through(&thief.node, format!("http://127.0.0.1:{port}"), thief.program.index());
    let gate = Gate::before(thief.node.rpc_port());
    // Far longer than a question waits: it gets the answer late also if it is held up itself.
    gate.slow(Duration::from_secs(10));
    let slow = Program::through(&thief.node, gate.url(), thief.program.index());
    let astray = thief.program.replaced(text(thief.node.datadir()), "/nowhere");
    let cookie = thief.folder.path().join("cookie");
    std::fs::write(&cookie, "__cookie__:wrong").expect("a file of the test");
    let url = thief.node.rpc_url();
    let refused = Program::bare().with(&["--index", text(thief.program.index()), "--rpc-url", &url]);
    let refused = refused.with(&["--rpc-cookie-file", text(&cookie)]);
    thief.move_on();
    let down = Program::bare().with(&["--index", text(thief.program.index()), "--rpc-url", "http://127.0.0.1:1"]);
    for (what, program) in
        [("hung", &hung), ("slow", &slow), ("astray", &astray), ("refused", &refused), ("down", &down)]
    {
        let answer = program.json(&["balance", "all"]);
        assert_eq!(
            (&answer.1["coverage"]["node"], &answer.1["coverage"]["lag"]),
            (&Value::Null, &Value::Null),
            "{what}"
        );
        assert_complete(&answer, 0);
        assert!(answer.1["coverage"]["age_s"].is_u64(), "{what}");
        // Without the node, the age alone decides.
        let answer = program.json(&["--max-age", "0s", "history", "all"]);
        assert!(answer.1["coverage"]["age_s"] == 0 || judged(&answer).1.contains("`--max-age` allows 0 s"), "{what}");
    }
    thief.node.stop();
    assert_complete(&thief.program.json(&["balance", "all"]), 0);
}

#[test]
fn an_index_without_a_block_and_a_node_at_genesis_are_told_apart() {
    let node = Bitcoind::regtest_with(&["-maxtipage=86400"]);
    let list: List = [(ScriptBuf::from_bytes(vec![0x51]), 0)].into_iter().collect();
    let empty = SweptIndex::new(&list);
    let program = Program::new(&node, empty.writer().path());
    let answer = ask(&program, &["balance", "all"]);
    assert_doubted(&answer, "no block yet");
    let coverage = &answer.1["coverage"];
    assert_eq!((&coverage["lag"], &coverage["tip_time"], &coverage["age_s"]), (&json!(1), &Value::Null, &Value::Null));
    assert_eq!(
        program.json(&["balance", "all", "--at", "5"]).1["at"],
        json!({"height": 5, "hash": null, "time": null})
    );
    let (code, digest) = program.json(&["digest"]);
    assert_eq!((code, &digest["at"], &digest["digest"]), (3, &Value::Null, &Value::Null), "{digest}");

    // The node says that it is in its initial download, as its last block is of 2011, but it has all that it knows of.
    let full = program.elsewhere().watching(&[(ScriptBuf::from_bytes(vec![0x51]), 0)]);
    assert_eq!(full.run(&["backfill"]).code, 0);
    let answer = ask(&full, &["balance", "all"]);
    assert_complete(&answer, 0);
    let shown = json!({"height": 0, "headers": 0, "initial_block_download": true, "on_our_chain": true});
    assert_eq!((&answer.1["coverage"]["node"], &answer.1["coverage"]["lag"]), (&shown, &json!(0)));
}

#[test]
fn whatever_keeps_an_answer_from_being_complete_is_said() {
    let small = SmallIndex::with_options(200, ",from=100");
    small.backfill();
    for command in ["balance", "coins"] {
        assert_doubted(&ask(&small.program, &[command, PAYER]), "coins that are older than height 100");
        let out = small.program.run(&[command, PAYER]);
        assert!(out.stdout.contains("NOT COMPLETE") && out.stdout.contains("older than height 100"), "{out:?}");
    }
    assert_complete(&ask(&small.program, &["history", PAYER]), 0);
    assert_doubted(&ask(&small.program, &["history", UNLISTED]), "the index knows nothing of 1 target");
    let answer = small.program.json(&["history", PAYER, "--at", "50"]);
    assert_doubted(&answer, "heights 0 to 50 are not scanned for 1 entry; lower the `from`");
    let unknown = "00".repeat(31) + "07";
    let answer = ask(&small.program, &["tx", &unknown]);
    assert_doubted(&answer, "the index holds no such transaction");
    assert_eq!(answer.1["coverage"]["gaps"], json!([]), "every height was scanned");
    assert_doubted(&small.program.json(&["history", PAYER, "--at", "201"]), "ends at height 200, below height 201");
    // Poison is not tracked, so its coins were not all followed.
    let answer = ask(&small.program, &["trace", PAYER, "--rule", "poison", "--min-taint", "1"]);
    let lost = answer.1["rules"][0]["frontier"]["not_followed_sat"] != 0;
    assert_eq!(judged(&answer).1.contains("not_followed"), lost, "{}", answer.1);

    let text = std::fs::read_to_string(&small.list).expect("a file of the test");
    std::fs::write(&small.list, format!("{text}1BoatSLRHtKNngkdXEeobR76b53LETtpyZ,mistyped\n"))
        .expect("a file of the test");
    assert_doubted(
        &ask(&small.program, &["history", PAYER]),
        "the lists configured now are not those the index took in",
    );
    assert_eq!(small.program.run(&["backfill"]).code, 0);
    let quarantined = ask(&small.program, &["history", "all"]);
    assert_doubted(&quarantined, "rows of the lists could not be read (1)");
    assert!(judged(&quarantined).1.contains("`coinhound backfill --accept-quarantined`"), "{quarantined:?}");
    assert_complete(&ask(&small.program, &["history", PAYER]), 0);
}

/// The block that an answer says it is about: in its JSON, in a table and beside it, and beside CSV.
fn assert_at(program: &Program, question: &[&str], at: &str, block: usize) {
    let named = &mainnet()[block];
    let expected = json!({"height": block, "hash": named.block_hash(), "time": named.header.time});
    let question = &[question, &["--at", at]].concat()[..];
    let answer = program.json(question);
    assert_complete(&answer, 0);
    assert_eq!(answer.1["at"], expected, "{question:?}");
    assert_eq!(program.jsonl(question).1.iter().find_map(|line| line.get("at")), Some(&expected), "{question:?}");
    let line = format!("at: after block {block} ({})", named.block_hash());
    let table = program.run(question);
    assert!(table.stdout.contains(&line) && table.stderr.contains(&line), "{question:?}: {table:?}");
    let csv = program.run(&[&["--format", "csv"], question].concat());
    let beside = csv.stderr.lines().find_map(|line| serde_json::from_str::<Value>(line).ok()).expect("a line of JSON");
    assert_eq!(beside["at"], expected, "{question:?}");
}

#[test]
fn every_answer_about_a_block_says_which() {
    let small = SmallIndex::at(200);
    let program = &small.program;
    for question in [
        &["balance", PAYER][..],
        &["history", PAYER],
        &["coins", PAYER],
        &["tx", FIRST_PAYMENT],
        &["trace", PAYER],
        &["digest"],
    ] {
        assert_at(program, question, "190", 190);
        assert_at(program, question, "2009-01-12T03:30:25Z", 170);
        let (_, answer) = program.json(question);
        let always = ["trace", "digest"].contains(&question[0]);
        assert_eq!(answer.get("at").map(|at| &at["height"]), always.then_some(&json!(200)), "{question:?}");
        let out = program.run(question);
        assert_eq!(out.stdout.contains("at: after block"), always, "{question:?}: {out:?}");
    }
    let tree = program.run(&["trace", PAYER, "--tree", "--at", "190"]);
    assert!(tree.stdout.contains("at: after block 190 (") && tree.stderr.contains("at: after block 190 ("), "{tree:?}");
    // Beyond the last block there is a height and nothing else.
    let (code, answer) = program.json(&["coins", PAYER, "--at", "2031-01-01"]);
    assert_eq!((code, &answer["at"]), (3, &json!({"height": 201, "hash": null, "time": null})));
    let table = program.run(&["coins", PAYER, "--at", "201"]);
    assert!(table.stdout.contains("at: after block 201, which the index doesn't have"), "{table:?}");
}

#[test]
fn a_date_is_the_last_block_before_the_first_later_one() {
    let small = SmallIndex::at(200);
    let times: Vec<i64> = mainnet()[..=200].iter().map(|block| block.header.time.into()).collect();
    let before = |time: i64| times.iter().position(|of_block| *of_block > time).expect("a later block") - 1;
    for (at, time) in [
        ("2009-01-12T03:30:25Z", 1_231_731_025),
        ("2009-01-12T03:30:24Z", 1_231_731_024),
        ("2009-01-12T03:30:25", 1_231_731_025),
        ("2009-01-12T04:30:25+01:00", 1_231_731_025),
        ("2009-01-11T22:30:25-05:00", 1_231_731_025),
        ("2009-01-11T22:30:25-05:00[America/New_York]", 1_231_731_025),
        // A day lasts until its end.
        ("2009-01-09", 1_231_545_599),
        ("2009-01-11", 1_231_718_399),
        ("2009-01-11T00:00:00Z", 1_231_632_000),
    ] {
        let answer = small.program.json(&["balance", PAYER, "--at", at]);
        assert_complete(&answer, 0);
        assert_eq!(answer.1["at"]["height"], before(time), "{at}");
    }

    // A block stamped ahead hides the next one, whose own time is before the date.
    let node = Bitcoind::regtest();
    let start = 1_700_000_000;
    for (number, ahead) in [0, 100, 7_000, 200].into_iter().enumerate() {
        node.rpc("setmocktime", json!([start + ahead]));
        mine(&node, 1);
        let hash = node.hash_at(u32::try_from(number).expect("small") + 1).expect("it was mined");
        assert_eq!(node.rpc("getblockheader", json!([hash]))["time"], start + ahead);
    }
    let folder = tempfile::tempdir().expect("a folder for the index");
    let program = Program::new(&node, folder.path().join("index")).watching(&[(ScriptBuf::from_bytes(vec![0x51]), 0)]);
    program.backfill("four blocks");
    let (code, answer) = program.json(&["balance", "all", "--at", "2023-11-14T22:18:20Z"]);
    assert_eq!((code, &answer["at"]["height"], &answer["at"]["time"]), (0, &json!(2), &json!(start + 100)), "{answer}");
}

#[test]
fn a_moment_that_is_none_is_wrong_usage_with_what_was_meant() {
    let small = SmallIndex::at(20);
    for (at, words) in [
        ("1231731025", "did you mean 2009-01-12T03:30:25Z?"),
        ("1231731025000", "did you mean 2009-01-12T03:30:25Z?"),
        ("20090113", "did you mean 2009-01-13?"),
        ("2009-01-12T03:30:25[America/New_York]", "write the offset"),
        ("2009-01-12[America/New_York]", "write the offset"),
        ("2009-02-30", "neither a height nor a date"),
        ("2009-01-12T25:00:00Z", "neither a height nor a date"),
        ("2009/01/12", "neither a height nor a date"),
        ("12.01.2009", "neither a height nor a date"),
        ("yesterday", "neither a height nor a date"),
        ("", "neither a height nor a date"),
        ("+20", "neither a height nor a date"),
        ("1990-01-01", "before the first block"),
        ("2009-01-02", "before the first block"),
    ] {
        for question in
            [&["balance", PAYER][..], &["history", PAYER], &["coins", PAYER], &["trace", PAYER], &["digest"]]
        {
            let out = small.program.run(&[question, &["--at", at]].concat());
            assert!(out.code == 2 && out.stdout.is_empty(), "{question:?} at {at}: {out:?}");
            assert!(out.stderr.contains(words), "{question:?} at {at} doesn't say '{words}': {}", out.stderr);
        }
    }
    let help = small.program.run(&["balance", "--help"]).stdout;
    let help: String = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("the last block before the first one whose time is later"), "{help}");
}
