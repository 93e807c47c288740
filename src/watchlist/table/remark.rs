//! Rows that are not data: remarks, which begin with `#` or `//`, and blank rows.

use std::borrow::Cow;

use super::columns::{Columns, Purpose};
use crate::watchlist::target::is_target_like;
use crate::watchlist::text::is_margin;

/// What follows the mark of a remark; none where the row doesn't begin with one. A quoted cell has no mark.
pub fn marked(text: &str) -> Option<&str> {
    let text = text.trim_start_matches(is_margin);
    text.strip_prefix('#').or_else(|| text.strip_prefix("//"))
}

/// Whether a row is a remark. A mark before the row's own address makes it one; so does a mark before anything else, unless the row has
/// all its cells and an address in the address column: numbers and tags begin with `#` too.
pub fn is_remark(text: &str, cells: &[Cow<str>], columns: Option<&Columns>, purpose: Purpose) -> bool {
    if marked(text).is_none() {
        return false;
    }
    let Some(columns) = columns else { return true };
    let subject = columns.subject(purpose).filter(|place| *place > 0 && cells.len() >= columns.count());
    let cell = subject.and_then(|place| cells.get(place));
    !cell.is_some_and(|cell| is_target_like(cell))
}

/// Whether a row has nothing in it, perhaps but the borders between its cells.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|letter| is_margin(letter) || ",;|".contains(letter))
}

/// Whether a word of a remark is a target: a row that was taken out by hand is shown.
pub fn holds_target(text: &str) -> bool {
    let words = text.split(|letter: char| is_margin(letter) || "\",;|()[]<>".contains(letter));
    words.map(|word| word.trim_start_matches(['#', '/']).trim_end_matches(['.', ':'])).any(is_target_like)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watchlist::table::record::ListRecord;

    const A: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";

    #[test]
    fn a_mark_makes_a_remark_unless_the_row_has_its_cells_and_an_address() {
        let header = |text: &str| Columns::of_header(&ListRecord::split(text, b',').cells, Purpose::Entries);
        let table = [
            (format!("#{A},x"), "address,tag", true),
            (format!("//{A},x"), "address,tag", true),
            (format!("\"#{A}\",x"), "address,tag", false),
            (format!("#1,{A}"), "No.,Address", false),
            (format!("#ransomware,{A}"), "tag,address", false),
            (format!("#ransomware,{}", &A[..30]), "tag,address", false),
            ("# a remark, with a comma".to_owned(), "tag,address", true),
            (format!("#{A}"), "tag,address", true),
            (format!(";{A},x"), "address,tag", false),
        ];
        for (row, columns, expected) in table {
            let cells = ListRecord::split(&row, b',').cells;
            assert_eq!(is_remark(&row, &cells, header(columns).as_ref(), Purpose::Entries), expected, "{row}");
        }
        assert!(is_remark(&format!("#1,{A}"), &[], None, Purpose::Entries));
    }

    #[test]
    fn remarks_that_hold_a_target_are_found() {
        for text in [format!("#{A},taken out"), format!("// see {A}."), format!("# ({A})")] {
            assert!(holds_target(&text), "{text}");
        }
        assert!(!holds_target("# 12 wallets, as of 2025-01-01, https://x.example/list"));
    }
}
