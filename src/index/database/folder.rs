//! The folder of an index: what it holds, by its file names.

use std::fs;
use std::io;
use std::path::Path;

use super::synced::SYNCED_FILE;
use crate::index::error::{IndexError, Result};

/// Names the process that has the index open, and marks the folder as ours. Its text is read only where RocksDB's own lock says that
/// a process holds the database.
pub(in crate::index) const HOLDER_FILE: &str = "HOLDER";
/// Marks a folder in which an index is being made.
pub(super) const MAKING_FILE: &str = "MAKING";
/// What a file system keeps in its root, and so in a folder that is a mount point.
const OF_THE_FILE_SYSTEM: &str = "lost+found";

/// What a folder holds, by its file names alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderState {
    /// Nothing, or it does not exist, or an index in it is not made yet.
    Absent,
    /// An index, which may be damaged.
    Index,
}

/// Looks at a folder before anything is opened in it.
///
/// # Errors
/// [`IndexError::NotAnIndex`]; [`IndexError::Damaged`] where RocksDB's CURRENT is missing; [`IndexError::Io`].
pub fn folder_state(path: &Path) -> Result<FolderState> {
    let names = names(path)?;
    if names.is_empty() {
        return Ok(FolderState::Absent);
    }
    if names.iter().any(|name| name == MAKING_FILE) {
        return match names.iter().all(|name| is_ours(name)) {
            true => Ok(FolderState::Absent),
            false => Err(IndexError::NotAnIndex { path: path.to_owned() }),
        };
    }
    if names.iter().any(|name| name == "CURRENT") {
        return Ok(FolderState::Index);
    }
    let is_of_a_database = |name: &String| name.starts_with("MANIFEST-") || name.ends_with(".sst");
    if names.iter().any(is_of_a_database) {
        return Err(IndexError::Damaged { path: path.to_owned(), detail: "its file CURRENT is missing".into() });
    }
    Err(IndexError::NotAnIndex { path: path.to_owned() })
}

/// The names of the files in a folder; none where it does not exist.
///
/// # Errors
/// [`IndexError::Io`].
pub(super) fn names(path: &Path) -> Result<Vec<String>> {
    let io = |source| IndexError::Io { path: path.to_owned(), source };
    let files = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files.map_err(io)?,
    };
    let names = files.map(|file| Ok(file.map_err(io)?.file_name().to_string_lossy().into_owned()));
    let names = names.collect::<Result<Vec<_>>>()?;
    Ok(names.into_iter().filter(|name| name != OF_THE_FILE_SYSTEM).collect())
}

/// Whether RocksDB or this program gives files this name.
pub(super) fn is_ours(name: &str) -> bool {
    ["CURRENT", "LOCK", "IDENTITY", HOLDER_FILE, SYNCED_FILE, MAKING_FILE].contains(&name)
        || ["MANIFEST-", "OPTIONS-"].iter().any(|start| name.starts_with(start))
        || [".sst", ".log", ".dbtmp"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_folder_is_known_by_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let absent = |names: &[&str]| {
            let path = folder.path().join(names.join(" "));
            fs::create_dir(&path).unwrap();
            names.iter().for_each(|name| fs::write(path.join(name), "").unwrap());
            folder_state(&path).map(|state| state == FolderState::Absent)
        };
        assert!(absent(&["lost+found"]).unwrap());
        assert!(absent(&["MAKING"]).unwrap());
        assert!(absent(&["MAKING", "CURRENT", "MANIFEST-000001", "000004.log", "SYNCED", "lost+found"]).unwrap());
        assert!(!absent(&["CURRENT", "MANIFEST-000001"]).unwrap());
        assert!(matches!(absent(&["MAKING", "thesis.doc"]), Err(IndexError::NotAnIndex { .. })));
        assert!(matches!(absent(&["thesis.doc"]), Err(IndexError::NotAnIndex { .. })));
        assert!(matches!(absent(&["000004.sst"]), Err(IndexError::Damaged { .. })));
        assert_eq!(folder_state(&folder.path().join("none")).unwrap(), FolderState::Absent);
    }
}
