//! Scripts as a trace meets them: who lists them and what for, each looked up once.

use std::rc::Rc;

use bitcoin::{Script, ScriptBuf};

use super::source::ByScript;
use crate::chain::Height;
use crate::query::{Result, Snapshot, labels};

/// A script with what lists say of it.
pub struct Place {
    /// The script.
    pub script: ScriptBuf,
    /// The height it is flagged from, if it is.
    pub flagged_from: Option<Height>,
    /// Whether it is a service's.
    pub service: bool,
    /// What lists say of it.
    pub labels: Vec<String>,
}

impl Place {
    /// Whether it is flagged at a height.
    pub fn is_flagged(&self, height: Height) -> bool {
        self.flagged_from.is_some_and(|from| from <= height)
    }
}

/// The scripts met so far.
#[derive(Default)]
pub struct Places(ByScript<Rc<Place>>);

impl Places {
    /// What is known of a script.
    ///
    /// # Errors
    /// What reading reports.
    pub fn of(&mut self, snapshot: &Snapshot, script: &Script) -> Result<Rc<Place>> {
        if let Some(place) = self.0.get(script) {
            return Ok(Rc::clone(place));
        }
        let entry = snapshot.entry(script)?;
        let place = Rc::new(Place {
            script: script.to_owned(),
            flagged_from: entry.as_ref().filter(|entry| entry.flagged).map(|entry| entry.from),
            service: entry.as_ref().is_some_and(|entry| entry.service),
            labels: labels::texts(entry.as_ref()),
        });
        self.0.insert(script.to_owned(), Rc::clone(&place));
        Ok(place)
    }
}
