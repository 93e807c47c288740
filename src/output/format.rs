//! The formats that answers are printed in: the values of `--format`.

use std::str::FromStr;

use super::picture::Drawing;

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

impl FromStr for Format {
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
    Picture(Drawing),
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

impl FromStr for AnswerFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        name.parse().map(Self::Plain).or_else(|error: String| {
            name.parse().map(Self::Picture).map_err(|_| format!("{error}; trace also has dot, graphml, html"))
        })
    }
}
