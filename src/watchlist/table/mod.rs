//! Text files as tables: lines, quoted cells, delimiters, headers. Knows what columns are called, not what is done with a row.
//!
//! ```text
//! header ── where the header is, and which delimiter makes it one
//!    ├── columns   what a column is for, by its name
//!    ├── remark    rows that are not data
//!    └── rows      records over one or more lines ── record   one record to its cells
//!                     └── lines   physical lines with their numbers
//! words ── target and label of a line without cells; encoding ── what the first bytes look like, where they aren't text
//! ```

pub mod columns;
pub mod encoding;
pub mod header;
pub mod lines;
pub mod record;
pub mod remark;
pub mod rows;
pub mod words;
