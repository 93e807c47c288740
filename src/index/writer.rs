//! The one writer: makes an index whole or not at all, and starts the steps that change it, each an atomic batch.

use std::fs;
use std::ops::Deref;
use std::path::Path;

use super::database::{HOLDER_FILE, check_format};
use super::error::{IndexError, Result};
use super::folder::{FolderState, folder_state, rename_durably, unfinished_folder};
use super::meta::Identity;
use super::step::Step;
use super::synced;
use super::view::View;

/// An index open for writing, by one process at a time.
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
        // Opening it for writing changes files, which this version must not do to another format.
        check_format(path)?;
        let known = synced::read(path);
        let view = View::open_writable(path, false)?;
        view.check_synced(known)?;
        // Best effort: the text is only for the message that another process shows.
        let _ = fs::write(path.join(HOLDER_FILE), format!("process {}\n", std::process::id()));
        Ok(Self { view })
    }

    /// Makes an index at `path`, which must be absent or empty. It is made in a folder beside it, which is renamed once it is whole, so
    /// that an interrupted run leaves no half-made index. `fill` writes the first rows.
    ///
    /// # Errors
    /// [`IndexError::InUse`] while another process makes it, [`IndexError::Io`], [`IndexError::Full`],
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
