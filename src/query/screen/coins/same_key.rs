//! Listed scripts of a key whose other script is asked about. Matching is by exact script, so these say nothing about taint; but the
//! owner of one of a key's scripts owns them all.

use std::rc::Rc;

use bitcoin::{PublicKey, Script, ScriptBuf};

use super::cache::BoundedCache;
use crate::chain::ScriptHash;
use crate::index::ReadRows;
use crate::index::entries::EntryRow;
use crate::index::same_key::{SameKeyRow, ShortHash};
use crate::query::facts::ScriptInfo;
use crate::query::{Result, Snapshot};
use crate::watchlist::same_key::{other_scripts, scripts_of_key};

/// Scripts whose answers are cached.
const CACHED_SCRIPTS: usize = 1 << 16;

/// Finds listed scripts by another script of their key, or by the key.
pub struct SameKey {
    found: BoundedCache<ScriptBuf, Vec<ScriptInfo>>,
    /// Whether the index has any row to look up; `None` before the first is.
    has_rows: Option<bool>,
}

impl SameKey {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self { found: BoundedCache::new(CACHED_SCRIPTS), has_rows: None }
    }

    /// The flagged scripts of the key of `script`, other than that.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn of_script(&mut self, snapshot: &Snapshot, script: &Script) -> Result<Rc<Vec<ScriptInfo>>> {
        if let Some(known) = self.found.get(script) {
            return Ok(known);
        }
        let mut entries = flagged_among(snapshot, &other_scripts(script))?;
        let has_rows = match self.has_rows {
            Some(has_rows) => has_rows,
            None => *self.has_rows.insert(snapshot.reader.first_key::<SameKeyRow>(..)?.is_some()),
        };
        if has_rows {
            for key in snapshot.reader.keys::<SameKeyRow>(ShortHash::of(script)) {
                // The key has the start of a hash only: the entry's own script decides.
                let entry = snapshot.reader.known::<EntryRow>(&key?.entry)?;
                if entry.flagged && other_scripts(&entry.script).iter().any(|other| other.as_script() == script) {
                    entries.push(entry);
                }
            }
        }
        let found = Rc::new(entries.iter().map(|entry| ScriptInfo::of_entry(snapshot.chain(), entry)).collect());
        self.found.insert(script.to_owned(), 1, Rc::clone(&found));
        Ok(found)
    }
}

/// The flagged scripts of a key.
///
/// # Errors
/// What reading reports.
pub fn of_key(snapshot: &Snapshot, key: &PublicKey) -> Result<Vec<ScriptInfo>> {
    let entries = flagged_among(snapshot, &scripts_of_key(key))?;
    Ok(entries.iter().map(|entry| ScriptInfo::of_entry(snapshot.chain(), entry)).collect())
}

fn flagged_among(snapshot: &Snapshot, scripts: &[ScriptBuf]) -> Result<Vec<EntryRow>> {
    let mut entries = Vec::new();
    for script in scripts {
        let entry = snapshot.reader.entry(ScriptHash::of(script))?;
        entries.extend(entry.filter(|entry| entry.flagged));
    }
    Ok(entries)
}
