//! Every exit code of docs/cli.md, by running the program: 0 supported, 1 failed, 2 wrong usage, 3 answered but not supported,
//! 5 an index that can't be used. `command/screen.rs` has 4.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::support::bitcoind::Bitcoind;
use crate::support::files::text;
use crate::support::program::Program;
use crate::support::small_index::{FIRST_PAYMENT, NASTY, PAYER, SERVICE, SmallIndex, UNLISTED};
use crate::support::wait::PATIENCE;

/// Arguments, the exit code, and a part of what is printed.
pub type ExitCase<'a> = (&'a [&'a str], i32, &'a str);

/// A TRON address.
const TRON: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";
/// A testnet address.
const TESTNET: &str = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx";
/// An address with a typing error.
const MISTYPED: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb";
/// The id of no transaction.
const UNKNOWN_TXID: &str = "0000000000000000000000000000000000000000000000000000000000000007";

/// Runs commands, and panics unless each exits with its code and prints these words; one that fails must print no answer.
pub fn check(program: &Program, cases: &[ExitCase<'_>]) {
    for (arguments, code, words) in cases {
        let out = program.run(arguments);
        let said = format!("{}{}", out.stdout, out.stderr);
        assert_eq!(out.code, *code, "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?} doesn't say '{words}': {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        if matches!(code, 1 | 2) && !(arguments.contains(&"check")) {
            assert_eq!(out.stdout, "", "{arguments:?} failed, but answered");
        }
    }
}

#[test]
fn questions_to_an_index_end_with_the_code_of_their_answer() {
    let small = SmallIndex::at(200);
    let nasty = format!("label:{NASTY}");
    check(
        &small.program,
        &[
            // Answered, and the coverage supports the answer.
            (&["backfill"], 0, "nothing to do"),
            (&["check"], 0, "ready"),
            (&["status"], 0, "1 flagged, 1 service"),
            (&["watch", "check"], 0, "1 accepted"),
            (&["watch", "check", "--strict"], 0, "1 accepted"),
            (&["watch", "list"], 0, "2 rows"),
            (&["balance", "all"], 0, "28.00000000 BTC"),
            (&["balance", PAYER, &nasty, "all"], 0, "1 row"),
            (&["history", PAYER, "--limit", "2"], 0, "next: "),
            (&["history", PAYER, "--limit", "0"], 2, "0 is not in 1.."),
            (&["coins", PAYER, "--unspent"], 0, "1 row"),
            (&["tx", FIRST_PAYMENT], 0, "40.00000000"),
            (&["digest"], 0, "after block 200"),
            (&["balance", PAYER, "--at", "100"], 0, "50.00000000"),
            (&["balance", PAYER, "--at", "2009-01-11"], 0, "50.00000000"),
            // Answered, but unsupported: the target isn't a flagged entry, or the height is above the tip.
            (&["balance", UNLISTED], 3, "it is on no list"),
            (&["history", UNLISTED], 3, "0 rows"),
            (&["coins", UNLISTED], 3, "unknown"),
            (&["balance", PAYER, UNLISTED], 3, "NOT COMPLETE"),
            (&["balance", SERVICE], 3, "listed as a service"),
            (&["history", SERVICE], 3, "listed as a service"),
            (&["tx", UNKNOWN_TXID], 3, "is not in the index"),
            (&["tx", FIRST_PAYMENT, "--at", "169"], 3, "is not in the index"),
            (&["balance", PAYER, "--at", "201"], 3, "heights 201 to 201"),
            (&["history", PAYER, "--at", "4294967295"], 3, "not scanned"),
            (&["coins", PAYER, "--at", "2031-01-01"], 3, "not scanned"),
            (&["digest", "--at", "201"], 3, "not settled yet"),
            // Wrong usage.
            (&["balance", "lord"], 2, "nor label:TEXT"),
            (&["balance", ""], 2, "names nothing"),
            (&["balance", MISTYPED], 2, "checksum"),
            (&["balance", TRON], 2, "TRON"),
            (&["history", TESTNET], 2, "--chain"),
            (&["coins", "script:zz"], 2, "hex"),
            (&["balance", "wpkh(foo)"], 2, "descriptor"),
            (&["balance", "label:nope"], 2, "no flagged entry has the label 'nope'"),
            (&["balance", "label:An exchange"], 2, "no flagged entry"),
            (&["tx", "f4184f"], 2, "64 hex digits"),
            (&["balance", PAYER, "--at", "yesterday"], 2, "neither a height nor a date"),
            (&["balance", PAYER, "--at", "2009-13-01"], 2, "neither a height nor a date"),
            (&["balance", PAYER, "--at", "1990-01-01"], 2, "before the first block"),
            (&["balance", PAYER, "--range", "5-1"], 2, "A-B"),
            (&["history", PAYER, "--after", "q"], 2, "cursor"),
            (&["history", PAYER, "--limit", "many"], 2, "invalid"),
            (&["balance"], 2, "TARGET"),
            (&["nose"], 2, "nose"),
            (&["--format", "xml", "status"], 2, "table, json, jsonl, csv"),
            (&["--lane", "pigeon", "backfill"], 2, "auto, rpc, rest or filters"),
            (&["--lane", "filters", "backfill"], 2, "--lane auto"),
            (&["--threads", "0", "backfill"], 2, "from 1 to 65535"),
            (&["backfill", "--from", "-1"], 2, "-1"),
            (&["--config", "nowhere.toml", "status"], 2, "nowhere.toml"),
            (&["watch", "check", "x,role=king"], 2, "flagged, service"),
            (&["watch", "check", "flagged.csv,format=xml"], 2, "csv, plain"),
            // Failed.
            (&["watch", "check", "nowhere.txt"], 1, "nowhere.txt"),
            (&["watch", "check", "."], 1, "directory"),
            (&["--watch", "nowhere.txt", "backfill"], 1, "nowhere.txt"),
        ],
    );
}

#[test]
fn errors_are_json_on_stderr_if_the_format_is_json() {
    let program = Program::bare();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["status"], 1, "there is no index"),
        (&["backfill"], 2, "--watch"),
        (&["--bogus", "status"], 2, "--bogus"),
        (&["--threads", "x", "backfill"], 2, "scan.threads"),
        (&["watch", "check", "nowhere.txt"], 1, "nowhere.txt"),
    ];
    for (arguments, code, words) in cases {
        for format in [&["--format", "json"][..], &["--format=json"], &["--format", "jsonl"]] {
            let out = program.run(&[format, arguments].concat());
            assert_eq!((out.code, out.stdout.as_str()), (code, ""), "{arguments:?}");
            let error: serde_json::Value = serde_json::from_str(&out.stderr).expect("one object, nothing else");
            let error = error["error"].as_object().expect("an error object");
            assert!(error["message"].as_str().is_some_and(|text| text.contains(words)), "{error:?}");
            assert!(error["causes"].is_array() && error.len() == 2, "{error:?}");
        }
    }
}

