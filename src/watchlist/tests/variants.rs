//! Each case again with another delimiter, other quotes, columns in another order, other line ends and a byte order mark: the entries stay.

use std::borrow::Cow;

use super::cases::{check, content, expected};
use super::*;
use crate::watchlist::table::columns::Purpose;
use crate::watchlist::table::header;
use crate::watchlist::table::record::ListRecord;
use crate::watchlist::table::rows::RowReader;

/// How a table is written.
#[derive(Clone, Debug)]
struct Style {
    delimiter: char,
    quote_all: bool,
    /// By how many places columns move to the right.
    rotate: usize,
    reverse: bool,
    end: &'static str,
    mark: bool,
    last_end: bool,
}

fn any_style() -> impl Strategy<Value = Style> {
    let delimiters = prop::sample::select(vec![',', ';', '\t', '|']);
    let ends = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    (delimiters, any::<bool>(), 0..12_usize, any::<bool>(), ends, any::<bool>(), any::<bool>()).prop_map(
        |(delimiter, quote_all, rotate, reverse, end, mark, last_end)| Style {
            delimiter,
            quote_all,
            rotate,
            reverse,
            end,
            mark,
            last_end,
        },
    )
}

/// The rows of a case as cells.
fn rows(bytes: &[u8], delimiter: u8) -> Vec<Vec<String>> {
    let mut reader = RowReader::new(bytes);
    let mut rows = Vec::new();
    while let Some(row) = reader.next(delimiter).unwrap() {
        rows.push(ListRecord::split(&row.text, delimiter).cells.into_iter().map(Cow::into_owned).collect());
    }
    rows
}

fn write(rows: &[Vec<String>], style: &Style, has_header: bool) -> String {
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |cell: &String| {
        let needs = cell.contains([style.delimiter, '"', '\n', '\r']);
        if style.quote_all || needs { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
    };
    let lines = rows.iter().map(|row| {
        let mut cells: Vec<String> = row.iter().map(cell).collect();
        if has_header {
            // Without a header the order of the columns is all there is.
            cells.resize(width, String::new());
            cells.rotate_right(style.rotate % width);
            if style.reverse {
                cells.reverse();
            }
        }
        cells.join(&style.delimiter.to_string())
    });
    let text = lines.collect::<Vec<_>>().join(style.end);
    let mark = if style.mark { "\u{feff}" } else { "" };
    format!("{mark}{text}{}", if style.last_end { style.end } else { "" })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_entries_do_not_depend_on_how_a_table_is_written(style in any_style()) {
        for (name, expected) in expected().as_object().unwrap() {
            let bytes = content(name);
            let (mut style, mut delimiter) = (style.clone(), b',');
            if name == "semicolon-first.txt" {
                // What it is about is its delimiter; tabs before an address would be an indent.
                (style.delimiter, delimiter) = (';', b';');
            }
            let has_header = header::find(&bytes, Purpose::Entries).is_some();
            let text = write(&rows(&bytes, delimiter), &style, has_header);
            check(&format!("{name} as {text:?}"), text.as_bytes(), expected);
        }
    }
}
