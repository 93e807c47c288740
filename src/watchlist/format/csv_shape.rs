//! Whether a file is CSV, by its beginning: with a header, with addresses first and no header, or with columns that nothing names.

use std::borrow::Cow;

use super::detection::{head_lines, is_marked_up};
use crate::chain::Chain;
use crate::watchlist::table::columns::{Columns, Purpose};
use crate::watchlist::table::header::{self, DELIMITERS, Header};
use crate::watchlist::table::record::ListRecord;
use crate::watchlist::table::remark::{is_blank, marked};
use crate::watchlist::target::refusal::Refusal;
use crate::watchlist::target::{is_target_like, script};

/// Rows that are looked at.
const ROWS: usize = 100;

/// What the start of a file says about the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A header names the columns.
    Named(Header),
    /// No header; the first cell of each row is its address.
    Bare {
        /// What stands between cells.
        delimiter: u8,
    },
    /// Columns, but nothing says which one is that of the addresses.
    Unnamed {
        /// Where a header would be.
        line: u64,
    },
    /// Lines of plain text, or something else.
    Other,
}

/// The shape of a file that starts with these bytes.
pub fn of(head: &[u8]) -> Shape {
    let lines = head_lines(head);
    if is_marked_up(&lines) {
        return Shape::Other;
    }
    if let Some(header) = header::find(head, Purpose::Entries) {
        return Shape::Named(header);
    }
    let numbered = (1..).zip(lines.iter().map(String::as_str));
    let rows: Vec<(u64, &str)> =
        numbered.filter(|(_, line)| !is_blank(line) && marked(line).is_none()).take(ROWS).collect();
    // Commas in the labels of plain text don't make it CSV.
    let plain = rows.iter().filter(|(_, line)| line.split_whitespace().next().is_some_and(is_target)).count();
    let announced = header::announced(head);
    let delimiters = || DELIMITERS.into_iter().filter(|delimiter| announced.is_none_or(|only| only == *delimiter));
    let unknown = delimiters().find_map(|delimiter| unknown_header(&rows, delimiter, plain));
    if let Some(line) = unknown.or_else(|| words_of_header(&rows, plain)) {
        return Shape::Unnamed { line };
    }
    let first = |delimiter: u8| {
        let names = |line: &str| {
            let record = ListRecord::split(line, delimiter);
            (record.cells.len() > 1 || line.starts_with('"')) && is_target(&record.cells[0])
        };
        rows.iter().filter(|(_, line)| names(line)).count()
    };
    let counted = delimiters().map(|delimiter| (delimiter, first(delimiter)));
    let best = counted.reduce(|best, next| if next.1 > best.1 { next } else { best });
    match best {
        Some((delimiter, count)) if count > plain => Shape::Bare { delimiter },
        // Tabs are white space too: where each row has one, they stand between cells.
        Some((delimiter @ b'\t', count)) if count > 0 && count == rows.len() => Shape::Bare { delimiter },
        _ => elsewhere(&rows, delimiters(), plain).map_or(Shape::Other, |line| Shape::Unnamed { line }),
    }
}

/// The line of a first row that names columns by names that aren't known: it has as many cells as the first row with an address, and
/// none of them is one.
fn unknown_header(rows: &[(u64, &str)], delimiter: u8, plain: usize) -> Option<u64> {
    let cells_of =
        |line: &str| ListRecord::split(line, delimiter).cells.iter().filter(|cell| !cell.trim().is_empty()).count();
    let holds = |line: &str| ListRecord::split(line, delimiter).cells.iter().any(|cell| is_target_like(cell));
    let data = rows.iter().position(|(_, line)| holds(line))?;
    let firsts = rows.iter().filter(|(_, line)| is_target(&ListRecord::split(line, delimiter).cells[0])).count();
    if firsts < plain || cells_of(rows[data].1) < 2 {
        // The lines are plain text under this delimiter.
        return None;
    }
    let above = rows[..data].iter().find(|(_, line)| cells_of(line) > 1);
    above.map(|(line, _)| *line)
}

