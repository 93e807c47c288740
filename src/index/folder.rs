//! The folder of an index: what it holds, and how a new one is made beside it and renamed once it is whole.

use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};

use super::database::HOLDER_FILE;
use super::error::{IndexError, Result};
use super::view::View;

/// What a folder holds, by its file names alone.
#[derive(Debug, PartialEq, Eq)]
pub enum FolderState {
    /// Nothing, or it does not exist.
    Absent,
    /// An index, which may be damaged.
    Index,
}

/// Looks at a folder before anything is opened in it.
///
/// # Errors
/// [`IndexError::NotAnIndex`]; [`IndexError::Damaged`] where RocksDB's CURRENT is missing; [`IndexError::Io`].
pub fn folder_state(path: &Path) -> Result<FolderState> {
    let names = match fs::read_dir(path) {
        Ok(files) => {
            files.filter_map(|file| Some(file.ok()?.file_name().to_string_lossy().into_owned())).collect::<Vec<_>>()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FolderState::Absent),
        Err(source) => return Err(IndexError::Io { path: path.to_owned(), source }),
    };
    if names.is_empty() {
        return Ok(FolderState::Absent);
    }
    if names.iter().any(|name| name == "CURRENT") {
        return Ok(FolderState::Index);
    }
    let is_ours = |name: &String| name.starts_with("MANIFEST-") || name.ends_with(".sst");
    if names.iter().any(is_ours) {
        return Err(IndexError::Damaged { path: path.to_owned(), detail: "its file CURRENT is missing".into() });
    }
    Err(IndexError::NotAnIndex { path: path.to_owned() })
}

/// A folder beside `path`, named `PATH.word`.
fn sibling(path: &Path, word: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{word}"));
    path.with_file_name(name)
}

/// Makes an empty folder beside `path` to build an index in. What an interrupted run left there is removed.
///
/// # Errors
/// [`IndexError::InUse`] while another process builds one there; [`IndexError::NotAnIndex`] where it holds other files;
/// [`IndexError::Io`].
pub(super) fn unfinished_folder(path: &Path, word: &str) -> Result<PathBuf> {
    let unfinished = sibling(path, word);
    match folder_state(&unfinished) {
        Ok(FolderState::Absent) => {}
        // A run that was killed while it made or removed a database leaves any part of its files.
        Ok(FolderState::Index) | Err(_) if holds_only_our_files(&unfinished) => {
            // Only to see whether another process holds its lock: any other error does not matter.
            if let Err(error @ IndexError::InUse { .. }) = View::open_writable(&unfinished, true) {
                return Err(error);
            }
        }
        Err(error) => return Err(error),
        Ok(FolderState::Index) => return Err(IndexError::NotAnIndex { path: unfinished }),
    }
    remove_folder(&unfinished)?;
    private_folder(&unfinished).map_err(|source| IndexError::Io { path: unfinished.clone(), source })?;
    Ok(unfinished)
}

/// Whether every file in a folder has a name that RocksDB or this program gives.
fn holds_only_our_files(path: &Path) -> bool {
    let is_ours = |name: &str| {
        ["CURRENT", "LOCK", "IDENTITY", HOLDER_FILE].contains(&name)
            || ["MANIFEST-", "OPTIONS-"].iter().any(|start| name.starts_with(start))
            || [".sst", ".log", ".dbtmp"].iter().any(|end| name.ends_with(end))
    };
    fs::read_dir(path)
        .is_ok_and(|mut files| files.all(|file| file.is_ok_and(|file| file.file_name().to_str().is_some_and(is_ours))))
}

/// Makes a folder that only its owner can enter, and the folders above it.
fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Removes a folder, if it exists.
pub(super) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(IndexError::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Renames a folder, and waits until the new name is on disk.
pub(super) fn rename_durably(from: &Path, to: &Path) -> Result<()> {
    let io = |source| IndexError::Io { path: to.to_owned(), source };
    fs::rename(from, to).map_err(io)?;
    #[cfg(unix)]
    if let Some(parent) = to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::File::open(parent).and_then(|folder| folder.sync_all()).map_err(io)?;
    }
    Ok(())
}
