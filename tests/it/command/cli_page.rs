//! docs/cli.md against the program: every field that an answer prints, every CSV column and every flag is named in the section of its
//! command, and the page names no field that no answer has.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::program::Program;
use crate::support::small_index::{FIRST_PAYMENT, PAYER, SmallIndex, UNLISTED};

const PAGE: &str = include_str!("../../../docs/cli.md");
/// The key that got the first payment, in block 170.
const PAID: &str = "pk(04ae1a62fe09c5f51b13905f07f06b99a2f7159b2225f374cd378d71302fa28414e7aab37397f554a7df5f142c21c1b7303b8a0626f1baded5c72a704f7e6cd84c)";

/// The text under a heading of the second level.
fn section(name: &str) -> &'static str {
    let start = PAGE.find(&format!("\n## {name}\n")).unwrap_or_else(|| panic!("the page has no section '{name}'"));
    let rest = &PAGE[start + 1..];
    rest[3..].find("\n## ").map_or(rest, |end| &rest[..end + 3])
}

/// The names in backticks of some text, those joined by dots apart.
fn names(text: &str) -> BTreeSet<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.flat_map(|words| words.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')).collect()
}

/// The names in the first column of the tables of fields.
fn fields_of_tables(text: &str) -> BTreeSet<&str> {
    let mut in_table = false;
    let mut cells = String::new();
    let mut fields = BTreeSet::new();
    for line in text.lines() {
        in_table = line.starts_with("| field | meaning") || (in_table && line.starts_with('|'));
        if in_table && line.starts_with("| `") {
            cells.clear();
            let first = line[2..].split(" | ").next().unwrap_or_default();
            fields.extend(names(first));
        }
    }
    fields
}

/// Adds every key of an answer, but for those that name no field: chains, columns of lists.
fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            found.insert(name.clone());
            if !["other_chains", "extra", "coverage"].contains(&name.as_str()) {
                keys(value, found);
            }
        }),
        Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

/// What commands print, by the section of the page that describes it.
fn answers(small: &SmallIndex) -> Vec<(&'static str, Value)> {
    let home = small.program.home();
    std::fs::write(
        home.join("services.csv"),
        format!("descriptor,label,source,category,from,memo\n\"{PAID}\",Paid,s,c,0,m\n"),
    )
    .expect("the folder is ours");
    std::fs::write(home.join("bad.txt"), format!("{PAYER}\nrubbish\nTEAqwfMhXLaomXhZ8KeMhx3njGmQEDnsUR\n"))
        .expect("as above");
    let services = "services.csv,role=service";
    let ask = |arguments: &[&str]| small.program.json(arguments).1;
    vec![
        ("check", ask(&["check"])),
        ("backfill", ask(&["backfill", "--dry-run"])),
        ("backfill", ask(&["--watch", services, "backfill"])),
        ("check", ask(&["check"])),
        ("watch check", ask(&["watch", "check", "bad.txt"])),
        ("watch list", ask(&["watch", "list"])),
        ("watch diff", ask(&["--watch", "bad.txt", "watch", "diff"])),
        ("backfill", ask(&["--watch", services, "backfill", "--dry-run"])),
        ("status", ask(&["status"])),
        ("balance", ask(&["balance", PAYER, UNLISTED])),
        ("history", ask(&["history", PAYER, UNLISTED, "--limit", "1"])),
        ("coins", ask(&["coins", PAYER, UNLISTED])),
        ("tx", ask(&["tx", FIRST_PAYMENT])),
        ("trace", ask(&["trace", PAYER, UNLISTED])),
        ("screen", ask(&["screen", PAYER, FIRST_PAYMENT, UNLISTED])),
        ("events", ask(&["events"])),
        ("digest", ask(&["digest"])),
        ("verify", ask(&["verify", "--node"])),
        ("retrace", ask(&["retrace"])),
        ("backup", ask(&["backup", "copy"])),
    ]
}

