//! Lists that change, overlap, or have unreadable rows.

use std::fs;

use serde_json::{Value, json};

use crate::support::program::Program;
use crate::support::small_index::{PAYER, SERVICE, SmallIndex};

/// The answer to `watch list`, with these lists.
fn entries(small: &SmallIndex) -> Vec<Value> {
    let (code, answer) = small.program.json(&["watch", "list"]);
    assert_eq!(code, 0, "{answer}");
    answer["rows"].as_array().expect("rows").clone()
}

fn labels(small: &SmallIndex, script: &str) -> Value {
    let rows = entries(small);
    let row = rows.iter().find(|row| row["script"] == script || row["address"] == script);
    row.unwrap_or_else(|| panic!("{script} is no entry")).clone()["label_texts"].take()
}

#[test]
fn changed_labels_remarks_and_order_need_no_sweep() {
    let small = SmallIndex::at(50);
    let digest = small.program.json(&["digest"]).1["digest"].clone();
    let versions = [
        format!("descriptor,label\n{PAYER},Renamed\n"),
        format!("\ndescriptor,label\n\n{PAYER},Renamed\n"),
        format!("label,descriptor\nMoved,{PAYER}\n"),
    ];
    for text in versions {
        fs::write(&small.list, &text).expect("a file of the test");
        assert_eq!(small.program.run(&["history", PAYER]).code, 3, "before the list is indexed: {text}");
        let (code, answer) = small.program.json(&["backfill"]);
        assert_eq!((code, &answer["blocks_read"]), (0, &json!(0)), "{text}: {answer}");
        let label = if text.contains("Moved") { "Moved" } else { "Renamed" };
        let (code, answer) = small.program.json(&["balance", &format!("label:{label}")]);
        assert_eq!((code, &answer["rows"][0]["labels"]), (0, &json!([label])), "{text}");
        assert_eq!(small.program.json(&["digest"]).1["digest"], digest, "labels changed the digest");
    }
}

#[test]
fn a_list_that_moved_is_the_same_list() {
    let small = SmallIndex::at(20);
    let elsewhere = small.program.home().join("moved.csv");
    fs::rename(&small.list, &elsewhere).expect("a file of the test");
    std::os::unix::fs::symlink(&elsewhere, &small.list).expect("a file of the test");
    assert_eq!(small.program.run(&["history", PAYER]).code, 0, "a list with the same content");
    let (code, answer) = small.program.json(&["backfill"]);
    assert_eq!((code, &answer["blocks_read"]), (0, &json!(0)), "{answer}");
    let rows = entries(&small);
    let lists: Vec<_> = rows.iter().map(|row| row["labels"][0]["list"].as_str().unwrap_or_default()).collect();
    assert!(lists.iter().any(|list| list.ends_with("moved.csv")), "{lists:?}");
}

#[test]
fn a_script_on_several_lists_keeps_every_label_once() {
    let small = SmallIndex::without_index(20);
    let home = small.program.home();
    fs::write(home.join("b.txt"), format!("{PAYER} From B\n{PAYER} From B\n{PAYER} Also B\n"))
        .expect("a file of the test");
    fs::write(home.join("c.txt"), format!("{PAYER}\n{SERVICE} Seized\n")).expect("a file of the test");
    let lists = ["--watch", "b.txt", "--watch", "c.txt"];
    let (_, checked) = small.program.json(&["watch", "check", "b.txt"]);
    assert_eq!((&checked["files"][0]["accepted"], &checked["files"][0]["duplicates"]), (&json!(2), &json!(1)));
    assert_eq!(small.program.run(&[&lists[..], &["backfill"]].concat()).code, 0);
    let rows = entries(&small);
    assert_eq!(rows.len(), 2, "{rows:?}");
    let payer = rows.iter().find(|row| row["address"].is_null()).expect("a bare key has no address");
    let texts: Vec<_> = payer["label_texts"].as_array().expect("texts").iter().filter_map(Value::as_str).collect();
    assert_eq!(texts.len(), 4, "{texts:?}");
    for text in ["From B", "Also B", "c.txt"] {
        assert!(texts.contains(&text), "{texts:?}");
    }
    let both = rows.iter().find(|row| row["address"] == SERVICE).expect("an entry");
    assert_eq!(both["roles"], json!(["flagged", "service"]));
    assert_eq!(labels(&small, SERVICE).as_array().map(Vec::len), Some(2));
    // The service is flagged too, so its history is known; overlapping targets count once.
    let arguments = [&lists[..], &["balance", SERVICE, "label:Seized", "label:An exchange"]].concat();
    let (code, answer) = small.program.json(&arguments);
    assert_eq!((code, answer["rows"].as_array().map(Vec::len)), (0, Some(1)), "{answer}");
    assert_eq!(answer["rows"][0]["known"], true, "{answer}");
}

