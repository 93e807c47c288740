//! A command refuses what it doesn't use, wherever it stands in the command line, and names the commands that do; what is set in the file
//! or the environment is for all of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::support::program::Program;
use crate::support::small_index::{FIRST_PAYMENT, PAYER, SmallIndex, UNLISTED};

const PAGE: &str = include_str!("../../../docs/cli.md");

/// The commands in a help text, without `help`.
fn commands(help: &str) -> Vec<&str> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let first = listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    first.filter(|name| *name != "help").collect()
}

/// Every command, in words.
fn leaves(program: &Program) -> Vec<String> {
    let top = program.run(&["--help"]).stdout;
    let leaf = |name: &&str| {
        let inner = program.run(&[name, "--help"]).stdout;
        let below: Vec<_> = commands(&inner).into_iter().map(|leaf| format!("{name} {leaf}")).collect();
        if below.is_empty() { vec![(*name).to_owned()] } else { below }
    };
    commands(&top).iter().flat_map(leaf).collect()
}

/// The flags that take a value in the settings' part of a help text.
fn settings(help: &str) -> Vec<String> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with("--"));
    let flags = lines.filter(|line| line.contains(" <")).filter_map(|line| line.split_whitespace().next());
    flags.map(str::to_owned).collect()
}

/// The flags that the page gives to some commands only, with those commands.
fn limited() -> BTreeMap<String, BTreeSet<String>> {
    let table = PAGE.lines().skip_while(|line| *line != "| flag | commands that use it |").skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let row = |line: &str| {
        let (flag, commands) = line[1..].split_once('|').expect("two cells");
        (words(flag).remove(0), words(commands).into_iter().collect())
    };
    rows.map(row).collect()
}

#[test]
fn every_command_takes_the_flags_that_the_page_gives_it_and_no_others() {
    let program = Program::bare();
    let (leaves, limited) = (leaves(&program), limited());
    let flags = settings(&program.run(&["--help"]).stdout);
    assert!(leaves.len() > 17 && flags.len() > 13 && limited.len() > 4, "{leaves:?} {flags:?} {limited:?}");
    assert!(limited.keys().all(|flag| flags.contains(flag)), "{limited:?}");
    for command in &leaves {
        let words: Vec<&str> = command.split(' ').collect();
        for flag in &flags {
            let used = limited.get(flag).is_none_or(|users| users.contains(command));
            let value = if flag == "--format" { "json" } else { "x" };
            // Help is printed where nothing in front of it is refused.
            let behind = [&words[..], &[flag, value, "--help"]].concat();
            let in_front = [&[flag.as_str(), value], &words[..], &["--help"]].concat();
            for arguments in [behind, in_front] {
                let out = program.run(&arguments);
                assert_eq!(out.code, if used { 0 } else { 2 }, "{arguments:?}: {out:?}");
                if !used {
                    let users = &limited[flag];
                    assert!(out.stderr.contains(&format!("`coinhound {command}` does not use {flag}")), "{out:?}");
                    assert!(users.iter().all(|user| out.stderr.contains(user.as_str())), "{out:?}");
                }
            }
        }
    }
}

#[test]
fn what_a_command_does_not_use_is_refused_with_the_commands_that_do() {
    let program = Program::bare();
    for (arguments, words) in [
        (&["screen", UNLISTED, "--min-taint", "1"][..], "backfill, check, follow, trace"),
        (&["screen", UNLISTED, "--max-hops=0"], "backfill, check, follow, trace"),
        (&["--track", "tiho", "screen", UNLISTED], "backfill, check, follow"),
        (&["balance", PAYER, "--min-taint", "5"], "backfill, check, follow, trace"),
        (&["trace", PAYER, "--track", "tiho"], "backfill, check, follow"),
        (&["status", "--lane", "rpc"], "backfill, check, follow"),
        (&["status", "--threads", "0"], "backfill, follow, retrace"),
        (&["balance", PAYER, "--unspent"], "works with coins"),
        (&["digest", "--strict"], "works with watch check"),
        (&["watch", "list", "--strict"], "`coinhound watch list` does not use --strict"),
        (&["status", "--at", "5"], "balance, coins, digest, history, trace, tx"),
        (&["balance", PAYER, "--nonsense"], "unexpected argument '--nonsense'"),
        (&["backfill", "--dry-run", "--to", "5"], "cannot be used with"),
        (&["--index", "a", "status", "--index", "b"], "cannot be used multiple times"),
    ] {
        for format in [&[][..], &["--format", "json"]] {
            let out = program.run(&[format, arguments].concat());
            assert_eq!((out.code, out.stdout.as_str()), (2, ""), "{arguments:?}: {out:?}");
            assert!(out.stderr.contains(words), "{arguments:?}: {}", out.stderr);
            assert_eq!(out.stderr.starts_with("{\"error\""), !format.is_empty(), "{}", out.stderr);
        }
    }
}

#[test]
fn settings_of_the_file_and_the_environment_hold_for_every_command() {
    let small = SmallIndex::at(200);
    let file = small.program.home().join("config/coinhound/config.toml");
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a file of the test");
    std::fs::write(&file, "[trace]\nmin_taint = 5\n[scan]\nthreads = 2\n[node]\nlane = \"rpc\"\n").expect("as above");
    for arguments in [&["balance", PAYER][..], &["screen", PAYER], &["status"], &["watch", "list"], &["events"]] {
        let out = small.program.run(arguments);
        assert!(matches!(out.code, 0 | 4), "{arguments:?}: {out:?}");
    }
    let out = small.program.run(&["trace", PAYER, "--tree", "--format", "json"]);
    assert!(out.code == 2 && out.stderr.contains("--tree is a table"), "{out:?}");
}

