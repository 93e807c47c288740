//! The one writer: makes an index whole or not at all, starts the steps that change it, each an atomic batch, and merges small tables when
//! it ends.

use std::fs;
use std::ops::Deref;
use std::path::Path;

use super::database::checks::{check_format, check_synced};
use super::database::folder::{FolderState, HOLDER_FILE, folder_state};
use super::database::making::Making;
use super::database::synced;
use super::error::{IndexError, Result};
use super::meta::Identity;
use super::read::view::View;
use super::write::step::Step;

/// An index open for writing, by one process at a time.
pub struct Writer {
    view: View,
}

impl Writer {
    /// Opens the index at `path`.
    ///
    /// # Errors
    /// [`IndexError::Missing`], [`IndexError::InUse`], [`IndexError::OtherFormat`], [`IndexError::Damaged`],
    /// [`IndexError::LostTail`].
    pub fn open(path: &Path) -> Result<Self> {
        if folder_state(path)? == FolderState::Absent {
            return Err(IndexError::Missing { path: path.to_owned() });
        }
        // Opening it for writing changes files, which this version must not do to another format, nor to a log that lost its end.
        let known = synced::read(path);
        check_synced(path, check_format(path)?, known)?;
        Ok(Self::over(View::open_writable(path, false)?))
    }

    fn over(view: View) -> Self {
        // Best effort: the text is only for the message that another process shows.
        let _ = fs::write(view.path().join(HOLDER_FILE), format!("process {}\n", std::process::id()));
        Self { view }
    }

    /// Makes an index at `path`, which must be absent or empty, or hold what an interrupted run left of making one. `fill` writes the first
    /// rows.
    ///
    /// # Errors
    /// [`IndexError::InUse`] while another process makes it, [`IndexError::NotEmpty`], [`IndexError::Io`], [`IndexError::Full`],
    /// [`IndexError::Storage`].
    pub fn create(path: &Path, identity: &Identity, fill: impl FnOnce(&Self) -> Result<()>) -> Result<Self> {
        let making = Making::begin(path)?;
        let filled = View::open_writable(path, true).map(Self::over).and_then(|writer| {
            fill(&writer)?;
            let mut step = writer.step();
            identity.put(&mut step);
            // What `fill` wrote reaches the disk with it: the log is in the order of the writes.
            step.commit(true)?;
            Ok(writer)
        });
        match filled {
            Ok(writer) => {
                making.finish()?;
                Ok(writer)
            }
            Err(error) => {
                making.abandon();
                Err(error)
            }
        }
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

impl Drop for Writer {
    fn drop(&mut self) {
        // Best effort: an index with many tables is as right as one with few.
        if let Err(error) = self.view.database().merge_small() {
            tracing::debug!("small tables were not merged: {error}");
        }
    }
}
