//! What a row is: each family is bound here to the type of its key and the type of its value, and a row that does not read becomes an
//! error here. The byte layouts stand in `schema`.

use std::ops::{Bound, RangeBounds};

use bitcoin::block::Header;
use bitcoin::consensus;
use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};

use super::bytes::{Cursor, Malformed};
use super::entries::EntryRow;
use super::events::Event;
use super::keys::{CoinKey, ScriptKey, TouchKey, TxPosition, TxidKey, outpoint_key};
use super::schema::Family;
use super::sweeps::Sweep;
use super::values::{Coin, Record, Spender, amount_from_value, header_from_value};
use super::{IndexError, Result};
use crate::chain::{Height, ScriptHash};

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

/// A flagged script was paid or spent from; the key says by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Satoshis.
    pub value: u64,
}

/// A transaction is recorded; the key says where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded;

/// A script holds a coin; the key says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptCoin;

/// The error for a row that does not read, or that another row says must exist.
pub(super) fn corrupt(family: Family, key: &[u8]) -> IndexError {
    IndexError::Corrupt { family: family.name(), key: const_hex::encode(key) }
}

/// What was read of a row, or the error that names it.
pub(super) fn checked<T>(family: Family, key: &[u8], read: Result<T, Malformed>) -> Result<T> {
    read.map_err(|Malformed| corrupt(family, key))
}

/// A typed row from its bytes.
pub(super) fn typed<R: IndexRow>((key, value): (impl AsRef<[u8]>, impl AsRef<[u8]>)) -> Result<(R::Key, R)> {
    let row = R::from_value(value.as_ref());
    Ok((typed_key::<R>(key.as_ref())?, checked(R::FAMILY, key.as_ref(), row)?))
}

/// A typed key from its bytes.
pub(super) fn typed_key<R: IndexRow>(key: &[u8]) -> Result<R::Key> {
    checked(R::FAMILY, key, R::Key::from_key(key))
}

/// The first key of a range, and the first one behind it.
pub(super) fn byte_range<K: IndexKey>(range: &impl RangeBounds<K>) -> (Vec<u8>, Option<Vec<u8>>) {
    let at = |key: &K| key.key().as_ref().to_vec();
    let behind = |key: &K| [key.key().as_ref(), &[0]].concat();
    let start = match range.start_bound() {
        Bound::Included(key) => at(key),
        Bound::Excluded(key) => behind(key),
        Bound::Unbounded => Vec::new(),
    };
    let end = match range.end_bound() {
        Bound::Included(key) => Some(behind(key)),
        Bound::Excluded(key) => Some(at(key)),
        Bound::Unbounded => None,
    };
    (start, end)
}

impl IndexError {
    /// The error for a row that contradicts another one, or that another one says must exist.
    pub fn corrupt<R: IndexRow>(key: &R::Key) -> Self {
        corrupt(R::FAMILY, key.key().as_ref())
    }
}

/// A height, and the id of a sweep.
impl IndexKey for u32 {
    type Bytes = [u8; 4];

    fn key(&self) -> [u8; 4] {
        self.to_be_bytes()
    }

    fn from_key(key: &[u8]) -> Result<Self, Malformed> {
        key.try_into().map(Self::from_be_bytes).map_err(|_| Malformed)
    }
}

/// The seq of an event.
impl IndexKey for u64 {
    type Bytes = [u8; 8];

    fn key(&self) -> [u8; 8] {
        self.to_be_bytes()
    }

    fn from_key(key: &[u8]) -> Result<Self, Malformed> {
        key.try_into().map(Self::from_be_bytes).map_err(|_| Malformed)
    }
}

impl IndexKey for ScriptHash {
    type Bytes = [u8; 32];

    fn key(&self) -> [u8; 32] {
        self.0
    }

    fn from_key(key: &[u8]) -> Result<Self, Malformed> {
        key.try_into().map(Self).map_err(|_| Malformed)
    }
}

impl IndexKey for OutPoint {
    type Bytes = [u8; 36];

    fn key(&self) -> [u8; 36] {
        outpoint_key(self)
    }

    fn from_key(key: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(key);
        let outpoint = Self { txid: cursor.txid()?, vout: cursor.u32()? };
        cursor.end(outpoint)
    }
}

impl PrefixOf<TxPosition> for Height {
    fn prefix(&self) -> impl AsRef<[u8]> {
        self.to_be_bytes()
    }
}

impl PrefixOf<TxidKey> for Txid {
    fn prefix(&self) -> impl AsRef<[u8]> {
        self.to_byte_array()
    }
}

impl PrefixOf<CoinKey> for OutPoint {
    fn prefix(&self) -> impl AsRef<[u8]> {
        outpoint_key(self)
    }
}

impl PrefixOf<TouchKey> for ScriptHash {
    fn prefix(&self) -> impl AsRef<[u8]> {
        self.0
    }
}

impl PrefixOf<ScriptKey> for ScriptHash {
    fn prefix(&self) -> impl AsRef<[u8]> {
        self.0
    }
}

impl IndexRow for Header {
    const FAMILY: Family = Family::Headers;
    type Key = Height;

    fn value(&self) -> Vec<u8> {
        consensus::serialize(self)
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        header_from_value(value)
    }
}

impl IndexRow for Record {
    const FAMILY: Family = Family::Records;
    type Key = TxPosition;

    fn value(&self) -> Vec<u8> {
        Self::value(self)
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        Self::from_value(value)
    }
}

impl IndexRow for Recorded {
    const FAMILY: Family = Family::Txids;
    type Key = TxidKey;

    fn value(&self) -> Vec<u8> {
        Vec::new()
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        Cursor::new(value).end(Self)
    }
}

impl IndexRow for Touch {
    const FAMILY: Family = Family::Touches;
    type Key = TouchKey;

    fn value(&self) -> Vec<u8> {
        self.value.to_be_bytes().to_vec()
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        amount_from_value(value).map(|value| Self { value })
    }
}

impl IndexRow for Coin {
    const FAMILY: Family = Family::Coins;
    type Key = CoinKey;

    fn value(&self) -> Vec<u8> {
        Self::value(self)
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        Self::from_value(value)
    }
}

impl IndexRow for ScriptCoin {
    const FAMILY: Family = Family::Scripts;
    type Key = ScriptKey;

    fn value(&self) -> Vec<u8> {
        Vec::new()
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        Cursor::new(value).end(Self)
    }
}

impl IndexRow for Spender {
    const FAMILY: Family = Family::Spends;
    type Key = OutPoint;

    fn value(&self) -> Vec<u8> {
        Self::value(self)
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        Self::from_value(value)
    }
}

impl IndexRow for Sweep {
    const FAMILY: Family = Family::Sweeps;
    /// Its id.
    type Key = u32;

    fn value(&self) -> Vec<u8> {
        Self::value(*self)
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        Self::from_value(value)
    }
}

impl IndexRow for EntryRow {
    const FAMILY: Family = Family::Entries;
    type Key = ScriptHash;

    fn value(&self) -> Vec<u8> {
        Self::value(self)
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        Self::from_value(value)
    }
}

impl IndexRow for Event {
    const FAMILY: Family = Family::Events;
    /// Its seq.
    type Key = u64;

    fn value(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers")
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        serde_json::from_slice(value).map_err(|_| Malformed)
    }
}
