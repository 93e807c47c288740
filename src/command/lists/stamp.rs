//! What a file system says of a file: equal stamps mean an equal file, but for changes within one tick of its clock.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// Which file it is, how long, and when it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    length: u64,
    #[cfg(unix)]
    file: (u64, u64),
    /// Seconds and nanoseconds: of its content, and of anything about it, which nobody can set back.
    #[cfg(unix)]
    times: [(i64, i64); 2],
    #[cfg(not(unix))]
    modified: Option<std::time::SystemTime>,
}

impl Stamp {
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
impl From<&Metadata> for Stamp {
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
impl From<&Metadata> for Stamp {
    fn from(file: &Metadata) -> Self {
        Self { length: file.len(), modified: file.modified().ok() }
    }
}