#[test]
fn unreadable_rows_make_answers_incomplete_until_they_are_accepted() {
    let small = SmallIndex::without_index(20);
    let text = fs::read_to_string(&small.list).expect("a file of the test");
    fs::write(&small.list, format!("{text}1BoatSLRHtKNngkdXEeobR76b53LETtpyZ,mistyped\n")).expect("a file of the test");
    let out = small.program.run(&["backfill"]);
    assert!(out.code == 0 && out.stderr.contains("1 rows could not be read"), "{out:#?}");
    let state = |arguments: &[&str]| {
        let (code, answer) = small.program.json(arguments);
        let coverage = &answer["coverage"];
        (code, coverage["complete"].as_bool().expect("a bool"), coverage["quarantined"].as_u64().expect("a count"))
    };
    for command in ["balance", "history", "coins"] {
        assert_eq!(state(&[command, "all"]), (3, false, 1), "{command}");
        assert_eq!(state(&[command, PAYER]), (0, true, 1), "{command}: the row doesn't concern this target");
    }
    assert_eq!(state(&["status"]), (0, false, 1));
    assert_eq!(small.program.run(&["backfill"]).code, 0);
    assert_eq!(state(&["balance", "all"]), (3, false, 1), "another run without permission");
    assert_eq!(small.program.run(&["backfill", "--accept-quarantined"]).code, 0);
    assert_eq!(state(&["balance", "all"]), (0, true, 1));
    assert_eq!(state(&["status"]), (0, true, 1));
    assert_eq!(small.program.run(&["backfill"]).code, 0);
    assert_eq!(state(&["balance", "all"]), (0, true, 1), "the permission is stored with the list");
    fs::write(&small.list, format!("{text}1BoatSLRHtKNngkdXEeobR76b53LETtpyQ,another\n")).expect("a file of the test");
    assert_eq!(small.program.run(&["backfill"]).code, 0);
    assert_eq!(state(&["balance", "all"]), (3, false, 1), "the permission was for another list");
}

#[test]
fn questions_without_lists_use_the_files_that_were_indexed() {
    let small = SmallIndex::at(20);
    let bare = Program::new(&small.node, small.program.index());
    assert_eq!(bare.run(&["history", PAYER]).code, 0);
    let text = fs::read_to_string(&small.list).expect("a file of the test");
    fs::write(&small.list, format!("{text}# a remark\n")).expect("a file of the test");
    let (code, answer) = bare.json(&["history", PAYER]);
    assert_eq!((code, &answer["coverage"]["lists_changed"]), (3, &json!(true)));
    let table = bare.run(&["history", PAYER]).stdout;
    assert!(table.contains("are not those the index took in"), "{table}");
    fs::remove_file(&small.list).expect("a file of the test");
    assert_eq!(bare.run(&["history", PAYER]).code, 0, "a removed file is ignored");
    let out = bare.run(&["backfill"]);
    assert!(out.code == 0 && out.stderr.contains("scanning for the entries"), "{out:#?}");
    assert_eq!(small.program.run(&["backfill"]).code, 1, "a configured list is missing");
}
