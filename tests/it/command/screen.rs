//! `screen` as it is typed: targets of every kind, a file of targets, unconfirmed transactions, exit codes and formats.

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{ScriptBuf, Transaction};
use serde_json::{Value, json};

use crate::command::exit_codes::check;
use crate::support::bitcoind::Bitcoind;
use crate::support::chain::{RegtestChain, outpoints};
use crate::support::files::text;
use crate::support::program::Program;
use crate::support::records::mainnet;
use crate::support::scene::Scene;
use crate::support::scripts::Shape;
use crate::support::small_index::{BLOCK_170, FIRST_PAYMENT, PAYER, SERVICE, SmallIndex, UNLISTED};
use crate::support::wait;

const BTC: u64 = 100_000_000;
/// The id of no transaction.
const UNKNOWN_TXID: &str = "0000000000000000000000000000000000000000000000000000000000000007";
/// Block 5's coinbase, which is unspent.
const UNTOUCHED: &str = "63522845d294ee9b0188ae5cac91bf389a0c3723f084ca1025e7d9cdfe481ce1";

/// That block's hash.
const BLOCK_5: &str = "000000009b7262315dbf071787ad3656097b892abffd1f95a1a022f896f533fc";

/// The verdicts of an answer's rows.
fn verdicts(answer: &Value) -> Vec<&str> {
    answer["rows"].as_array().expect("rows").iter().filter_map(|row| row["verdict"].as_str()).collect()
}

#[test]
fn screen_finds_taint_and_proves_that_there_is_none() {
    let small = SmallIndex::at(200);
    let program = &small.program;
    let (hal, change) = (format!("{FIRST_PAYMENT}:0"), format!("{FIRST_PAYMENT}:1"));
    let untouched = format!("{UNTOUCHED}:0");
    let (code, answer) =
        program.json(&["screen", PAYER, &hal, &change, FIRST_PAYMENT, &untouched, UNTOUCHED, UNLISTED, UNKNOWN_TXID]);
    let column = |name: &str| -> Vec<Value> {
        answer["rows"].as_array().expect("rows").iter().map(|row| row[name].clone()).collect()
    };
    assert_eq!(code, 4, "{answer}");
    assert_eq!(
        column("verdict"),
        ["flagged", "derived", "flagged", "flagged", "none", "none", "same_key", "unknown"].map(Value::from),
        "{answer}"
    );
    assert_eq!(column("hops")[..4], [0, 1, 0, 0].map(Value::from), "{answer}");
    assert_eq!(column("taint_sat")[1], json!({"haircut": 10 * BTC, "fifo": 10 * BTC}), "{answer}");
    assert_eq!(column("flagged_inputs")[3..6], [json!(1), json!(0), json!(0)], "{answer}");
    assert_eq!(column("flagged_outputs")[3], json!(1), "{answer}");
    let path = column("path")[1].as_array().expect("a path").clone();
    assert_eq!((path.len(), &path[0]), (2, &json!(hal)), "{answer}");
    assert_eq!(column("sources")[1][0]["taint_sat"], json!({"haircut": 10 * BTC, "fifo": 10 * BTC}), "{answer}");
    assert!(
        column("why")[6].as_str().is_some_and(|why| why.contains("another script of the same key is listed")),
        "{answer}"
    );
    assert!(answer["frontier_sat"]["haircut"].is_u64(), "{answer}");
}

