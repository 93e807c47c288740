//! The only code that prints: answers to stdout as a table, JSON, JSON lines or CSV; logs and errors to stderr.

pub mod cell;
pub mod columns;
mod error;
mod grid;
pub mod json;
pub mod lines;
pub mod log;
pub mod page;
pub mod picture;
pub mod progress;
pub mod rows;
mod terminal;

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use crate::query::at::AtBlock;

pub use columns::{Column, Kind};
pub use error::OutputError;
pub use page::Page;
pub use rows::Stream;
pub use terminal::look as look_for_terminal;

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns, for people.
    #[default]
    Table,
    /// One JSON object.
    Json,
    /// One JSON object per line, the coverage first.
    Jsonl,
    /// Comma-separated values; the coverage goes to stderr.
    Csv,
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            "jsonl" => Ok(Self::Jsonl),
            "csv" => Ok(Self::Csv),
            _ => Err(format!("no format is called '{name}'; one of table, json, jsonl, csv")),
        }
    }
}

/// A value of `--format`: a format that every command has, or a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFormat {
    /// A format that every command has.
    Plain(Format),
    /// A picture, which only `trace` has.
    Picture(picture::Drawing),
}

impl Default for AnswerFormat {
    fn default() -> Self {
        Self::Plain(Format::default())
    }
}

impl AnswerFormat {
    /// The format of everything else that is printed, such as errors.
    pub fn plain(self) -> Format {
        match self {
            Self::Plain(format) => format,
            Self::Picture(_) => Format::Table,
        }
    }
}

impl std::str::FromStr for AnswerFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        name.parse().map(Self::Plain).or_else(|error: String| {
            name.parse().map(Self::Picture).map_err(|_| format!("{error}; trace also has dot, graphml, html"))
        })
    }
}

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

/// Prints the block that an answer is about to stderr, beside a table; the other formats have it in the answer.
#[expect(clippy::print_stderr, reason = "the answer is on stdout, and a table that is saved keeps its own line")]
pub fn note_at(format: Format, at: Option<&AtBlock>) {
    if let Some(at) = at.filter(|_| format == Format::Table) {
        eprintln!("{}", page::at_line(at));
    }
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

/// Prints the error that a command ended with, and its causes.
#[expect(clippy::print_stderr, reason = "printing errors is this function's job")]
pub fn error(format: Format, error: &(dyn std::error::Error + 'static)) {
    let causes: Vec<String> =
        std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string).collect();
    let message = error.to_string();
    // The source of a transparent variant has the same text.
    let causes: Vec<_> = causes.into_iter().filter(|cause| !message.contains(cause.as_str())).collect();
    if format == Format::Json || format == Format::Jsonl {
        eprintln!("{}", json::line(&serde_json::json!({ "error": { "message": message, "causes": causes } })));
        return;
    }
    eprintln!("coinhound: {}", lines_escaped(&message));
    for cause in causes {
        eprintln!("  because: {}", lines_escaped(&cause));
    }
}

/// Prints what is wrong with the command line, as clap words it.
#[expect(clippy::print_stderr, reason = "printing errors is this function's job")]
pub fn usage_error(text: &str) {
    eprintln!("{}", lines_escaped(text));
}

/// Escapes each line by itself: TOML's errors show a place in the file over several lines.
fn lines_escaped(text: &str) -> String {
    text.trim_end().lines().map(|line| cell::shown(line, cell::LONGEST_LINE)).collect::<Vec<_>>().join("\n")
}
