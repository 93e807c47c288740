//! Finds the header of a table, and with it the delimiter: among the first rows the one that names most columns.

use super::columns::{Columns, Purpose};
use super::record::ListRecord;
use super::remark::{is_blank, marked};
use super::rows::RowReader;
use crate::watchlist::target::is_target_like;

/// Bytes at a file's start in which the header is looked for.
pub const HEAD: u64 = 64 * 1024;

/// The delimiters of tables.
pub const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Rows in which the header is looked for.
const ROWS: usize = 100;

/// The header of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What stands between cells.
    pub delimiter: u8,
    /// What the columns are for.
    pub columns: Columns,
    /// The line it starts on, from 1. What stands above it is no data.
    pub line: u64,
}

/// The header in the first bytes of a file, up to [`HEAD`]; none where no row names what the table is about. Rows with an address in them
/// are no headers; of two rows that name as much, the last one above the first data counts.
pub fn find(head: &[u8], purpose: Purpose) -> Option<Header> {
    let head = whole_lines(head);
    if let Some(delimiter) = announced(head) {
        return under(head, delimiter, purpose);
    }
    let found = DELIMITERS.into_iter().filter_map(|delimiter| under(head, delimiter, purpose));
    found.reduce(|best, next| if next.columns.known() > best.columns.known() { next } else { best })
}

/// The delimiter that spreadsheets announce above the header: `sep=;`.
pub fn announced(head: &[u8]) -> Option<u8> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let lines = head.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
    lines.into_iter().find(|line| !line.is_empty()).and_then(announces)
}

/// Whether a row announces the delimiter.
pub fn announces(row: &[u8]) -> Option<u8> {
    match row {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] if DELIMITERS.contains(delimiter) => Some(*delimiter),
        _ => None,
    }
}

/// A possible header.
struct Candidate {
    columns: Columns,
    line: u64,
    /// How many cells it has, where it is written as a remark.
    remark_of: Option<usize>,
    above_data: bool,
}

fn under(head: &[u8], delimiter: u8, purpose: Purpose) -> Option<Header> {
    let mut rows = RowReader::new(head);
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut data: Option<usize> = None;
    for _ in 0..ROWS {
        // Reading from memory can't fail.
        let Ok(Some(row)) = rows.next(delimiter) else { break };
        if row.fault.is_some() || is_blank(&row.text) {
            continue;
        }
        let cells = ListRecord::split(&row.text, delimiter).cells;
        let remark = marked(&row.text).is_some();
        if cells.iter().any(|cell| is_target_like(cell)) {
            if !remark {
                data.get_or_insert(cells.len());
            }
        } else if let Some(columns) = Columns::of_header(&cells, purpose) {
            let remark_of = remark.then_some(cells.len());
            candidates.push(Candidate { columns, line: row.line, remark_of, above_data: data.is_none() });
        }
    }
    // A remark above data of as many cells is a header, as some programs write it; others are remarks.
    candidates.retain(|candidate| {
        candidate.remark_of.is_none_or(|cells| candidate.above_data && cells > 1 && data == Some(cells))
    });
    let best = candidates.into_iter().max_by_key(|candidate| (candidate.columns.known(), candidate.above_data))?;
    Some(Header { delimiter, columns: best.columns, line: best.line })
}

/// The head without a last line that its end may have cut.
fn whole_lines(head: &[u8]) -> &[u8] {
    if u64::try_from(head.len()).is_ok_and(|length| length < HEAD) {
        return head;
    }
    let end = head.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
    end.map_or(head, |end| &head[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";

    #[test]
    fn the_row_that_names_most_columns_is_the_header() {
        let table = [
            ("address,label\n".to_owned(), Some((b',', 1))),
            (format!("\u{feff}Address;Label\r\n{A};x\r\n"), Some((b';', 1))),
            (format!("label\taddress\nx\t{A}\n"), Some((b'\t', 1))),
            (format!("\"address\"|\"label, or tag\"\r{A}|x"), Some((b'|', 1))),
            ("# a remark, with commas\n\naddress\n".to_owned(), Some((b',', 3))),
            ("sep=;\nlabel;address\n".to_owned(), Some((b';', 2))),
            (format!("List of seized wallets 2025,,\naddress,label,currency\n{A},x,BTC\n"), Some((b',', 2))),
            (format!("Address\naddress;label;role\n{A};x;service\n"), Some((b';', 2))),
            (format!("\"Address\n(BTC)\",Owner\n{A},x\n"), Some((b',', 1))),
            (format!("#,Address\n1,{A}\n"), Some((b',', 1))),
            (format!("# address,label\n{A},x\n"), Some((b',', 1))),
            (format!("# address,label\n{A}\n"), None),
            (format!("{A},BTC\n"), None),
            (format!("{A},BTC\naddress,role\n{A},service\n"), Some((b',', 2))),
            ("label,source\n".to_owned(), None),
            (String::new(), None),
        ];
        for (text, expected) in table {
            let found = find(text.as_bytes(), Purpose::Entries).map(|header| (header.delimiter, header.line));
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn a_head_of_one_endless_line_is_no_header() {
        let wide = vec![b','; usize::try_from(HEAD).unwrap()];
        assert_eq!(find(&wide, Purpose::Entries), None);
    }
}
