//! Prints to stderr what goes beside an answer: errors, and the block that a table is about.

use super::{Format, cell, json, page};
use crate::query::at::AtBlock;

/// Prints the block that an answer is about to stderr, beside a table; the other formats have it in the answer.
#[expect(clippy::print_stderr, reason = "the answer is on stdout, and a table that is saved keeps its own line")]
pub fn note_at(format: Format, at: Option<&AtBlock>) {
    if let Some(at) = at.filter(|_| format == Format::Table) {
        eprintln!("{}", page::at_line(at));
    }
}

/// Prints the error that a command ended with, and its causes.
#[expect(clippy::print_stderr, reason = "printing errors is this function's job")]
pub fn print_error(format: Format, error: &(dyn std::error::Error + 'static)) {
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

/// Prints the refusal of a command line, as clap words it.
#[expect(clippy::print_stderr, reason = "printing errors is this function's job")]
pub fn print_usage_error(text: &str) {
    eprintln!("{}", lines_escaped(text));
}

/// Escapes each line by itself: TOML's errors show a place in the file over several lines.
fn lines_escaped(text: &str) -> String {
    text.trim_end().lines().map(|line| cell::shown(line, cell::LONGEST_LINE)).collect::<Vec<_>>().join("\n")
}