#[test]
fn without_an_index_every_question_fails_with_advice() {
    let program = Program::bare();
    let commands: [&[&str]; 8] = [
        &["status"],
        &["watch", "list"],
        &["balance", "all"],
        &["history", "all"],
        &["coins", "all"],
        &["tx", UNKNOWN_TXID],
        &["digest"],
        &["backup", "copy"],
    ];
    for arguments in commands {
        check(&program, &[(arguments, 1, "`coinhound backfill` makes one")]);
        let made: Vec<_> = std::fs::read_dir(program.home()).expect("it exists").collect();
        assert!(made.is_empty(), "{arguments:?} made {made:?}");
    }
    check(&program, &[(&["watch", "check"], 2, "no list is named"), (&[], 2, "Usage"), (&["--help"], 0, "Usage")]);
}

#[test]
fn an_index_that_cannot_be_used_as_it_is_ends_every_command_with_5() {
    let small = SmallIndex::at(20);
    let questions: [&[&str]; 14] = [
        &["status"],
        &["watch", "list"],
        &["watch", "diff"],
        &["balance", "all"],
        &["history", "all", "--at", "5"],
        &["coins", "all"],
        &["tx", FIRST_PAYMENT],
        &["trace", "all"],
        &["screen", UNLISTED],
        &["events"],
        &["digest"],
        &["verify"],
        &["retrace"],
        &["backup", "copy"],
    ];
    let other = small.program.replaced("main", "signet");
    let current = small.program.index().join("CURRENT");
    for arguments in questions {
        check(&other, &[(arguments, 5, "is of main, not of signet")]);
    }
    std::fs::write(&current, "").expect("a file of the test");
    for arguments in questions.into_iter().chain([&["backfill"][..], &["follow"], &["backfill", "--dry-run"]]) {
        check(&small.program, &[(arguments, 5, "is damaged")]);
    }
    // What another run may find otherwise is a failure like others.
    std::fs::remove_dir_all(small.program.index()).expect("a folder of the test");
    check(&small.program, &[(&["status"], 1, "there is no index")]);
}

