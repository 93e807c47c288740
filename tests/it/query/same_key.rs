//! `screen` names a listed script of the same key, whichever of the key's scripts is listed and whichever is asked about (issue 11, 5).

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Address, Network, OutPoint, ScriptBuf, Transaction};
use serde_json::{Value, json};

use crate::support::bitcoind::Bitcoind;
use crate::support::chain::{Purse, RegtestChain, purses};
use crate::support::files::text;
use crate::support::lists::{label, target};
use crate::support::program::Program;
use crate::support::scene::Scene;
use crate::support::scripts::Shape::{self, *};

/// The scripts of a key, each with those of the same key that it shows, or that show it.
const SCRIPTS: [(Shape, &[Shape]); 7] = [
    (P2pk, &[P2pkUncompressed, P2pkh, P2pkhUncompressed, P2wpkh, P2shP2wpkh, P2trKey]),
    (P2pkUncompressed, &[P2pk, P2pkh, P2pkhUncompressed, P2wpkh, P2shP2wpkh, P2trKey]),
    (P2pkh, &[P2pk, P2pkUncompressed, P2wpkh, P2shP2wpkh]),
    (P2pkhUncompressed, &[P2pk, P2pkUncompressed]),
    (P2wpkh, &[P2pk, P2pkUncompressed, P2pkh, P2shP2wpkh]),
    (P2shP2wpkh, &[P2pk, P2pkUncompressed, P2pkh, P2wpkh]),
    (P2trKey, &[P2pk, P2pkUncompressed]),
];
/// The shapes that a spend of shows the key of.
const SHOWN_BY_SPEND: [Shape; 4] = [P2pkh, P2pkhUncompressed, P2wpkh, P2shP2wpkh];

/// A payment to one script of a key of which another script is listed, and its spend.
struct Payment {
    listed: ScriptBuf,
    asked: ScriptBuf,
    shape: Shape,
    /// Whether the two scripts show that they are of one key.
    is_known: bool,
    paid: Transaction,
    spent: Transaction,
}

/// A chain with a payment to each script of seven keys, each key with another of its scripts listed.
struct Keys {
    chain: RegtestChain,
    payments: Vec<Payment>,
    /// Pays a listed script and another of its key.
    both: Transaction,
    /// Pays what `both` paid to the listed script to the other one.
    moved: Transaction,
}

impl Keys {
    /// With the spends mined too, or not.
    fn new(mine_spends: bool) -> Self {
        let mut chain = RegtestChain::regtest(58);
        let coinbase = chain.mature(1)[0];
        let plain: Vec<_> = (0..50).map(|n| (chain.script(P2wpkh, 1_000 + n), 90_000_000)).collect();
        let split = chain.spend(&[coinbase], &plain);
        let mut coins = purses(&split);
        let mut waiting = vec![split];
        let mut payments = Vec::new();
        for (n, (listed, known)) in (1..).zip(SCRIPTS) {
            for (shape, _) in SCRIPTS.into_iter().filter(|(shape, _)| *shape != listed) {
                let (of_listed, asked) = (chain.script(listed, n), chain.script(shape, n));
                let coin = coins.pop().expect("coins enough");
                let paid = chain.pay(&[coin], &[(asked.clone(), coin.value - 1_000)]);
                let end = chain.script(P2wpkh, 2_000 + u32::try_from(payments.len()).expect("few"));
                let spent = chain.pay(&purses(&paid), &[(end, coin.value - 2_000)]);
                waiting.push(paid.clone());
                waiting.extend(mine_spends.then(|| spent.clone()));
                let is_known = known.contains(&shape);
                payments.push(Payment { listed: of_listed, asked, shape, is_known, paid, spent });
            }
        }
        let Payment { listed, asked, .. } = &payments[0];
        let coin = coins.pop().expect("coins enough");
        let both = chain.pay(&[coin], &[(listed.clone(), 40_000_000), (asked.clone(), 40_000_000)]);
        let stolen = Purse { at: OutPoint { txid: both.compute_txid(), vout: 0 }, value: 40_000_000 };
        let moved = chain.pay(&[stolen], &[(asked.clone(), 39_000_000)]);
        waiting.extend([both.clone(), moved.clone()]);
        chain.mine(waiting);
        Self { chain, payments, both, moved }
    }

    fn list(&self) -> Vec<(ScriptBuf, u32)> {
        let mut list: Vec<_> = self.payments.iter().map(|payment| (payment.listed.clone(), 0)).collect();
        list.dedup();
        list
    }
}

/// The rows of an answer about these targets.
fn rows(program: &Program, targets: &[String]) -> Vec<Value> {
    let file = program.home().join("targets.txt");
    std::fs::write(&file, targets.join("\n")).expect("a file of the test");
    let (_, answer) = program.json(&["screen", "--file", text(&file)]);
    answer["rows"].as_array().expect("rows").clone()
}

