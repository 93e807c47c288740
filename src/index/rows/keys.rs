//! The keys of all families as types. Their layouts stand in `schema`; integers are big-endian, so that the order of the bytes is the
//! order of the type, which is the order of the chain.

use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};

use super::bytes::{Cursor, Malformed};
use super::layout::{KeyPart, KeyWriter, key_of_fields, whole_key};
use super::row::{IndexKey, PrefixOf, ScriptOrdered};
use crate::chain::{Height, ScriptHash};

/// Where a transaction is: its block's height and its index in that block. Key of `records`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxPosition {
    /// Its block's height.
    pub height: Height,
    /// Its index in the block, 0 for the coinbase.
    pub tx_index: u32,
}

impl TxPosition {
    /// The lowest position in a block.
    pub fn first(height: Height) -> Self {
        Self { height, tx_index: 0 }
    }

    /// A position above all those in a block.
    pub fn last(height: Height) -> Self {
        Self { height, tx_index: u32::MAX }
    }
}

key_of_fields!(TxPosition { height: Height, tx_index: u32 });

impl PrefixOf<TxPosition> for Height {
    fn prefix(&self) -> impl AsRef<[u8]> {
        self.to_be_bytes()
    }
}

/// Whether a touch spends a coin of a flagged script or pays the script. Spending sorts first within a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TouchKind {
    /// An input spends a coin of the script.
    Spending,
    /// An output pays the script.
    Funding,
}

impl TouchKind {
    /// Its name in answers and events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spending => "spending",
            Self::Funding => "funding",
        }
    }
}

impl KeyPart for TouchKind {
    const LENGTH: usize = 1;

    fn put(&self, key: &mut KeyWriter<'_>) {
        key.push(&[match self {
            Self::Spending => 0,
            Self::Funding => 1,
        }]);
    }

    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        match cursor.u8()? {
            0 => Ok(Self::Spending),
            1 => Ok(Self::Funding),
            _ => Err(Malformed),
        }
    }
}

/// Key of `touches`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TouchKey {
    /// The flagged script.
    pub script: ScriptHash,
    /// The touching transaction.
    pub at: TxPosition,
    /// Whether it spends or pays.
    pub kind: TouchKind,
    /// The index of the input or of the output.
    pub io_index: u32,
}

key_of_fields!(TouchKey { script: ScriptHash, at: TxPosition, kind: TouchKind, io_index: u32 });

impl ScriptOrdered for TouchKey {
    type InChain = (TxPosition, TouchKind, u32);

    fn first(script: ScriptHash, height: Height) -> Self {
        Self { script, at: TxPosition::first(height), kind: TouchKind::Spending, io_index: 0 }
    }

    fn last(script: ScriptHash, height: Height) -> Self {
        Self { script, at: TxPosition::last(height), kind: TouchKind::Funding, io_index: u32::MAX }
    }

    fn in_chain(&self) -> Self::InChain {
        (self.at, self.kind, self.io_index)
    }
}

impl PrefixOf<TouchKey> for ScriptHash {
    fn prefix(&self) -> impl AsRef<[u8]> {
        self.0
    }
}

/// Key of `coins`. The height tells BIP30's twins apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoinKey {
    /// The output.
    pub outpoint: OutPoint,
    /// The height of the block that made it.
    pub height: Height,
}

key_of_fields!(CoinKey { outpoint: OutPoint, height: Height });

impl PrefixOf<CoinKey> for OutPoint {
    fn prefix(&self) -> impl AsRef<[u8]> {
        self.key()
    }
}

/// Key of `scripts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScriptKey {
    /// The script that holds the coin.
    pub script: ScriptHash,
    /// The transaction that made the coin.
    pub at: TxPosition,
    /// The coin's output index there.
    pub vout: u32,
}

key_of_fields!(ScriptKey { script: ScriptHash, at: TxPosition, vout: u32 });

impl ScriptOrdered for ScriptKey {
    type InChain = (TxPosition, u32);

    fn first(script: ScriptHash, height: Height) -> Self {
        Self { script, at: TxPosition::first(height), vout: 0 }
    }

    fn last(script: ScriptHash, height: Height) -> Self {
        Self { script, at: TxPosition::last(height), vout: u32::MAX }
    }

    fn in_chain(&self) -> Self::InChain {
        (self.at, self.vout)
    }
}

impl PrefixOf<CoinKey> for Txid {
    fn prefix(&self) -> impl AsRef<[u8]> {
        self.to_byte_array()
    }
}

impl PrefixOf<ScriptKey> for ScriptHash {
    fn prefix(&self) -> impl AsRef<[u8]> {
        self.0
    }
}