#[test]
fn help_lists_the_exit_codes() {
    let help = Program::bare().run(&["--help"]).stdout;
    let (_, codes) = help.split_once("Exit codes:").expect("a list of exit codes");
    let lines: Vec<_> = codes.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 6, "{codes}");
    for (code, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("{code}  ")), "{line}");
    }
}

#[test]
fn a_balance_without_the_history_before_from_is_unsupported() {
    let small = SmallIndex::with_options(200, ",from=100");
    small.backfill();
    for (command, code) in [("balance", 3), ("coins", 3), ("history", 0)] {
        let (found, answer) = small.program.json(&[command, PAYER]);
        assert_eq!((found, &answer["coverage"]["from"]), (code, &100.into()), "{command}: {answer}");
    }
    let (_, answer) = small.program.json(&["balance", PAYER]);
    assert!(answer["total_sat"].is_null() && answer["rows"][0]["balance_sat"].is_null(), "{answer}");
    let (_, answer) = small.program.json(&["history", PAYER]);
    assert!(answer["rows"].as_array().is_some_and(|rows| rows.iter().all(|row| row["balance_sat"].is_null())));
}

#[test]
fn unreadable_rows_fail_a_strict_check_and_lists_without_good_rows_any() {
    let program = Program::bare();
    let write = |name: &str, text: &str| std::fs::write(program.home().join(name), text).expect("a file of the test");
    write("mixed.txt", &format!("{UNLISTED} good\nrubbish\n"));
    write("rubbish.txt", "rubbish\n");
    write("empty.txt", "");
    write("foreign.txt", &format!("{TRON} tron\n{UNLISTED} good\n"));
    check(
        &program,
        &[
            (&["watch", "check", "mixed.txt"], 0, "line 2"),
            (&["watch", "check", "mixed.txt", "--strict"], 1, "line 2"),
            (&["watch", "check", "foreign.txt", "--strict"], 0, "1 of other chains, 0 quarantined"),
            (&["watch", "check", "rubbish.txt"], 1, "line 1"),
            (&["watch", "check", "empty.txt"], 1, "0 accepted"),
            (&["--watch", "rubbish.txt", "--watch", "mixed.txt", "backfill"], 1, "no valid row"),
            (&["--watch", "empty.txt", "backfill"], 1, "no row at all"),
        ],
    );
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let small = SmallIndex::at(200);
    for format in ["table", "json", "jsonl", "csv"] {
        for question in [&["history", "all"][..], &["status"], &["watch", "list"], &["watch", "check"]] {
            let mut child = Command::new(env!("CARGO_BIN_EXE_coinhound"))
                .env("HOME", small.program.home())
                .args(["--index", text(small.program.index()), "--format", format])
                .args(["--watch", text(&small.list)])
                .args(["--rpc-url", &small.node.rpc_url()])
                .args(question)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("cargo built the binary");
            // The reader closes the pipe without reading a byte.
            drop(child.stdout.take());
            let mut said = String::new();
            child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("UTF-8");
            let code = child.wait().expect("a child of the test").code();
            assert!(matches!(code, Some(0 | 3)), "{format} {question:?}: {code:?} {said}");
            assert!(!said.contains("panicked") && !said.contains("pipe"), "{format} {question:?}: {said}");
        }
    }
}

