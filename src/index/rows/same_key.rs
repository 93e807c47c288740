//! Rows of `same_key`: from a script that is asked about to the flagged entries of the same key that its own bytes don't show. They are
//! written and removed with the entries' rows.

use bitcoin::Script;

use super::bytes::{Cursor, Malformed};
use super::layout::{KeyPart, KeyWriter, key_of_fields, row_without_value, whole_key};
use super::row::{IndexKey, IndexRow, PrefixOf};
use crate::chain::ScriptHash;
use crate::index::schema::Family;
use crate::watchlist::same_key::blind_scripts;

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
pub(in crate::index) const SHORT: usize = 8;

impl ShortHash {
    /// That of a script.
    pub fn of(script: &Script) -> Self {
        let hash = ScriptHash::of(script);
        let mut short = [0; SHORT];
        short.copy_from_slice(&hash.0[..SHORT]);
        Self(short)
    }
}

impl KeyPart for ShortHash {
    const LENGTH: usize = SHORT;

    fn put(&self, key: &mut KeyWriter<'_>) {
        key.push(&self.0);
    }

    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        cursor.array().map(Self)
    }
}

key_of_fields!(SameKeyKey { asked: ShortHash, entry: ScriptHash });

impl PrefixOf<SameKeyKey> for ShortHash {
    fn prefix(&self) -> impl AsRef<[u8]> {
        self.0
    }
}

/// The key says it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SameKeyRow;

row_without_value!(SameKeyRow, SameKey, SameKeyKey);

/// The keys of an entry's rows.
pub(in crate::index) fn keys_of(entry: ScriptHash, script: &Script) -> impl Iterator<Item = SameKeyKey> {
    blind_scripts(script).into_iter().map(move |asked| SameKeyKey { asked: ShortHash::of(&asked), entry })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_leads_from_the_start_of_a_scripts_hash_to_an_entry() {
        let hash = ScriptHash([0xab; 32]);
        let key = SameKeyKey { asked: ShortHash([7; 8]), entry: hash };
        assert_eq!(const_hex::encode(key.key()), format!("{}{}", "07".repeat(8), const_hex::encode(hash.0)));
        assert_eq!(SameKeyKey::from_key(&key.key()), Ok(key));
        assert_eq!(SameKeyKey::from_key(&key.key()[1..]), Err(Malformed));
        assert_eq!((SameKeyRow.value(), SameKeyRow::from_value(b"x")), (Vec::new(), Err(Malformed)));
    }
}
