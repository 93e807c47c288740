//! The one writer: makes an index whole or not at all, and commits steps, each an atomic batch.

use std::fs::{self, DirBuilder};
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::meta::Identity;
use super::{IndexError, Result, Step, View, synced};

/// Names the process that has the index open, and marks the folder as ours; what it names is read only where RocksDB's own lock
/// says that somebody has it.
pub(super) const HOLDER_FILE: &str = "HOLDER";

/// What a folder holds, told from its file names alone.
#[derive(Debug, PartialEq, Eq)]
pub enum FolderState {
    /// Nothing, or there is no folder.
    Absent,
    /// An index, whole or not.
    Index,
}

/// Looks at a folder before anything is opened in it.
///
/// # Errors
/// [`IndexError::NotAnIndex`], [`IndexError::Damaged`] where the file that everything hangs on is gone, [`IndexError::Io`].
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

/// An index open for writing. Only one process at a time can hold it.
pub struct Writer {
    view: View,
}

impl Writer {
    /// Opens the index at `path`.
    ///
    /// # Errors
    /// [`IndexError::Missing`], [`IndexError::InUse`], [`IndexError::OtherFormat`], and what is wrong with it where something is.
    pub fn open(path: &Path) -> Result<Self> {
        if folder_state(path)? == FolderState::Absent {
            return Err(IndexError::Missing { path: path.to_owned() });
        }
        // To open it for writing changes files already, which is not this version's to do in another format.
        View::check_format(path)?;
        let known = synced::read(path);
        let view = View::open_writable(path, false)?;
        view.check_synced(known)?;
        // Best effort: it only words the message another process gets.
        let _ = fs::write(path.join(HOLDER_FILE), format!("process {}\n", std::process::id()));
        Ok(Self { view })
    }

    /// Makes an index at `path`, which must be absent or empty: in a folder beside it that gets its name once it states what
    /// it is of, so that a run that is stopped meanwhile leaves nothing half-made. `fill` writes the first rows.
    ///
    /// # Errors
    /// [`IndexError::InUse`] where another process is making it, [`IndexError::Io`], [`IndexError::Full`],
    /// [`IndexError::Storage`].
    pub fn create(path: &Path, identity: &Identity, fill: impl FnOnce(&Self) -> Result<()>) -> Result<Self> {
        let unfinished = unfinished_folder(path, "creating")?;
        let writer = Self { view: View::open_writable(&unfinished, true)? };
        fill(&writer)?;
        let mut step = writer.step();
        identity.put(&mut step);
        step.commit(true)?;
        drop(writer);
        rename_durably(&unfinished, path)?;
        Self::open(path)
    }

    /// Starts a step.
    pub fn step(&self) -> Step<'_> {
        Step::of(&self.view)
    }
}

impl Deref for Writer {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

/// The folder beside `path` that carries its name and a word.
fn sibling(path: &Path, word: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{word}"));
    path.with_file_name(name)
}

/// An empty folder beside `path` to make something in, without what a run that was stopped left there; not while another run is
/// at work in it, and not if it holds anything else.
pub(super) fn unfinished_folder(path: &Path, word: &str) -> Result<PathBuf> {
    let unfinished = sibling(path, word);
    match folder_state(&unfinished) {
        Ok(FolderState::Absent) => {}
        // A run that is killed as it makes or removes a database leaves any part of its files.
        Ok(FolderState::Index) | Err(_) if holds_only_our_files(&unfinished) => {
            // Only to see whether somebody holds its lock: what it lacks doesn't matter.
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

/// Whether each file in a folder is named as RocksDB or we name ours.
fn holds_only_our_files(path: &Path) -> bool {
    let is_ours = |name: &str| {
        ["CURRENT", "LOCK", "IDENTITY", HOLDER_FILE].contains(&name)
            || ["MANIFEST-", "OPTIONS-"].iter().any(|start| name.starts_with(start))
            || [".sst", ".log", ".dbtmp"].iter().any(|end| name.ends_with(end))
    };
    fs::read_dir(path)
        .is_ok_and(|mut files| files.all(|file| file.is_ok_and(|file| file.file_name().to_str().is_some_and(is_ours))))
}

/// Makes a folder only its owner can enter, with those above it.
fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Removes what an earlier run left half-made.
pub(super) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(IndexError::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Gives a finished folder its name, and waits until the disk knows.
pub(super) fn rename_durably(from: &Path, to: &Path) -> Result<()> {
    let io = |source| IndexError::Io { path: to.to_owned(), source };
    fs::rename(from, to).map_err(io)?;
    #[cfg(unix)]
    if let Some(parent) = to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::File::open(parent).and_then(|folder| folder.sync_all()).map_err(io)?;
    }
    Ok(())
}
