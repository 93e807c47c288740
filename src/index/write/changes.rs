//! Changes of rows that are not written yet.

use std::collections::BTreeMap;

use crate::index::schema::Family;

/// Changes by family and key: the new value, or `None` for a row that is removed.
#[derive(Default)]
pub(super) struct Changes(pub(super) [BTreeMap<Vec<u8>, Option<Vec<u8>>>; Family::ALL.len()]);

impl Changes {
    /// Those of one family.
    pub(super) fn of(&self, family: Family) -> &BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        &self.0[family as usize]
    }
}
