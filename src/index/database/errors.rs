//! What RocksDB's errors mean for an index.

use std::fs;
use std::path::Path;

use super::folder::HOLDER_FILE;
use crate::index::error::IndexError;

/// An error of RocksDB at the index in `path`, by its kind and its words.
pub(super) fn storage_error(path: &Path, error: rocksdb::Error) -> IndexError {
    let path = path.to_owned();
    let detail = error.to_string();
    // RocksDB gives these no kind of their own: they are known by its words.
    if detail.contains("No space left") {
        return IndexError::Full { path };
    }
    if detail.contains("/LOCK:") || detail.contains("lock hold by") {
        let holder = fs::read_to_string(path.join(HOLDER_FILE)).unwrap_or_default();
        let holder = if holder.trim().is_empty() { "another process".to_owned() } else { holder.trim().to_owned() };
        return IndexError::InUse { path, holder };
    }
    match error.kind() {
        // Where tables are newer than the log, what is left is no single state.
        rocksdb::ErrorKind::Corruption if detail.contains("WAL") && !detail.contains("ahead of WALs") => {
            IndexError::LostTail { path, detail }
        }
        rocksdb::ErrorKind::Corruption => IndexError::Damaged { path, detail },
        rocksdb::ErrorKind::InvalidArgument if detail.contains("olumn famil") => IndexError::Damaged { path, detail },
        rocksdb::ErrorKind::IOError if detail.contains("No such file") => IndexError::Damaged { path, detail },
        _ => IndexError::Storage { path, detail },
    }
}
