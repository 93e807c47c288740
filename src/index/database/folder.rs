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
    // Looked for first: what an interrupted run left may look like a whole index.
    if names.iter().any(|name| name == MAKING_FILE) {
        return match names.iter().all(|name| is_ours(name)) {
            true => Ok(FolderState::Absent),
            false => Err(IndexError::NotAnIndex { path: path.to_owned() }),
        };
    }
    if names.iter().any(|name| name == "CURRENT") {
        return Ok(FolderState::Index);
    }
    if names.iter().any(|name| name.starts_with("MANIFEST-") || name.ends_with(".sst")) {
        return Err(IndexError::Damaged { path: path.to_owned(), detail: "its file CURRENT is missing".into() });
    }
    Err(IndexError::NotAnIndex { path: path.to_owned() })
}

/// The names of the files in a folder; none where it does not exist.
///
/// # Errors
/// [`IndexError::Io`].
pub(super) fn names(path: &Path) -> Result<Vec<String>> {
    let files = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files.map_err(IndexError::io(path))?,
    };
    let mut names = Vec::new();
    for file in files {
        let name = file.map_err(IndexError::io(path))?.file_name().to_string_lossy().into_owned();
        if name != OF_THE_FILE_SYSTEM {
            names.push(name);
        }
    }
    Ok(names)
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

    /// Whether a folder with files of these names holds no index.
    fn is_absent(parent: &Path, names: &[&str]) -> Result<bool> {
        let path = parent.join(names.join(" "));
        fs::create_dir(&path).unwrap();
        names.iter().for_each(|name| fs::write(path.join(name), "").unwrap());
        folder_state(&path).map(|state| state == FolderState::Absent)
    }

    #[test]
    fn the_state_of_a_folder_is_known_by_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(is_absent(path, &["lost+found"]).unwrap());
        assert!(is_absent(path, &["MAKING"]).unwrap());
        assert!(
            is_absent(path, &["MAKING", "CURRENT", "MANIFEST-000001", "000004.log", "SYNCED", "lost+found"]).unwrap()
        );
        assert!(!is_absent(path, &["CURRENT", "MANIFEST-000001"]).unwrap());
        assert!(matches!(is_absent(path, &["MAKING", "thesis.doc"]), Err(IndexError::NotAnIndex { .. })));
        assert!(matches!(is_absent(path, &["thesis.doc"]), Err(IndexError::NotAnIndex { .. })));
        assert!(matches!(is_absent(path, &["000004.sst"]), Err(IndexError::Damaged { .. })));
        assert_eq!(folder_state(&path.join("none")).unwrap(), FolderState::Absent);
    }
}
