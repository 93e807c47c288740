//! What strangers write in lists comes out of the program as text: no control character, no formula, no line without end; tables fit the
//! terminal.

use serde_json::Value;

use crate::support::program::Program;
use crate::support::small_index::{FIRST_PAYMENT, PAYER, SmallIndex};

/// Moves the cursor (ESC, C1), rings, turns the writing direction, hides a character, breaks the line; and formulas, at the start and
/// behind what splits cells.
const HOSTILE: &str =
    "benign;=cmd|'/c calc'!A1,\u{ff1d}1\t@x\n+2 \u{1b}[31m\u{9b}2J\u{7}\u{202e}\u{200b}\u{7f}\"\";\"\"-3 end";

/// An index whose one flagged entry has this label.
fn labelled(label: &str) -> SmallIndex {
    let small = SmallIndex::without_index(200);
    std::fs::write(&small.list, format!("descriptor,label\n{PAYER},\"{}\"\n", label.replace('"', "\"\"")))
        .expect("a file of the test");
    small.backfill();
    small
}

/// Whether a character does something on a terminal instead of showing.
fn acts(character: char) -> bool {
    let invisible =
        ['\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}', '\u{200b}'..='\u{200f}', '\u{feff}'..='\u{feff}'];
    (character.is_control() && character != '\n') || invisible.iter().any(|range| range.contains(&character))
}

const QUESTIONS: [&[&str]; 11] = [
    &["status"],
    &["watch", "list"],
    &["watch", "check"],
    &["balance", "all"],
    &["history", "all"],
    &["coins", "all"],
    &["tx", FIRST_PAYMENT],
    &["trace", "all"],
    &["screen", PAYER, FIRST_PAYMENT],
    &["events"],
    &["screen", "all"],
];

#[test]
fn no_format_lets_a_control_character_out_and_json_reads_back_the_label() {
    let small = labelled(HOSTILE);
    for format in ["table", "json", "jsonl", "csv"] {
        for question in QUESTIONS {
            let out = small.program.run(&[&["-v", "--format", format], question].concat());
            assert!(matches!(out.code, 0 | 4), "{question:?}: {out:?}");
            for text in [&out.stdout, &out.stderr] {
                let found: Vec<_> = text.chars().filter(|character| acts(*character)).collect();
                assert!(found.is_empty(), "{format} {question:?}: {found:?} in {text}");
            }
        }
    }
    let (_, answer) = small.program.json(&["history", "all"]);
    assert_eq!(answer["rows"][0]["labels"][0], HOSTILE);
    for drawing in ["dot", "graphml", "html"] {
        let out = small.program.run(&["--format", drawing, "trace", "label:"]);
        assert_eq!(out.code, 2, "{out:?}");
        let out = small.program.run(&["--format", drawing, "trace", "all"]);
        let answer = out.stdout.split("<script>").next().unwrap_or_default();
        assert!(out.code == 0 && !answer.chars().any(|c| acts(c) && c != '\r' && c != '\t'), "{drawing}: {answer}");
    }
}

#[test]
fn messages_and_logs_spell_out_what_would_act_on_a_terminal() {
    let program = Program::bare();
    for format in ["table", "json"] {
        for arguments in [
            &["balance", "\u{1b}[31mred\u{9b}"][..],
            &["--watch", "\u{1b}]0;title\u{7}.txt", "backfill"],
            &["status", "--\u{1b}[31m"],
            &["\u{202e}evil"],
            &["watch", "check", "no\u{200b}\u{85}where.txt"],
            &["--log-format", "json", "--watch", "\u{9b}x.txt", "check"],
        ] {
            let out = program.run(&[&["--format", format], arguments].concat());
            let said = format!("{}{}", out.stdout, out.stderr);
            assert!(out.code > 0 && !said.chars().any(acts), "{arguments:?}: {said:?}");
        }
    }
}

