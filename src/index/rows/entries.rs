//! Rows of `entries`: the listed scripts, with the heights that the index covers for each.

use bitcoin::ScriptBuf;

use super::bytes::{Cursor, Malformed, push_sized};
use super::row::IndexRow;
use super::sweeps::Sweeps;
use crate::chain::{Height, ScriptHash};
use crate::index::schema::Family;
use crate::watchlist::Label;

/// In place of a sweep's id: no sweep covers these heights, since no node that was asked had their blocks.
pub const UNSERVED: u32 = u32::MAX;

/// The bit of [`EntryRow::roles_byte`] for flagged scripts.
pub const FLAGGED: u8 = 1;
/// The bit for services.
pub const SERVICE: u8 = 2;
const LOWERED: u8 = 4;

/// A listed script, as the index has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// The script itself.
    pub script: ScriptBuf,
    /// Its coins are sources of taint, and everything that touches it is recorded.
    pub flagged: bool,
    /// It belongs to a service: taint is not followed beyond it.
    pub service: bool,
    /// The first height from which the index covers it.
    pub from: Height,
    /// The id of the sweep below whose next height the index covers it.
    pub sweep: u32,
    /// A lower first height that its lists ask for, while a sweep is still at work on that.
    pub lowered: Option<Lowered>,
    /// What the lists say about it.
    pub labels: Vec<Label>,
}

/// The heights that the index covers of an entry: what its coverage depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Covered {
    /// As [`EntryRow::from`].
    pub from: Height,
    /// As [`EntryRow::sweep`].
    pub sweep: u32,
    /// As [`EntryRow::lowered`].
    pub lowered: Option<Lowered>,
}

impl Covered {
    /// One interval instead of two, if the sweep that covers the lower one has come up to the other.
    #[must_use]
    pub fn joined(mut self, sweeps: &Sweeps) -> Self {
        if let Some(lowered) = self.lowered
            && sweeps.next(lowered.sweep) >= self.from.min(sweeps.next(self.sweep))
        {
            self.from = lowered.from;
            self.lowered = None;
        }
        self
    }
}

/// A lower first height that the lists ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lowered {
    /// The first height asked for.
    pub from: Height,
    /// The id of the sweep that covers the heights from there on, or [`UNSERVED`].
    pub sweep: u32,
}

impl IndexRow for EntryRow {
    const FAMILY: Family = Family::Entries;
    type Key = ScriptHash;

    fn value(&self) -> Vec<u8> {
        let lowered = if self.lowered.is_some() { LOWERED } else { 0 };
        let mut row = vec![self.roles_byte() | lowered];
        row.extend_from_slice(&self.from.to_be_bytes());
        row.extend_from_slice(&self.sweep.to_be_bytes());
        if let Some(lowered) = self.lowered {
            row.extend_from_slice(&lowered.from.to_be_bytes());
            row.extend_from_slice(&lowered.sweep.to_be_bytes());
        }
        push_sized(&mut row, self.script.as_bytes());
        row.extend(serde_json::to_vec(&self.labels).expect("labels are strings and numbers"));
        row
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(value);
        let head = Self::take_head(&mut cursor)?;
        let labels = serde_json::from_slice(cursor.rest()).map_err(|_| Malformed)?;
        Ok(Self { labels, ..head })
    }
}

impl EntryRow {
    /// Reads a value without its labels, which take most of the time to read.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes are not such a value.
    pub fn head(value: &[u8]) -> Result<Self, Malformed> {
        Self::take_head(&mut Cursor::new(value))
    }

    fn take_head(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let roles = cursor.u8()?;
        if roles & !(FLAGGED | SERVICE | LOWERED) != 0 {
            return Err(Malformed);
        }
        let from = cursor.u32()?;
        let sweep = cursor.u32()?;
        let lowered = match roles & LOWERED {
            0 => None,
            _ => Some(Lowered { from: cursor.u32()?, sweep: cursor.u32()? }),
        };
        let script = cursor.script()?;
        let (flagged, service) = (roles & FLAGGED != 0, roles & SERVICE != 0);
        Ok(Self { script, flagged, service, from, sweep, lowered, labels: Vec::new() })
    }

    /// The lower first height that its lists ask for, if a sweep covers that.
    pub fn served_lowered(&self) -> Option<Lowered> {
        self.lowered.filter(|lowered| lowered.sweep != UNSERVED)
    }

    /// Whether it is flagged at a height.
    pub fn is_flagged_at(&self, height: Height) -> bool {
        self.flagged && self.from <= height
    }

    /// Its roles as one byte: bit 0 flagged, bit 1 service.
    pub fn roles_byte(&self) -> u8 {
        (u8::from(self.flagged) * FLAGGED) | (u8::from(self.service) * SERVICE)
    }

    /// The entry with one interval instead of two, if the sweep that covers the lower one has come up to the other.
    #[must_use]
    pub fn joined(mut self, sweeps: &Sweeps) -> Self {
        let Covered { from, lowered, .. } = self.covered().joined(sweeps);
        (self.from, self.lowered) = (from, lowered);
        self
    }

    /// The heights that the index covers of it.
    pub fn covered(&self) -> Covered {
        Covered { from: self.from, sweep: self.sweep, lowered: self.lowered }
    }

    /// The texts of its labels, without repetitions, in the order of the lists.
    pub fn label_texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for label in &self.labels {
            let text = label.text();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::super::sweeps::{MAIN_SWEEP, Sweep};
    use super::*;

    fn entry(lowered: Option<Lowered>) -> EntryRow {
        let label = Label {
            list: "/l".into(),
            label: Some("x".into()),
            source: None,
            category: None,
            role: crate::watchlist::Role::Flagged,
            from: None,
            line: 1,
            extra: std::collections::BTreeMap::new(),
        };
        EntryRow {
            script: ScriptBuf::from_bytes(vec![0x51]),
            flagged: true,
            service: true,
            from: 9,
            sweep: MAIN_SWEEP,
            lowered,
            labels: vec![label],
        }
    }

    #[test]
    fn rows_are_laid_out_as_the_schema_says_and_read_back() {
        let labels = const_hex::encode(r#"[{"list":"/l","label":"x","role":"flagged","line":1}]"#);
        let lowered = Lowered { from: 3, sweep: 2 };
        for (entry, expected) in [
            (entry(None), format!("0300000009000000000151{labels}")),
            (entry(Some(lowered)), format!("07000000090000000000000003000000020151{labels}")),
        ] {
            assert_eq!(const_hex::encode(entry.value()), expected);
            assert_eq!(EntryRow::from_value(&entry.value()), Ok(entry));
        }
        assert_eq!(
            EntryRow::from_value(&const_hex::decode(format!("0800000009000000000151{labels}")).unwrap()),
            Err(Malformed)
        );
    }

    #[test]
    fn intervals_join_where_they_meet() {
        // next of the main sweep, next of the one below → from, whether joined
        for (main, side, from, joined) in
            [(600, 8, 9, false), (600, 9, 3, true), (600, 300, 3, true), (5, 4, 9, false), (5, 5, 3, true)]
        {
            let sweeps = Sweeps::from_iter([
                (MAIN_SWEEP, Sweep::Main { next: main }),
                (2, Sweep::Side { next: side, blocks_from: None }),
            ]);
            let entry = entry(Some(Lowered { from: 3, sweep: 2 })).joined(&sweeps);
            assert_eq!((entry.from, entry.lowered.is_none()), (from, joined), "main {main}, side {side}");
        }
    }
}
