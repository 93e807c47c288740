//! BIP329, the labels of a wallet: JSON lines with `type`, `ref` and `label`. Labels of addresses are entries.

use std::io::{self, BufRead};

use super::detection::ListFormat;
use super::json::own;
use super::json_lines::{each, first_record, renamed, take};
use crate::watchlist::builder::ListBuilder;
use crate::watchlist::target::refusal::Refusal;

/// Labels of wallets.
pub const FORMAT: ListFormat = ListFormat { name: "bip329", detects, read };

fn detects(head: &[u8]) -> bool {
    first_record(head).is_some_and(|cells| {
        let has = |name: &str| cells.iter().any(|(found, _)| found == name);
        has("type") && has("ref")
    })
}

fn read(_head: &[u8], input: &mut dyn BufRead, list: &mut ListBuilder) -> io::Result<()> {
    each(input, list, |records, line, text, mut cells| {
        let kind = take(&mut cells, "type").unwrap_or_default();
        let reason = match kind.as_str() {
            "addr" => {
                let mut row = Vec::new();
                renamed(&mut row, "address", take(&mut cells, "ref"));
                renamed(&mut row, "label", take(&mut cells, "label"));
                row.extend(own(cells));
                return records.add(line, row);
            }
            "tx" => Refusal::LabelOf("a transaction; list the addresses of its outputs"),
            "input" => Refusal::LabelOf("an input; list the address that it spends from"),
            "output" => Refusal::LabelOf("an output; list its address"),
            "pubkey" => Refusal::BareKey,
            "xpub" => Refusal::ExtendedKey,
            _ => Refusal::LabelOf("something that isn't known; known are addr, tx, input, output, pubkey, xpub"),
        };
        records.refuse(line, text.to_owned(), reason);
    })
}
