//! The keys of all families: typed parts to bytes and back. Layouts: `schema`.

use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};

use super::bytes::{Cursor, Malformed};
use crate::chain::{Height, ScriptHash};

/// Where a transaction is: its block's height and its index in that block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxPosition {
    /// Its block's height.
    pub height: Height,
    /// Its index in the block, 0 for the coinbase.
    pub tx_index: u32,
}

impl TxPosition {
    /// Key of `records`: height\[4\] tx_index\[4\].
    pub fn key(self) -> [u8; 8] {
        let mut key = [0; 8];
        key[..4].copy_from_slice(&self.height.to_be_bytes());
        key[4..].copy_from_slice(&self.tx_index.to_be_bytes());
        key
    }

    /// Reads a key of `records`.
    ///
    /// # Errors
    /// [`Malformed`], as in all that follow, where the bytes are not such a key.
    pub fn from_key(key: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(key);
        let position = Self::take(&mut cursor)?;
        cursor.end(position)
    }

    pub(super) fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self { height: cursor.u32()?, tx_index: cursor.u32()? })
    }
}

/// Whether a touch takes coins from a flagged script or brings them. Spending sorts first within a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TouchKind {
    /// An input consumes a coin of the script.
    Spending,
    /// An output pays the script.
    Funding,
}

impl TouchKind {
    fn byte(self) -> u8 {
        match self {
            Self::Spending => 0,
            Self::Funding => 1,
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
    /// Spending or funding.
    pub kind: TouchKind,
    /// The input's or the output's index.
    pub io_index: u32,
}

impl TouchKey {
    /// script_hash\[32\] height\[4\] tx_index\[4\] kind\[1\] io_index\[4\].
    pub fn key(&self) -> [u8; 45] {
        let mut key = [0; 45];
        key[..32].copy_from_slice(&self.script.0);
        key[32..40].copy_from_slice(&self.at.key());
        key[40] = self.kind.byte();
        key[41..].copy_from_slice(&self.io_index.to_be_bytes());
        key
    }

    /// Reads a key of `touches`.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_key(key: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(key);
        let script = cursor.script_hash()?;
        let at = TxPosition::take(&mut cursor)?;
        let kind = match cursor.u8()? {
            0 => TouchKind::Spending,
            1 => TouchKind::Funding,
            _ => return Err(Malformed),
        };
        let io_index = cursor.u32()?;
        cursor.end(Self { script, at, kind, io_index })
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

impl CoinKey {
    /// txid\[32\] vout\[4\] height\[4\].
    pub fn key(&self) -> [u8; 40] {
        let mut key = [0; 40];
        key[..36].copy_from_slice(&outpoint_key(&self.outpoint));
        key[36..].copy_from_slice(&self.height.to_be_bytes());
        key
    }

    /// Reads a key of `coins`.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_key(key: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(key);
        let outpoint = OutPoint { txid: cursor.txid()?, vout: cursor.u32()? };
        let height = cursor.u32()?;
        cursor.end(Self { outpoint, height })
    }
}

/// Key of `scripts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScriptKey {
    /// The script that holds the coin.
    pub script: ScriptHash,
    /// The transaction that made it.
    pub at: TxPosition,
    /// Its output index there.
    pub vout: u32,
}

impl ScriptKey {
    /// script_hash\[32\] height\[4\] tx_index\[4\] vout\[4\].
    pub fn key(&self) -> [u8; 44] {
        let mut key = [0; 44];
        key[..32].copy_from_slice(&self.script.0);
        key[32..40].copy_from_slice(&self.at.key());
        key[40..].copy_from_slice(&self.vout.to_be_bytes());
        key
    }

    /// Reads a key of `scripts`.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_key(key: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(key);
        let script = cursor.script_hash()?;
        let at = TxPosition::take(&mut cursor)?;
        let vout = cursor.u32()?;
        cursor.end(Self { script, at, vout })
    }
}

/// Key of `txids`: txid\[32\] height\[4\] tx_index\[4\].
pub fn txid_key(txid: Txid, at: TxPosition) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(txid.as_byte_array());
    key[32..].copy_from_slice(&at.key());
    key
}

/// Reads a key of `txids`.
///
/// # Errors
/// [`Malformed`].
pub fn txid_from_key(key: &[u8]) -> Result<(Txid, TxPosition), Malformed> {
    let mut cursor = Cursor::new(key);
    let txid = cursor.txid()?;
    let at = TxPosition::take(&mut cursor)?;
    cursor.end((txid, at))
}

/// Key of `spends`: txid\[32\] vout\[4\].
pub fn outpoint_key(outpoint: &OutPoint) -> [u8; 36] {
    let mut key = [0; 36];
    key[..32].copy_from_slice(outpoint.txid.as_byte_array());
    key[32..].copy_from_slice(&outpoint.vout.to_be_bytes());
    key
}
