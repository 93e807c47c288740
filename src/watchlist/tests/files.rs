//! Whole files: which of them stop the run, how a format is named, and what a report says of them.

use super::*;

#[test]
fn files_that_cannot_be_used_stop_the_run() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk on fire"))
        }
    }
    let options = ListOptions::default();
    let error = |bytes: &str| with(bytes, &options).unwrap_err();
    let failed = read(&mut A.as_bytes().chain(Failing), "list", Chain::Main, &options).unwrap_err();
    assert!(matches!(failed, ListError::Unreadable { .. }));
    let unknown = with(A, &ListOptions { format: Some("ods".to_owned()), ..ListOptions::default() }).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "no list format is called 'ods' (for list); one of ofac-sdn-xml, ofac-advanced-xml, ofac-sdn-csv, tagpack, bip329, ftm, ransomwhere, json-lines, \
         json, csv, plain"
    );
    for marked_up in ["<?xml version=\"1.0\"?><a/>", "---\na: b\n"] {
        assert!(matches!(error(marked_up), ListError::Unrecognised { .. }));
    }
    for (text, says) in [
        ("", "has no row at all"),
        ("# only a remark\n", "has only remarks (1)"),
        (TRON, "only rows of other chains (TRON 1)"),
        ("hello\nworld", "no valid row (read as plain, 2 refused); the first, line 1: no address"),
        ("address,label\n", "has no row at all"),
    ] {
        let error = error(text);
        assert!(matches!(error, ListError::NoValidRow { .. }));
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn the_format_can_be_named() {
    let named = |name: &str, text: &str| {
        let options = ListOptions { format: Some(name.to_owned()), ..ListOptions::default() };
        with(text, &options).unwrap().report
    };
    assert_eq!(named("CSV", &format!("{A}\n")).format, "csv");
    let plain = named("plain", &format!("address,label\n{A} x\n"));
    assert_eq!((plain.format, plain.accepted, lines(&plain)), ("plain", 1, vec![1]));
}

#[test]
fn labels_and_reports_have_their_json_form() {
    let found = list(format!("address,label,memo\n{A},x,y\nbad,,\n"));
    assert_eq!(
        serde_json::to_string(&found.listings[0].label).unwrap(),
        r#"{"list":"list","label":"x","role":"flagged","line":2,"extra":{"memo":"y"}}"#
    );
    let json = r#"{"list":"l","role":"service","line":3,"added later":1}"#;
    let label: Label = serde_json::from_str(json).unwrap();
    assert_eq!((label.role, label.label, label.line), (Role::Service, None, 3));
    let report = serde_json::to_value(&found.report).unwrap();
    assert_eq!(report["accepted"], 1);
    assert_eq!(report["quarantined"][0]["line"], 3);
    assert_eq!(report["quarantined"][0]["text"], "bad,,");
    let keys: Vec<_> = report.as_object().unwrap().keys().cloned().collect();
    for key in [
        "path",
        "format",
        "sha256",
        "rows",
        "accepted",
        "duplicates",
        "other_chain",
        "other_chains",
        "remarks",
        "remarks_with_target",
        "commented_out",
        "hidden",
        "quarantined",
    ] {
        assert!(keys.iter().any(|found| found == key), "{key}");
    }
}

#[test]
fn encodings_are_told_apart() {
    let mut latin = format!("{A}\n{B} caf").into_bytes();
    latin.extend_from_slice(b"\xe9\n# caf\xe9\n");
    latin.extend_from_slice(C.as_bytes());
    let found = list(&latin);
    assert_eq!((found.report.accepted, lines(&found.report)), (2, vec![2]));
    assert!(found.report.quarantined[0].reason.contains("UTF-8"));

    let mut csv = b"address,label\n".to_vec();
    csv.extend_from_slice(&latin);
    let found = list(&csv);
    assert_eq!((found.report.accepted, lines(&found.report)), (2, vec![3]));

    let wide = |text: &str, mark: &[u8]| [mark, &text.bytes().flat_map(|byte| [byte, 0]).collect::<Vec<_>>()].concat();
    for bytes in [wide(A, b"\xff\xfe"), wide(A, b""), b"\x28\xb5\x2f\xfd".to_vec(), b"%PDF-1.4".to_vec(), vec![0; 100]]
    {
        let error = with(&bytes, &ListOptions::default()).unwrap_err();
        assert!(matches!(error, ListError::NotText { .. }), "{error}");
    }
}
