//! A consistent copy of an index, also while another process writes to it: the rows of one [`Reader`] are written to a new index beside
//! the target, which is renamed when it is whole.

use std::path::Path;

use super::database::HOLDER_FILE;
use super::error::{IndexError, Result};
use super::folder::{FolderState, folder_state, remove_folder, rename_durably, unfinished_folder};
use super::raw::RawChanges;
use super::reader::Reader;
use super::schema::Family;
use super::step::Step;
use super::view::View;

/// Copies every row of `reader` into a new index at `target`, which must be absent or an empty folder; returns their number.
///
/// # Errors
/// [`IndexError::NotEmpty`] where `target` holds something, [`IndexError::Full`], [`IndexError::Io`].
pub fn copy(reader: &Reader, target: &Path) -> Result<u64> {
    match folder_state(target) {
        Ok(FolderState::Absent) => {}
        Err(error @ IndexError::Io { .. }) => return Err(error),
        Ok(FolderState::Index) | Err(_) => return Err(IndexError::NotEmpty { path: target.to_owned() }),
    }
    let unfinished = unfinished_folder(target, "copying")?;
    let copied = fill(reader, &unfinished);
    if copied.is_err() {
        remove_folder(&unfinished)?;
    }
    let rows = copied?;
    let marker = unfinished.join(HOLDER_FILE);
    std::fs::write(&marker, "").map_err(|source| IndexError::Io { path: marker, source })?;
    rename_durably(&unfinished, target)?;
    Ok(rows)
}

fn fill(reader: &Reader, folder: &Path) -> Result<u64> {
    let copy = View::open_writable(folder, true)?;
    let mut rows = 0;
    let mut step = Step::verbatim(&copy);
    for family in Family::ALL {
        for row in reader.raw_range(family, &[], None) {
            let (key, value) = row?;
            step.raw_put(family, &key, &value);
            rows += 1;
            step.flush_if_full()?;
        }
    }
    step.commit(true)?;
    Ok(rows)
}