/// Panics unless the row names the listed script of the payment's key, or says `none` where none is known.
fn assert_named(row: &Value, payment: &Payment, is_known: bool, what: &str) {
    let Payment { listed, asked, shape, .. } = payment;
    let what = format!("{what} of {shape:?} {asked}: {row}");
    if !is_known {
        assert_eq!((&row["verdict"], &row["same_key"]), (&json!("none"), &json!([])), "{what}");
        return;
    }
    let address = Address::from_script(listed, Network::Regtest).ok().map(|address| address.to_string());
    let named = json!([{"script": listed.to_hex_string(), "address": address, "labels": [label(listed)]}]);
    assert_eq!((&row["verdict"], &row["same_key"]), (&json!("same_key"), &named), "{what}");
    assert!(row["taint_sat"].is_null() && row["hops"].is_null() && row["sources"] == json!([]), "{what}");
    let why = row["why"].as_str().expect("a reason");
    assert!(why.contains("another script of the same key is listed") && why.contains(&label(listed)), "{what}");
}

#[test]
fn a_listed_script_of_the_same_key_is_named_whichever_is_asked_about() {
    let keys = Keys::new(false);
    let scene = Scene::on(Bitcoind::regtest_with(&["-txindex=1"]), &keys.chain).with_list(keys.list());
    let program = scene.program("index");
    program.backfill("same key");
    // The first payment's script holds taint too, as below.
    let payments = &keys.payments[1..];
    let scripts = rows(&program, &payments.iter().map(|payment| target(&payment.asked)).collect::<Vec<_>>());
    let coins: Vec<_> = payments.iter().map(|payment| format!("{}:0", payment.paid.compute_txid())).collect();
    let coins = rows(&program, &coins);
    let txids =
        rows(&program, &payments.iter().map(|payment| payment.paid.compute_txid().to_string()).collect::<Vec<_>>());
    for (number, payment) in payments.iter().enumerate() {
        assert_named(&scripts[number], payment, payment.is_known, "the script");
        assert_named(&coins[number], payment, payment.is_known, "a coin");
        assert_named(&txids[number], payment, payment.is_known, "a payment");
        let spends = payment.is_known || SHOWN_BY_SPEND.contains(&payment.shape);
        let (code, answer) = program.json(&["screen", "--raw-tx", &serialize_hex(&payment.spent)]);
        assert_named(&answer["rows"][0], payment, spends, "an unconfirmed spend");
        assert_eq!(code, if spends { 4 } else { 0 }, "{answer}");
    }
    // Listed scripts, and taint, come first.
    let Keys { both, moved, .. } = &keys;
    let outputs = [0, 1].map(|vout| format!("{}:{vout}", both.compute_txid()));
    let targets =
        [both.compute_txid().to_string(), outputs[0].clone(), outputs[1].clone(), moved.compute_txid().to_string()];
    let rows = rows(&program, &targets);
    let verdicts: Vec<_> = rows.iter().map(|row| row["verdict"].as_str().expect("a verdict")).collect();
    assert_eq!(verdicts, ["flagged", "flagged", "same_key", "derived"], "{rows:?}");
    assert_eq!(rows[1]["same_key"], json!([]), "it is listed itself");
    let (code, answer) = program.json(&["screen", &target(&keys.payments[0].asked)]);
    assert_eq!((code, &answer["rows"][0]["verdict"]), (4, &json!("derived")), "{answer}");
}

#[test]
fn a_confirmed_spend_shows_its_key_and_taints_nothing() {
    let keys = Keys::new(true);
    let list: Vec<_> = keys.list();
    let scene = Scene::on(Bitcoind::regtest_with(&["-txindex=1"]), &keys.chain).with_list(list.clone());
    let program = scene.program("index");
    program.backfill("same key");
    let shown: Vec<&Payment> = keys.payments.iter().filter(|payment| SHOWN_BY_SPEND.contains(&payment.shape)).collect();
    let spends: Vec<String> = shown.iter().map(|payment| payment.spent.compute_txid().to_string()).collect();
    for (row, payment) in rows(&program, &spends).iter().zip(&shown) {
        assert_named(row, payment, true, "a spend");
    }
    let ends: Vec<String> = spends.iter().map(|txid| format!("{txid}:0")).collect();
    for row in rows(&program, &ends) {
        assert_eq!(
            (&row["verdict"], &row["same_key"]),
            (&json!("none"), &json!([])),
            "its own script has another key: {row}"
        );
    }
    // Entries that the lists dropped are no longer named; later ones are.
    let one = &keys.payments.last().expect("payments").listed;
    let without: Vec<_> = list.into_iter().filter(|(script, _)| script != one).collect();
    let last = keys.payments.iter().rfind(|payment| payment.is_known && payment.listed == *one).expect("a payment");
    let asked = target(&last.asked);
    for (list, verdict) in [(&without, "none"), (&keys.list(), "same_key")] {
        let program = Program::new(&scene.node, scene.path("index")).watching(list);
        let (code, answer) = program.json(&["backfill", "--forget", "--accept-shrink"]);
        assert_eq!(code, 0, "{answer}");
        let (_, answer) = program.json(&["screen", &asked]);
        assert_eq!(answer["rows"][0]["verdict"], verdict, "{answer}");
        let (code, answer) = program.json(&["verify"]);
        assert_eq!(code, 0, "{answer}");
    }
}
