//! A cheap fingerprint of a file from its metadata: equal stamps mean equal content, except for changes within one tick of the file
//! system's clock.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// A file's identity, length and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    length: u64,
    #[cfg(unix)]
    file: (u64, u64),
    /// Seconds and nanoseconds of mtime and ctime; a program can set back the first, but not the second.
    #[cfg(unix)]
    times: [(i64, i64); 2],
    #[cfg(not(unix))]
    modified: Option<std::time::SystemTime>,
}

impl FileStamp {
    /// Of the file that a path leads to now.
    pub fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&path.metadata()?))
    }

    /// Of an open file.
    pub fn of_open(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }
}

#[cfg(unix)]
impl From<&Metadata> for FileStamp {
    fn from(file: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            length: file.len(),
            file: (file.dev(), file.ino()),
            times: [(file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec())],
        }
    }
}

#[cfg(not(unix))]
impl From<&Metadata> for FileStamp {
    fn from(file: &Metadata) -> Self {
        Self { length: file.len(), modified: file.modified().ok() }
    }
}
