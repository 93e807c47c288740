//! The export of ransomwhe.re: `{"result":[{"address":…,"blockchain":…,"family":…},…]}`.

use std::io::{self, BufRead};

use super::detection::ListFormat;
use super::json_lines::{renamed, take};
use super::json_tree::{self, Found};
use super::records::Records;
use crate::watchlist::builder::ListBuilder;
use crate::watchlist::target::refusal::Refusal;

/// The export as it is downloaded.
pub const FORMAT: ListFormat = ListFormat { name: "ransomwhere", detects, read };

/// Where the list comes from, which it doesn't say.
const SOURCE: &str = "https://ransomwhe.re";

fn detects(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    let head = head.trim_start_matches('\u{feff}').trim_start();
    head.starts_with('{') && ["\"result\"", "\"family\"", "\"blockchain\""].iter().all(|name| head.contains(name))
}

fn read(_head: &[u8], input: &mut dyn BufRead, list: &mut ListBuilder) -> io::Result<()> {
    let mut records = Records::new(list);
    json_tree::read(input, &mut |path, line, found| match found {
        Found::Record(mut cells) => {
            let mut row = Vec::new();
            renamed(&mut row, "address", take(&mut cells, "address"));
            renamed(&mut row, "currency", take(&mut cells, "blockchain"));
            renamed(&mut row, "label", take(&mut cells, "family"));
            row.push(("category".into(), "ransomware".to_owned()));
            row.push(("source".into(), SOURCE.to_owned()));
            // Balances change with each download, and an index would take each change for a new label.
            renamed(&mut row, "created", take(&mut cells, "createdAt"));
            records.add(line, row);
        }
        Found::Value(text) => records.remark(line, format!("{}: {text}", path.join("."))),
        Found::Element(text) => records.refuse(line, text, Refusal::NoTarget),
    })?;
    records.finish()
}
