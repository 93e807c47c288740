//! Makes an index inside its folder, which may exist and be empty: a mounted volume, the state directory of a service. From before the
//! first file to after the last one a marker lies in the folder, so that the next run knows what an interrupted one left, and clears it.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::folder::{HOLDER_FILE, MAKING_FILE, is_ours, names};
use super::handle::{Database, OpenMode};
use crate::index::error::{IndexError, Result};

/// A folder in which an index is being made.
pub(in crate::index) struct Making {
    folder: PathBuf,
    /// Whether the folder is new.
    is_new: bool,
    /// The folder itself, locked, so that no other process makes an index in it; `None` where the file system has no such locks.
    _lock: Option<File>,
}

impl Making {
    /// Begins in a folder that is absent or empty, or in which an interrupted run began.
    ///
    /// # Errors
    /// [`IndexError::InUse`] while another process makes an index there; [`IndexError::NotEmpty`] where it holds anything else, which is
    /// left as it is; [`IndexError::Io`].
    pub(in crate::index) fn begin(path: &Path) -> Result<Self> {
        let is_new = !path.exists();
        private_folder(path).map_err(IndexError::io(path))?;
        let lock = lock_folder(path)?;
        let found = names(path)?;
        let is_marked = found.iter().any(|name| name == MAKING_FILE);
        if !found.is_empty() && (!is_marked || found.iter().any(|name| !is_ours(name))) {
            return Err(IndexError::NotEmpty { path: path.to_owned() });
        }
        if is_marked && lock.is_none() {
            // Only to see whether another process holds the database's lock: any other error does not matter.
            if let Err(error @ IndexError::InUse { .. }) = Database::open_writable(path, OpenMode::Create) {
                return Err(error);
            }
        }
        let making = Self { folder: path.to_owned(), is_new, _lock: lock };
        making.mark()?;
        making.clear()?;
        Ok(making)
    }

    /// Declares the index whole: all its files must have reached the disk.
    ///
    /// # Errors
    /// [`IndexError::Io`].
    pub(in crate::index) fn finish(self) -> Result<()> {
        self.unmark()
    }

    /// Removes what was made; best effort, since the next run clears what stays.
    pub(in crate::index) fn abandon(self) {
        if self.clear().and_then(|()| self.unmark()).is_ok() && self.is_new {
            // Fails where the folder holds anything.
            let _ = fs::remove_dir(&self.folder);
        }
    }

    /// Writes the marker, and waits until it is on disk.
    fn mark(&self) -> Result<()> {
        let marker = self.folder.join(MAKING_FILE);
        let written = File::create(&marker).and_then(|file| file.sync_all());
        written.map_err(IndexError::io(&marker))?;
        self.sync()
    }

    fn unmark(&self) -> Result<()> {
        let marker = self.folder.join(MAKING_FILE);
        fs::remove_file(&marker).map_err(IndexError::io(&marker))?;
        self.sync()
    }

    /// Removes all files but the marker.
    fn clear(&self) -> Result<()> {
        for name in names(&self.folder)?.into_iter().filter(|name| name != MAKING_FILE && is_ours(name)) {
            let path = self.folder.join(name);
            fs::remove_file(&path).map_err(IndexError::io(&path))?;
        }
        Ok(())
    }

    /// Waits until the names in the folder, and the folder's own, are on disk.
    fn sync(&self) -> Result<()> {
        // After a power cut a file is there only if the folder that names it was synced too.
        #[cfg(unix)]
        for folder in [Some(self.folder.as_path()), self.folder.parent()].into_iter().flatten() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            match File::open(folder).and_then(|open| open.sync_all()) {
                // The folder above may be closed to us.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && folder != self.folder => {}
                synced => synced.map_err(IndexError::io(folder))?,
            }
        }
        Ok(())
    }
}

/// Makes a folder that only its owner can enter, and the folders above it; leaves one that exists as it is.
fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Locks a folder for as long as the file is open.
fn lock_folder(path: &Path) -> Result<Option<File>> {
    let Ok(folder) = File::open(path) else { return Ok(None) };
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(path.join(HOLDER_FILE)).unwrap_or_default();
            let holder = if holder.trim().is_empty() { "another process".to_owned() } else { holder.trim().to_owned() };
            Err(IndexError::InUse { path: path.to_owned(), holder })
        }
        // Network file systems lock no folders.
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_holds_anything_else_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        for held in [&["thesis.doc"][..], &["MAKING", "thesis.doc"], &["CURRENT", "MANIFEST-000001"]] {
            let path = folder.path().join(held.join(" "));
            fs::create_dir(&path).unwrap();
            held.iter().for_each(|name| fs::write(path.join(name), name).unwrap());
            assert!(matches!(Making::begin(&path), Err(IndexError::NotEmpty { .. })), "{held:?}");
            let mut left = names(&path).unwrap();
            left.sort();
            assert_eq!(left, held, "{held:?}");
        }
    }

    #[test]
    fn one_process_makes_an_index_at_a_time_and_the_next_one_clears_what_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/index");
        let making = Making::begin(&path).unwrap();
        assert!(matches!(Making::begin(&path), Err(IndexError::InUse { .. })));
        fs::write(path.join("000004.log"), "rows").unwrap();
        // As a kill leaves it.
        drop(making);
        fs::create_dir(path.join("lost+found")).unwrap();
        let making = Making::begin(&path).unwrap();
        assert_eq!(names(&path).unwrap(), ["MAKING"]);
        fs::write(path.join("000004.log"), "rows").unwrap();
        making.abandon();
        assert!(path.exists() && names(&path).unwrap().is_empty());
        Making::begin(&path).unwrap().finish().unwrap();
        assert!(names(&path).unwrap().is_empty());
    }

    #[test]
    fn a_folder_that_was_made_for_it_goes_when_making_it_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        Making::begin(&path).unwrap().abandon();
        assert!(!path.exists());
    }
}
