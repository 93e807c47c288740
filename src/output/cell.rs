//! One value as text: safe on a terminal, safe in a spreadsheet.

use std::fmt::Write;

use serde_json::Value;

/// Escapes everything in a stranger's text that could move a cursor or turn the writing direction.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_invisible(character) {
            // Writing to a String can't fail.
            let _ = write!(escaped, "\\u{{{:x}}}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Direction marks, zero-width characters, line separators, tags: they show as nothing, or change what shows.
fn is_invisible(character: char) -> bool {
    matches!(u32::from(character), 0x00ad | 0x061c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}

/// A value in a CSV cell. Text that a spreadsheet would take for a formula gets a leading apostrophe.
pub fn for_csv(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => guard(text),
        Value::Array(values) => guard(&values.iter().map(plain).collect::<Vec<_>>().join("; ")),
        other => other.to_string(),
    }
}

fn guard(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}") } else { text.to_owned() }
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
    use super::*;
    use serde_json::json;

    #[test]
    fn what_could_move_a_cursor_is_spelled_out() {
        assert_eq!(escape("plain ünïcode 漢"), "plain ünïcode 漢");
        assert_eq!(escape("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(escape("a\nb\tc\u{202e}d\u{200b}"), "a\\u{a}b\\u{9}c\\u{202e}d\\u{200b}");
    }

    #[test]
    fn formulas_are_disarmed_and_numbers_left_alone() {
        for text in ["=HYPERLINK(1)", "+1", "-1", "@x", "\tx", "\rx"] {
            assert_eq!(for_csv(&json!(text)), format!("'{text}"));
        }
        assert_eq!(for_csv(&json!(["a", "b"])), "a; b");
        assert_eq!(for_csv(&json!(-5)), "-5");
        assert_eq!(for_csv(&Value::Null), "");
    }

    #[test]
    fn amounts_have_eight_decimals() {
        assert_eq!(btc(0), "0.00000000");
        assert_eq!(btc(5_000_000_000), "50.00000000");
        assert_eq!(btc(2_100_000_000_000_001), "21000000.00000001");
    }
}
