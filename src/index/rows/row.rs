//! What a row is: a value whose type names its family and the type of its key. Here bytes that do not read become an error, and nowhere
//! else. The keys are in `keys`, the values in `values`, `entries`, `sweeps` and `events`; their layouts stand in `schema`.

use std::ops::{Bound, RangeBounds};

use super::bytes::Malformed;
use crate::chain::{Height, ScriptHash};
use crate::index::error::{IndexError, Result};
use crate::index::schema::Family;

/// The key of a row: typed parts to bytes and back. The order of the bytes is the order of the type.
pub trait IndexKey: Sized {
    /// An array of the key's length.
    type Bytes: AsRef<[u8]>;

    /// Its bytes.
    fn key(&self) -> Self::Bytes;

    /// Reads a key.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes are not such a key.
    fn from_key(key: &[u8]) -> Result<Self, Malformed>;
}

/// The value of a row, which names its family and the type of its key.
pub trait IndexRow: Sized {
    /// The family that such rows are in.
    const FAMILY: Family;
    /// What they are found by.
    type Key: IndexKey;

    /// Its bytes.
    fn value(&self) -> Vec<u8>;

    /// Reads a value.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes are not such a value.
    fn from_value(value: &[u8]) -> Result<Self, Malformed>;
}

/// What keys of type `K` can begin with.
pub trait PrefixOf<K> {
    /// Its bytes.
    fn prefix(&self) -> impl AsRef<[u8]>;
}

/// Keys that begin with a script and go on in chain order: those of `touches` and `scripts`.
pub trait ScriptOrdered: IndexKey + Copy {
    /// The part of the key behind the script.
    type InChain: Ord;

    /// The lowest key of a script at a height.
    fn first(script: ScriptHash, height: Height) -> Self;

    /// The highest key of a script at a height.
    fn last(script: ScriptHash, height: Height) -> Self;

    /// The part of the key behind the script.
    fn in_chain(&self) -> Self::InChain;
}

/// The error for a row that does not read, or that another row says must exist.
pub(in crate::index) fn corrupt(family: Family, key: &[u8]) -> IndexError {
    IndexError::Corrupt { family: family.name(), key: const_hex::encode(key) }
}

/// What was read of a row, or the error that names it.
pub(in crate::index) fn checked<T>(family: Family, key: &[u8], read: Result<T, Malformed>) -> Result<T> {
    read.map_err(|Malformed| corrupt(family, key))
}

/// A typed row from its bytes.
pub(in crate::index) fn typed<R: IndexRow>((key, value): (impl AsRef<[u8]>, impl AsRef<[u8]>)) -> Result<(R::Key, R)> {
    let row = R::from_value(value.as_ref());
    Ok((typed_key::<R>(key.as_ref())?, checked(R::FAMILY, key.as_ref(), row)?))
}

/// A typed key from its bytes.
pub(in crate::index) fn typed_key<R: IndexRow>(key: &[u8]) -> Result<R::Key> {
    checked(R::FAMILY, key, R::Key::from_key(key))
}

/// The first key of a range, and the first one behind it.
pub(in crate::index) fn byte_range<K: IndexKey>(range: &impl RangeBounds<K>) -> (Vec<u8>, Option<Vec<u8>>) {
    let start = match range.start_bound() {
        Bound::Included(key) => key.key().as_ref().to_vec(),
        Bound::Excluded(key) => behind(key),
        Bound::Unbounded => Vec::new(),
    };
    let end = match range.end_bound() {
        Bound::Included(key) => Some(behind(key)),
        Bound::Excluded(key) => Some(key.key().as_ref().to_vec()),
        Bound::Unbounded => None,
    };
    (start, end)
}

/// The first key behind another one, in the order of bytes.
fn behind(key: &impl IndexKey) -> Vec<u8> {
    [key.key().as_ref(), &[0]].concat()
}

impl IndexError {
    /// The error for a row that contradicts another one, or that another one says must exist.
    pub fn corrupt<R: IndexRow>(key: &R::Key) -> Self {
        corrupt(R::FAMILY, key.key().as_ref())
    }
}
