//! Prints an answer that is one object, in each format.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::{Format, OutputError, Page, cell, json};

/// Prints an answer that is one object; `page` makes its table.
///
/// # Errors
/// [`OutputError`].
pub fn object(format: Format, answer: &impl Serialize, page: impl FnOnce() -> Page) -> Result<(), OutputError> {
    // Stdout by itself writes line by line, and a trace of 100,000 coins has some million lines of JSON.
    let mut out = io::BufWriter::new(io::stdout().lock());
    object_to(&mut out, &mut io::stderr().lock(), format, answer, page)?;
    Ok(out.flush()?)
}

fn object_to(
    out: &mut impl Write,
    side: &mut impl Write,
    format: Format,
    answer: &impl Serialize,
    page: impl FnOnce() -> Page,
) -> Result<(), OutputError> {
    match format {
        Format::Table => out.write_all(page().to_string().as_bytes())?,
        Format::Json => {
            json::write_pretty(&mut *out, answer)?;
            writeln!(out)?;
        }
        Format::Jsonl => {
            let mut value = serde_json::to_value(answer).map_err(io::Error::other)?;
            if let Some(coverage) = value.as_object_mut().and_then(|object| object.shift_remove("coverage")) {
                writeln!(out, "{}", json::line(&serde_json::json!({ "coverage": coverage })))?;
            }
            writeln!(out, "{}", json::line(&value))?;
        }
        Format::Csv => {
            let mut value = serde_json::to_value(answer).map_err(io::Error::other)?;
            if let Some(coverage) = value.as_object_mut().and_then(|object| object.shift_remove("coverage")) {
                let at = value.get("at").map(|at| ("at", at.clone()));
                let fields = [("coverage", coverage)].into_iter().chain(at);
                writeln!(side, "{}", json::line(&Value::from_iter(fields)))?;
            }
            let mut csv = csv::Writer::from_writer(&mut *out);
            csv.write_record(["field", "value"])?;
            let mut fields = Vec::new();
            flatten("", &value, &mut fields);
            for (field, value) in fields {
                csv.write_record([cell::for_csv(&field.into()), cell::for_csv(&value)])?;
            }
            csv.flush()?;
        }
    }
    out.flush()?;
    Ok(())
}

/// Collects an object's leaves with their paths: `tip.height`, `inputs.0.value_sat`.
fn flatten(path: &str, value: &Value, fields: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(name, value)| flatten(&joined(path, name), value, fields));
        }
        Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array()) => {
            values.iter().enumerate().for_each(|(at, value)| flatten(&joined(path, &at.to_string()), value, fields));
        }
        leaf => fields.push((path.to_owned(), leaf.clone())),
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