#[test]
fn flags_of_both_sides_of_the_command_count_and_lists_add_up() {
    let small = SmallIndex::without_index(20);
    std::fs::write(small.program.home().join("one.txt"), "script:51 one\n").expect("a file of the test");
    std::fs::write(small.program.home().join("two.txt"), "script:52 two\n").expect("a file of the test");
    let out = small.program.run(&["--watch", "one.txt", "backfill", "--watch", "two.txt"]);
    assert_eq!(out.code, 0, "{out:?}");
    let (_, list) = small.program.json(&["watch", "list", "--watch", "one.txt", "--watch", "two.txt"]);
    assert_eq!((list["rows"].as_array().map(Vec::len), &list["coverage"]["lists_changed"]), (Some(4), &json!(false)));
}

#[test]
fn the_help_of_a_command_has_its_own_options_and_a_line_for_the_others() {
    let program = Program::bare();
    let help = program.run(&["balance", "--help"]).stdout;
    // The line of flags that every command takes may wrap before one.
    let lines = help.lines().map(str::trim_start).filter(|line| line.contains(" <"));
    let options: BTreeSet<_> = lines.filter_map(|line| line.strip_prefix("--")?.split(' ').next()).collect();
    assert_eq!(options, ["at", "max-age", "max-lag", "range"].into(), "{help}");
    assert!(help.contains("Every command also takes --config") && help.contains("`coinhound --help`"), "{help}");
    assert!(help.lines().count() < 40, "{help}");
    let help = program.run(&["backfill", "--help"]).stdout;
    assert!(help.contains("--min-taint <SAT>") && !help.contains("--rpc-url <URL>"), "{help}");
    let help = program.run(&["--help"]).stdout;
    assert!(help.contains("--rpc-url <URL>") && help.contains("(for backfill, check, follow)"), "{help}");
}

/// Words that run the program with stdout as a shell redirects it.
fn redirected(how: &str) -> Vec<String> {
    ["sh", "-c", &format!("exec \"$@\" {how}"), "sh"].map(ToOwned::to_owned).to_vec()
}

#[test]
fn a_closed_stdout_is_an_error_and_one_that_is_thrown_away_is_not() {
    let small = SmallIndex::at(20);
    for arguments in [&["status"][..], &["history", PAYER], &["events"], &["backfill"]] {
        let out = small.program.run_under(&redirected(">&-"), arguments);
        assert_eq!(out.code, 1, "{arguments:?}: {out:?}");
        assert!(out.stderr.contains("stdout is closed"), "{arguments:?}: {}", out.stderr);
        for discarded in [">/dev/null", "1<>/dev/null", "| true"] {
            let how = if discarded == "| true" { "| true; exit 0" } else { discarded };
            let out = small.program.run_under(&redirected(how), arguments);
            assert_eq!(out.code, 0, "{arguments:?} {discarded}: {out:?}");
        }
    }
}

#[test]
fn targets_are_understood_or_refused_in_the_right_words() {
    let small = SmallIndex::at(200);
    let spaced = format!(" {FIRST_PAYMENT}\n");
    let coin = format!("{FIRST_PAYMENT}:0");
    for (arguments, code, words) in [
        (&["screen", &spaced][..], 4, FIRST_PAYMENT),
        (&["trace", &spaced], 0, "source coin"),
        (&["tx", &spaced], 0, "40.00000000"),
        (&["balance", " all "], 0, "28.00000000"),
        (&["balance", FIRST_PAYMENT], 2, "is a transaction; ask about it with `tx`, `trace` or `screen`"),
        (&["balance", &coin], 2, "is a coin, which only `trace` and `screen` take"),
        (&["balance", "nonsense"], 2, "did you mean label:nonsense?"),
        (&["history", "lable:x"], 2, "did you mean label:x?"),
    ] {
        let out = small.program.run(arguments);
        let said = format!("{}{}", out.stdout, out.stderr);
        assert_eq!(out.code, code, "{arguments:?}: {said}");
        assert!(said.contains(words) && !said.contains("private"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_range_of_unlisted_scripts_is_warned_of_once() {
    let small = SmallIndex::at(20);
    let key = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";
    let target = format!("wpkh({key}/0/*)");
    let (code, answer) = small.program.json(&["balance", &target, "--range", "0-999"]);
    assert_eq!((code, &answer["unknown"]), (3, &json!([target])), "one name");
    assert_eq!(answer["rows"].as_array().map(Vec::len), Some(1000));
    let out = small.program.run(&["--format", "csv", "history", &target, "--range", "0-999", UNLISTED]);
    let warnings: Vec<_> = out.stderr.lines().filter(|line| line.contains("unknown:")).collect();
    assert_eq!((out.code, warnings.len()), (3, 2), "{}", out.stderr);
    assert!(warnings[0].contains("1000 of its scripts are on no list") && out.stderr.len() < 3_000, "{}", out.stderr);
}
