//! Lists and settings that change after they were taken in: `backfill` with its options, `watch diff`, `verify`, `retrace`, on real
//! mainnet blocks.

use std::fs;

use crate::support::small_index::{PAYER, SERVICE, SmallIndex, UNLISTED};
use serde_json::{Value, json};

const HEIGHT: u32 = 250;
/// Block 170 paid this key 10 BTC; what it did with them is on the first blocks, too.
const PAID: &str = "pk(04ae1a62fe09c5f51b13905f07f06b99a2f7159b2225f374cd378d71302fa28414e7aab37397f554a7df5f142c21c1b7303b8a0626f1baded5c72a704f7e6cd84c)";

fn digest(small: &SmallIndex) -> String {
    let (code, answer) = small.program.json(&["digest"]);
    assert_eq!(code, 0, "{answer}");
    answer["digest"].as_str().expect("a digest").to_owned()
}

/// The digest of an index that had these lists from the start.
fn fresh(small: &SmallIndex, options: &[&str]) -> String {
    let program = small.program.elsewhere().with(options);
    let (code, answer) = program.json(&["backfill"]);
    assert_eq!(code, 0, "{answer}");
    program.json(&["digest"]).1["digest"].as_str().expect("a digest").to_owned()
}

fn backfill(small: &SmallIndex, options: &[&str]) -> (i32, Value) {
    small.program.json(&[&["backfill"], options].concat())
}

#[test]
fn what_a_list_gains_is_swept_for_and_the_index_is_then_as_if_it_had_always_been_there() {
    let small = SmallIndex::at(HEIGHT);
    let first = fs::read_to_string(&small.list).expect("ours");
    for text in [
        format!("{first}{PAID},paid\n"),
        format!("{first}{PAID},paid\n{UNLISTED},nobody\n"),
        format!("{first}{PAID},paid\n{UNLISTED},nobody\n{SERVICE},both\n"),
    ] {
        fs::write(&small.list, &text).expect("ours");
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
        assert_eq!(digest(&small), fresh(&small, &[]), "{text}");
        assert_eq!(small.program.json(&["watch", "diff"]).1["rows"], json!([]));
        assert_eq!(backfill(&small, &[]).1["blocks"], 0, "a repeated run is a no-op");
        assert_eq!(small.program.json(&["verify", "--node"]).0, 0);
    }
    // A height for what is known from genesis on changes nothing, and says so.
    let (code, out) = (small.program.run(&["backfill", "--from", "7"]).code, digest(&small));
    assert_eq!((code, out), (0, fresh(&small, &[])));
}

#[test]
fn what_a_list_loses_is_kept_until_it_is_to_be_forgotten() {
    let small = SmallIndex::at(HEIGHT);
    let first = fs::read_to_string(&small.list).expect("ours");
    let alone = digest(&small);
    let many: String = (0..20).map(|n| format!("script:51{n:02x},filler\n")).collect();
    fs::write(&small.list, format!("{first}{PAID},paid\n{many}")).expect("ours");
    assert_eq!(backfill(&small, &[]).0, 0);
    let both = digest(&small);
    fs::write(&small.list, format!("{first}{many}")).expect("ours");
    let out = small.program.run(&["backfill"]);
    assert!(out.code == 0 && out.stderr.contains("entries that are on no list, but kept: 1"), "{out:#?}");
    assert_eq!(digest(&small), both);
    assert_eq!(small.program.json(&["watch", "diff"]).1["rows"][0]["change"], "gone");
    fs::write(&small.list, &first).expect("ours");
    let out = small.program.run(&["backfill", "--forget"]);
    assert_eq!((out.code, out.stdout.as_str()), (1, ""), "most rows are gone: {out:#?}");
    assert!(out.stderr.contains("--accept-shrink"), "{out:#?}");
    assert_eq!(digest(&small), both, "nothing happened");
    let (code, answer) = backfill(&small, &["--forget", "--accept-shrink"]);
    assert_eq!((code, &answer["blocks_read"]), (0, &json!(0)), "no block is needed to forget: {answer}");
    assert_eq!(digest(&small), alone);
    let (_, events) = small.program.jsonl(&["events"]);
    assert!(events.iter().any(|event| event["kind"] == "retracted" && event["reason"] == "retrace"), "{events:?}");
    assert_eq!(small.program.json(&["verify", "--node"]).0, 0);
}

#[test]
fn wider_gates_are_swept_for_and_tighter_ones_are_no_accident() {
    let small = SmallIndex::at(HEIGHT);
    let usual = digest(&small);
    // 10 BTC are followed from block 170 on; with at most no hop, they aren't.
    let (code, answer) = small.program.json(&["--max-hops", "0", "backfill"]);
    assert_eq!((code, answer["error"].is_object()), (1, true), "refused: {answer}");
    assert_eq!(digest(&small), usual);
    let (code, answer) = small.program.json(&["--max-hops", "0", "backfill", "--accept-shrink"]);
    assert_eq!((code, &answer["blocks_read"]), (0, &json!(0)), "{answer}");
    let narrow = digest(&small);
    assert_ne!(narrow, usual);
    assert_eq!(narrow, fresh(&small, &["--max-hops", "0"]));
    let (code, answer) = small.program.json(&["--max-hops", "none", "backfill"]);
    assert_eq!(code, 0, "{answer}");
    let read = answer["blocks_read"].as_u64().expect("a number");
    assert!(read > 0 && read < u64::from(HEIGHT), "from the first coin on that is followed now: {answer}");
    assert_eq!(digest(&small), usual);
    let (code, answer) = small.program.json(&["--track", "fifo,haircut,lifo", "--min-taint", "1", "backfill"]);
    assert_eq!(code, 0, "{answer}");
    assert_eq!(answer["coverage"]["trace"]["rules"], json!(["haircut", "fifo", "lifo"]));
    assert_eq!(digest(&small), fresh(&small, &["--track", "fifo,haircut,lifo", "--min-taint", "1"]));
    let (code, answer) = small.program.json(&["backfill"]);
    assert_eq!((code, &answer["blocks"]), (0, &json!(0)), "what nobody says stays");
}

#[test]
fn a_lower_height_is_swept_for_and_what_was_covered_stays_so() {
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
    assert_eq!((code, &answer["coverage"]["complete"]), (3, &json!(false)), "taint is not settled yet: {answer}");
    let (code, answer) = lower.json(&["screen", PAID]);
    assert_ne!((code, &answer["rows"][0]["verdict"]), (0, &json!("none")), "{answer}");
    let (code, answer) = lower.json(&["backfill"]);
    assert_eq!((code, &answer["coverage"]["from"]), (0, &json!(100)), "{answer}");
    let fresh = lower.elsewhere();
    assert_eq!(fresh.json(&["backfill"]).0, 0);
    assert_eq!(lower.json(&["digest"]).1["digest"], fresh.json(&["digest"]).1["digest"]);
}

#[test]
fn a_retrace_makes_everything_anew_from_the_records() {
    let small = SmallIndex::at(HEIGHT);
    let before = digest(&small);
    let (code, answer) = small.program.json(&["retrace"]);
    assert_eq!((code, &answer["through"], &answer["orphans"]), (0, &json!(HEIGHT), &json!(0)), "{answer}");
    assert_eq!(digest(&small), before);
    let (code, answer) = small.program.json(&["verify"]);
    assert_eq!((code, &answer["ok"], &answer["headers"]), (0, &json!(true), &json!(HEIGHT + 1)), "{answer}");
}
