//! Lists and settings that change after they were indexed: `backfill` with its options, `watch diff`, `verify` and `retrace`, on real
//! mainnet blocks.

use std::fs;

use serde_json::{Value, json};

use crate::support::small_index::{PAYER, SERVICE, SmallIndex, UNLISTED};

const HEIGHT: u32 = 250;
/// Block 170 paid this key 10 BTC, which it spent in later blocks.
const PAID: &str = "pk(04ae1a62fe09c5f51b13905f07f06b99a2f7159b2225f374cd378d71302fa28414e7aab37397f554a7df5f142c21c1b7303b8a0626f1baded5c72a704f7e6cd84c)";

/// The digest of a new index with the lists as they are now.
fn fresh(small: &SmallIndex, options: &[&str]) -> String {
    let program = small.program.elsewhere().with(options);
    program.backfill("a new index");
    program.digest()
}

fn backfill(small: &SmallIndex, options: &[&str]) -> (i32, Value) {
    small.program.json(&[&["backfill"], options].concat())
}

#[test]
fn new_entries_are_swept_for_and_give_the_same_index_as_a_new_one() {
    let small = SmallIndex::at(HEIGHT);
    let first = fs::read_to_string(&small.list).expect("a file of the test");
    for text in [
        format!("{first}{PAID},paid\n"),
        format!("{first}{PAID},paid\n{UNLISTED},unpaid\n"),
        format!("{first}{PAID},paid\n{UNLISTED},unpaid\n{SERVICE},both\n"),
    ] {
        fs::write(&small.list, &text).expect("a file of the test");
        let (code, before) = small.program.json(&["balance", PAYER]);
        assert_eq!((code, &before["coverage"]["lists_changed"]), (3, &json!(true)));
        let (code, dry) = backfill(&small, &["--dry-run"]);
        assert_eq!(
            (code, &dry["new"], &dry["from"], &dry["blocks_from"]),
            (0, &json!(1), &json!(0), &json!(0)),
            "{dry}"
        );
        let (_, diff) = small.program.json(&["watch", "diff"]);
        assert_eq!(diff["rows"].as_array().map(Vec::len), Some(1), "{diff}");
        assert_eq!(diff["rows"][0]["change"], "new", "{diff}");
        let (code, answer) = backfill(&small, &[]);
        assert_eq!((code, &answer["blocks_read"]), (0, &json!(HEIGHT + 1)), "{answer}");
        assert_eq!(small.program.digest(), fresh(&small, &[]), "{text}");
        assert_eq!(small.program.json(&["watch", "diff"]).1["rows"], json!([]));
        assert_eq!(backfill(&small, &[]).1["blocks"], 0, "a repeated run is a no-op");
        assert_eq!(small.program.json(&["verify", "--node"]).0, 0);
    }
    // A height for entries that are covered from genesis on changes nothing.
    let (code, out) = (small.program.run(&["backfill", "--from", "7"]).code, small.program.digest());
    assert_eq!((code, out), (0, fresh(&small, &[])));
}

#[test]
fn entries_that_leave_a_list_are_kept_until_they_are_forgotten() {
    let small = SmallIndex::at(HEIGHT);
    let first = fs::read_to_string(&small.list).expect("a file of the test");
    let alone = small.program.digest();
    let many: String = (0..20).map(|n| format!("script:51{n:02x},filler\n")).collect();
    fs::write(&small.list, format!("{first}{PAID},paid\n{many}")).expect("a file of the test");
    assert_eq!(backfill(&small, &[]).0, 0);
    let both = small.program.digest();
    fs::write(&small.list, format!("{first}{many}")).expect("a file of the test");
    let out = small.program.run(&["backfill"]);
    assert!(out.code == 0 && out.stderr.contains("entries that are on no list, but kept: 1"), "{out:#?}");
    assert_eq!(small.program.digest(), both);
    assert_eq!(small.program.json(&["watch", "diff"]).1["rows"][0]["change"], "gone");
    fs::write(&small.list, &first).expect("a file of the test");
    let out = small.program.run(&["backfill", "--forget"]);
    assert_eq!((out.code, out.stdout.as_str()), (1, ""), "most entries are gone: {out:#?}");
    assert!(out.stderr.contains("--accept-shrink"), "{out:#?}");
    assert_eq!(small.program.digest(), both, "a refused run changed the index");
    let (code, answer) = backfill(&small, &["--forget", "--accept-shrink"]);
    assert_eq!((code, &answer["blocks_read"]), (0, &json!(0)), "no block is needed to forget: {answer}");
    assert_eq!(small.program.digest(), alone);
    let (_, events) = small.program.jsonl(&["events"]);
    assert!(events.iter().any(|event| event["kind"] == "retracted" && event["reason"] == "retrace"), "{events:?}");
    assert_eq!(small.program.json(&["verify", "--node"]).0, 0);
}