#[test]
fn screen_reads_a_file_of_targets_and_answers_in_every_format() {
    let small = SmallIndex::at(200);
    let program = &small.program;
    let hal = format!("{FIRST_PAYMENT}:0");
    let nasty = "not a target \u{1b}[2J";
    let file = program.home().join("targets.txt");
    let lines = format!(
        "# deposits\n\n{hal}\n  {UNTOUCHED}\n{UNTOUCHED}:0 5\n{UNTOUCHED}:0,9999\n{nasty}\nlabel:nope\n{UNKNOWN_TXID}:1\n"
    );
    std::fs::write(&file, lines).expect("a file of the test");
    let file = text(&file);
    let (code, answer) = program.json(&["screen", "--file", file]);
    let rows = answer["rows"].as_array().expect("rows");
    assert_eq!(
        (code, verdicts(&answer)),
        (4, vec!["derived", "none", "none", "none", "unknown", "unknown", "unknown"]),
        "{answer}"
    );
    assert!(rows[5]["why"].as_str().is_some_and(|why| why.contains("no flagged entry has the label")), "{answer}");
    let table = program.run(&["screen", "--file", file]);
    assert!(!table.stdout.contains('\u{1b}') && table.stdout.contains("7 rows"), "{}", table.stdout);
    assert!(table.stdout.contains("\nfrontier: haircut 0.00000000 BTC, fifo 0.00000000 BTC\n"), "{}", table.stdout);
    let csv = program.run(&["--format", "csv", "screen", "--file", file]);
    assert_eq!(csv.stdout.lines().count(), 8, "{}", csv.stdout);
    let (_, lines) = program.jsonl(&["screen", "--file", file]);
    assert_eq!(lines[1..8], rows[..], "jsonl has other rows");
}

#[test]
fn screen_exits_with_the_code_of_its_answer() {
    let small = SmallIndex::at(200);
    let program = &small.program;
    let (hal, untouched) = (format!("{FIRST_PAYMENT}:0"), format!("{UNTOUCHED}:0"));
    let raw = serialize_hex(&mainnet()[170].txdata[1]);
    let coinbase = serialize_hex(&mainnet()[5].txdata[0]);
    let cases: [(&[&str], i32, &str); 22] = [
        (&["screen", &untouched], 0, "none"),
        (&["screen", UNLISTED], 4, "another script of the same key"),
        (&["screen", SERVICE], 0, "An exchange"),
        (&["screen", UNKNOWN_TXID], 3, "existence not proven"),
        (&["screen", &untouched, UNKNOWN_TXID], 3, "unknown"),
        (&["screen", &hal, UNKNOWN_TXID], 4, "unknown"),
        (&["screen", &untouched, "--height", "5"], 0, "according to the node"),
        (&["screen", &untouched, "--height", "6"], 3, "which the caller names"),
        (&["screen", &untouched, "--block", BLOCK_5], 0, "according to the node"),
        (&["screen", &untouched, "--block", BLOCK_170], 3, "which the caller names"),
        (&["screen", &untouched, "--block", BLOCK_5, "--height", "5"], 2, "cannot be used with"),
        (&["screen", &untouched, "--since", "100"], 0, "from height 100 on"),
        (&["screen", &untouched, "--since", "201"], 3, "settled through height 200"),
        (&["screen", &untouched, "--height", "201"], 3, "settled through 200"),
        (&["screen", "--raw-tx", &raw], 4, "flagged"),
        (&["screen", "--raw-tx", &coinbase, "--height", "5"], 0, "none"),
        (&["screen", "--raw-tx", "zz"], 2, "no transaction in hex"),
        (&["screen", "lord"], 2, "nor label:TEXT"),
        (&["screen", "label:nope"], 2, "no flagged entry has the label"),
        (&["screen", "all"], 4, "flagged"),
        (&["screen", "--file", "nowhere.txt"], 1, "nowhere.txt"),
        (&["screen"], 2, "TARGET"),
    ];
    check(program, &cases);
}

