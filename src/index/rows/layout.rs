//! The shapes that keys and values share: a key is its fields, one after the other, each of a fixed length; and some rows have no value.

use bitcoin::Txid;
use bitcoin::hashes::Hash;

use super::bytes::{Cursor, Malformed};
use crate::chain::ScriptHash;

/// A part of a key.
pub(in crate::index) trait KeyPart: Sized {
    /// Its length in bytes.
    const LENGTH: usize;

    /// Writes it.
    fn put(&self, key: &mut KeyWriter<'_>);

    /// Reads it.
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed>;
}

/// The bytes of a key that are yet to be written.
pub(in crate::index) struct KeyWriter<'a>(&'a mut [u8]);

impl<'a> KeyWriter<'a> {
    /// Begins at the front of `key`, which has the length of all parts together.
    pub fn new(key: &'a mut [u8]) -> Self {
        Self(key)
    }

    /// Writes the next bytes.
    pub fn push(&mut self, part: &[u8]) {
        let (head, rest) = std::mem::take(&mut self.0).split_at_mut(part.len());
        head.copy_from_slice(part);
        self.0 = rest;
    }
}

/// Makes a part of a key a whole key.
macro_rules! whole_key {
    ($key:ty) => {
        impl IndexKey for $key {
            type Bytes = [u8; <$key as KeyPart>::LENGTH];

            fn key(&self) -> Self::Bytes {
                let mut key = [0; <$key as KeyPart>::LENGTH];
                self.put(&mut KeyWriter::new(&mut key));
                key
            }

            fn from_key(key: &[u8]) -> Result<Self, Malformed> {
                let mut cursor = Cursor::new(key);
                let read = <$key as KeyPart>::take(&mut cursor)?;
                cursor.end(read)
            }
        }
    };
}

/// Lays a key out as these of its fields, in this order. It can be part of a longer key.
macro_rules! key_of_fields {
    ($key:ty { $($field:ident: $part:ty),+ }) => {
        impl KeyPart for $key {
            const LENGTH: usize = 0 $(+ <$part as KeyPart>::LENGTH)+;

            fn put(&self, key: &mut KeyWriter<'_>) {
                $(self.$field.put(key);)+
            }

            fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
                Ok(Self { $($field: <$part as KeyPart>::take(cursor)?),+ })
            }
        }

        whole_key!($key);
    };
}

/// Makes a type without fields the row of a family whose keys say it all.
macro_rules! row_without_value {
    ($row:ident, $family:ident, $key:ty) => {
        impl IndexRow for $row {
            const FAMILY: Family = Family::$family;
            type Key = $key;

            fn value(&self) -> Vec<u8> {
                Vec::new()
            }

            fn from_value(value: &[u8]) -> Result<Self, Malformed> {
                Cursor::new(value).end(Self)
            }
        }
    };
}

pub(super) use {key_of_fields, row_without_value, whole_key};

impl KeyPart for u32 {
    const LENGTH: usize = 4;

    fn put(&self, key: &mut KeyWriter<'_>) {
        key.push(&self.to_be_bytes());
    }

    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        cursor.u32()
    }
}

impl KeyPart for u64 {
    const LENGTH: usize = 8;

    fn put(&self, key: &mut KeyWriter<'_>) {
        key.push(&self.to_be_bytes());
    }

    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        cursor.u64()
    }
}

impl KeyPart for Txid {
    const LENGTH: usize = 32;

    fn put(&self, key: &mut KeyWriter<'_>) {
        key.push(self.as_byte_array());
    }

    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        cursor.txid()
    }
}

impl KeyPart for ScriptHash {
    const LENGTH: usize = 32;

    fn put(&self, key: &mut KeyWriter<'_>) {
        key.push(&self.0);
    }

    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        cursor.script_hash()
    }
}
