//! The index: rows in RocksDB, one writer, any number of readers. Only files in here name a column family, or the bytes of a row;
//! everything above reads and writes rows by their types ([`rows`], [`ReadRows`]).
//!
//! Each of these needs only what stands above it:
//!
//! ```text
//! schema, error, raw    the table of everything stored; what can fail; rows as bytes
//! rows/                 keys and values as types, and their bytes
//! database/             the folder and the RocksDB database in it
//! read/                 an open index, read by types
//! meta/                 the rows of `meta`
//! event_log             which events the log keeps
//! derive                from a record to its rows: pure
//! write/                a step: changes that are written in one batch
//! reader, writer        how an index is opened to be read, made, and opened to be changed
//! copy, digest, lost_tail, prune    what is done with a whole index
//! ```

pub mod copy;
mod database;
pub mod derive;
pub mod digest;
mod error;
pub mod event_log;
pub mod lost_tail;
pub mod meta;
pub mod prune;
pub mod raw;
mod read;
mod reader;
pub mod rows;
pub mod schema;
mod write;
mod writer;

pub use database::{folder, stamp};
pub use error::{IndexError, Result};
pub use read::read_rows::ReadRows;
pub use read::same_key::SameKeyFault;
pub use read::script_rows::{RowOfScript, ScriptRows};
pub use read::view::View;
pub use reader::Reader;
pub use rows::row_set::{KeySet, RowSet};
pub use rows::values::{Recorded, ScriptCoin, Touch};
pub use rows::{entries, events, former, keys, same_key, sums, sweeps, values};
pub use schema::FORMAT;
pub use write::derived_rows::{DerivedFamily, DerivedRow, RowMismatch};
pub use write::mend::mend_sums;
pub use write::step::Step;
pub use writer::Writer;
