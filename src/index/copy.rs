//! A consistent copy of an index, also while another process writes to it: the rows of one [`Reader`] are written to a new index.

use std::path::Path;

use super::database::folder::HOLDER_FILE;
use super::database::making::Making;
use super::error::{IndexError, Result};
use super::raw::RawChanges;
use super::read::view::View;
use super::reader::Reader;
use super::schema::Family;
use super::write::step::Step;

/// Copies every row of `reader` into a new index at `target`, which must be absent or an empty folder, or hold what an interrupted copy
/// left; returns their number.
///
/// # Errors
/// [`IndexError::NotEmpty`] where `target` holds something, [`IndexError::InUse`] while another process copies to it,
/// [`IndexError::Full`], [`IndexError::Io`].
pub fn copy(reader: &Reader, target: &Path) -> Result<u64> {
    let making = Making::begin(target)?;
    match fill(reader, target) {
        Ok(rows) => {
            making.finish()?;
            Ok(rows)
        }
        Err(error) => {
            making.abandon();
            Err(error)
        }
    }
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
    // Tells a copy whose MANIFEST is cut later from another program's database, as in an index that was written to.
    let marker = folder.join(HOLDER_FILE);
    std::fs::write(&marker, "").map_err(IndexError::io(&marker))?;
    Ok(rows)
}
