//! One value as text: safe on a terminal, safe in a spreadsheet. Every text that is printed goes through here.
//!
//! Labels, names of files and what a node says come from strangers. No control character and no character that shows as nothing or turns
//! the writing direction leaves the program: [`escape`] spells them out for people and CSV, [`json`](super::json) as JSON's own escapes.

use std::fmt::Write;

use serde_json::Value;

/// Characters of a text in a table or message, at most; the rest is cut. CSV and JSON have the whole text.
pub const LONGEST_CELL: usize = 500;
/// As [`LONGEST_CELL`], for a line of a page or of a message.
pub const LONGEST_LINE: usize = 4_000;

/// Escapes everything in a stranger's text that could move a cursor or turn the writing direction.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) {
            // Writing to a String can't fail.
            let _ = write!(escaped, "\\u{{{:x}}}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Whether a character moves the cursor, shows as nothing, or changes what shows.
pub fn is_unsafe(character: char) -> bool {
    character.is_control() || is_invisible(character)
}

/// Direction marks, zero-width characters, line separators, fillers, tags.
fn is_invisible(character: char) -> bool {
    matches!(
        u32::from(character),
        0x00ad | 0x034f | 0x061c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f | 0x2028..=0x202e
            | 0x2060..=0x206f | 0x3164 | 0xfeff | 0xffa0 | 0xfff0..=0xfffb | 0x1bca0..=0x1bca3
            | 0x1d173..=0x1d17a | 0xe0000..=0xe007f
    )
}

/// A text escaped for people, and cut with a mark where it has more than `most` characters.
pub fn shown(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => {
            let rest = text[end..].chars().count();
            format!("{}… ({rest} more characters)", escape(&text[..end]))
        }
        None => escape(text),
    }
}

/// A value in a CSV cell. Where a spreadsheet would take a part of its text for a formula, that part gets an apostrophe in front.
pub fn for_csv(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => guard(&escape(text)),
        Value::Array(values) => guard(&escape(&values.iter().map(plain).collect::<Vec<_>>().join("; "))),
        Value::Object(_) => guard(&escape(&value.to_string())),
        number_or_bool => number_or_bool.to_string(),
    }
}

/// Puts an apostrophe before each character that would begin a formula in a cell.
///
/// A cell can begin where the text does, and at each character inside that some spreadsheet splits cells by: `;` where the comma is the
/// decimal mark, for instance. White space and quotes before the formula don't stop a spreadsheet, since it takes them off.
fn guard(text: &str) -> String {
    let mut guarded = String::with_capacity(text.len() + 1);
    let mut at_start = true;
    for character in text.chars() {
        if at_start && begins_formula(character) {
            guarded.push('\'');
        }
        at_start = splits_cells(character) || (at_start && (character.is_whitespace() || is_quote(character)));
        guarded.push(character);
    }
    guarded
}

/// Full-width and small forms too: East Asian versions of spreadsheets take them for the plain ones.
fn begins_formula(character: char) -> bool {
    matches!(character, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '﹦' | '﹢' | '﹣' | '﹫' | '−')
}

fn splits_cells(character: char) -> bool {
    matches!(character, ',' | ';' | '|' | '\t' | '\n' | '\r')
}

fn is_quote(character: char) -> bool {
    matches!(character, '"' | '“' | '”' | '„' | '＂')
}

/// A value as text without quotes.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

/// Shortens a script in hex that is longer than most addresses; only tables do so.
pub fn short_script(hex: &str) -> String {
    match (hex.get(..30), hex.get(hex.len().saturating_sub(16)..)) {
        (Some(head), Some(tail)) if hex.len() > 70 => format!("{head}…{tail}"),
        _ => hex.to_owned(),
    }
}

/// Satoshis as bitcoins with eight decimals.
pub fn btc(satoshis: u64) -> String {
    format!("{}.{:08}", satoshis / 100_000_000, satoshis % 100_000_000)
}

/// Unix seconds as a date and time, UTC.
pub fn time(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string());
    time.unwrap_or_else(|_| seconds.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_could_move_a_cursor_is_spelled_out() {
        assert_eq!(escape("plain ünïcode 漢"), "plain ünïcode 漢");
        assert_eq!(escape("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(escape("a\nb\tc\u{202e}d\u{200b}"), "a\\u{a}b\\u{9}c\\u{202e}d\\u{200b}");
        assert_eq!(escape("\0\u{7f}\u{9b}31m\u{3164}\u{e0041}"), "\\u{0}\\u{7f}\\u{9b}31m\\u{3164}\\u{e0041}");
    }

    #[test]
    fn formulas_are_disarmed_and_numbers_left_alone() {
        for text in ["=HYPERLINK(1)", "+1", "-1", "@x", "＝1", "＋1", "－1", "＠x", "−1"] {
            assert_eq!(for_csv(&json!(text)), format!("'{text}"));
        }
        for (text, expected) in [
            ("benign;=cmd|'/c calc'!A1", "benign;'=cmd|'/c calc'!A1"),
            ("a,+1", "a,'+1"),
            ("a|@x", "a|'@x"),
            ("  =1", "  '=1"),
            ("\"=1\"", "\"'=1\""),
            ("a; \" \u{a0}=1", "a; \" \u{a0}'=1"),
            ("\t=1", "\\u{9}=1"),
            ("a\n=1", "a\\u{a}=1"),
            ("'=1", "'=1"),
            ("a=b-c+d@e", "a=b-c+d@e"),
            ("==1", "'==1"),
        ] {
            assert_eq!(for_csv(&json!(text)), expected, "{text:?}");
        }
        assert_eq!(for_csv(&json!(["a", "b"])), "a; b");
        assert_eq!(for_csv(&json!(["a", "=b", "-c"])), "a; '=b; '-c");
        assert_eq!(for_csv(&json!(-5)), "-5");
        assert_eq!(for_csv(&Value::Null), "");
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_with_a_mark() {
        assert_eq!(shown("äöü", 3), "äöü");
        assert_eq!(shown("äöü\n", 2), "äö… (2 more characters)");
        let long = "x".repeat(900_000);
        assert_eq!(shown(&long, 4), "xxxx… (899996 more characters)");
        assert_eq!(for_csv(&json!(long)), long);
    }

    #[test]
    fn amounts_have_eight_decimals() {
        assert_eq!(btc(0), "0.00000000");
        assert_eq!(btc(5_000_000_000), "50.00000000");
        assert_eq!(btc(2_100_000_000_000_001), "21000000.00000001");
    }

    /// The cells that a spreadsheet makes of a text, at every character that one splits by; quotes and white space taken off.
    fn cells(text: &str) -> Vec<String> {
        let trimmed = |cell: &str| cell.trim_start_matches(|c: char| c.is_whitespace() || is_quote(c)).to_owned();
        text.split(splits_cells).map(trimmed).collect()
    }

    proptest! {
        #[test]
        fn no_text_begins_a_formula_or_holds_a_control(
            text in "[=+@;,|\"' \u{a0}a0＝﹢−\u{1b}\u{9b}\u{202e}\t\r\n\0-]{0,24}|\\PC{0,12}|.{0,24}"
        ) {
            let text = for_csv(&json!(text));
            prop_assert!(!text.chars().any(is_unsafe), "{:?}", text);
            for cell in cells(&text) {
                prop_assert!(!cell.starts_with(begins_formula), "{:?} of {:?}", cell, text);
            }
        }
    }
}
