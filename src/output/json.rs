//! JSON that is safe on a terminal: what serde_json leaves as it is (DEL, C1, marks of direction and width) is written as `\u` escapes,
//! which read back as the same text.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use serde_json::{Serializer, Value};

use super::cell::is_unsafe;

/// A value on one line.
pub fn line(value: &Value) -> String {
    let mut bytes = Vec::with_capacity(256);
    let mut serializer = Serializer::with_formatter(&mut bytes, Safe(CompactFormatter));
    // Writing a value to memory can't fail, and JSON is UTF-8.
    let _ = value.serialize(&mut serializer);
    String::from_utf8(bytes).unwrap_or_default()
}

/// Writes a value over many lines.
///
/// # Errors
/// What `out` reports.
pub fn write_pretty(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, Safe(PrettyFormatter::new()))).map_err(io::Error::from)
}

/// JSON text with every unsafe character but the line feed as an escape; they can only be within strings.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => escaped.push('\n'),
            other if is_unsafe(other) => push_escape(&mut escaped, other),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Escapes as JSON does, in two units where one doesn't do.
fn push_escape(text: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        text.push_str(&format!("\\u{unit:04x}"));
    }
}

/// The formatter within, with strings escaped.
struct Safe<F>(F);

impl<F: Formatter> Formatter for Safe<F> {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        match fragment.contains(is_unsafe) {
            true => writer.write_all(escaped(fragment).as_bytes()),
            false => writer.write_all(fragment.as_bytes()),
        }
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_json_leaves_as_it_is_becomes_an_escape() {
        let value = json!({ "l\u{202e}": "a\u{1b}\u{7f}\u{9b}\u{200b}\u{feff}\u{e0041}ü\"\\" });
        assert_eq!(line(&value), r#"{"l\u202e":"a\u001b\u007f\u009b\u200b\ufeff\udb40\udc41ü\"\\"}"#);
        let mut pretty = Vec::new();
        write_pretty(&mut pretty, &json!({"a": ["\u{85}"], "b": {}})).unwrap();
        assert_eq!(String::from_utf8(pretty).unwrap(), "{\n  \"a\": [\n    \"\\u0085\"\n  ],\n  \"b\": {}\n}");
    }

    proptest! {
        #[test]
        fn json_holds_no_control_and_reads_back_the_same(name in ".{0,20}", text in "\\p{C}{0,6}|.{0,40}") {
            let value = json!({ name: [text, null, 7] });
            let compact = line(&value);
            prop_assert!(!compact.chars().any(is_unsafe), "{:?}", compact);
            prop_assert_eq!(&serde_json::from_str::<Value>(&compact).unwrap(), &value);
            let mut pretty = Vec::new();
            write_pretty(&mut pretty, &value).unwrap();
            let pretty = String::from_utf8(pretty).unwrap();
            prop_assert!(!pretty.chars().any(|c| c != '\n' && is_unsafe(c)), "{:?}", pretty);
            prop_assert_eq!(&serde_json::from_str::<Value>(&pretty).unwrap(), &value);
        }
    }
}
