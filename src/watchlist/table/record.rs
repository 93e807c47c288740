//! One CSV record to its cells (RFC 4180), told apart: whole, with a quote still open, with text after a closing quote.
//!
//! By hand, since the csv crate doesn't say on which physical line a record starts when lines are blank or end in CR, and
//! since an unclosed quote must cost one row and not the rest of the file. The crate is the model in the test below.

use std::borrow::Cow;

/// The cells of a text that was split at a delimiter.
#[derive(Debug, PartialEq, Eq)]
pub struct ListRecord<'t> {
    /// The cells, without their quotes.
    pub cells: Vec<Cow<'t, str>>,
    /// Whether the last cell's quote is still open.
    pub open: bool,
    /// Whether something but white space follows a closing quote.
    pub stray: bool,
}

impl<'t> ListRecord<'t> {
    /// Splits `text` at `delimiter`, an ASCII character. White space before an opening quote is passed over.
    pub fn split(text: &'t str, delimiter: u8) -> Self {
        let bytes = text.as_bytes();
        let next = |from: usize| bytes[from..].iter().position(|byte| *byte == delimiter).map(|at| from + at);
        let mut record = ListRecord { cells: Vec::new(), open: false, stray: false };
        let mut at = 0;
        loop {
            let blank = |byte: &u8| *byte == b' ' || (*byte == b'\t' && delimiter != b'\t');
            let start = at + bytes[at..].iter().take_while(|byte| blank(byte)).count();
            let end = if bytes.get(start) == Some(&b'"') {
                let (mut cell, closed) = quoted(&text[start + 1..]);
                let Some(length) = closed else {
                    record.cells.push(Cow::Owned(cell));
                    record.open = true;
                    return record;
                };
                let closed = start + 1 + length;
                let end = next(closed).unwrap_or(bytes.len());
                let tail = &text[closed..end];
                if !tail.trim().is_empty() {
                    record.stray = true;
                    cell.push_str(tail);
                }
                record.cells.push(Cow::Owned(cell));
                end
            } else {
                let end = next(at).unwrap_or(bytes.len());
                record.cells.push(Cow::Borrowed(&text[at..end]));
                end
            };
            if end == bytes.len() {
                return record;
            }
            at = end + 1;
        }
    }
}

/// Where a quoted cell ends, behind its closing quote, if `text` begins within it.
pub fn end_of_quote(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text[at..].find('"')? + 1;
        if !text[at..].starts_with('"') {
            return Some(at);
        }
        at += 1;
    }
}

/// A cell's content from behind its opening quote, and how many bytes it took with the closing quote, if there is one.
fn quoted(text: &str) -> (String, Option<usize>) {
    let mut cell = String::new();
    let mut at = 0;
    while let Some(quote) = text[at..].find('"') {
        cell.push_str(&text[at..at + quote]);
        at += quote + 1;
        if !text[at..].starts_with('"') {
            return (cell, Some(at));
        }
        cell.push('"');
        at += 1;
    }
    cell.push_str(&text[at..]);
    (cell, None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cells_are_split_as_in_rfc_4180() {
        let table: [(&str, &[&str]); 9] = [
            ("", &[""]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            ("a,", &["a", ""]),
            (",", &["", ""]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"a\"\"b\" , \"c\"", &["a\"b", "c"]),
            ("a\"b\",c", &["a\"b\"", "c"]),
            ("\"a\nb\",c", &["a\nb", "c"]),
        ];
        for (text, cells) in table {
            let record = ListRecord::split(text, b',');
            assert_eq!(record.cells, cells, "{text}");
            assert!(!record.open && !record.stray, "{text}");
        }
        assert!(ListRecord::split("a,\"b", b',').open);
        assert!(ListRecord::split("a,\"b\"\"", b',').open);
        assert!(ListRecord::split("a,\"b\"c", b',').stray);
        assert_eq!(["a", "a\",b", "a\"\"b\",c", "\""].map(end_of_quote), [None, Some(2), Some(5), Some(1)]);
    }

    proptest! {
        #[test]
        fn cells_are_those_of_the_csv_crate(
            cells in prop::collection::vec(("[a-c\",; é]{0,6}", any::<bool>()), 1..6),
            delimiter in prop::sample::select(vec![b',', b';']),
        ) {
            let written = |(cell, quoted): &(String, bool)| match quoted {
                true => format!("\"{}\"", cell.replace('"', "\"\"")),
                // Bare cells may hold quotes, but not start with one, nor hold delimiters.
                false => format!("x{}", cell.replace([',', ';'], "")),
            };
            let text = cells.iter().map(written).collect::<Vec<_>>().join(&char::from(delimiter).to_string());
            let record = ListRecord::split(&text, delimiter);
            prop_assert!(!record.open && !record.stray);
            let mut reader =
                csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(text.as_bytes());
            let model = reader.records().next().expect("a record").expect("valid");
            prop_assert_eq!(record.cells, model.iter().collect::<Vec<_>>());
        }
    }
}
