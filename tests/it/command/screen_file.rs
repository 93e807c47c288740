//! `screen --file` against a real node: every form in which an export names a flagged target finds it, and a row that isn't clear is
//! an answer of its own.

use std::fs;

use serde_json::{Value, json};

use crate::support::program::Program;
use crate::support::small_index::{FIRST_PAYMENT, SmallIndex, UNLISTED};

/// A transaction that doesn't exist.
const UNKNOWN: &str = "00000000000000000000000000000000000000000000000000000000000000ab";

/// A small index whose list has the address too.
fn with_address() -> SmallIndex {
    let small = SmallIndex::without_index(200);
    let listed = fs::read_to_string(&small.list).expect("a file of the test");
    fs::write(&small.list, format!("{listed}{UNLISTED},F\n")).expect("a file of the test");
    small.backfill();
    small
}

/// The exit code and the answer about a file with this content.
fn screen(program: &Program, content: impl AsRef<[u8]>) -> (i32, Value) {
    fs::write(program.home().join("targets.txt"), content).expect("a file of the test");
    program.json(&["screen", "--file", "targets.txt"])
}

/// Target and verdict of each row.
fn rows(answer: &Value) -> Vec<(String, String)> {
    let rows = answer["rows"].as_array().expect("rows");
    let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
    rows.iter().map(|row| (text(row, "target"), text(row, "verdict"))).collect()
}

fn row(target: impl ToString, verdict: &str) -> (String, String) {
    (target.to_string(), verdict.to_owned())
}

#[test]
fn a_flagged_target_is_found_in_whatever_form_a_file_names_it() {
    let small = with_address();
    let contents = [
        format!("{UNLISTED}\n"),
        format!("\u{feff}{UNLISTED}\r\n"),
        format!("{UNLISTED},1.5\n"),
        format!("{UNLISTED} customer 4711\n"),
        format!("{UNLISTED} 5\n"),
        format!("\"{UNLISTED}\"\n"),
        format!("17,{UNLISTED},0.5\n"),
        format!("id,address,amount\n17,{UNLISTED},0.5\n"),
        format!("Export of 2025;;\n\nid;\"Address (BTC)\";amount\n17;\"{UNLISTED}\";\"0,5\"\n"),
        format!("id\taddress\n#17\t{UNLISTED}\n"),
        format!("# deposits\n\n{UNLISTED}"),
    ];
    for content in contents {
        let (code, answer) = screen(&small.program, &content);
        assert_eq!((code, rows(&answer)), (4, vec![row(UNLISTED, "flagged")]), "{content:?}: {answer}");
    }
    let (code, answer) = screen(&small.program, format!("txid,vout,amount\n{FIRST_PAYMENT},0,10\n"));
    assert_eq!((code, rows(&answer)), (4, vec![row(format!("{FIRST_PAYMENT}:0"), "derived")]), "{answer}");
    let wrapper = ["sh", "-c", "exec \"$@\" <targets.txt", "sh"].map(str::to_owned);
    fs::write(small.program.home().join("targets.txt"), format!("id,address\n1,{UNLISTED}\n")).expect("a file");
    let out = small.program.run_under(&wrapper, &["--format", "json", "screen", "--file", "-"]);
    assert!(out.code == 4 && out.stdout.contains(UNLISTED), "{out:#?}");
}

#[test]
fn a_row_that_is_not_clear_is_unknown_with_its_line_and_the_others_are_answered() {
    let small = with_address();
    let content =
        format!("{UNLISTED}\n{UNKNOWN},0\n\n{FIRST_PAYMENT} 137\nnonsense of several words\n{UNLISTED}x\n{UNLISTED}\n");
    let (code, answer) = screen(&small.program, content);
    let rows_found = rows(&answer);
    let verdicts: Vec<_> = rows_found.iter().map(|(_, verdict)| verdict.as_str()).collect();
    assert_eq!(
        (code, &verdicts[..]),
        (4, &["flagged", "unknown", "unknown", "unknown", "unknown", "flagged"][..]),
        "{answer}"
    );
    for (row, line, says) in
        [(1, 2, "txid,vout"), (2, 4, "txid,vout"), (3, 5, "no target in this row"), (4, 6, "longer than an address")]
    {
        let why = answer["rows"][row]["why"].as_str().expect("a reason");
        assert!(why.starts_with(&format!("line {line}: ")) && why.contains(says), "{why}");
    }
    // The vout is no height, and existence isn't proven.
    let (code, answer) = screen(&small.program, format!("txid,vout\n{UNKNOWN},0\n"));
    assert_eq!((code, rows(&answer)), (3, vec![row(format!("{UNKNOWN}:0"), "unknown")]), "{answer}");
}

#[test]
fn a_file_without_a_row_proves_nothing_and_one_that_is_no_text_is_refused() {
    let small = with_address();
    for content in ["", "# nothing\n\n", "address,amount\n"] {
        let (code, answer) = screen(&small.program, content);
        assert_eq!((code, &answer["rows"]), (3, &json!([])), "{content:?}: {answer}");
        assert!(answer["why"].as_str().is_some_and(|why| why.contains("no target at all")), "{answer}");
    }
    let wide: Vec<u8> = UNLISTED.bytes().flat_map(|byte| [byte, 0]).collect();
    for content in [[b"\xff\xfe", &wide[..]].concat(), wide, b"PK\x03\x04".to_vec()] {
        fs::write(small.program.home().join("targets.txt"), content).expect("a file of the test");
        let out = small.program.run(&["screen", "--file", "targets.txt"]);
        assert!(out.code == 1 && out.stderr.contains("targets.txt") && out.stderr.contains("UTF-8"), "{out:#?}");
    }
}
