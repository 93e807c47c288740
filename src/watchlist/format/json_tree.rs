//! Reads JSON as a stream: objects within arrays are records; other objects and arrays are only ways to them.

use std::fmt;
use std::io::{self, BufRead};
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::watchlist::fault::{Meter, Metered, fault};
use crate::watchlist::table::columns::MAX_COLUMNS;
use crate::watchlist::target::is_target_like;

/// The longest record, in bytes.
const LONGEST: usize = 16 << 20;

/// Something in a file.
pub enum Found {
    /// A text, number or truth value that is an element of an array.
    Element(String),
    /// The same as the value of a name, not within a record.
    Value(String),
    /// A record: names and values; values of arrays are joined, objects within it are left out.
    Record(Vec<(String, String)>),
}

/// Gets what is found: the names that lead to it, its line, and what it is.
pub type Visit<'v> = dyn FnMut(&[String], u64, Found) + 'v;

/// Reads a whole file, which is one JSON value.
///
/// # Errors
/// A [`Fault`](crate::watchlist::fault::Fault) with its line for what isn't JSON, is cut off or too deep; those of the input.
pub fn read(input: &mut dyn BufRead, visit: &mut Visit) -> io::Result<()> {
    let input = Metered::new(input, LONGEST);
    let meter = input.meter();
    let mut walk = Walk { meter, path: Vec::new(), visit };
    let mut json = serde_json::Deserializer::from_reader(input);
    Node { walk: &mut walk, is_element: false }.deserialize(&mut json).map_err(unreadable)?;
    json.end().map_err(unreadable)
}

/// A record that is a text by itself.
///
/// # Errors
/// Where the text isn't one JSON object: the column of the error.
pub fn record(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut json = serde_json::Deserializer::from_str(text);
    let cells = json.deserialize_map(RecordVisitor).and_then(|cells| json.end().map(|()| cells));
    cells.map_err(|error| error.column())
}

/// The error without the file's content, which serde's messages repeat.
fn unreadable(error: serde_json::Error) -> io::Error {
    if error.is_io() {
        return error.into();
    }
    let line = error.line() as u64;
    let what = if error.is_eof() {
        "the file ends before its JSON does; download it again".to_owned()
    } else if error.to_string().starts_with("recursion limit") {
        format!("column {}: more than 127 objects and arrays within each other", error.column())
    } else {
        format!("column {}: isn't valid JSON", error.column())
    };
    fault(line, what)
}

struct Walk<'w, 'v> {
    meter: Rc<Meter>,
    path: Vec<String>,
    visit: &'w mut Visit<'v>,
}

impl Walk<'_, '_> {
    fn found(&mut self, line: u64, found: Found) {
        (self.visit)(&self.path, line, found);
    }
}

/// A value: an element of an array, or what a name stands for.
struct Node<'n, 'w, 'v> {
    walk: &'n mut Walk<'w, 'v>,
    is_element: bool,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        self.walk.meter.begin_piece();
        json.deserialize_any(self)
    }
}

impl Node<'_, '_, '_> {
    fn scalar(self, text: String) {
        let line = self.walk.meter.line();
        self.walk.found(line, if self.is_element { Found::Element(text) } else { Found::Value(text) });
    }
}

impl<'de> Visitor<'de> for Node<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter) -> fmt::Result {
        to.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.scalar(text.to_owned());
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.scalar(value.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.scalar(value.to_string());
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.scalar(value.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.scalar(value.to_string());
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(Node { walk: &mut *self.walk, is_element: true })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let walk = self.walk;
        if self.is_element {
            let line = walk.meter.line();
            let record = RecordVisitor.visit_map(entries)?;
            walk.found(line, Found::Record(record));
            return Ok(());
        }
        while let Some(name) = entries.next_key::<String>()? {
            walk.meter.begin_piece();
            let line = walk.meter.line();
            if is_target_like(&name) {
                let record = match entries.next_value_seed(AnyCell)? {
                    AnyValue::Record(mut cells) => {
                        cells.push(("addr".to_owned(), name));
                        cells
                    }
                    AnyValue::Text(text) => vec![("addr".to_owned(), name), ("label".to_owned(), text)],
                };
                walk.found(line, Found::Record(record));
                continue;
            }
            walk.path.push(name);
            entries.next_value_seed(Node { walk: &mut *walk, is_element: false })?;
            walk.path.pop();
        }
        Ok(())
    }
}

/// The cells of a record.
struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Vec<(String, String)>;

