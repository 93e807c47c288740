//! Whole files through `read`: what is taken, what is refused and why, and that every row is counted once.

use std::fmt::Write as _;
use std::io::{self, Read};

use proptest::prelude::*;

use super::*;
use crate::watchlist::table::lines;
use crate::watchlist::target::text;

mod cases;
mod malformed;
mod variants;

const A: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
const B: &str = "3P14159f73E4gFr7JterCCQh9QjiTjiZrG";
const C: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
const TRON: &str = "TEAqwfMhXLaomXhZ8KeMhx3njGmQEDnsUR";
const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const XPUB: &str =
    "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";
const WIF: &str = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ";

fn with(bytes: impl AsRef<[u8]>, options: &ListOptions) -> Result<List, ListError> {
    read(&mut bytes.as_ref(), "list", Chain::Main, options)
}

fn list(bytes: impl AsRef<[u8]>) -> List {
    with(bytes, &ListOptions::default()).unwrap()
}

/// The report, also of a file without a valid row.
fn report(bytes: impl AsRef<[u8]>) -> Report {
    match with(bytes, &ListOptions::default()) {
        Ok(list) => list.report,
        Err(ListError::NoValidRow { report }) => *report,
        Err(error) => panic!("{error}"),
    }
}

fn data(name: &str) -> List {
    let path = format!("{}/tests/data/watchlists/{name}", env!("CARGO_MANIFEST_DIR"));
    read(&mut std::fs::File::open(path).unwrap(), name, Chain::Main, &ListOptions::default()).unwrap()
}

fn lines(report: &Report) -> Vec<u64> {
    report.quarantined.iter().map(|row| row.line).collect()
}

fn labels(list: &List) -> Vec<(u64, &str)> {
    list.listings.iter().map(|listing| (listing.label.line, listing.label.label.as_deref().unwrap_or(""))).collect()
}

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