/// Key of `txids`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TxidKey {
    /// The transaction's id.
    pub txid: Txid,
    /// Where it is recorded.
    pub at: TxPosition,
}

key_of_fields!(TxidKey { txid: Txid, at: TxPosition });

impl PrefixOf<TxidKey> for Txid {
    fn prefix(&self) -> impl AsRef<[u8]> {
        self.to_byte_array()
    }
}

// Key of `spends`.
key_of_fields!(OutPoint { txid: Txid, vout: u32 });

// Key of `entries`.
whole_key!(ScriptHash);

// Key of `headers`, a height, and of `sweeps`, an id.
whole_key!(u32);

// Key of `events`, a seq.
whole_key!(u64);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn txid() -> Txid {
        Txid::from_byte_array(std::array::from_fn(|n| u8::try_from(n).unwrap()))
    }

    const SCRIPT: ScriptHash = ScriptHash([0xab; 32]);
    const AT: TxPosition = TxPosition { height: 0x0102_0304, tx_index: 0x0506_0708 };
    const ID: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn keys_are_laid_out_as_the_schema_says() {
        let script = "ab".repeat(32);
        let touch = |kind| TouchKey { script: SCRIPT, at: AT, kind, io_index: 9 };
        let outpoint = OutPoint { txid: txid(), vout: 2 };
        let cases = [
            (AT.key().to_vec(), "0102030405060708".to_owned()),
            (touch(TouchKind::Spending).key().to_vec(), format!("{script}01020304050607080000000009")),
            (touch(TouchKind::Funding).key().to_vec(), format!("{script}01020304050607080100000009")),
            (CoinKey { outpoint, height: 5 }.key().to_vec(), format!("{ID}0000000200000005")),
            (ScriptKey { script: SCRIPT, at: AT, vout: 3 }.key().to_vec(), format!("{script}010203040506070800000003")),
            (TxidKey { txid: txid(), at: AT }.key().to_vec(), format!("{ID}0102030405060708")),
            (outpoint.key().to_vec(), format!("{ID}00000002")),
        ];
        for (key, expected) in cases {
            assert_eq!(const_hex::encode(key), expected);
        }
    }

    fn position() -> impl Strategy<Value = TxPosition> {
        any::<(u32, u32)>().prop_map(|(height, tx_index)| TxPosition { height, tx_index })
    }

    proptest! {
        #[test]
        fn keys_read_back_as_written_and_sort_as_the_chain_does(
            a in position(), b in position(), kinds in any::<(bool, bool)>(), io in any::<(u32, u32)>(), id in any::<[u8; 32]>()
        ) {
            let kind = |funding| if funding { TouchKind::Funding } else { TouchKind::Spending };
            let first = TouchKey { script: ScriptHash(id), at: a, kind: kind(kinds.0), io_index: io.0 };
            let second = TouchKey { script: ScriptHash(id), at: b, kind: kind(kinds.1), io_index: io.1 };
            prop_assert_eq!(TouchKey::from_key(&first.key()), Ok(first));
            prop_assert_eq!(first.cmp(&second), first.key().cmp(&second.key()));
            prop_assert_eq!(a.cmp(&b), a.key().cmp(&b.key()));
            prop_assert_eq!(TxPosition::from_key(&a.key()), Ok(a));
            let coin = CoinKey { outpoint: OutPoint { txid: Txid::from_byte_array(id), vout: io.0 }, height: io.1 };
            prop_assert_eq!(CoinKey::from_key(&coin.key()), Ok(coin));
            let script = ScriptKey { script: ScriptHash(id), at: a, vout: io.0 };
            prop_assert_eq!(ScriptKey::from_key(&script.key()), Ok(script));
            let txid = TxidKey { txid: Txid::from_byte_array(id), at: a };
            prop_assert_eq!(TxidKey::from_key(&txid.key()), Ok(txid));
            prop_assert_eq!(OutPoint::from_key(&coin.outpoint.key()), Ok(coin.outpoint));
        }

        #[test]
        fn no_bytes_make_a_key_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let read = [
                TouchKey::from_key(&bytes).is_ok(), CoinKey::from_key(&bytes).is_ok(), ScriptKey::from_key(&bytes).is_ok(),
                TxPosition::from_key(&bytes).is_ok(), TxidKey::from_key(&bytes).is_ok(),
            ];
            prop_assert!(!read[0] || bytes.len() == 45);
            prop_assert!(!read[1] || bytes.len() == 40);
            prop_assert!(!read[2] || bytes.len() == 44);
        }
    }
}
