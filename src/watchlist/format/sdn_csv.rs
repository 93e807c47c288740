//! OFAC's sdn.csv: twelve cells a party, the last one remarks with its addresses, up to 1,000 characters. What is beyond them stands in
//! sdn_comments.csv, whose rows are read from the same input, behind or before those of the parties.

use std::collections::HashMap;
use std::io::{self, BufRead};

use super::detection::{ListFormat, head_lines};
use super::ofac::{self, Party, Wallet};
use crate::watchlist::builder::{ListBuilder, RowOutcome};
use crate::watchlist::fault::whole_fault;
use crate::watchlist::table::record::ListRecord;
use crate::watchlist::table::remark::is_blank;
use crate::watchlist::table::rows::RowReader;
use crate::watchlist::target::refusal::Refusal;

/// sdn.csv, alone or with its comments.
pub const FORMAT: ListFormat = ListFormat { name: "ofac-sdn-csv", detects, read };

/// Cells of a party.
const CELLS: usize = 12;
/// An empty cell.
const NOTHING: &str = "-0-";
/// Where OFAC cuts the remarks, perhaps less white space at the end.
const REMARKS: usize = 1_000;
/// The most that is held of the file, which has some 5 MB.
const HELD: usize = 256 << 20;
/// How an address is introduced in the remarks.
const KIND: &str = "Digital Currency Address";

fn detects(head: &[u8]) -> bool {
    head_lines(head).iter().filter(|line| !is_blank(line)).take(10).any(|line| {
        let cells = ListRecord::split(line, b',').cells;
        cells.len() == CELLS && is_number(&cells[0]) && cells.iter().any(|cell| cell.trim() == NOTHING)
    })
}

/// A party and all that is said of it.
#[derive(Default)]
struct Entry {
    line: u64,
    party: Party,
    remarks: String,
    comments: String,
}

fn read(_head: &[u8], input: &mut dyn BufRead, list: &mut ListBuilder) -> io::Result<()> {
    let mut rows = RowReader::new(input);
    let mut entries: Vec<Entry> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut held = 0;
    while let Some(row) = rows.next(b',')? {
        // The files end with the end-of-file mark of old systems.
        if row.text.chars().all(|letter| letter == '\u{1a}' || letter.is_whitespace()) && row.fault.is_none() {
            continue;
        }
        let cells = ListRecord::split(&row.text, b',').cells;
        let known = matches!(cells.len(), 2 | CELLS) && is_number(&cells[0]);
        if row.fault.is_some() || row.doubtful || !known {
            let reason = row.fault.unwrap_or(Refusal::Cells { found: cells.len(), expected: CELLS });
            list.put(row.line, &row.text, RowOutcome::Quarantined(reason));
            continue;
        }
        held += row.text.len();
        if held > HELD {
            return Err(whole_fault(format!("is larger than {HELD} bytes; sdn.csv has some 5 MB")));
        }
        let uid = cells[0].trim().to_owned();
        let place = *places.entry(uid.clone()).or_insert(entries.len());
        if place == entries.len() {
            entries.push(Entry { line: row.line, ..Entry::default() });
        }
        let entry = &mut entries[place];
        entry.party.uid = uid;
        if cells.len() == CELLS {
            entry.line = row.line;
            entry.party.name = cell(&cells[1]);
            entry.party.kind = cell(&cells[2]);
            entry.party.programs = programs(&cells[3]);
            // Not trimmed: its end may be cut within a word.
            entry.remarks.push_str(if cells[11].trim() == NOTHING { "" } else { &cells[11] });
        } else {
            entry.comments.push_str(&cells[1]);
        }
    }
    for entry in entries {
        put(&entry, list);
    }
    Ok(())
}

/// Puts the addresses of a party into the list.
fn put(entry: &Entry, list: &mut ListBuilder) {
    let is_cut = entry.remarks.chars().count() + 2 >= REMARKS && entry.comments.is_empty();
    let whole = format!("{}{}", entry.remarks, entry.comments);
    let mut items = whole.split(';').peekable();
    while let Some(item) = items.next() {
        if is_cut && items.peek().is_none() {
            let text = format!("{} {}", entry.party.uid, entry.party.name);
            list.put(entry.line, &text, RowOutcome::Quarantined(Refusal::CutRemarks));
            return;
        }
        if let Some(wallet) = wallet(item, entry.line) {
            ofac::put(&wallet, &entry.party, list);
        }
    }
}

/// The address of an item such as `alt. Digital Currency Address - XBT 1B64…`.
fn wallet(item: &str, line: u64) -> Option<Wallet> {
    let (_, rest) = item.split_once(KIND)?;
    let rest = rest.trim_start_matches([' ', '-', '\n']).trim_end().trim_end_matches('.');
    let (ticker, number) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    Some(Wallet { line, kind: format!("{KIND} - {ticker}"), number: number.trim().to_owned() })
}

fn cell(text: &str) -> String {
    let text = text.trim();
    if text == NOTHING { String::new() } else { text.to_owned() }
}

/// Programs as in `SDGT] [IFSR`.
fn programs(text: &str) -> Vec<String> {
    let text = cell(text);
    let parts = text.split("] [").map(|part| part.trim_matches(['[', ']', ' ']).to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

fn is_number(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.len() < 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}