#[test]
fn bad_rows_are_told_with_their_reason() {
    let xpub = XPUB;
    let table = [
        (format!("{}b", &A[..33]), "mistyped"),
        ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn".to_owned(), "belongs to a test network, but the chain is main"),
        (A[..25].to_owned(), "part of it is missing"),
        (KEY.to_owned(), "write pk(KEY)"),
        (xpub.to_owned(), "write a descriptor"),
        ("script:zz".to_owned(), "hex"),
        (format!("wpkh({xpub}/*)"), "range"),
        (format!("pkh({KEY})#aaaaaaaa"), "checksum"),
        (format!("{A}\0"), "zero byte"),
        ("hello world".to_owned(), "no address"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8F3T4".to_owned(), "upper and lower case"),
    ];
    for (row, reason) in table {
        let report = report(format!("{B}\n{row}\n{C}\n"));
        assert_eq!(report.accepted, 2, "{row}");
        let [quarantined] = &report.quarantined[..] else { panic!("{row}: {report:?}") };
        assert_eq!(quarantined.line, 2);
        assert!(quarantined.reason.contains(reason), "{row}: {}", quarantined.reason);
        assert_eq!(quarantined.text, row.replace('\0', "\u{fffd}"));
    }
    let found = report(format!("address,role,from\n{A},boss,\n{A},,-1\n{A},,soon\n{A},SERVICE,0\n{A},,4294967296\n"));
    assert_eq!((found.accepted, lines(&found)), (1, vec![2, 3, 4, 6]));
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
    for bytes in [wide(A, b"\xff\xfe"), wide(A, b""), b"PK\x03\x04".to_vec(), b"%PDF-1.4".to_vec(), vec![0; 100]] {
        let error = with(&bytes, &ListOptions::default()).unwrap_err();
        assert!(matches!(error, ListError::NotText { .. }), "{error}");
    }
}

#[test]
fn long_rows_are_refused_and_shown_shortened() {
    let found = report(format!("{}\n{A} {}\n{B}\n", "x".repeat(5000), "y".repeat(lines::MAX_LINE)));
    assert_eq!((found.accepted, lines(&found)), (1, vec![1, 2]));
    assert!(found.quarantined.iter().all(|row| row.text.chars().count() <= 121));
    let script = format!("script:{}", "51".repeat(400_000));
    assert_eq!(list(&script).listings[0].script.len(), 400_000);
}

#[test]
fn private_keys_are_never_repeated() {
    let xprv = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
    let hash = "e9873d79c6d87dc0fb6a5778633389f4453213303da61f20bd67fc233aa33262";
    let seed = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    let secrets = [
        (WIF.to_owned(), &WIF[4..20]),
        (format!("{}1", &WIF[..50]), &WIF[4..20]),
        (WIF[..49].to_owned(), &WIF[4..20]),
        (xprv.to_owned(), &xprv[10..30]),
        (hash.to_owned(), &hash[4..20]),
        (format!("0x{hash}"), &hash[4..20]),
        (hash[..63].to_owned(), &hash[4..20]),
        ("S6c56bnXQiBjk9mqSYE7ykVQ7NzrRy".to_owned(), "6c56bnXQiBjk9"),
        (seed.to_owned(), "sausage"),
    ];
    for (secret, canary) in secrets {
        // In place of an address: nothing can be taken.
        for row in [secret.clone(), format!("pkh({secret})"), format!("{secret} label"), format!("{secret}\0")] {
            let found = report(format!("{A}\n{row}\n"));
            assert_eq!((found.accepted, lines(&found)), (1, vec![2]), "{row}");
            assert!(!format!("{found:?}").contains(canary), "{row}: {found:?}");
            let error = with(&row, &ListOptions::default()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(canary), "{row}: {error}");
        }
        // 64 hex digits in a note are a transaction more often than a key, and 63 of them neither.
        let hides = !secret.contains(&hash[..63]);
        let hidden = u64::from(hides);
        for row in [format!("{C} {secret}"), format!("{C} the key: \"{secret}\"."), format!("{C} # {secret}")] {
            let found = list(format!("{A}\n{row}\n"));
            assert_eq!((found.report.accepted, found.report.hidden), (2, hidden), "{row}");
            assert!(!hides || !format!("{found:?}").contains(canary), "{row}: {found:?}");
        }
        let header = "address,label,source,memo,list\n";
        let found = report(format!("{header}{A},,,,\n{secret},x,,,\n"));
        assert_eq!((found.accepted, lines(&found)), (1, vec![3]), "{secret}");
        assert!(!format!("{found:?}").contains(canary), "{found:?}");
        for row in [
            format!("{C},x,{secret},,"),
            format!("{C},x,,{secret},"),
            format!("{C},\"x\n{secret}\",,,z"),
            format!("{C},{secret},,,"),
        ] {
            let found = list(format!("{header}{A},,,,\n{row}\n"));
            assert_eq!((found.report.accepted, found.report.hidden), (2, hidden), "{row}");
            assert!(!hides || !format!("{found:?}").contains(canary), "{row}: {found:?}");
        }
        let found = report(format!("{header}{A},,,,\n{C},x,,,,,{secret}\n"));
        assert_eq!((found.accepted, lines(&found)), (1, vec![3]), "{secret}");
        assert!(secret.len() == 63 || !format!("{found:?}").contains(&secret), "{found:?}");
    }
    let words = seed.replace(' ', ",");
    let found = list(format!("{A},{words}\n"));
    assert_eq!((found.report.accepted, found.report.hidden), (1, 12), "a phrase with a word in each cell: {found:?}");
    assert!(!format!("{found:?}").contains("sausage"));
    let found = list(format!("{A} swept {hash}\n"));
    assert_eq!(found.listings[0].label.label.as_deref(), Some("swept e9873d79…3aa33262"));
    let mut latin = format!("{A}\n{WIF} caf").into_bytes();
    latin.push(0xe9);
    assert!(!format!("{:?}", report(&latin)).contains(&WIF[4..20]));
}

#[test]
fn the_currency_column_and_the_address_decide_together() {
    let text = format!(
        "address,currency\n{A},BTC\n{B},xbt\n{C},\n1K1rgZ1dz9w7dsR1HGS1drmzfUHMtqx1Tc,BCH\n{A},BSV\n1CF46Rfbp97absrs7zb7dFfZS6qBXUm9EP,USDT\n{TRON},USDT\n\
         {TRON},\n{TRON},TRX\n{C},ETH\n{C},BCH\nwhatever,XMR\nwhatever,Foo\n{A},Foo\nwhatever,BTC\n{WIF},XMR\n{},ETH\n{},LTC\n\
         0x175d44451403Edf28469dF03A9280c1197ADb92c,Polygon\n",
        &A[..33],
        &B[..30]
    );
    let found = list(&text);
    assert_eq!(found.report.accepted, 4, "BTC, XBT, none, and USDT on bitcoin: {:?}", found.report);
    assert_eq!(found.report.duplicates, 1, "an unknown word decides nothing");
    let others = [("Monero", 1), ("Polygon", 1), ("TRON", 3)];
    let others: BTreeMap<_, _> = others.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(found.report.other_chains, others);
    // Forms that other chains share, bitcoin addresses that are called something else, what is no address, a key, addresses with errors.
    assert_eq!(lines(&found.report), [5, 6, 11, 12, 14, 16, 17, 18, 19]);
    assert!(found.report.quarantined[0].reason.contains("Bitcoin Cash"), "{:?}", found.report);
    assert_eq!(found.listings[0].label.extra["currency"], "BTC");
}

#[test]
fn cells_that_contradict_each_other_send_no_row_away() {
    let text = format!(
        "address,currency,network\n1K1rgZ1dz9w7dsR1HGS1drmzfUHMtqx1Tc,BCH,mainnet\n{A},BTC,Litecoin\n{A},ETH,BCH\nwhatever,BTC,XMR\n\
         {A},BTC,mainnet\nwhatever,XMR,mainnet\n"
    );
    let found = list(&text);
    assert_eq!((found.report.accepted, lines(&found.report)), (1, vec![2, 3, 4, 5]));
    assert_eq!(found.report.other_chains.get("Monero"), Some(&1));
}

#[test]
fn a_duplicate_says_nothing_new() {
    let text = format!("address,label,role,from,id\n{A},x,,,1\n{A},x,,,2\n{A},y,,,3\n{A},x,service,,4\n{A},x,,7,5\n");
    let found = list(&text);
    assert_eq!((found.report.accepted, found.report.duplicates, found.listings.len()), (4, 1, 4));
    let both = list(format!("combo({KEY})\nwpkh({KEY})\n"));
    assert_eq!((both.report.accepted, both.report.duplicates, both.listings.len()), (1, 1, 4));
}

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
    assert_eq!(unknown.to_string(), "no list format is called 'ods' (for list); one of csv, plain");
    for marked_up in ["<?xml version=\"1.0\"?><a/>", "[\n\"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa\",\n\"x\"]"] {
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

fn counted(report: &Report) -> u64 {
    let counted =
        report.accepted + report.duplicates + report.other_chain + report.remarks + report.quarantined.len() as u64;
    assert_eq!(counted, report.rows, "{report:?}");
    counted
}

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
        format in prop::sample::select(vec![None, Some("csv"), Some("plain")]),
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
