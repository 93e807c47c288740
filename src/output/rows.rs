//! Answers of many rows, printed as they come: nothing is held but a screenful of a table.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value};

use super::page::{Page, coverage_lines};
use super::{Format, OutputError, cell};
use crate::query::Coverage;

/// Rows of a table that are laid out together.
const TABLE_CHUNK: usize = 1000;

/// How a column's values look in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As it is.
    Text,
    /// Satoshis, shown in bitcoins.
    Btc,
    /// Unix seconds, shown as a date.
    Time,
    /// A number, aligned right.
    Number,
    /// A script, shortened where it is longer than an address.
    Script,
}

/// A column: the field of the row it shows, dots leading inwards; its title in tables; how it looks there.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Path in the row's JSON.
    pub field: &'static str,
    /// Title in tables; empty for columns that only CSV has.
    pub title: &'static str,
    /// How it looks.
    pub kind: Kind,
}

/// A column.
pub const fn column(field: &'static str, title: &'static str, kind: Kind) -> Column {
    Column { field, title, kind }
}

/// An answer of many rows.
pub struct Stream<'a> {
    /// What it rests on.
    pub coverage: &'a Coverage,
    /// Fields before the rows.
    pub head: Map<String, Value>,
    /// The columns of tables and CSV.
    pub columns: &'a [Column],
}

