//! The watchlists as the index took them in.

use bitcoin::hashes::{Hash, sha256};
use serde::{Deserialize, Serialize};

use crate::chain::Height;
use crate::watchlist::Role;

/// A list as it was when the index took it in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenList {
    /// Its file, as the settings name it.
    pub path: String,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// The file's metadata in one text, where the same metadata means the same content: so it need not be read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<String>,
    /// The format that it was read as.
    pub format: String,
    /// The format that the settings name; detected from the content if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_format: Option<String>,
    /// The role that the settings give its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The label that the settings give its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The first height that the settings give its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Height>,
    /// Number of rows accepted.
    pub accepted: u64,
    /// Number of rows that could not be read.
    pub quarantined: u64,
    /// Number of rows of other chains.
    pub other_chain: u64,
    /// Number of rows accepted when all of them could last be searched for; `None` where they can be now. Rows added since may be taken
    /// off again: a list that does so loses nothing that was searched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub searched: Option<u64>,
}

/// All lists as they were when the index took them in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenLists {
    /// In the order of the settings.
    pub files: Vec<TakenList>,
    /// Whether the user accepts that the rows that could not be read are not searched for.
    #[serde(default)]
    pub quarantine_accepted: bool,
}

impl TakenLists {
    /// SHA-256 in hex over the contents of the files and their settings, but not over their paths and order.
    pub fn version(&self) -> String {
        let mut parts: Vec<_> = self
            .files
            .iter()
            .map(|file| (&file.sha256, file.role, &file.label, file.from, &file.named_format))
            .collect();
        parts.sort();
        let text = serde_json::to_vec(&parts).expect("strings and numbers");
        sha256::Hash::hash(&text).to_string()
    }

    /// These lists, with the quarantine accepted if it was accepted of the same lists before.
    #[must_use]
    pub fn keeping(mut self, before: &Self) -> Self {
        self.quarantine_accepted |= before.quarantine_accepted && before.version() == self.version();
        self
    }

    /// These lists, which after the lists `before` have entries that can't be searched for where `unserved`.
    #[must_use]
    pub fn counted_from(mut self, before: &Self, unserved: bool) -> Self {
        for file in &mut self.files {
            let known = before.files.iter().find(|known| known.path == file.path).filter(|_| unserved);
            file.searched = known.map(|known| known.searched.unwrap_or(known.accepted).min(file.accepted));
        }
        self
    }

    /// Checks that no list has lost more than a tenth of its rows since.
    ///
    /// # Errors
    /// The first list that has: its path, and its rows before and now.
    pub fn check_shrink(&self, now: &Self) -> Result<(), (String, u64, u64)> {
        for before in &self.files {
            let same = now.files.iter().find(|file| file.path == before.path);
            let rows = before.searched.unwrap_or(before.accepted);
            if let Some(file) = same.filter(|file| file.accepted.saturating_mul(10) < rows.saturating_mul(9)) {
                return Err((file.path.clone(), rows, file.accepted));
            }
        }
        Ok(())
    }

    /// Number of rows of all lists that could not be read.
    pub fn quarantined(&self) -> u64 {
        self.files.iter().map(|file| file.quarantined).sum()
    }
}
