//! A cheap fingerprint of a file from its metadata: equal stamps mean equal content, except for changes within one tick of the file
//! system's clock.

use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How long a file must have been left alone for its stamp to stand for its content: many ticks of the clock of a file system that counts
/// nanoseconds.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// The same where it seems to count whole seconds, one or two at a time.
const SETTLED_AFTER_SECONDS: Duration = Duration::from_secs(5);

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
    modified: Option<SystemTime>,
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

    /// Whether the file was left alone for so long before `now` that a later change of it changes its stamp. A clock that is ahead of the
    /// file system's never makes it so: a time of change in the future is not settled.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let Some(changed) = self.changed() else { return false };
        let part = changed.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let least = if part == 0 { SETTLED_AFTER_SECONDS } else { SETTLED_AFTER };
        now.duration_since(changed).is_ok_and(|age| age > least)
    }

    /// When the file last changed, by the clock that no program sets back.
    #[cfg(unix)]
    fn changed(&self) -> Option<SystemTime> {
        let (seconds, nanoseconds) = self.times[1];
        let since = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since)
    }

    #[cfg(not(unix))]
    fn changed(&self) -> Option<SystemTime> {
        self.modified
    }
}

/// All of it, as an index keeps it.
impl fmt::Display for FileStamp {
    #[cfg(unix)]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { length, file: (device, inode), times: [modified, changed] } = self;
        write!(f, "{device}:{inode}:{length}:{}.{:09}:{}.{:09}", modified.0, modified.1, changed.0, changed.1)
    }

    #[cfg(not(unix))]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modified = self.modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        write!(f, "{}:{}", self.length, modified.unwrap_or_default().as_nanos())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_settles_a_second_after_the_change_or_five_where_the_file_system_counts_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::write(&path, "x").unwrap();
        let mut stamp = FileStamp::of(&path).unwrap();
        for (nanoseconds, age, settled) in [
            (1, 999, false),
            (1, 1_000, false),
            (1, 1_001, true),
            (0, 5_000, false),
            (0, 5_001, true),
            (1, -1_000, false),
        ] {
            stamp.times[1] = (1_700_000_000, nanoseconds);
            let changed = Duration::new(1_700_000_000, u32::try_from(nanoseconds).unwrap());
            let apart = Duration::from_millis(i64::unsigned_abs(age));
            let now = if age < 0 { changed - apart } else { changed + apart };
            assert_eq!(stamp.is_settled(SystemTime::UNIX_EPOCH + now), settled, "{nanoseconds} {age}");
        }
        assert_eq!(stamp.to_string().matches(':').count(), 4);
    }
}
