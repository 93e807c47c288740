//! The index: rows in RocksDB, one writer, any number of readers. Only files in here name `rocksdb`, a column family, or the bytes of a
//! row; everything above reads and writes rows by their types ([`rows`], [`ReadRows`]).

mod bytes;
pub mod copy;
mod database;
pub mod derive;
mod derived_rows;
pub mod digest;
pub mod entries;
mod error;
pub mod events;
pub mod folder;
pub mod former;
pub mod keys;
pub mod lost_tail;
mod making;
mod memory;
pub mod meta;
pub mod raw;
mod read;
pub mod reader;
mod row_set;
pub mod rows;
pub mod same_key;
pub mod schema;
mod script_rows;
pub mod stamp;
pub mod step;
pub mod sums;
pub mod sweeps;
mod synced;
mod tables;
pub mod values;
mod view;
pub mod writer;

pub use derived_rows::{DerivedFamily, DerivedRow, RowMismatch};
pub use error::{IndexError, Result};
pub use read::ReadRows;
pub use reader::Reader;
pub use row_set::{KeySet, RowSet};
pub use schema::FORMAT;
pub use script_rows::{RowOfScript, ScriptRows};
pub use step::Step;
pub use values::{Recorded, ScriptCoin, Touch};
pub use view::View;
pub use writer::Writer;