/// The line of a header whose names stand between white space, above plain text: its columns have no borders.
fn words_of_header(rows: &[(u64, &str)], plain: usize) -> Option<u64> {
    let (line, text) = *rows.first()?;
    let words: Vec<Cow<str>> = text.split_whitespace().map(Cow::Borrowed).collect();
    let named = Columns::of_header(&words, Purpose::Entries).is_some_and(|columns| columns.known() > 1);
    (named && plain > 0).then_some(line)
}

/// The line of the first row that has an address in a cell, where more rows have one so than begin with one.
fn elsewhere(rows: &[(u64, &str)], delimiters: impl Iterator<Item = u8>, plain: usize) -> Option<u64> {
    let found = delimiters.map(|delimiter| {
        let holds = |line: &str| {
            let record = ListRecord::split(line, delimiter);
            record.cells.len() > 1 && record.cells.iter().any(|cell| is_target(cell))
        };
        let mut lines = rows.iter().filter(|(_, line)| holds(line)).map(|(line, _)| *line);
        let first = lines.next();
        (first, first.map_or(0, |_| 1 + lines.count()))
    });
    found.filter(|(_, count)| *count > plain).find_map(|(line, _)| line)
}

/// Whether the text is an address of any chain, or a script: whatever the chain is, it isn't a name.
fn is_target(text: &str) -> bool {
    matches!(
        script::parse(text, Chain::Main, None),
        Ok(_) | Err(Refusal::OtherChain(_) | Refusal::WrongNetwork { .. } | Refusal::NeedsRange)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
    const B: &str = "3P14159f73E4gFr7JterCCQh9QjiTjiZrG";

    #[test]
    fn the_shape_is_found_from_the_start() {
        let bare = |delimiter| Shape::Bare { delimiter };
        let unnamed = |line| Shape::Unnamed { line };
        let table = [
            (format!("{A},a label\n"), bare(b',')),
            (format!("{A},BTC\n"), bare(b',')),
            (format!("{A};a label, with a comma\n"), bare(b';')),
            (format!("\"{A}\"\n"), bare(b',')),
            ("TEAqwfMhXLaomXhZ8KeMhx3njGmQEDnsUR,x\n".to_owned(), bare(b',')),
            (format!("{},x\n{B},y\n", &A[..30]), bare(b',')),
            (format!("A title,,\n{A},x,y\n"), bare(b',')),
            (format!("{A}\n"), Shape::Other),
            (format!("{A} a label, with a comma\n"), Shape::Other),
            (format!("A title, with a comma\n{A} a label, with a comma\n"), Shape::Other),
            (format!("{A}\ta label\n"), bare(b'\t')),
            (format!("{A}\ta label\n{A} another\n"), Shape::Other),
            (format!("# address,label\n{A}\n"), Shape::Other),
            ("label,source\n".to_owned(), Shape::Other),
            (format!("[\n  \"{A}\",\n  \"{A}\"\n]\n"), Shape::Other),
            (String::new(), Shape::Other),
            (format!("victim_wallet,suspect_wallet\n{A},{B}\n"), unnamed(1)),
            (format!("from,to,amount\n{A},{B},1\n"), unnamed(1)),
            (format!("A title\n\nAdresse;Rolle\n{A};service\n"), unnamed(3)),
            (format!("Adresse\tRolle\n{A}\tservice\n"), unnamed(1)),
            (format!("address role\n{A} service\n"), unnamed(1)),
            (format!(";{A};x\n;{B};y\n"), unnamed(1)),
            (format!("17,{A}\n18,{B}\n"), unnamed(1)),
        ];
        for (text, expected) in table {
            assert_eq!(of(text.as_bytes()), expected, "{text:?}");
        }
        assert!(matches!(of(format!("#,address\n1,{A}\n").as_bytes()), Shape::Named(_)));
    }
}
