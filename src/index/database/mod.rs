//! The folder of an index and the RocksDB database in it: rows as bytes. Only files in here name `rocksdb`.

pub(super) mod checks;
mod errors;
pub mod folder;
pub(super) mod handle;
pub(super) mod making;
mod memory;
mod options;
pub mod stamp;
pub(super) mod synced;
mod tables;