#[test]
fn wider_gates_are_swept_for_and_tighter_ones_need_permission() {
    let small = SmallIndex::at(HEIGHT);
    let usual = small.program.digest();
    // 10 BTC are followed from block 170 on, but not with --max-hops 0.
    let (code, answer) = small.program.json(&["--max-hops", "0", "backfill"]);
    assert_eq!((code, answer["error"].is_object()), (1, true), "refused: {answer}");
    assert_eq!(small.program.digest(), usual);
    let (code, answer) = small.program.json(&["--max-hops", "0", "backfill", "--accept-shrink"]);
    assert_eq!((code, &answer["blocks_read"]), (0, &json!(0)), "{answer}");
    let narrow = small.program.digest();
    assert_ne!(narrow, usual);
    assert_eq!(narrow, fresh(&small, &["--max-hops", "0"]));
    let (code, answer) = small.program.json(&["--max-hops", "none", "backfill"]);
    assert_eq!(code, 0, "{answer}");
    let read = answer["blocks_read"].as_u64().expect("a number");
    assert!(read > 0 && read < u64::from(HEIGHT), "from the first newly followed coin on: {answer}");
    assert_eq!(small.program.digest(), usual);
    let (code, answer) = small.program.json(&["--track", "fifo,haircut,lifo", "--min-taint", "1", "backfill"]);
    assert_eq!(code, 0, "{answer}");
    assert_eq!(answer["coverage"]["trace"]["rules"], json!(["haircut", "fifo", "lifo"]));
    assert_eq!(small.program.digest(), fresh(&small, &["--track", "fifo,haircut,lifo", "--min-taint", "1"]));
    let (code, answer) = small.program.json(&["backfill"]);
    assert_eq!((code, &answer["blocks"]), (0, &json!(0)), "settings that aren't given stay");
}

#[test]
fn entries_from_a_lower_height_are_swept_for_and_coverage_is_kept() {
    let small = SmallIndex::with_options(HEIGHT, ",from=180");
    small.backfill();
    let (code, answer) = small.program.json(&["history", PAYER]);
    assert_eq!((code, &answer["coverage"]["from"]), (0, &json!(180)));
    let lower = small.program.replaced(",from=180", ",from=100");
    let (code, answer) = lower.json(&["backfill", "--to", "150"]);
    assert_eq!(code, 3, "{answer}");
    let (code, answer) = lower.json(&["history", PAYER]);
    assert_eq!((code, &answer["coverage"]["from"], &answer["coverage"]["through"]), (3, &json!(180), &json!(HEIGHT)));
    assert_eq!(answer["coverage"]["gaps"][0]["from"], 100, "{answer}");
    assert_eq!(answer["coverage"]["trace"]["settled"], 150, "{answer}");
    assert_eq!(lower.json(&["digest", "--at", "200"]).0, 3, "not settled yet");
    let (code, answer) = lower.json(&["trace", PAYER]);
    assert_eq!((code, &answer["coverage"]["complete"]), (3, &json!(false)), "taint isn't settled yet: {answer}");
    let (code, answer) = lower.json(&["screen", PAID]);
    assert_ne!((code, &answer["rows"][0]["verdict"]), (0, &json!("none")), "{answer}");
    let (code, answer) = lower.json(&["backfill"]);
    assert_eq!((code, &answer["coverage"]["from"]), (0, &json!(100)), "{answer}");
    let fresh = lower.elsewhere();
    fresh.backfill("a new index");
    assert_eq!(lower.digest(), fresh.digest());
}

#[test]
fn a_retrace_derives_the_same_rows_from_the_records() {
    let small = SmallIndex::at(HEIGHT);
    let before = small.program.digest();
    let (code, answer) = small.program.json(&["retrace"]);
    assert_eq!((code, &answer["through"], &answer["orphans"]), (0, &json!(HEIGHT), &json!(0)), "{answer}");
    assert_eq!(small.program.digest(), before);
    let (code, answer) = small.program.json(&["verify"]);
    assert_eq!((code, &answer["ok"], &answer["headers"]), (0, &json!(true), &json!(HEIGHT + 1)), "{answer}");
}
