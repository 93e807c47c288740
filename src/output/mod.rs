//! The only code that prints: answers to stdout as a table, JSON, JSON lines or CSV; logs and errors to stderr.
//!
//! ```text
//! object, rows, lines     an answer that is one object, one of many rows, rows without an end
//! picture/                a trace as dot, graphml or html
//! page, columns ── grid   pages and tables for people
//! json, cell              one value, escaped for where it is printed
//! stderr, log, progress   what goes beside the answer
//! ```

pub mod cell;
pub mod columns;
mod error;
mod format;
mod grid;
pub mod json;
pub mod lines;
pub mod log;
mod object;
pub mod page;
pub mod picture;
pub mod progress;
pub mod rows;
mod stderr;
mod terminal;

pub use columns::{Column, Kind};
pub use error::OutputError;
pub use format::{AnswerFormat, Format};
pub use object::object;
pub use page::Page;
pub use rows::Stream;
pub use stderr::{note_at, print_error, print_usage_error};
pub use terminal::look as look_for_terminal;
