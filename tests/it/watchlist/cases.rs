//! `watch check` on the small files of `tests/data/lists`: what is counted, shown and hidden, as it is printed.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::files::text;
use crate::support::program::Program;

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data/lists"].iter().collect()
}

#[test]
fn every_row_of_every_case_is_counted_once_and_what_is_hidden_is_never_printed() {
    let expected = std::fs::read(folder().join("expected.json")).expect("a file of the tests");
    let expected: Value = serde_json::from_slice(&expected).expect("JSON");
    let program = Program::bare();
    for (name, case) in expected.as_object().expect("an object") {
        let file = folder().join(name);
        let arguments = ["watch", "check", text(&file)];
        if case["outcome"] == "refused" {
            let out = program.run(&arguments);
            assert!(out.code == 1 && out.stderr.contains("bitcoin address"), "{name}: {out:#?}");
            continue;
        }
        let (code, answer) = program.json(&arguments);
        let report = &answer["files"][0];
        let count = |field: &str| report[field].as_u64().unwrap_or_else(|| panic!("{name}: {field}"));
        let quarantined = report["quarantined"].as_array().expect("rows").len() as u64;
        let entries = case["entries"].as_array().expect("entries").len() as u64;
        assert_eq!((code, quarantined), (0, case["quarantined"].as_u64().expect("a count")), "{name}: {answer}");
        assert_eq!(count("other_chain"), case["other_chain"], "{name}: {answer}");
        // One file lists two addresses in a row.
        let rows_taken = entries - u64::from(name == "several-in-one-cell.csv");
        assert_eq!(count("accepted"), rows_taken, "{name}: {answer}");
        let sum = count("accepted") + count("duplicates") + count("other_chain") + count("remarks") + quarantined;
        assert_eq!(sum, count("rows"), "{name}: {answer}");
        let remarks = case["remarks_with_target"].as_u64().unwrap_or(0);
        assert_eq!(
            (count("remarks_with_target"), report["commented_out"].as_array().map(Vec::len)),
            (remarks, usize::try_from(remarks).ok()),
            "{name}"
        );
        if let Some(hidden) = case["hides"].as_str() {
            assert_eq!(count("hidden"), 1, "{name}");
            for format in ["table", "json", "jsonl", "csv"] {
                let out = program.run(&[&["--format", format], &arguments[..]].concat());
                assert!(!out.stdout.contains(hidden) && !out.stderr.contains(hidden), "{name}: {out:#?}");
            }
        }
    }
}
