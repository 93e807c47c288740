//! Rows of `same_key`: from a script that is asked about to the flagged entries of the same key that its own bytes don't show. They are
//! written and removed with the entries' rows.

use super::bytes::{Cursor, Malformed};
use super::entries::EntryRow;
use super::error::Result;
use super::read::ReadRows;
use super::rows::{IndexKey, IndexRow, PrefixOf};
use super::schema::Family;
use super::step::Step;
use super::view::View;
use crate::chain::ScriptHash;
use crate::watchlist::same_key::blind_scripts;
use bitcoin::{Script, ScriptBuf};

/// Key of `same_key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SameKeyKey {
    /// The script that is asked about.
    pub asked: ShortHash,
    /// The entry.
    pub entry: ScriptHash,
}

/// The first bytes of a script's hash. A few suffice to find the entries; their own scripts show whether they are of the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShortHash(pub [u8; SHORT]);

/// Length of a [`ShortHash`].
pub(super) const SHORT: usize = 8;

impl ShortHash {
    /// That of a script.
    pub fn of(script: &Script) -> Self {
        let hash = ScriptHash::of(script);
        let mut short = [0; SHORT];
        short.copy_from_slice(&hash.0[..SHORT]);
        Self(short)
    }
}

impl IndexKey for SameKeyKey {
    type Bytes = [u8; SHORT + 32];

    fn key(&self) -> Self::Bytes {
        let mut key = [0; SHORT + 32];
        key[..SHORT].copy_from_slice(&self.asked.0);
        key[SHORT..].copy_from_slice(&self.entry.0);
        key
    }

    fn from_key(key: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(key);
        let asked = ShortHash(cursor.array()?);
        let entry = cursor.script_hash()?;
        cursor.end(Self { asked, entry })
    }
}

impl PrefixOf<SameKeyKey> for ShortHash {
    fn prefix(&self) -> impl AsRef<[u8]> {
        self.0
    }
}

/// The key says it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SameKeyRow;

impl IndexRow for SameKeyRow {
    const FAMILY: Family = Family::SameKey;
    type Key = SameKeyKey;

    fn value(&self) -> Vec<u8> {
        Vec::new()
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        Cursor::new(value).end(Self)
    }
}

/// The keys of an entry's rows.
fn keys(entry: ScriptHash, script: &Script) -> impl Iterator<Item = SameKeyKey> {
    blind_scripts(script).into_iter().map(move |asked| SameKeyKey { asked: ShortHash::of(&asked), entry })
}

impl Step<'_> {
    /// Sets the row of an entry, and those by which the other scripts of its key find it while it is flagged.
    pub fn put_entry(&mut self, hash: ScriptHash, entry: &EntryRow) {
        self.put(&hash, entry);
        for key in keys(hash, &entry.script) {
            match entry.flagged {
                true => self.put(&key, &SameKeyRow),
                false => self.delete::<SameKeyRow>(&key),
            }
        }
    }

    /// Removes the row of an entry, and those by which the other scripts of its key find it.
    pub fn delete_entry(&mut self, hash: ScriptHash, script: &Script) {
        self.delete::<EntryRow>(&hash);
        keys(hash, script).for_each(|key| self.delete::<SameKeyRow>(&key));
    }
}

/// The first of the rows of `same_key` that the entries have and the index lacks, or the index has and no entry, in hex.
///
/// # Errors
/// As all reads.
pub fn difference(view: &View) -> Result<Option<(String, Difference)>> {
    let mut expected = 0;
    for entry in view.entry_heads() {
        let (hash, entry) = entry?;
        for key in keys(hash, &entry.script).filter(|_| entry.flagged) {
            if !view.has::<SameKeyRow>(&key)? {
                return Ok(Some((const_hex::encode(key.key()), Difference::Missing)));
            }
            expected += 1;
        }
    }
    let mut found = 0;
    for row in view.range::<SameKeyRow>(..) {
        row?;
        found += 1;
    }
    if found == expected {
        return Ok(None);
    }
    for row in view.range::<SameKeyRow>(..) {
        let (key, SameKeyRow) = row?;
        let entry = view.entry(key.entry)?.filter(|entry| entry.flagged);
        let script = entry.map(|entry| entry.script).unwrap_or_else(ScriptBuf::new);
        if keys(key.entry, &script).all(|of_entry| of_entry != key) {
            return Ok(Some((const_hex::encode(key.key()), Difference::Extra)));
        }
    }
    Ok(None)
}