/// The first cells that a spreadsheet would make of CSV if it split by this character.
fn cells(csv: &str, delimiter: u8) -> Vec<String> {
    let reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(csv.as_bytes());
    let records = reader.into_records().map(|record| record.expect("bytes are text"));
    records.flat_map(|record| record.iter().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn no_cell_is_a_formula_however_a_spreadsheet_splits_the_line() {
    let small = labelled(HOSTILE);
    let mut seen = 0;
    for question in QUESTIONS {
        let out = small.program.run(&[&["--format", "csv"], question].concat());
        for delimiter in [b',', b';', b'|', b'\t'] {
            for cell in cells(&out.stdout, delimiter) {
                let start = cell.trim_start_matches(|c: char| c.is_whitespace() || c == '"').chars().next();
                let formula = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
                assert!(!start.is_some_and(|start| formula.contains(&start)), "{question:?} by {delimiter}: {cell}");
                seen += usize::from(cell.contains("cmd"));
            }
        }
    }
    assert!(seen > 20, "the label was in {seen} cells");
}

#[test]
fn a_label_of_900_kilobytes_is_whole_in_json_and_csv_and_cut_with_a_mark_in_tables() {
    let long = "x".repeat(900_000);
    let small = labelled(&long);
    for question in [&["balance", "all"][..], &["history", "all"], &["tx", FIRST_PAYMENT], &["trace", "all", "--tree"]]
    {
        let out = small.program.run(question);
        assert_eq!(out.code, 0, "{question:?}");
        let longest = out.stdout.lines().map(str::len).max();
        assert!(longest < Some(9_000) && out.stdout.contains("more characters)"), "{question:?}: {longest:?}");
        assert!(out.stderr.len() < 9_000, "{question:?}");
    }
    let (_, answer) = small.program.json(&["balance", "all"]);
    assert_eq!(answer["rows"][0]["labels"][0].as_str().map(str::len), Some(long.len()));
    assert!(small.program.run(&["--format", "csv", "balance", "all"]).stdout.contains(&long));
    // One argument has at most 128 KiB on Linux.
    let out = small.program.run(&["balance", &format!("label:{}y", &long[..100_000])]);
    assert!(out.code == 2 && out.stderr.len() < 9_000, "{}", out.stderr.len());
}

/// Words that run the program on a terminal of 80 columns.
fn on_a_terminal() -> Vec<String> {
    let script = "words=$*; exec script -qec \"stty cols 80; exec $words\" /dev/null";
    ["sh", "-c", script, "sh"].map(ToOwned::to_owned).to_vec()
}

#[test]
fn tables_fit_a_terminal_of_80_columns_and_no_hash_is_broken() {
    let small = labelled("A thief with a name of some words, none of them long");
    for (question, hash) in [
        (&["history", "all"][..], FIRST_PAYMENT),
        (&["coins", "all"], FIRST_PAYMENT),
        (&["balance", "all"], "28.00000000"),
        (&["tx", FIRST_PAYMENT], "0437cd7f8525ceed2324359c2d0ba26006d92d856a9c20fa0241106ee5a597c9:0"),
        (&["trace", "all"], FIRST_PAYMENT),
        (&["screen", FIRST_PAYMENT], FIRST_PAYMENT),
        (&["watch", "list"], "flagged"),
        (&["events"], FIRST_PAYMENT),
    ] {
        let out = small.program.run_under(&on_a_terminal(), question);
        assert!(matches!(out.code, 0 | 4), "{question:?}: {out:?}");
        let lines: Vec<_> = out.stdout.lines().map(|line| line.trim_end_matches('\r')).collect();
        assert!(lines.iter().any(|line| line.contains(hash)), "{question:?} has {hash} in one piece: {lines:#?}");
        // The foot is text, which the terminal wraps.
        let text = ["coverage", "block ", "at: ", "followed: "];
        let is_foot = |line: &&&str| text.iter().any(|start| line.starts_with(start));
        let widest = lines.iter().filter(|line| !is_foot(line)).map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{question:?} takes {widest:?} columns: {lines:#?}");
        // Elsewhere a row is a line.
        let plain = small.program.run(question).stdout;
        assert!(plain.lines().count() < lines.len(), "{question:?}: {plain}");
    }
}

#[test]
fn a_picture_says_what_was_asked_and_nothing_of_this_machine() {
    let small = labelled("A thief");
    let asked = ["trace", "label:A thief", "--at", "200", "--rule", "fifo", "--min-taint", "7", "--format"];
    for drawing in ["dot", "graphml", "html"] {
        let out = small
            .program
            .run(&[&["--rpc-user", "somebody", "--rpc-password-file", "secret"], &asked[..], &[drawing]].concat());
        assert_eq!(out.code, 0, "{out:?}");
        for private in ["somebody", "--rpc", "--watch", "--index", "--bitcoin-datadir", "secret"] {
            assert!(!out.stdout.contains(private), "{drawing} has {private}");
        }
        let home = small.program.home().to_str().expect("a path of the test").to_owned();
        assert!(!out.stdout.contains(&home), "{drawing} has a local path");
    }
    let html = small.program.run(&[&asked[..], &["html"]].concat()).stdout;
    let command = "coinhound trace 'label:A thief' --at 200 --rule fifo --min-taint 7 --format html";
    let data = html.split("id=\"trace\">").nth(1).and_then(|rest| rest.split("</script>").next()).expect("the data");
    let data: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(data["head"]["command"], command);
}
