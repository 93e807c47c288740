//! The files of `tests/data/lists`, each with the outcome that `expected.json` there says is right.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bitcoin::Address;
use serde_json::Value;

use super::*;

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data/lists"].iter().collect()
}

pub(super) fn content(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

pub(super) fn expected() -> Value {
    serde_json::from_slice(&content("expected.json")).unwrap()
}

/// The addresses that a list names, sorted.
pub(super) fn addresses(list: &List) -> Vec<String> {
    let address = |listing: &Listing| Address::from_script(&listing.script, Chain::Main.network()).unwrap().to_string();
    list.listings.iter().map(address).collect::<BTreeSet<_>>().into_iter().collect()
}

pub(super) fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Compares what becomes of a file with what is expected of it.
pub(super) fn check(name: &str, bytes: &[u8], expected: &Value) {
    let read = read(&mut &*bytes, "list", Chain::Main, &ListOptions::default());
    if expected["outcome"] == "refused" {
        let error = read.unwrap_err();
        assert!(matches!(error, ListError::NoAddressColumn { .. } | ListError::NoValidRow { .. }), "{name}: {error}");
        return;
    }
    let list = read.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(addresses(&list), texts(&expected["entries"]), "{name}: {:?}", list.report);
    for listing in &list.listings {
        let address = Address::from_script(&listing.script, Chain::Main.network()).unwrap().to_string();
        if let Some(role) = expected["roles"][&address].as_str() {
            assert_eq!(listing.label.role, role.parse().unwrap(), "{name}");
        }
        assert_eq!(listing.label.from.map(u64::from), expected["froms"][&address].as_u64(), "{name}");
    }
    counted(&list.report);
    if let Some(hidden) = expected["hides"].as_str() {
        assert_eq!(list.report.hidden, 1, "{name}");
        assert!(!format!("{list:?}").contains(hidden), "{name}");
    }
}

/// The whole outcome of a file as it is given.
fn case(name: &str) {
    let (bytes, expected) = (content(name), &expected()[name]);
    check(name, &bytes, expected);
    if expected["outcome"] == "refused" {
        return;
    }
    let report = list(&bytes).report;
    assert_eq!(report.other_chain, expected["other_chain"], "{name}");
    assert_eq!(report.quarantined.len(), expected["quarantined"], "{name}: {report:?}");
    let remarks = expected["remarks_with_target"].as_u64().unwrap_or(0);
    assert_eq!((report.remarks_with_target, report.commented_out.len() as u64), (remarks, remarks), "{name}");
}

/// A test for each file, and one that says that none is left out.
macro_rules! cases {
    ($($test:ident $file:literal,)*) => {
        $(#[test]
        fn $test() {
            case($file);
        })*

        #[test]
        fn every_case_is_tried() {
            let expected: Vec<_> = expected().as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>().into_iter().collect();
            assert_eq!(expected, [$($file),*]);
        }
    };
}

cases! {
    a_header_can_say_btc_in_brackets "address-btc-header.csv",
    a_cell_that_holds_an_address_is_no_currency "address-in-the-currency-cell.csv",
    words_for_bitcoin_and_unknown_words_take_nothing_away "bitcoin-by-other-words.csv",
    a_form_that_another_ticker_shares_is_quarantined "bitcoin-form-other-ticker.csv",
    a_row_that_was_commented_out_is_counted_and_shown "commented-out-row.csv",
    payments_name_no_address_column "from-to.csv",
    a_header_can_be_written_as_a_remark "hash-before-header.csv",
    a_header_can_begin_with_a_number_sign "hash-header.csv",
    a_tag_with_a_number_sign_makes_no_remark "hash-in-another-column.csv",
    a_victims_address_within_a_quoted_report_is_not_flagged "lines-in-quotes.csv",
    a_network_column_names_the_chain "network-column.csv",
    a_ticker_counts_without_a_header "no-header-other-ticker.csv",
    a_row_with_an_address_is_no_header "no-header-with-ticker.csv",
    rows_can_be_numbered_with_a_number_sign "numbered-rows.csv",
    a_lone_row_with_an_address_is_no_header "one-row-with-ticker.csv",
    postal_addresses_of_opensanctions_are_no_targets "opensanctions-simple.csv",
    a_role_and_a_height_are_taken_by_their_columns "role-and-from.csv",
    a_seed_phrase_in_capitals_is_hidden_and_the_row_kept "seed-phrase-upper-case.csv",
    a_semicolon_starts_no_remark "semicolon-first.txt",
    several_addresses_in_a_cell_count_each "several-in-one-cell.csv",
    a_header_can_stand_below_a_title "title-above-header.csv",
    twelve_plain_words_are_no_seed_phrase "twelve-plain-words.csv",
    two_kinds_of_wallets_name_no_address_column "two-kinds-of-address.csv",
    a_transaction_id_in_a_note_hides_no_row "txid-in-note.csv",
    an_unknown_word_sends_no_mistyped_address_away "unknown-chain-word.csv",
}

#[test]
fn what_is_refused_names_the_columns_that_are_known() {
    for name in ["from-to.csv", "two-kinds-of-address.csv", "semicolon-first.txt"] {
        let error = with(content(name), &ListOptions::default()).unwrap_err().to_string();
        for part in ["line 1", "btc address", "descriptor", "header line"] {
            assert!(error.contains(part), "{name}: {error}");
        }
    }
}

#[test]
fn other_reasons_are_given_by_row() {
    let reasons = |name: &str| -> Vec<String> {
        list(content(name)).report.quarantined.into_iter().map(|row| row.reason).collect()
    };
    let shared = reasons("bitcoin-form-other-ticker.csv");
    assert!(shared[..2].iter().all(|reason| reason.contains("Litecoin")), "{shared:?}");
    assert!(shared[2].contains("Bitcoin Cash"), "{shared:?}");
    let cells = reasons("address-in-the-currency-cell.csv");
    assert!(cells.iter().all(|reason| reason.contains("in another one")), "{cells:?}");
    assert!(reasons("unknown-chain-word.csv")[0].contains("mistyped"));
}
