//! Where a page of a long answer ends, so that the next one can continue there.

use super::{QueryError, Result};
use crate::index::keys::{TouchKind, TxPosition};

/// The place of a row in an answer of many pages: height, transaction, kind and input or output, as `HEIGHT.TX.KIND.INDEX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowCursor {
    at: TxPosition,
    kind: u8,
    io_index: u32,
}

impl RowCursor {
    /// Reads the `next` of an earlier answer.
    ///
    /// # Errors
    /// [`QueryError::Usage`].
    pub fn parse(text: &str) -> Result<Self> {
        let cursor = Self::read(text);
        cursor.ok_or_else(|| QueryError::Usage(format!("'{text}' is no cursor; take the `next` of the previous page")))
    }

    fn read(text: &str) -> Option<Self> {
        let parts: Vec<u32> = text.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let [height, tx_index, kind, io_index] = parts[..] else { return None };
        Some(Self { at: TxPosition { height, tx_index }, kind: kind.try_into().ok()?, io_index })
    }

    /// The place of a touch. Of one transaction spends come first, as in the rows of `touches`.
    pub fn touch(at: TxPosition, kind: TouchKind, io_index: u32) -> Self {
        Self { at, kind: u8::from(kind == TouchKind::Funding), io_index }
    }

    /// The place of a coin known by its spend only.
    pub fn older(at: TxPosition, vin: u32) -> Self {
        Self { at, kind: 0, io_index: vin }
    }

    /// Orders coins: those known by their spend only before all others.
    pub fn among_coins(self) -> (bool, Self) {
        (self.kind == Self::MADE, self)
    }

    /// The place of a coin that the index saw made.
    pub fn made(at: TxPosition, vout: u32) -> Self {
        Self { at, kind: Self::MADE, io_index: vout }
    }

    const MADE: u8 = 2;
}

impl std::fmt::Display for RowCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}.{}", self.at.height, self.at.tx_index, self.kind, self.io_index)
    }
}
