//! Input that is damaged or made to do damage: a clear error or a quarantined row with its line, in bounded time and memory.

use super::*;
use crate::watchlist::table::lines::MAX_LINE;

#[test]
fn zero_bytes_bad_encoding_and_control_characters_cost_their_row_only() {
    let text = [
        format!("address,label\n{A},x\0y\n{B},").as_bytes(),
        b"caf\xe9\n\xff\xff,z\n",
        format!("{C},\u{202e}x\u{1b}[2J\u{7}\n").as_bytes(),
    ]
    .concat();
    let found = list(&text);
    assert_eq!((found.report.accepted, lines(&found.report)), (1, vec![2, 3, 4]));
    let reasons: Vec<_> = found.report.quarantined.iter().map(|row| row.reason.as_str()).collect();
    assert!(
        reasons[0].contains("zero byte") && reasons[1].contains("UTF-8") && reasons[2].contains("UTF-8"),
        "{reasons:?}"
    );
    assert_eq!(found.report.rows, 4);
}

#[test]
fn a_million_columns_are_refused_row_by_row() {
    let wide = "x,".repeat(400_000);
    let found = report(format!("address,label\n{A},{wide}\n{B},ok\n{wide}{wide}\n"));
    assert_eq!((found.accepted, lines(&found)), (1, vec![2, 4]));
    assert!(found.quarantined[0].reason.contains("cells"), "{}", found.quarantined[0].reason);
    // A header so wide is none: nothing says which column holds addresses.
    let header = format!("address,{wide}\n{A},{wide}\n{A},y\n");
    let found = report(header);
    assert_eq!(found.rows, counted(&found));
}

#[test]
fn cells_and_quotes_of_megabytes_are_cut_and_counted() {
    let long = "y".repeat(2 * MAX_LINE);
    let found = report(format!("address,label\n{A},{long}\n{B},\"{long}\"\n{C},ok\n"));
    assert_eq!((found.accepted, lines(&found)), (1, vec![2, 3]));
    // A quote that never ends, over more lines than a row may have: its line is lost, those after it are rows.
    let lines_of_text = "some text\n".repeat(MAX_LINE / 5);
    let found = report(format!("address,label\n{A},\"{lines_of_text}{B},ok\n"));
    assert_eq!(found.accepted, 1);
    assert_eq!(found.quarantined[0].line, 2);
    assert!(found.quarantined[0].reason.contains("quoted cell"));
    assert_eq!(found.rows, counted(&found));
}

#[test]
fn a_victim_in_a_report_whose_quotes_are_wrong_is_not_flagged() {
    // Quotes within the cell that aren't doubled; and a cell that never closes.
    for report_text in [
        format!("\"They said \"pay\"\n{B}\nand I did\""),
        format!("\"They said pay.\n{B}\nand I did"),
        format!("\"They said \"pay\" to me\n{B}\nand I did\""),
    ] {
        let found = report(format!("address,description\n{C},control\n{A},{report_text}\n"));
        assert!(found.quarantined.iter().any(|row| row.text.contains(B)), "{report_text}: {found:?}");
        let options = ListOptions::default();
        let list = with(format!("address,description\n{C},control\n{A},{report_text}\n"), &options).unwrap();
        assert!(!cases::addresses(&list).contains(&B.to_owned()), "{report_text}");
    }
}

#[test]
fn a_quote_that_swallows_rows_is_quarantined_with_them() {
    let found = report(format!("address,label\n{A},\"12 inch\n{B},normal\n{C},12\"\n{TRON},x\n{A},y\n"));
    assert_eq!((found.accepted, lines(&found), found.other_chain), (1, vec![2], 1));
    assert!(found.quarantined[0].reason.contains("rows of this file"), "{found:?}");
}

#[test]
fn a_second_header_makes_the_rows_below_it_unsure() {
    let text = format!("address,label\n{A},x\naddress,label\n{B},y\nrole,address\nservice,{C}\n{C},z\n");
    let found = list(&text);
    assert_eq!((found.report.accepted, found.report.remarks, lines(&found.report)), (2, 1, vec![5, 6, 7]));
}

#[test]
fn a_title_never_makes_flagged_money_of_a_service() {
    // Found below the title, or the file is refused: the role is never passed over.
    let good = [
        format!("Services,,\naddress,label,role\n{A},x,service\n"),
        format!("Addresses\n\naddress;label;role\n{A};x;service\n"),
        format!("# Services\n# as of 2025\nrole,address\nservice,{A}\n"),
        format!("{B},main wallet,\naddress,label,role\n{A},x,service\n"),
    ];
    for text in good {
        let found = list(&text);
        assert_eq!(cases::addresses(&found), [A], "{text}");
        assert_eq!(found.listings[0].label.role, Role::Service, "{text}");
    }
    // A remark above the header is one, also with an address in it.
    let found = list(format!("# {B} was removed\naddress,role\n{A},service\n"));
    assert_eq!((found.report.remarks_with_target, cases::addresses(&found)), (1, vec![A.to_owned()]));
    for text in [
        format!("Services\nAdresse,Name,Rolle\n{A},x,service\n"),
        format!("Adresse\tRolle\n{A}\tservice\n"),
        format!("address role\n{A} service\n"),
    ] {
        let error = with(&text, &ListOptions::default()).unwrap_err();
        assert!(matches!(error, ListError::NoAddressColumn { .. }), "{text}: {error}");
    }
}

#[test]
fn two_addresses_in_a_row_without_a_header_are_asked_about() {
    for text in [
        format!("{A},{B}\n{C},x\n"),
        format!("{A} {B} ; {C}\n{C} x\n"),
        format!("{A} {B}\n{C} x\n"),
        format!("{A},x,{B}\n{C},y,z\n"),
    ] {
        let found = list(&text);
        assert_eq!((cases::addresses(&found), lines(&found.report)), (vec![C.to_owned()], vec![1]), "{text}");
        assert!(found.report.quarantined[0].reason.contains("several addresses"), "{text}");
    }
}

#[test]
fn what_no_script_comes_from_is_named() {
    let silent = "sp1qqgste7k9hx0qftg6qmwlkqtwuy6cycyavzmzj85c6qdfhjdpdjtdgqjuexzk6murw56suy3e0rd2cgqvycxttddwsvgxe2usfpxumr70xc9pkqwv";
    let invoice = format!("lnbc20m1{}", "pvjluezpp5qqqsyqcyq5rqwzqf".repeat(4));
    let found = report(format!("{A}\n{silent}\n{invoice}\n5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY\n"));
    assert_eq!((found.accepted, lines(&found)), (1, vec![2, 3]));
    assert!(found.quarantined[0].reason.contains("silent payment"), "{found:?}");
    assert!(found.quarantined[1].reason.contains("Lightning"), "{found:?}");
    assert_eq!(found.other_chains.get("Substrate (SS58)"), Some(&1));
}
