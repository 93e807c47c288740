//! Scripts: what lists say of one, and how answers show it.

use std::collections::HashMap;
use std::rc::Rc;

use bitcoin::{Address, Script, ScriptBuf};
use serde::{Deserialize, Serialize};

use crate::chain::{Chain, Height};
use crate::index::entries::EntryRow;
use crate::query::{Result, Snapshot};

/// Values by script. A stranger can grind scripts, so the hash is a keyed one.
pub type ByScript<T> = HashMap<ScriptBuf, T, foldhash::quality::RandomState>;

/// A script as answers show it: three fields of every row that names a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptInfo {
    /// The script, hex.
    pub script: String,
    /// The same as an address, where it has one.
    pub address: Option<String>,
    /// The texts of its labels, each once, in the order of the lists.
    pub labels: Vec<String>,
}

impl ScriptInfo {
    /// That of a script with its labels.
    pub(crate) fn new(chain: Chain, script: &Script, labels: Vec<String>) -> Self {
        Self { script: script.to_hex_string(), address: address(chain, script), labels }
    }

    /// That of an entry's script.
    pub(crate) fn of_entry(chain: Chain, entry: &EntryRow) -> Self {
        Self::new(chain, &entry.script, entry.label_texts())
    }
}

/// A script as an address, where it has one.
pub(in crate::query) fn address(chain: Chain, script: &Script) -> Option<String> {
    Address::from_script(script, chain.network()).ok().map(|address| address.to_string())
}

impl Snapshot {
    /// A script as an address, where it has one.
    pub fn address(&self, script: &Script) -> Option<String> {
        address(self.chain(), script)
    }
}

/// What the index's entries say of a script, be it listed or not.
pub struct ScriptListing {
    /// The script.
    pub script: ScriptBuf,
    /// The height it is flagged from; `None` where it isn't flagged.
    pub flagged_from: Option<Height>,
    /// Whether it is a service's.
    pub service: bool,
    /// The texts of its labels.
    pub labels: Vec<String>,
}

impl ScriptListing {
    /// That of a script, read from the index.
    ///
    /// # Errors
    /// What reading reports.
    pub fn read(snapshot: &Snapshot, script: &Script) -> Result<Self> {
        let entry = snapshot.entry(script)?;
        Ok(Self {
            script: script.to_owned(),
            flagged_from: entry.as_ref().filter(|entry| entry.flagged).map(|entry| entry.from),
            service: entry.as_ref().is_some_and(|entry| entry.service),
            labels: entry.map(|entry| entry.label_texts()).unwrap_or_default(),
        })
    }

    /// Whether it is flagged at a height.
    pub fn is_flagged_at(&self, height: Height) -> bool {
        self.flagged_from.is_some_and(|from| from <= height)
    }

    /// As answers show it.
    pub fn info(&self, chain: Chain) -> ScriptInfo {
        ScriptInfo::new(chain, &self.script, self.labels.clone())
    }
}

/// The listings that were read, each once.
#[derive(Default)]
pub struct ScriptListings(ByScript<Rc<ScriptListing>>);

impl ScriptListings {
    /// The listing of a script.
    ///
    /// # Errors
    /// What reading reports.
    pub fn get(&mut self, snapshot: &Snapshot, script: &Script) -> Result<Rc<ScriptListing>> {
        if let Some(listing) = self.0.get(script) {
            return Ok(Rc::clone(listing));
        }
        let listing = Rc::new(ScriptListing::read(snapshot, script)?);
        self.0.insert(script.to_owned(), Rc::clone(&listing));
        Ok(listing)
    }
}