#[test]
fn without_a_node_targets_outside_of_the_index_are_unknown() {
    let mut small = SmallIndex::at(200);
    small.node.stop();
    let program = &small.program;
    let (hal, untouched) = (format!("{FIRST_PAYMENT}:0"), format!("{UNTOUCHED}:0"));
    let (code, answer) = program.json(&["screen", &hal, PAYER, UNLISTED, FIRST_PAYMENT, &untouched, UNTOUCHED]);
    assert_eq!(
        (code, verdicts(&answer)),
        (4, vec!["derived", "flagged", "same_key", "flagged", "unknown", "unknown"]),
        "{answer}"
    );
    let why = answer["rows"][4]["why"].as_str().expect("a reason");
    assert!(why.contains("the node could not be asked"), "{why}");
    // A height alone proves nothing; a block is the caller's word.
    let (code, answer) = program.json(&["screen", &untouched, "--height", "5"]);
    let row = &answer["rows"][0];
    assert_eq!((code, &row["verdict"], &row["proven_by"]), (3, &json!("unknown"), &json!(null)), "{answer}");
    let (code, answer) = program.json(&["screen", &untouched, "--block", BLOCK_5]);
    let row = &answer["rows"][0];
    assert_eq!((code, &row["verdict"], &row["proven_by"]), (0, &json!("none"), &json!("caller")), "{answer}");
}

/// A chain with a flagged coin, and three unconfirmed transactions that descend from it and from clean coins.
struct Deposits {
    chain: RegtestChain,
    flagged: ScriptBuf,
    /// The transaction that pays the flagged script.
    paid: Transaction,
    /// It spends the flagged coin.
    first: Transaction,
    /// It spends an output of `first` together with a clean coin.
    mixed: Transaction,
    /// It spends clean coins only.
    clean: Transaction,
}

/// The first output of a transaction, as a target.
fn first_output(transaction: &Transaction) -> String {
    format!("{}:0", transaction.compute_txid())
}

impl Deposits {
    fn new() -> Self {
        let mut chain = RegtestChain::regtest(95);
        let flagged = chain.script(Shape::P2wpkh, 1);
        let plain = [2, 3, 4].map(|n| chain.script(Shape::P2wpkh, n));
        let coins = chain.mature(3);
        let paid = chain.spend(&coins[..1], &[(flagged.clone(), 10 * BTC), (plain[0].clone(), 39 * BTC)]);
        chain.mine(vec![paid.clone()]);
        chain.mine_empty(1);
        let first = chain.spend(&outpoints::<1>(&paid), &[(plain[1].clone(), 10 * BTC - 1_000)]);
        let [moved] = outpoints(&first);
        let mixed = chain.spend(&[moved, coins[1]], &[(plain[2].clone(), 50 * BTC)]);
        let clean = chain.spend(&coins[2..3], &[(plain[2].clone(), 49 * BTC)]);
        Self { chain, flagged, paid, first, mixed, clean }
    }

    /// Panics unless the unconfirmed transactions have the right verdicts.
    fn assert_unconfirmed(&self, program: &Program, what: &str) {
        let Self { first, mixed, clean, .. } = self;
        let id = |transaction: &Transaction| transaction.compute_txid().to_string();
        let beyond = format!("{}:1", id(clean));
        let (code, answer) = program.json(&["screen", &id(mixed), &id(clean), &first_output(first), &beyond]);
        assert_eq!((code, verdicts(&answer)), (4, vec!["derived", "none", "derived", "unknown"]), "{what}: {answer}");
        let rows = answer["rows"].as_array().expect("rows");
        assert_eq!(rows[0]["taint_sat"]["fifo"], 10 * BTC - 1_000, "{what}: {answer}");
        let path = [mixed, first, &self.paid].map(first_output);
        assert_eq!(rows[0]["path"], json!(path), "{answer}");
        assert_eq!((&rows[0]["hops"], &rows[0]["flagged_inputs"]), (&json!(2), &json!(0)), "{what}: {answer}");
        assert!(rows[1]["why"].as_str().is_some_and(|why| why.contains("not confirmed yet")), "{answer}");
        let mut unknown_parent = mixed.clone();
        unknown_parent.input[0].previous_output.txid = UNKNOWN_TXID.parse().expect("an id");
        let (code, answer) = program.json(&["screen", "--raw-tx", &serialize_hex(&unknown_parent)]);
        assert_eq!((code, &answer["rows"][0]["verdict"]), (3, &json!("unknown")), "{what}: {answer}");
    }

