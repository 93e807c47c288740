//! Plain text and CSV: what is taken, from which cell and line.

use std::fmt::Write as _;

use super::*;

#[test]
fn real_lists_are_taken_in_whole() {
    let table = [
        ("fbi-2023-08-22.txt", 6, vec![], "plain"),
        ("sanctioned_addresses_XBT.txt", 434, vec![("TRON", 1)], "plain"),
        ("sanctioned_addresses_USDT.txt", 7, vec![("Ethereum", 8), ("TRON", 11)], "plain"),
    ];
    for (name, accepted, others, format) in table {
        let list = data(name);
        let report = &list.report;
        assert_eq!((report.accepted, report.duplicates, report.format), (accepted, 0, format), "{name}");
        assert_eq!(list.listings.len() as u64, accepted, "{name}");
        assert_eq!(report.quarantined, [], "{name}");
        let others: BTreeMap<_, _> = others.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        assert_eq!(report.other_chain, others.values().sum::<u64>(), "{name}");
        assert_eq!(report.other_chains, others, "{name}");
    }
    let sha256 = "df9ae4d56fd2b0e1f019ab929edd18ab82cc827ca9d0cbba327e526356b4872c";
    assert_eq!(data("fbi-2023-08-22.txt").report.sha256, sha256);
}

#[test]
fn plain_text_has_labels_and_remarks() {
    let text = format!(
        "# remark\n// remark\n\n{A} Some, label; with \"marks\"\n  {B}\t'quoted'  \nscript:6a data # remark\nraw(deadbeef)#89f8spxm x\n\
         bitcoin:{C}?label=x\n{C} # remark only\n"
    );
    let list = list(&text);
    assert_eq!(list.report.quarantined, []);
    let expected = [(4, "Some, label; with \"marks\""), (5, "quoted"), (6, "data"), (7, "x"), (8, "")];
    assert_eq!(labels(&list), expected);
    let report = &list.report;
    assert_eq!((report.accepted, report.duplicates, report.remarks, report.rows), (5, 1, 2, 8));
}

#[test]
fn csv_columns_are_taken_by_name() {
    let text = format!(
        "Source;Bitcoin Address;Label;Category;ROLE;From;txid\nhttps://x.example;{A};\"a; b\";scam;Service;700000;{}\n;{B};;;;;\n",
        "ab".repeat(32)
    );
    let options = ListOptions { label: Some("file".to_owned()), from: Some(5), ..ListOptions::default() };
    let list = with(&text, &options).unwrap();
    assert_eq!((list.report.accepted, list.report.format), (2, "csv"));
    let [first, second] = &list.listings[..] else { panic!("{list:?}") };
    let expected = Label {
        list: "list".into(),
        label: Some("a; b".to_owned()),
        source: Some("https://x.example".to_owned()),
        category: Some("scam".to_owned()),
        role: Role::Service,
        from: Some(700_000),
        line: 2,
        extra: BTreeMap::from([("txid".to_owned(), "ab".repeat(32))]),
    };
    assert_eq!(first.label, expected);
    assert_eq!(second.label.label.as_deref(), Some("file"));
    assert_eq!((second.label.from, second.label.role, second.label.line), (Some(5), Role::Flagged, 3));
}

#[test]
fn csv_columns_of_scripts_and_descriptors_are_taken() {
    let text = format!(
        "address,script,descriptor,range\n,6a,,\n,,wpkh({XPUB}/0/*),0-4\n{A},76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac,,\n\
         {A},6a,,\n,,wpkh({XPUB}/0/*),\n,,\"multi(1,{KEY},{KEY})\",\n,{KEY},,\n,,,0-4\n{A},,,4-0\n,script:,,\n"
    );
    let list = list(&text);
    assert_eq!(list.listings.len(), 9);
    assert_eq!(list.report.accepted, 5);
    assert_eq!(lines(&list.report), [5, 6, 8, 9, 10]);
    let reasons: Vec<_> = list.report.quarantined.iter().map(|row| row.reason.as_str()).collect();
    let expected = [
        refusal::Refusal::Contradiction,
        refusal::Refusal::NeedsRange,
        refusal::Refusal::BareKey,
        refusal::Refusal::NoTarget,
    ];
    for (found, expected) in reasons.iter().zip(expected) {
        assert_eq!(*found, expected.to_string());
    }
    assert_eq!(reasons[4], refusal::Refusal::BadRange.to_string());
}

#[test]
fn csv_without_a_header_is_target_and_label() {
    let list = list(format!("{A},one,more\n\"{B}\",\"two, quoted\"\nhello,x\n"));
    assert_eq!(labels(&list), [(1, "one"), (2, "two, quoted")]);
    assert_eq!(list.listings[0].label.extra, BTreeMap::from([("column 3".to_owned(), "more".to_owned())]));
    assert_eq!(lines(&list.report), [3]);
}

#[test]
fn every_row_keeps_its_physical_line() {
    for end in ["\n", "\r\n", "\r"] {
        let plain = format!("\u{feff}{A}{end}{end}hello{end}# x{end}{B} y{end}");
        let found = list(&plain);
        assert_eq!((labels(&found), lines(&found.report)), (vec![(1, ""), (5, "y")], vec![3]), "{plain:?}");

        let csv = format!(
            "\u{feff}address,label{end}{A},\"two{end}{end}lines\"{end}{end},{end}bad,x{end}# x{end}{B},y{end}{C},z"
        );
        let found = list(&csv);
        assert_eq!((labels(&found), lines(&found.report)), (vec![(2, "two\n\nlines"), (9, "y"), (10, "z")], vec![7]));
    }
}

#[test]
fn an_unclosed_quote_costs_one_row() {
    let rows = format!("address,label\n{A},\"open\n{B},\"closed\"\n{C},x\n");
    let found = list(&rows);
    assert_eq!((labels(&found), lines(&found.report)), (vec![(3, "closed"), (4, "x")], vec![2]));

    // Nothing ever closes it, and what would be swallowed has no address in its first column.
    let mut rows = format!("label,address\n\"open,{A}\n");
    for row in 0..300 {
        writeln!(rows, "x{row},bad").unwrap();
    }
    writeln!(rows, "y,{B}").unwrap();
    let found = list(&rows);
    assert_eq!(labels(&found), [(303, "y")]);
    assert_eq!(found.report.quarantined.len(), 301);

    let found = list(format!("address,label\n{B},ok\n{A},\"open"));
    assert_eq!((labels(&found), lines(&found.report)), (vec![(2, "ok")], vec![3]));
}

#[test]
fn cells_beyond_the_header_are_refused_unless_empty() {
    let found = list(format!("address,label\n{A},a,b\n{B},c,,\n"));
    assert_eq!((labels(&found), lines(&found.report)), (vec![(3, "c")], vec![2]));
}