#[test]
fn a_backfill_stopped_early_exits_with_3_and_says_how_to_resume() {
    let mut small = SmallIndex::without_index(20);
    small.node.stop();
    let out = |small: &SmallIndex| {
        let mut running = small.program.spawn(&["backfill"]);
        running.await_log("waiting for it");
        running.int();
        running.wait(PATIENCE)
    };
    let first = out(&small);
    assert_eq!(first.code, 3, "{first:#?}");
    assert!(first.stderr.contains("nothing was scanned"), "{first:#?}");
    small.node.start();
    small.backfill();
    small.node.stop();
    let second = out(&small);
    assert_eq!(second.code, 3, "{second:#?}");
    assert!(second.stdout.contains("run it again"), "{second:#?}");
}

#[test]
fn a_node_that_is_down_is_an_answer_of_status_and_a_problem_of_check() {
    let mut small = SmallIndex::at(20);
    small.node.stop();
    let (code, status) = small.program.json(&["status"]);
    assert_eq!((code, &status["node"], &status["lag"]), (0, &serde_json::Value::Null, &serde_json::Value::Null));
    assert_eq!(status["tip"]["height"], 20);
    let (code, answer) = small.program.json(&["check"]);
    assert_eq!((code, &answer["ready"]), (1, &false.into()), "{answer}");
    assert!(answer["problems"][0].as_str().is_some_and(|text| text.contains("no answer")), "{answer}");
}

#[test]
fn a_node_of_another_chain_or_without_rest_is_refused_with_advice() {
    let node = Bitcoind::regtest_with(&["-rest=0"]);
    let home = Program::bare();
    std::fs::write(home.home().join("list.txt"), format!("{UNLISTED}\nscript:51\n")).expect("a file of the test");
    let list = home.home().join("list.txt");
    let list = text(&list);
    let program = Program::new(&node, home.home().join("index"));
    check(
        &program,
        &[
            (&["--watch", list, "--lane", "rest", "backfill"], 2, "rest=1"),
            (&["--watch", list, "--lane", "rpc", "backfill"], 0, "over rpc"),
        ],
    );
    let cookie = node.cookie_file();
    let url = node.rpc_url();
    let common = ["--rpc-url", &url, "--rpc-cookie-file", text(&cookie)];
    let other = Program::bare().with(&common).with(&["--watch", list]);
    check(
        &other,
        &[
            (&["--chain", "main", "backfill"], 1, "is on chain regtest, not main"),
            (&["--chain", "main", "check"], 1, "set --chain"),
        ],
    );
    assert!(!other.home().join("data").exists(), "a refused backfill made an index");
}

#[test]
fn a_pruned_node_stops_a_backfill_at_once_with_the_lowest_height_it_has() {
    let node = Bitcoind::regtest_with(&["-prune=1", "-fastprune"]);
    let address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    for _ in 0..9 {
        node.rpc("generatetoaddress", serde_json::json!([100, address]));
    }
    let height = node.rpc("pruneblockchain", serde_json::json!([500]));
    assert!(height.as_u64().is_some_and(|height| height > 0), "{height}");
    let lowest = node.rpc("getblockchaininfo", serde_json::json!([]))["pruneheight"].clone();
    let home = Program::bare();
    let program = Program::new(&node, home.home().join("index"));
    std::fs::write(program.home().join("list.txt"), address).expect("a file of the test");
    let said = format!("it has blocks from {lowest} on");
    check(&program, &[(&["--watch", "list.txt", "backfill"], 1, &said), (&["--watch", "list.txt", "check"], 1, &said)]);
    let from = lowest.as_u64().expect("a height").to_string();
    assert!(!program.index().exists(), "a refused backfill made an index");
    let late = format!("list.txt,from={from}");
    check(
        &program,
        &[
            (&["--watch", &late, "check"], 0, "ready"),
            (&["--watch", &late, "backfill"], 0, "touches"),
            (&["balance", "all"], 3, " to 900, tip"),
        ],
    );
}
