//! Logs: to stderr, as text or JSON. What messages quote comes from lists, files and the node, so it is escaped as in every other output.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use super::{cell, json};

/// How logs look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("no log format is called '{name}'; one of text, json")),
        }
    }
}

/// Starts logging for the rest of the process.
pub fn start(level: LevelFilter, format: LogFormat) {
    let builder = tracing_subscriber::fmt().with_max_level(level).with_target(false);
    // A second start, in a test say, changes nothing.
    let _ = match format {
        LogFormat::Text => {
            let fields = debug_fn(write_field).delimited(" ");
            let builder = builder.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr);
            builder.fmt_fields(fields).try_init()
        }
        LogFormat::Json => builder.json().with_writer(|| EscapedJson).try_init(),
    };
}

/// Writes a field of an event: the message by itself, others with their names.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let text = cell::shown(&format!("{value:?}"), cell::LONGEST_LINE);
    match field.name() {
        "message" => writer.write_str(&text),
        name => write!(writer, "{name}={text}"),
    }
}

/// Stderr for lines of JSON; each event is written at once.
struct EscapedJson;

impl Write for EscapedJson {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(json::escaped(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