    fn expecting(&self, to: &mut fmt::Formatter) -> fmt::Result {
        to.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut cells = Vec::new();
        while let Some(name) = entries.next_key::<String>()? {
            match entries.next_value_seed(AnyCell)? {
                // One more than a row may have, so that it is refused.
                AnyValue::Text(text) if cells.len() <= MAX_COLUMNS => cells.push((name, text)),
                AnyValue::Text(_) | AnyValue::Record(_) => {}
            }
        }
        Ok(cells)
    }
}

/// A value within a record.
enum AnyValue {
    Text(String),
    Record(Vec<(String, String)>),
}

struct AnyCell;

impl<'de> DeserializeSeed<'de> for AnyCell {
    type Value = AnyValue;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<AnyValue, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyCell {
    type Value = AnyValue;

    fn expecting(&self, to: &mut fmt::Formatter) -> fmt::Result {
        to.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<AnyValue, E> {
        Ok(AnyValue::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<AnyValue, E> {
        Ok(AnyValue::Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<AnyValue, E> {
        Ok(AnyValue::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<AnyValue, E> {
        Ok(AnyValue::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<AnyValue, E> {
        Ok(AnyValue::Text(value.to_string()))
    }

    fn visit_unit<E>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::Text(String::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<AnyValue, A::Error> {
        let mut joined = String::new();
        while let Some(value) = elements.next_element_seed(Self)? {
            if let AnyValue::Text(text) = value
                && !text.is_empty()
            {
                if !joined.is_empty() {
                    joined.push_str(", ");
                }
                joined.push_str(&text);
            }
        }
        Ok(AnyValue::Text(joined))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<AnyValue, A::Error> {
        let mut cells = Vec::new();
        while let Some(name) = entries.next_key::<String>()? {
            if cells.len() > MAX_COLUMNS {
                entries.next_value::<IgnoredAny>()?;
            } else if let AnyValue::Text(text) = entries.next_value_seed(Self)? {
                cells.push((name, text));
            }
        }
        Ok(AnyValue::Record(cells))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watchlist::fault::Fault;

    fn all(text: &str) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        read(&mut text.as_bytes(), &mut |path, line, what| {
            let what = match what {
                Found::Element(text) => format!("element {text}"),
                Found::Value(text) => format!("value {text}"),
                Found::Record(cells) => format!("record {cells:?}"),
            };
            found.push(format!("{}:{line} {what}", path.join(".")));
        })?;
        Ok(found)
    }

    #[test]
    fn elements_values_and_records_have_their_path_and_line() {
        let text = "{\"when\": 5,\n \"list\": {\"btc\": [\n \"a\",\n {\"x\": [1, \"2\"], \"y\": null, \"z\": {\"in\": [1]}}]}}\n";
        let expected =
            ["when:1 value 5", "list.btc:3 element a", "list.btc:4 record [(\"x\", \"1, 2\"), (\"y\", \"\")]"];
        assert_eq!(all(text).unwrap(), expected);
        let keyed = all("{\"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa\": \"x\"}").unwrap();
        assert!(keyed[0].contains("(\"label\", \"x\")"), "{keyed:?}");
    }

    #[test]
    fn what_is_no_json_is_a_fault_with_its_place_and_without_its_content() {
        let table = [
            ("[\n\"secret\",\nsecret]", "line 3: column 1: isn't valid JSON"),
            ("[\"secret\",\n", "line 2: the file ends"),
            (&"[".repeat(200), "127 objects and arrays"),
            (&"{\"a\":".repeat(200), "127 objects and arrays"),
            ("[1] secret", "line 1: column 5: isn't valid JSON"),
            ("[\"\u{7}\"]", "isn't valid JSON"),
        ];
        for (text, says) in table {
            let error = all(text).unwrap_err();
            let fault = Fault::within(&error).unwrap().to_string();
            assert!(fault.contains(says) && !fault.contains("secret"), "{text}: {fault}");
        }
    }
}
