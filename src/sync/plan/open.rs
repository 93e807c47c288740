//! Opens an index for writing, or makes one, and takes in lists and settings.

use std::path::Path;

use super::change::{self, ChangePlan, row};
use super::wanted::{Lists, Wanted};
#[cfg(feature = "testing")]
use crate::index::folder::{FolderState, folder_state};
use crate::index::meta::{self, Identity, TraceParameters};
use crate::index::sweeps::{MAIN_SWEEP, Sweep};
use crate::index::{IndexError, View, Writer};
use crate::sync::SyncError;

/// Bytes of entries written at a time into an index that is still being made, to save memory.
const PART_BYTES: usize = 8 << 20;

/// Opens the index at `path` for what is wanted, or makes it, as tests do. Returns what changed, if it had blocks before; an index
/// without a block takes everything in afresh.
///
/// # Errors
/// [`IndexError::OtherChain`]; what [`change::plan`] refuses; what is wrong with the index.
#[cfg(feature = "testing")]
pub fn open(path: &Path, identity: &Identity, wanted: &Wanted) -> Result<(Writer, Option<ChangePlan>), SyncError> {
    if folder_state(path)? == FolderState::Absent {
        return Ok((make(path, identity, wanted)?, None));
    }
    let writer = open_existing(path, identity)?;
    let plan = take_in(&writer, wanted)?;
    Ok((writer, plan))
}

/// Makes an index at `path` for what is wanted.
///
/// # Errors
/// As [`Writer::create`].
pub fn make(path: &Path, identity: &Identity, wanted: &Wanted) -> Result<Writer, IndexError> {
    Writer::create(path, identity, |writer| {
        let mut step = writer.step();
        step.put(&MAIN_SWEEP, &Sweep::Main { next: 0 });
        step.commit(false)?;
        // In parts, since a folder in which an index is being made counts as none until it is whole.
        take_afresh(writer, wanted, PART_BYTES)
    })
}

/// Takes what is wanted into an index. Returns what changed, if it had blocks before.
///
/// # Errors
/// What [`change::plan`] refuses; what is wrong with the index.
pub fn take_in(writer: &Writer, wanted: &Wanted) -> Result<Option<ChangePlan>, SyncError> {
    if writer.tip()?.is_none() {
        // In one batch: until it is written the old entries hold.
        take_afresh(writer, wanted, usize::MAX)?;
        return Ok(None);
    }
    let plan = change::plan(writer, wanted)?;
    plan.apply(writer)?;
    Ok(Some(plan))
}

/// Opens the index at `path`, which must be of that chain.
///
/// # Errors
/// [`IndexError::OtherChain`]; what is wrong with the index.
#[cfg(feature = "testing")]
pub fn open_existing(path: &Path, identity: &Identity) -> Result<Writer, IndexError> {
    let writer = Writer::open(path)?;
    check_identity(&writer, identity)?;
    Ok(writer)
}

/// Refuses an index of another chain.
///
/// # Errors
/// [`IndexError::OtherChain`]; what is wrong with the index.
pub fn check_identity(view: &View, identity: &Identity) -> Result<(), IndexError> {
    let found = Identity::read(view)?;
    if found.is_same_chain(identity) {
        return Ok(());
    }
    let (found, expected) = (found.describe(), identity.describe());
    Err(IndexError::OtherChain { path: view.path().to_owned(), found, expected })
}

/// Writes parameters and entries as they are wanted, and deletes the entries that no list names; `at_once` bytes at a time.
fn take_afresh(writer: &Writer, wanted: &Wanted, at_once: usize) -> Result<(), IndexError> {
    let mut step = writer.step();
    meta::put_trace(&mut step, &wanted.trace.over(&TraceParameters::default()));
    if let Some(Lists { entries, taken }) = &wanted.lists {
        for known in writer.entry_heads() {
            let (script, known) = known?;
            if !entries.contains_key(&script) {
                step.delete_entry(script, &known.script);
            }
        }
        for (script, entry) in entries {
            step.flush_if_over(at_once)?;
            step.put_entry(*script, &row(entry));
        }
        meta::put_lists(&mut step, taken);
    }
    step.commit(true)
}
