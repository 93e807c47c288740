//! Properties of any input: no panic, every row counted once, nothing kept twice.

use std::fmt::Write as _;

use super::*;
use crate::watchlist::text;

/// One line of a list, good or bad, without line ends.
fn any_row() -> impl Strategy<Value = String> {
    let known = [A, B, C, TRON, KEY, WIF, "script:6a", "raw(6a)", "", "# x", "\u{e9}", "\"", "a\"b", "x\0"];
    prop_oneof![
        prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        (prop::sample::select(known.to_vec()), "[ -~é\t]{0,12}")
            .prop_map(|(target, label)| format!("{target} {label}")),
        "[^\r\n]{0,20}",
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        format in prop::option::of(prop::sample::select(crate::watchlist::format::names())),
    ) {
        let options = ListOptions { format: format.map(str::to_owned), ..ListOptions::default() };
        let _ = with(&bytes, &options);
    }

    #[test]
    fn every_row_of_plain_text_is_counted_once(
        rows in prop::collection::vec((any_row(), prop::sample::select(vec!["\n", "\r\n", "\r"])), 0..20),
    ) {
        let text: String = rows.iter().map(|(row, end)| format!("{row}{end}")).collect();
        let expected = rows.iter().enumerate().filter(|(at, (row, _))| {
            let row = if *at == 0 { row.trim_start_matches('\u{feff}') } else { row };
            let row = row.trim_matches(text::is_margin);
            !row.is_empty()
        }).count() as u64;
        let options = ListOptions { format: Some("plain".to_owned()), ..ListOptions::default() };
        match with(&text, &options) {
            Ok(list) => prop_assert_eq!(counted(&list.report), expected, "{:?} {:?}", text, list.report),
            Err(ListError::NoValidRow { report }) => prop_assert_eq!(counted(&report), expected, "{:?} {:?}", text, report),
            Err(error) => prop_assert!(matches!(error, ListError::NotText { .. }), "{}", error),
        }
    }

    #[test]
    fn every_well_formed_row_of_csv_is_counted_once(
        rows in prop::collection::vec((any_row(), "[ -~é\n]{0,12}"), 1..20),
        delimiter in prop::sample::select(vec![',', ';', '\t', '|']),
    ) {
        let quoted = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
        let mut text = format!("label{delimiter}address\n");
        for (target, label) in &rows {
            writeln!(text, "{}{delimiter}{}", quoted(label), quoted(target)).unwrap();
        }
        let options = ListOptions { format: Some("csv".to_owned()), ..ListOptions::default() };
        match with(&text, &options) {
            Ok(List { report, .. }) => prop_assert_eq!(counted(&report), rows.len() as u64, "{:?} {:?}", text, report),
            Err(ListError::NoValidRow { report }) => {
                prop_assert_eq!(counted(&report), rows.len() as u64, "{:?} {:?}", text, report);
            }
            Err(error) => prop_assert!(matches!(error, ListError::NotText { .. }), "{}", error),
        }
    }

    #[test]
    fn what_a_list_says_twice_is_counted_twice_and_kept_once(labels in prop::collection::vec("[a-z]{0,3}", 1..8)) {
        let once: String = labels.iter().map(|label| format!("{A} {label}\n")).collect();
        let (one, two) = (list(&once), list(format!("{once}{once}")));
        prop_assert_eq!(&one.listings, &two.listings);
        prop_assert_eq!(two.report.duplicates, one.report.duplicates + labels.len() as u64);
    }
}
