//! Whether the rows of `same_key` are those that the entries make.

use bitcoin::ScriptBuf;

use super::read_rows::ReadRows;
use super::view::View;
use crate::index::error::Result;
use crate::index::rows::row::IndexKey;
use crate::index::rows::same_key::{SameKeyRow, keys_of};

/// How a row of `same_key` differs from what the entries make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameKeyFault {
    /// An entry makes it, and the index lacks it.
    Missing,
    /// No entry makes it.
    Extra,
}

impl View {
    /// The first of the rows of `same_key` that the entries have and the index lacks, or the index has and no entry, in hex.
    ///
    /// # Errors
    /// As all reads.
    pub fn same_key_fault(&self) -> Result<Option<(String, SameKeyFault)>> {
        let mut expected = 0;
        for entry in self.entry_heads() {
            let (hash, entry) = entry?;
            for key in keys_of(hash, &entry.script).filter(|_| entry.flagged) {
                if !self.has::<SameKeyRow>(&key)? {
                    return Ok(Some((const_hex::encode(key.key()), SameKeyFault::Missing)));
                }
                expected += 1;
            }
        }
        let mut found = 0;
        for row in self.range::<SameKeyRow>(..) {
            row?;
            found += 1;
        }
        if found == expected {
            return Ok(None);
        }
        for row in self.range::<SameKeyRow>(..) {
            let (key, SameKeyRow) = row?;
            let entry = self.entry(key.entry)?.filter(|entry| entry.flagged);
            let script = entry.map(|entry| entry.script).unwrap_or_else(ScriptBuf::new);
            if keys_of(key.entry, &script).all(|of_entry| of_entry != key) {
                return Ok(Some((const_hex::encode(key.key()), SameKeyFault::Extra)));
            }
        }
        Ok(None)
    }
}