    /// Mines the transactions, and waits until the node's indexes have the block.
    fn confirm(&self, node: &Bitcoind) {
        let mut longer = self.chain.clone();
        longer.mine(vec![self.first.clone(), self.mixed.clone(), self.clean.clone()]);
        node.submit(&longer.blocks()[longer.height() as usize]);
        wait::until("the node's indexes have the block", || {
            let indexes = node.rpc("getindexinfo", json!([]));
            let mut indexes = indexes.as_object().expect("indexes").values();
            indexes.all(|index| index["best_block_height"] == longer.height())
        });
    }
}

#[test]
fn an_unconfirmed_deposit_is_judged_by_the_coins_that_it_spends() {
    let deposits = Deposits::new();
    let Deposits { chain, first, mixed, clean, .. } = &deposits;
    for arguments in [&["-txindex=1"][..], &[]] {
        let what = format!("{arguments:?}");
        let scene = Scene::on(Bitcoind::regtest_with(arguments), chain).with_list(vec![(deposits.flagged.clone(), 0)]);
        let program = scene.program("index");
        program.backfill(&what);
        for transaction in [first, mixed, clean] {
            scene.node.rpc("sendrawtransaction", json!([serialize_hex(transaction), 0]));
        }
        deposits.assert_unconfirmed(&program, &what);
        // Confirmed above the settled height: nothing more is proven than before.
        deposits.confirm(&scene.node);
        let targets = [first_output(mixed), first_output(clean)];
        let (code, answer) = program.json(&["screen", &targets[0], &targets[1]]);
        let found = if arguments.is_empty() { ("unknown", 3) } else { ("derived", 4) };
        assert_eq!((verdicts(&answer), code), (vec![found.0, "unknown"], found.1), "{what}: {answer}");
        program.backfill(&what);
        let (_, answer) = program.json(&["screen", &targets[0], &targets[1]]);
        assert_eq!(verdicts(&answer), ["derived", "none"], "{what}: {answer}");
    }
}

#[test]
fn below_the_height_of_a_flag_every_way_to_ask_gives_unknown() {
    let small = SmallIndex::with_options(200, ",from=100");
    small.backfill();
    let program = &small.program;
    let untouched = format!("{UNTOUCHED}:0");
    let coinbase = &mainnet()[5].txdata[0];
    let raw = serialize_hex(coinbase);
    let script = format!("script:{}", coinbase.output[0].script_pubkey.to_hex_string());
    let file = program.home().join("targets.txt");
    let lines = format!("{UNTOUCHED}\n{untouched}\n{untouched} 5\n{UNTOUCHED},5\n{script}\n");
    std::fs::write(&file, lines).expect("a file of the test");
    let file = text(&file);
    let ways: [(&[&str], usize); 8] = [
        (&["screen", UNTOUCHED], 1),
        (&["screen", &untouched], 1),
        (&["screen", UNTOUCHED, "--height", "5"], 1),
        (&["screen", &untouched, "--height", "5"], 1),
        (&["screen", "--raw-tx", &raw], 1),
        (&["screen", "--raw-tx", &raw, "--height", "5"], 1),
        (&["screen", &script], 1),
        (&["screen", "--file", file], 5),
    ];
    for (arguments, count) in ways {
        let (code, answer) = program.json(arguments);
        let rows = answer["rows"].as_array().expect("rows");
        let unknown = rows.iter().filter(|row| row["verdict"] == "unknown" && row["taint_sat"].is_null()).count();
        assert_eq!((code, unknown, rows.len()), (3, count, count), "{arguments:?}: {answer}");
    }
    // A record of the index is found at any height.
    let (code, answer) = program.json(&["screen", FIRST_PAYMENT]);
    assert_eq!((code, &answer["rows"][0]["verdict"]), (4, &json!("flagged")), "{answer}");
}