/// How a row differs from what the entries make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// An entry makes it, and the index lacks it.
    Missing,
    /// No entry makes it.
    Extra,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::View;
    use crate::index::sweeps::MAIN_SWEEP;

    const P2WPKH: &str = "0014c0cebcd6c3d3ca8c75dc5ec62ebe55330ef910e2";

    fn entry(hex: &str, flagged: bool) -> (ScriptHash, EntryRow) {
        let script = ScriptBuf::from_hex(hex).unwrap();
        let (service, from, sweep) = (!flagged, 0, MAIN_SWEEP);
        let row = EntryRow { script: script.clone(), flagged, service, from, sweep, lowered: None, labels: Vec::new() };
        (ScriptHash::of(&script), row)
    }

    #[test]
    fn a_row_leads_from_the_start_of_a_scripts_hash_to_an_entry() {
        let (hash, _) = entry(P2WPKH, true);
        let key = SameKeyKey { asked: ShortHash([7; 8]), entry: hash };
        assert_eq!(const_hex::encode(key.key()), format!("{}{}", "07".repeat(8), const_hex::encode(hash.0)));
        assert_eq!(SameKeyKey::from_key(&key.key()), Ok(key));
        assert_eq!(SameKeyKey::from_key(&key.key()[1..]), Err(Malformed));
        assert_eq!((SameKeyRow.value(), SameKeyRow::from_value(b"x")), (Vec::new(), Err(Malformed)));
    }

    #[test]
    fn rows_come_and_go_with_their_flagged_entry() {
        let folder = tempfile::tempdir().unwrap();
        let view = View::open_writable(folder.path(), true).unwrap();
        let rows = |view: &View| view.range::<SameKeyRow>(..).map(|row| row.unwrap().0).collect::<Vec<_>>();
        let change = |view: &View, change: &dyn Fn(&mut Step<'_>)| {
            let mut step = Step::of(view);
            change(&mut step);
            step.commit(false).unwrap();
        };
        let (hash, flagged) = entry(P2WPKH, true);
        let nested = ScriptBuf::new_p2sh(&flagged.script.script_hash());
        change(&view, &|step| step.put_entry(hash, &flagged));
        assert_eq!(rows(&view), [SameKeyKey { asked: ShortHash::of(&nested), entry: hash }]);
        assert_eq!(difference(&view).unwrap(), None);
        // It becomes a service only, and is flagged again, and dropped.
        change(&view, &|step| step.put_entry(hash, &entry(P2WPKH, false).1));
        assert_eq!((rows(&view), difference(&view).unwrap()), (Vec::new(), None));
        change(&view, &|step| step.put_entry(hash, &flagged));
        let key = rows(&view)[0];
        change(&view, &|step| step.delete::<SameKeyRow>(&key));
        assert_eq!(difference(&view).unwrap().map(|(_, how)| how), Some(Difference::Missing));
        change(&view, &|step| step.put(&key, &SameKeyRow));
        change(&view, &|step| step.put(&SameKeyKey { asked: ShortHash([9; 8]), ..key }, &SameKeyRow));
        assert_eq!(difference(&view).unwrap().map(|(_, how)| how), Some(Difference::Extra));
        change(&view, &|step| step.delete::<SameKeyRow>(&SameKeyKey { asked: ShortHash([9; 8]), ..key }));
        change(&view, &|step| step.delete_entry(hash, &flagged.script));
        assert_eq!((rows(&view), difference(&view).unwrap()), (Vec::new(), None));
    }
}
