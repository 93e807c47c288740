//! Answers of many rows, printed as they come; only a table holds rows back, one chunk at a time.

use std::fmt::Display;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::columns::{Column, TABLE_CHUNK, csv_cells, lay_out};
use super::page::{Page, at_line, coverage_lines};
use super::{Format, OutputError, cell, json};
use crate::query::Coverage;
use crate::query::at::AtBlock;

/// An answer of many rows.
pub struct Stream<'a> {
    /// The coverage that the answer rests on.
    pub coverage: &'a Coverage,
    /// Fields before the rows.
    pub head: Map<String, Value>,
    /// The columns of tables and CSV.
    pub columns: &'a [Column],
}

impl Stream<'_> {
    /// Prints the head, then `rows`, then the fields that `tail` gives once all rows are printed.
    ///
    /// # Errors
    /// [`OutputError`], or the error of a row. The output then ends there: JSON that doesn't parse can't be taken for a whole answer.
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
            Format::Table => self.table(out, side, values, tail),
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
            write(out, format_args!("{}: {},\n ", json::line(&name.into()), json::line(&value)))?;
        }
        write(out, "\"rows\": [")?;
        let mut separator = "\n  ";
        for row in rows {
            write(out, format_args!("{separator}{}", json::line(&row?)))?;
            separator = ",\n  ";
        }
        write(out, "]")?;
        for (name, value) in tail() {
            write(out, format_args!(",\n {}: {}", json::line(&name.into()), json::line(&value)))?;
        }
        Ok(write(out, "}\n")?)
    }

    fn jsonl<E: From<OutputError>>(
        &self,
        out: &mut impl Write,
        rows: impl Iterator<Item = Result<Value, E>>,
        tail: impl FnOnce() -> Map<String, Value>,
    ) -> Result<(), E> {
        write(out, format_args!("{}\n", json::line(&self.first_fields()?.into())))?;
        for row in rows {
            write(out, format_args!("{}\n", json::line(&row?)))?;
        }
        let tail = tail();
        if tail.values().any(|value| !value.is_null()) {
            write(out, format_args!("{}\n", json::line(&tail.into())))?;
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
            csv.write_record(csv_cells(self.columns, &row?)).map_err(OutputError::from)?;
        }
        csv.flush().map_err(OutputError::from)?;
        let mut fields = self.first_fields()?;
        fields.extend(tail());
        write(side, format_args!("{}\n", json::line(&fields.into())))?;
        Ok(())
    }

    fn table<E: From<OutputError>>(
        &self,
        out: &mut impl Write,
        side: &mut impl Write,
        mut rows: impl Iterator<Item = Result<Value, E>>,
        tail: impl FnOnce() -> Map<String, Value>,
    ) -> Result<(), E> {
        let mut printed = 0;
        loop {
            let chunk: Vec<Value> = rows.by_ref().take(TABLE_CHUNK).collect::<Result<_, E>>()?;
            if !chunk.is_empty() || printed == 0 {
                write(out, lay_out(self.columns, &chunk, true))?;
            }
            printed += chunk.len();
            if chunk.len() < TABLE_CHUNK {
                break;
            }
        }
        let mut page = Page::default();
        page.line(format!("{printed} {}", if printed == 1 { "row" } else { "rows" }));
        for (name, value) in self.head.iter().chain(&tail()).filter(|(_, value)| !is_nothing(value)) {
            if let Some(at) = AtBlock::deserialize(value).ok().filter(|_| name == "at") {
                write(side, format_args!("{}\n", at_line(&at)))?;
                page.line(at_line(&at));
                continue;
            }
            match name.strip_suffix("_sat") {
                Some(name) => page.line(format!("{name}: {}", amounts(value))),
                None => page.line(format!("{name}: {}", words(value))),
            }
        }
        page.lines(coverage_lines(self.coverage));
        Ok(write(out, page)?)
    }
}

/// Satoshis in BTC: one sum, or one for each name.
fn amounts(value: &Value) -> String {
    match value {
        Value::Object(sums) => {
            sums.iter().map(|(name, sum)| format!("{name} {}", amounts(sum))).collect::<Vec<_>>().join(", ")
        }
        sum => format!("{} BTC", sum.as_u64().map(cell::btc).unwrap_or_default()),
    }
}

/// A value as text; an object as its fields, each behind its name.
fn words(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let words = fields.iter().map(|(name, value)| match value {
                Value::Null => format!("{name} none"),
                value => format!("{name} {}", cell::plain(value)),
            });
            words.collect::<Vec<_>>().join(", ")
        }
        value => cell::plain(value),
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

fn write(out: &mut impl Write, text: impl Display) -> Result<(), OutputError> {
    Ok(write!(out, "{text}")?)
}
