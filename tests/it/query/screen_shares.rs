//! `screen` says how much of a target's value is tainted, takes thresholds for what counts, and names the gates that a `none` rests on
//! (issue 11, 9).

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{OutPoint, ScriptBuf, Transaction, Txid};
use serde_json::{Value, json};

use crate::support::bitcoind::Bitcoind;
use crate::support::chain::{RegtestChain, outpoints};
use crate::support::program::Program;
use crate::support::scene::Scene;
use crate::support::scripts::Shape;

const BTC: u64 = 100_000_000;

/// A chain on which one flagged coin is spent by itself and one together with clean coins.
struct Shares {
    chain: RegtestChain,
    flagged: ScriptBuf,
    /// Pays the flagged script 1 and 49.995 BTC.
    paid: Transaction,
    /// One flagged bitcoin and 48 clean ones.
    mixed: Transaction,
    /// The other flagged coin, to one script.
    first: Transaction,
    /// What `first` paid, to another.
    second: Transaction,
    /// What `second` paid, to another; not mined.
    third: Transaction,
    /// A clean coin, to one script.
    clean: Transaction,
}

impl Shares {
    fn new() -> Self {
        let mut chain = RegtestChain::regtest(59);
        let flagged = chain.script(Shape::P2wpkh, 1);
        let [one, two, three, four, five, six] = [2, 3, 4, 5, 6, 7].map(|n| chain.script(Shape::P2wpkh, n));
        let coins = chain.mature(4);
        let paid = chain.spend(&coins[..2], &[(flagged.clone(), BTC), (flagged.clone(), 49 * BTC + 99_500_000)]);
        let [bitcoin, rest] = outpoints(&paid);
        let split = chain.spend(&coins[2..3], &[(one.clone(), 48 * BTC), (two.clone(), BTC)]);
        let [large] = outpoints(&split);
        let mixed = chain.spend(&[bitcoin, large], &[(three, 49 * BTC - 4_900)]);
        let first = chain.spend(&[rest], &[(four, 49 * BTC + 99_400_000)]);
        let second = chain.spend(&outpoints::<1>(&first), &[(five, 49 * BTC + 99_000_000)]);
        let third = chain.spend(&outpoints::<1>(&second), &[(six.clone(), 49 * BTC)]);
        let clean = chain.spend(&coins[3..4], &[(six, 49 * BTC)]);
        chain.mine(vec![paid.clone(), split]);
        chain.mine(vec![mixed.clone(), first.clone()]);
        chain.mine(vec![second.clone(), clean.clone()]);
        Self { chain, flagged, paid, mixed, first, second, third, clean }
    }

    fn scene(&self) -> Scene {
        let node = Bitcoind::regtest_with(&["-txindex=1"]);
        Scene::on(node, &self.chain).with_list(vec![(self.flagged.clone(), 0)])
    }
}

fn coin(transaction: &Transaction) -> String {
    format!("{}:0", transaction.compute_txid())
}

/// The exit code and the first row of an answer, with the whole answer.
fn ask(program: &Program, arguments: &[&str]) -> (i32, Value, Value) {
    let (code, answer) = program.json(&[&["screen"], arguments].concat());
    (code, answer["rows"][0].clone(), answer)
}

#[test]
fn a_share_is_taint_of_value_and_thresholds_decide_what_counts() {
    let shares = Shares::new();
    let scene = shares.scene();
    let program = scene.program("index");
    program.backfill("shares");
    let mixed = coin(&shares.mixed);
    let (code, row, answer) = ask(&program, &[&mixed]);
    assert_eq!((code, &row["verdict"], &row["below_threshold"]), (4, &json!("derived"), &json!(false)), "{answer}");
    // FIFO: the flagged bitcoin is the first to go out. Haircut: 1 part of 49, and the fee takes its own.
    assert_eq!(row["taint_sat"], json!({"haircut": BTC - 100, "fifo": BTC}), "{answer}");
    assert_eq!(row["share"], json!({"haircut": 0.020408, "fifo": 0.020408}), "{answer}");
    let whole = ask(&program, &[&coin(&shares.first)]).1;
    assert_eq!(whole["share"], json!({"haircut": 1.0, "fifo": 1.0}), "{whole}");
    let script = ask(&program, &[&format!("script:{}", shares.flagged.to_hex_string())]).1;
    assert!(script["share"].is_null() && script["value_sat"].is_null(), "an address has no value: {script}");

    let least = BTC.to_string();
    let more = (BTC + 1).to_string();
    for (arguments, code) in [
        (&["--min-share", "2%"][..], 4),
        (&["--min-share", "0.0205"], 0),
        (&["--min-share", "5%"], 0),
        (&["--at-least", "100000"], 4),
        // One rule reaches it, the other doesn't.
        (&["--at-least", &least], 4),
        (&["--at-least", &more], 0),
        (&["--at-least", &least, "--min-share", "5%"], 0),
        (&["--min-share", "5"], 2),
        (&["--min-share", "half"], 2),
    ] {
        let (found, row, answer) = ask(&program, &[&[mixed.as_str()], arguments].concat());
        assert_eq!(found, code, "{arguments:?}: {answer}");
        if code != 2 {
            assert_eq!((&row["verdict"], &row["below_threshold"]), (&json!("derived"), &json!(code == 0)), "{answer}");
            let is_said = row["why"].as_str().is_some_and(|why| why.contains("below --"));
            assert_eq!(is_said, code == 0, "{arguments:?}: {answer}");
        }
    }
    // What is flagged counts, however little it is.
    let (code, row, answer) = ask(&program, &[&coin(&shares.paid), "--at-least", "2100000000000000"]);
    assert_eq!((code, &row["verdict"], &row["below_threshold"]), (4, &json!("flagged"), &json!(false)), "{answer}");
}

