//! A log that lost its end, by a failing disk or a file that was cut: what is whole is kept, if the user accepts that.

use std::path::Path;

use super::database::checks::check_format;
use super::database::folder::{FolderState, folder_state};
use super::database::synced;
use super::error::{IndexError, Result};
use super::read::view::View;
use crate::chain::BlockId;

/// What was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostTail {
    /// The number of the last write that is left.
    pub left: u64,
    /// The number of the last one that had reached the disk.
    pub synced: u64,
    /// The index's last block now.
    pub tip: Option<BlockId>,
}

/// Drops the damaged end of an index's log, so that the next writer resumes from the writes before it: these are an index of a valid
/// chain, as after each write. Returns what was lost; `None` where nothing is.
///
/// # Errors
/// [`IndexError::Damaged`] where tables are newer than what is left of the log, so that they are no single state; as
/// [`super::Writer::open`].
pub fn accept_lost_tail(path: &Path) -> Result<Option<LostTail>> {
    if folder_state(path)? == FolderState::Absent {
        return Ok(None);
    }
    let known = synced::read(path);
    match check_format(path) {
        Ok(found) if found >= known => return Ok(None),
        Ok(_) | Err(IndexError::LostTail { .. }) => {}
        Err(error) => return Err(error),
    }
    let view = View::open_cut(path)?;
    let lost = LostTail { left: view.sequence(), synced: known, tip: view.tip()? };
    // From now on the log ends where RocksDB cut it: the number that it is checked against has to go down too.
    synced::set(path, lost.left).map_err(IndexError::io(path))?;
    Ok(Some(lost))
}