#[test]
fn every_field_is_in_the_section_of_its_command_and_no_other_is() {
    let small = SmallIndex::without_index(200);
    let answers = answers(&small);
    let sections: BTreeSet<_> = answers.iter().map(|(section, _)| *section).collect();
    for name in sections {
        let mut printed = BTreeSet::new();
        answers.iter().filter(|(of, _)| *of == name).for_each(|(_, answer)| keys(answer, &mut printed));
        // Its lists are described with `watch check`, and rows of every answer under "Output formats".
        let text =
            [section(name), if name == "check" { section("watch check") } else { "" }, "`coverage` `rows`"].concat();
        let named = names(&text);
        let missing: Vec<_> = printed.iter().filter(|key| !named.contains(key.as_str())).collect();
        assert!(missing.is_empty(), "{name}: the page doesn't name {missing:?}");
        let stale: Vec<_> =
            fields_of_tables(section(name)).into_iter().filter(|field| !printed.contains(*field)).collect();
        assert!(stale.is_empty(), "{name}: no answer has {stale:?}");
    }
    let mut of_coverage = BTreeSet::new();
    keys(&small.program.json(&["history", PAYER, "--at", "300"]).1["coverage"], &mut of_coverage);
    // The fields of a gap are in the text of its row; only this one is not a field of the coverage too.
    let mut of_page: BTreeSet<_> = fields_of_tables(section("Coverage")).into_iter().map(str::to_owned).collect();
    of_page.insert("entries".to_owned());
    assert_eq!(of_coverage, of_page);
}

#[test]
fn the_columns_of_csv_are_those_of_the_page() {
    let small = SmallIndex::at(200);
    for (name, arguments) in [
        ("balance", &["balance", "all"][..]),
        ("history", &["history", "all"]),
        ("coins", &["coins", "all"]),
        ("trace", &["trace", "all"]),
        ("events", &["events"]),
        ("watch list", &["watch", "list"]),
        ("watch diff", &["watch", "diff"]),
    ] {
        let out = small.program.run(&[&["--format", "csv"], arguments].concat());
        let header = out.stdout.lines().next().unwrap_or_default();
        assert!(section(name).contains(&format!("`{header}`")), "{name}: the page hasn't {header}");
    }
    let out = small.program.run(&["--format", "csv", "screen", "all"]);
    let parts: Vec<_> =
        out.stdout.lines().next().unwrap_or_default().split(",taint_sat.haircut,taint_sat.fifo,").collect();
    assert_eq!(parts.len(), 2, "{}", out.stdout);
    assert!(parts.iter().all(|columns| section("screen").contains(&format!("`{columns}`"))), "{parts:?}");
}

/// The flags in a help text, `--format` say.
fn flags(help: &str) -> BTreeSet<&str> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let words = lines
        .flat_map(|line| line.split([' ', ',', '.', ':']).take_while(|word| word.is_empty() || word.starts_with('-')));
    words.filter(|word| word.starts_with("--")).collect()
}

/// The commands in a help text, without `help`.
fn commands(help: &str) -> Vec<&str> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let first = listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    first.filter(|name| *name != "help").collect()
}

#[test]
fn every_command_and_every_flag_is_in_the_page() {
    let program = Program::bare();
    let help = |command: &[&str]| program.run(&[command, &["--help"]].concat()).stdout;
    let top = help(&[]);
    let settings = flags(&top);
    assert!(settings.len() > 15, "{settings:?}");
    let of_settings = section("Settings");
    for flag in &settings {
        assert!(of_settings.contains(flag), "the page's settings lack {flag}");
    }
    let mut seen = 0;
    for name in commands(&top) {
        let of_command = help(&[name]);
        let inner = commands(&of_command);
        let leaves =
            if inner.is_empty() { vec![vec![name]] } else { inner.into_iter().map(|leaf| vec![name, leaf]).collect() };
        for words in leaves {
            let title = words.join(" ");
            for flag in flags(&help(&words)).difference(&settings) {
                // `--range` and `--at` are explained once, under "Targets", and named in each command's line.
                assert!(section(&title).contains(flag), "{title}: the page lacks {flag}");
            }
            seen += 1;
        }
    }
    assert_eq!(seen, PAGE.matches("\n## ").count() - 5, "a section a command, and five that all share");
}

#[test]
fn every_key_of_the_example_file_is_in_the_page() {
    let mut folder = "";
    let mut seen = 0;
    for line in include_str!("../../../config.example.toml").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            folder = name;
        } else if line == "# [[watchlist]]" {
            folder = "";
        }
        let key = line.strip_prefix("# ").and_then(|rest| rest.split_once(" = ")).map(|(key, _)| key);
        let is_key = |key: &&str| key.bytes().all(|letter| letter == b'_' || letter.is_ascii_lowercase());
        if let Some(key) = key.filter(is_key) {
            let full = if folder.is_empty() { key.to_owned() } else { format!("{folder}.{key}") };
            assert!(section("Settings").contains(&format!("`{full}`")), "the page's settings lack {full}");
            seen += 1;
        }
    }
    assert!(seen > 15, "the example file has {seen} keys");
}
