//! Rows of `events`: what was found and what was retracted.
//!
//! An event is a position: which input or output of which transaction, and how it was found. What it says (scripts, amounts, taint) is
//! read from the record there, or from what `former` keeps of it. `seq` names an event; block, transaction and side name the fact that
//! it is about. Of the events about one fact, the last one holds.

use bitcoin::BlockHash;
use serde::{Deserialize, Serialize};

use super::bytes::{Cursor, Malformed};
use super::keys::{TouchKind, TxPosition};
use super::layout::KeyPart;
use super::row::{IndexKey, IndexRow};
use crate::chain::{BlockId, Height};
use crate::index::error::Result;
use crate::index::schema::Family;

const SEEN_AT_TIP: u8 = 1;
const REVISED: u8 = 2;
const RETRACTED: u8 = 4;
const BY_RETRACE: u8 = 8;

/// How a fact was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// By a sweep over older blocks.
    Sweep,
    /// In a new block at the tip.
    Tip,
}

/// Why a fact no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Its block left the active chain.
    Reorg,
    /// It does not follow from the lists and parameters as they are now.
    Retrace,
}

/// A fact about a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// A flagged script was paid by this output, or spent from by this input.
    Touch(TouchKind, u32),
    /// Followed coins were spent.
    Moved,
    /// This output is tainted and pays a service.
    Service(u32),
}

impl Fact {
    /// The name of its kind in the JSON of an event.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Touch(..) => "touch",
            Self::Moved => "moved",
            Self::Service(_) => "service",
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A fact was found. If it is `revised`, it was logged before, and its numbers have changed.
    Found {
        /// The transaction.
        at: TxPosition,
        /// The fact.
        fact: Fact,
        /// Whether an earlier event is about the same fact.
        revised: bool,
    },
    /// A fact of an earlier event no longer holds.
    Retracted {
        /// The transaction.
        at: TxPosition,
        /// The fact.
        fact: Fact,
        /// What made it invalid.
        reason: Reason,
    },
    /// Blocks of the index left the node's active chain.
    Reorg {
        /// The height of the last block that both chains have.
        fork: Height,
        /// The index's tip before.
        stale: BlockId,
    },
    /// All blocks of the node, up to this tip, are swept for all entries.
    CaughtUp(BlockId),
}

/// One event, as the log holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub what: Happened,
    /// How it was found.
    pub seen: Seen,
}

impl IndexRow for Event {
    const FAMILY: Family = Family::Events;
    /// The event's seq.
    type Key = u64;

    fn value(&self) -> Vec<u8> {
        let seen = if self.seen == Seen::Tip { SEEN_AT_TIP } else { 0 };
        match self.what {
            Happened::Found { at, fact, revised } => fact_row(at, fact, seen | if revised { REVISED } else { 0 }),
            Happened::Retracted { at, fact, reason } => {
                let retrace = if reason == Reason::Retrace { BY_RETRACE } else { 0 };
                fact_row(at, fact, seen | RETRACTED | retrace)
            }
            Happened::Reorg { fork, stale } => {
                let mut row = vec![4, seen];
                row.extend_from_slice(&fork.to_be_bytes());
                push_block(&mut row, stale);
                row
            }
            Happened::CaughtUp(tip) => {
                let mut row = vec![5, seen];
                push_block(&mut row, tip);
                row
            }
        }
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(value);
        let (kind, flags) = (cursor.u8()?, cursor.u8()?);
        let what = match kind {
            0..=3 => take_fact(&mut cursor, kind, flags)?,
            4 => Happened::Reorg { fork: cursor.u32()?, stale: take_block(&mut cursor)? },
            5 => Happened::CaughtUp(take_block(&mut cursor)?),
            _ => return Err(Malformed),
        };
        let seen = if flags & SEEN_AT_TIP == 0 { Seen::Sweep } else { Seen::Tip };
        let event = cursor.end(Self { what, seen })?;
        // So that no event has two rows.
        if event.value() == value { Ok(event) } else { Err(Malformed) }
    }
}