impl Stream<'_> {
    /// Prints `rows`, then the fields that `tail` gives and the lines that it adds to a table.
    ///
    /// # Errors
    /// [`OutputError`], or the first row's that is an error; then what was printed is cut off, and JSON doesn't parse.
    pub fn print<R, E>(
        &self,
        format: Format,
        rows: impl Iterator<Item = Result<R, E>>,
        tail: impl FnOnce() -> Map<String, Value>,
    ) -> Result<(), E>
    where
        R: Serialize,
        E: From<OutputError>,
    {
        let out = &mut io::BufWriter::new(io::stdout().lock());
        let side = &mut io::stderr().lock();
        let values = rows.map(|row| match row {
            Ok(row) => serde_json::to_value(row).map_err(|error| E::from(OutputError::Io(io::Error::other(error)))),
            Err(error) => Err(error),
        });
        match format {
            Format::Json => self.json(out, values, tail),
            Format::Jsonl => self.jsonl(out, values, tail),
            Format::Csv => self.csv(out, side, values, tail),
            Format::Table => self.table(out, values, tail),
        }?;
        out.flush().map_err(OutputError::from)?;
        Ok(())
    }

    fn first_fields(&self) -> Result<Map<String, Value>, OutputError> {
        let mut fields = Map::new();
        let coverage = serde_json::to_value(self.coverage).map_err(|error| OutputError::Io(io::Error::other(error)))?;
        fields.insert("coverage".into(), coverage);
        fields.extend(self.head.clone());
        Ok(fields)
    }

    fn json<E: From<OutputError>>(
        &self,
        out: &mut impl Write,
        rows: impl Iterator<Item = Result<Value, E>>,
        tail: impl FnOnce() -> Map<String, Value>,
    ) -> Result<(), E> {
        write(out, "{")?;
        for (name, value) in self.first_fields()? {
            write(out, format_args!("{}: {value},\n ", Value::from(name)))?;
        }
        write(out, "\"rows\": [")?;
        let mut separator = "\n  ";
        for row in rows {
            write(out, format_args!("{separator}{}", row?))?;
            separator = ",\n  ";
        }
        write(out, "]")?;
        for (name, value) in tail() {
            write(out, format_args!(",\n {}: {value}", Value::from(name)))?;
        }
        Ok(write(out, "}\n")?)
    }

    fn jsonl<E: From<OutputError>>(
        &self,
        out: &mut impl Write,
        rows: impl Iterator<Item = Result<Value, E>>,
        tail: impl FnOnce() -> Map<String, Value>,
    ) -> Result<(), E> {
        write(out, format_args!("{}\n", Value::from(self.first_fields()?)))?;
        for row in rows {
            write(out, format_args!("{}\n", row?))?;
        }
        let tail = tail();
        if tail.values().any(|value| !value.is_null()) {
            write(out, format_args!("{}\n", Value::from(tail)))?;
        }
        Ok(())
    }

    fn csv<E: From<OutputError>>(
        &self,
        out: &mut impl Write,
        side: &mut impl Write,
        rows: impl Iterator<Item = Result<Value, E>>,
        tail: impl FnOnce() -> Map<String, Value>,
    ) -> Result<(), E> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(self.columns.iter().map(|column| column.field)).map_err(OutputError::from)?;
        for row in rows {
            let row = row?;
            let cells = self.columns.iter().map(|column| cell::for_csv(at_path(&row, column.field)));
            csv.write_record(cells).map_err(OutputError::from)?;
        }
        csv.flush().map_err(OutputError::from)?;
        let mut fields = self.first_fields()?;
        fields.extend(tail());
        write(side, format_args!("{}\n", Value::from(fields)))?;
        Ok(())
    }

    fn table<E: From<OutputError>>(
        &self,
        out: &mut impl Write,
        mut rows: impl Iterator<Item = Result<Value, E>>,
        tail: impl FnOnce() -> Map<String, Value>,
    ) -> Result<(), E> {
        let columns: Vec<_> = self.columns.iter().filter(|column| !column.title.is_empty()).collect();
        let titles: Vec<_> = columns.iter().map(|column| column.title).collect();
        let right: Vec<_> = columns.iter().map(|column| matches!(column.kind, Kind::Btc | Kind::Number)).collect();
        let mut printed = 0;
        loop {
            let mut grid = Vec::new();
            for row in rows.by_ref().take(TABLE_CHUNK) {
                let row = row?;
                grid.push(columns.iter().map(|column| shown(at_path(&row, column.field), column.kind)).collect());
            }
            let count = grid.len();
            if count > 0 || printed == 0 {
                let mut page = Page::default();
                page.grid(&titles, &right, grid);
                write(out, page)?;
            }
            printed += count;
            if count < TABLE_CHUNK {
                break;
            }
        }
        let mut page = Page::default();
        page.line(format!("{printed} {}", if printed == 1 { "row" } else { "rows" }));
        for (name, value) in self.head.iter().chain(&tail()).filter(|(_, value)| !is_nothing(value)) {
            match name.strip_suffix("_sat") {
                Some(name) => page.line(format!("{name}: {}", amounts(value))),
                None => page.line(format!("{name}: {}", cell::plain(value))),
            }
        }
        page.lines(coverage_lines(self.coverage));
        Ok(write(out, page)?)
    }
}

/// Satoshis in BTC: one sum, or one for each name.
fn amounts(value: &Value) -> String {
    let btc = |value: &Value| format!("{} BTC", value.as_u64().map(cell::btc).unwrap_or_default());
    match value {
        Value::Object(sums) => {
            sums.iter().map(|(name, sum)| format!("{name} {}", btc(sum))).collect::<Vec<_>>().join(", ")
        }
        sum => btc(sum),
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

fn write(out: &mut impl Write, text: impl Display) -> Result<(), OutputError> {
    Ok(write!(out, "{text}")?)
}

pub(super) fn at_path<'a>(row: &'a Value, path: &str) -> &'a Value {
    path.split('.').try_fold(row, |value, name| value.get(name)).unwrap_or(&Value::Null)
}

pub(super) fn shown(value: &Value, kind: Kind) -> String {
    let number = match kind {
        Kind::Btc => value.as_u64().map(cell::btc),
        Kind::Time => value.as_i64().map(cell::time),
        Kind::Script => value.as_str().map(cell::short_script),
        Kind::Text | Kind::Number => None,
    };
    number.unwrap_or_else(|| if value.is_null() { "–".into() } else { cell::plain(value) })
}