#[test]
fn the_tally_counts_verdicts_and_what_lies_below_the_threshold() {
    let shares = Shares::new();
    let scene = shares.scene();
    let program = scene.program("index");
    program.backfill("tally");
    let unknown = format!("{:064x}:0", 7);
    let targets = [coin(&shares.paid), coin(&shares.mixed), coin(&shares.first), coin(&shares.clean), unknown];
    let arguments: Vec<&str> =
        ["screen"].into_iter().chain(targets.iter().map(String::as_str)).chain(["--min-share", "5%"]).collect();
    let (code, answer) = program.json(&arguments);
    assert_eq!(code, 4, "{answer}");
    let tally = json!({"flagged": 1, "derived": 2, "same_key": 0, "unknown": 1, "none": 1, "below_threshold": 1});
    assert_eq!(answer["tally"], tally, "{answer}");
    assert_eq!(answer["gates"], json!({"min_taint_sat": 100_000, "max_hops": null}), "{answer}");
    let table = program.run(&arguments).stdout;
    let line = "tally: flagged 1, derived 2, same_key 0, unknown 1, none 1, below_threshold 1";
    assert!(table.contains(line), "{table}");
    // All that was found lies below, and one target isn't known.
    let (code, answer) = program.json(&["screen", &targets[1], &targets[4], "--min-share", "5%"]);
    assert_eq!(code, 3, "{answer}");
}

#[test]
fn an_index_that_stops_at_the_first_hop_says_so_in_every_answer() {
    let shares = Shares::new();
    let scene = shares.scene();
    let wide = scene.program("wide");
    wide.backfill("wide");
    let second = coin(&shares.second);
    assert_eq!(ask(&wide, &[&second]).1["verdict"], "derived", "the taint is there to be found");

    let program = scene.program("narrow");
    let (code, answer) = program.json(&["--max-hops", "0", "backfill"]);
    assert_eq!(code, 0, "{answer}");
    let cut = OutPoint { txid: shares.first.compute_txid(), vout: 0 };
    let third = serialize_hex(&shares.third);
    let held = 49 * BTC + 99_400_000;
    let txid: Txid = shares.second.compute_txid();
    for target in [&[second.as_str()][..], &[&txid.to_string()]] {
        let (code, row, answer) = ask(&program, target);
        assert_eq!((code, &row["verdict"]), (0, &json!("none")), "{answer}");
        let taint = json!({"haircut": held, "fifo": held});
        let named = json!([{"outpoint": cut.to_string(), "state": "max_hops", "taint_sat": taint}]);
        assert_eq!((&row["cut_coins"], &row["cut_sat"]), (&named, &taint), "{answer}");
        assert!(row["taint_sat"].is_null() && row["share"].is_null(), "a zero that was not looked for: {answer}");
        let why = row["why"].as_str().expect("a reason");
        for words in
            ["no link above 0.001 BTC within 0 hops", "up to block", "stopped following", &cut.to_string(), "49.994"]
        {
            assert!(why.contains(words), "'{words}' isn't in: {why}");
        }
        assert_eq!(answer["gates"], json!({"min_taint_sat": 100_000, "max_hops": 0}), "{answer}");
        assert!(answer["frontier_sat"]["haircut"].as_u64() > Some(held), "{answer}");
    }
    // Two hops behind the cut, not confirmed: the gates and what was cut in all are named.
    let (code, row, answer) = ask(&program, &["--raw-tx", &third]);
    assert_eq!((code, &row["verdict"]), (0, &json!("none")), "{answer}");
    assert!(
        row["why"].as_str().is_some_and(|why| why.contains("within 0 hops") && why.contains("stopped following")),
        "{row}"
    );
    // One step from the source, where the index still sees it, the row says how far it follows.
    let (code, row, answer) = ask(&program, &[&coin(&shares.first)]);
    assert_eq!((code, &row["verdict"], &row["cut_coins"]), (4, &json!("derived"), &json!([])), "{answer}");
    assert!(row["why"].as_str().is_some_and(|why| why.contains("more than 0 hops")), "{row}");
    // By default nothing is said of gates but in a `none`.
    let (_, row, answer) = ask(&wide, &[&coin(&shares.first)]);
    assert!(row["why"].as_str().is_some_and(|why| !why.contains("hops")), "{answer}");
    let (code, row, answer) = ask(&wide, &[&coin(&shares.clean)]);
    assert_eq!((code, &row["verdict"]), (0, &json!("none")), "{answer}");
    assert!(row["why"].as_str().is_some_and(|why| why.contains("no link above 0.001 BTC, up to block")), "{row}");
}