fn fact_row(at: TxPosition, fact: Fact, flags: u8) -> Vec<u8> {
    let (kind, index) = match fact {
        Fact::Touch(TouchKind::Spending, vin) => (0, Some(vin)),
        Fact::Touch(TouchKind::Funding, vout) => (1, Some(vout)),
        Fact::Moved => (2, None),
        Fact::Service(vout) => (3, Some(vout)),
    };
    let mut row = vec![kind, flags];
    row.extend_from_slice(&at.key());
    row.extend(index.map(u32::to_be_bytes).into_iter().flatten());
    row
}

fn take_fact(cursor: &mut Cursor<'_>, kind: u8, flags: u8) -> Result<Happened, Malformed> {
    let at = TxPosition::take(cursor)?;
    let fact = match kind {
        0 => Fact::Touch(TouchKind::Spending, cursor.u32()?),
        1 => Fact::Touch(TouchKind::Funding, cursor.u32()?),
        2 => Fact::Moved,
        _ => Fact::Service(cursor.u32()?),
    };
    if flags & RETRACTED == 0 {
        return Ok(Happened::Found { at, fact, revised: flags & REVISED != 0 });
    }
    let reason = if flags & BY_RETRACE == 0 { Reason::Reorg } else { Reason::Retrace };
    Ok(Happened::Retracted { at, fact, reason })
}

fn push_block(row: &mut Vec<u8>, block: BlockId) {
    row.extend_from_slice(&block.height.to_be_bytes());
    row.extend_from_slice(bitcoin::hashes::Hash::as_byte_array(&block.hash));
}

fn take_block(cursor: &mut Cursor<'_>) -> Result<BlockId, Malformed> {
    let height = cursor.u32()?;
    Ok(BlockId { height, hash: <BlockHash as bitcoin::hashes::Hash>::from_byte_array(cursor.array()?) })
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash;
    use proptest::prelude::*;

    use super::*;

    const AT: TxPosition = TxPosition { height: 0x0102_0304, tx_index: 0x0506_0708 };
    const BLOCK: &str = "abababababababababababababababababababababababababababababababab";

    fn block() -> BlockId {
        BlockId { height: 7, hash: BlockHash::from_byte_array([0xab; 32]) }
    }

    #[test]
    fn events_are_laid_out_as_the_schema_says() {
        let found = |fact, revised| Happened::Found { at: AT, fact, revised };
        let retracted = |fact, reason| Happened::Retracted { at: AT, fact, reason };
        let cases = [
            (found(Fact::Touch(TouchKind::Spending, 9), false), Seen::Tip, "0001010203040506070800000009".to_owned()),
            (found(Fact::Touch(TouchKind::Funding, 9), false), Seen::Sweep, "0100010203040506070800000009".to_owned()),
            (found(Fact::Moved, true), Seen::Sweep, "02020102030405060708".to_owned()),
            (retracted(Fact::Service(2), Reason::Retrace), Seen::Sweep, "030c010203040506070800000002".to_owned()),
            (retracted(Fact::Moved, Reason::Reorg), Seen::Tip, "02050102030405060708".to_owned()),
            (Happened::Reorg { fork: 5, stale: block() }, Seen::Tip, format!("04010000000500000007{BLOCK}")),
            (Happened::CaughtUp(block()), Seen::Sweep, format!("050000000007{BLOCK}")),
        ];
        for (what, seen, expected) in cases {
            let event = Event { what, seen };
            assert_eq!(const_hex::encode(event.value()), expected);
            assert_eq!(Event::from_value(&event.value()), Ok(event));
        }
    }

    proptest! {
        #[test]
        fn whatever_reads_as_an_event_is_what_writes_those_bytes(
            kind in 0..7u8, flags in 0..18u8, rest in proptest::collection::vec(any::<u8>(), 0..45)
        ) {
            let bytes = [&[kind, flags][..], &rest].concat();
            if let Ok(event) = Event::from_value(&bytes) {
                prop_assert_eq!(event.value(), bytes);
            }
        }
    }
}
