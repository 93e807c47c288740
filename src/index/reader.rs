//! Readers: the index opened read-only, also beside a writer, and proven to be consistent.
//!
//! RocksDB does not promise that a read-only open sees a consistent state while another process writes: a flush or a
//! compaction between its reading of the MANIFEST and of the log can hide rows. So CURRENT and the MANIFEST's size are read
//! before and after, and the open counts only if neither changed.

use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::time::{Duration, Instant};

use super::database::checks::check_families;
use super::database::folder::{FolderState, folder_state};
use super::database::synced;
use super::error::{IndexError, Result};
use super::meta::Identity;
use super::read::view::View;

/// How long to repeat an open during which the files changed.
const PATIENCE: Duration = Duration::from_secs(5);

/// The index as it was at one moment.
pub struct Reader {
    view: View,
    identity: Identity,
}

impl Reader {
    /// Opens the index at `path` as it is now.
    ///
    /// # Errors
    /// [`IndexError::Missing`], [`IndexError::Busy`], [`IndexError::NotAnIndex`], [`IndexError::OtherFormat`],
    /// [`IndexError::Damaged`], [`IndexError::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        if folder_state(path)? == FolderState::Absent {
            return Err(IndexError::Missing { path: path.to_owned() });
        }
        let start = Instant::now();
        let mut pause = Duration::from_millis(2);
        loop {
            let before = manifest(path);
            // Before the open: read after it, the number could be of writes that the open did not see.
            let known = synced::read(path);
            let opened = check_families(path).and_then(|()| View::open_read_only(path));
            let opened = opened.and_then(|view| view.check_synced(known).map(|()| view));
            let quiet = before.is_some() && before == manifest(path);
            match opened {
                Ok(view) if quiet => {
                    let identity = Identity::read(&view)?;
                    return Ok(Self { view, identity });
                }
                Err(error) if quiet => return Err(error),
                Err(error) if before.is_none() && start.elapsed() > PATIENCE => return Err(error),
                _ if start.elapsed() > PATIENCE => return Err(IndexError::Busy { path: path.to_owned() }),
                _ => std::thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    /// The chain that it was made from.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

impl Deref for Reader {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

/// The name of the MANIFEST that CURRENT names, and its size in bytes; `None` where either can't be read.
fn manifest(path: &Path) -> Option<(String, u64)> {
    let name = fs::read_to_string(path.join("CURRENT")).ok()?;
    let size = fs::metadata(path.join(name.trim_end())).ok()?.len();
    Some((name, size))
}
