//! What a record said before it was removed or changed: kept for the events that are about it, which name a position and nothing else.

use std::collections::BTreeMap;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;

use super::bytes::{Cursor, Malformed, push_sized, push_taint};
use super::keys::TxPosition;
use super::layout::{KeyPart, KeyWriter, key_of_fields, whole_key};
use super::row::{IndexKey, IndexRow, PrefixOf};
use super::values::{InputTaint, Record};
use crate::index::error::Result;
use crate::index::schema::Family;
use crate::trace::{Fate, Rule};

/// Key of `former`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FormerKey {
    /// Where the record was, or is.
    pub at: TxPosition,
    /// The seq of the first event after the change.
    pub seq: u64,
}

key_of_fields!(FormerKey { at: TxPosition, seq: u64 });

impl PrefixOf<FormerKey> for TxPosition {
    fn prefix(&self) -> impl AsRef<[u8]> {
        self.key()
    }
}

/// The taint of an output under one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The rule.
    pub rule: Rule,
    /// Satoshis.
    pub taint: u64,
    /// Number of spends since the source.
    pub hops: u32,
    /// Whether the coin is followed, or why not.
    pub fate: Fate,
}

impl Received {
    /// Whether it is taint that reached a service.
    pub fn reaches_service(&self) -> bool {
        matches!(self.fate, Fate::Service | Fate::FlaggedService)
    }
}

/// The taint that a transaction moved: of its tainted inputs, and of its tainted outputs; none of either where no input is tainted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MovedTaint {
    /// By input, for each rule under which it is tainted.
    pub inputs: BTreeMap<u32, Vec<InputTaint>>,
    /// By output, for each rule under which it holds taint.
    pub outputs: BTreeMap<u32, Vec<Received>>,
}

impl MovedTaint {
    /// Whether the numbers are the same; what becomes of the outputs may differ.
    pub fn has_numbers_of(&self, other: &Self) -> bool {
        self.inputs == other.inputs && self.output_numbers().eq(other.output_numbers())
    }

    /// By output and rule: satoshis and hops.
    fn output_numbers(&self) -> impl Iterator<Item = (u32, Rule, u64, u32)> {
        self.outputs
            .iter()
            .flat_map(|(vout, taint)| taint.iter().map(|taint| (*vout, taint.rule, taint.taint, taint.hops)))
    }

    /// The tainted inputs whose coins were no sources themselves: those have no hops.
    pub fn derived_inputs(&self) -> impl Iterator<Item = u32> {
        let derived = self.inputs.iter().filter(|(_, taint)| taint.iter().any(|taint| taint.hops > 0));
        derived.map(|(vin, _)| *vin)
    }
}

/// A record that was removed, and its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedRecord {
    /// The block's hash.
    pub block: BlockHash,
    /// The block's time, Unix seconds.
    pub time: u32,
    /// The record.
    pub record: Record,
}

/// What a record said until the event that the key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// The number of retractions that belong to the change: their seqs are that of the key, and those right after it.
    pub retractions: u32,
    /// The record, where it was removed; `None` where it stayed, and said something else from then on.
    pub removed: Option<RemovedRecord>,
    /// The taint that it moved.
    pub taint: MovedTaint,
    /// Where the records were that made the coins of its tainted inputs, by input, for those that weren't sources themselves: once they are
    /// removed, nothing else shows it.
    pub parents: BTreeMap<u32, TxPosition>,
}

impl IndexRow for Former {
    const FAMILY: Family = Family::Former;
    type Key = FormerKey;

    fn value(&self) -> Vec<u8> {
        let mut row = self.retractions.to_be_bytes().to_vec();
        row.push(u8::from(self.removed.is_some()));
        if let Some(removed) = &self.removed {
            row.extend_from_slice(removed.block.as_byte_array());
            row.extend_from_slice(&removed.time.to_be_bytes());
            push_sized(&mut row, &removed.record.value());
        }
        push_sides(&mut row, &self.taint.inputs, |row, taint| push_taint(row, taint.rule, taint.taint, taint.hops));
        push_sides(&mut row, &self.taint.outputs, |row, received| {
            push_taint(row, received.rule, received.taint, received.hops);
            row.push(received.fate as u8);
        });
        for (vin, parent) in &self.parents {
            row.extend_from_slice(&vin.to_be_bytes());
            row.extend_from_slice(&parent.key());
        }
        row
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(value);
        let retractions = cursor.u32()?;
        let removed = match cursor.flag()? {
            false => None,
            true => Some(RemovedRecord {
                block: BlockHash::from_byte_array(cursor.array()?),
                time: cursor.u32()?,
                record: Record::from_value(cursor.sized()?)?,
            }),
        };
        let inputs = take_sides(&mut cursor, |cursor| {
            let (rule, taint, hops) = cursor.taint()?;
            Ok(InputTaint { rule, taint, hops })
        })?;
        let outputs = take_sides(&mut cursor, |cursor| {
            let (rule, taint, hops) = cursor.taint()?;
            Ok(Received { rule, taint, hops, fate: cursor.fate()? })
        })?;
        let (parts, []) = cursor.rest().as_chunks::<12>() else { return Err(Malformed) };
        let parents = parts.iter().map(|part| {
            let mut cursor = Cursor::new(part);
            Ok((cursor.u32()?, TxPosition::take(&mut cursor)?))
        });
        let taint = MovedTaint { inputs, outputs };
        Ok(Self { retractions, removed, taint, parents: parents.collect::<Result<_, _>>()? })
    }
}

fn push_sides<T>(row: &mut Vec<u8>, sides: &BTreeMap<u32, Vec<T>>, push: impl Fn(&mut Vec<u8>, &T)) {
    let count = u32::try_from(sides.len()).expect("a transaction has fewer inputs and outputs than that");
    row.extend_from_slice(&count.to_be_bytes());
    for (index, taints) in sides {
        row.extend_from_slice(&index.to_be_bytes());
        row.push(u8::try_from(taints.len()).expect("there are few rules"));
        taints.iter().for_each(|taint| push(row, taint));
    }
}

fn take_sides<T>(
    cursor: &mut Cursor<'_>,
    take: impl Fn(&mut Cursor<'_>) -> Result<T, Malformed>,
) -> Result<BTreeMap<u32, Vec<T>>, Malformed> {
    let mut sides = BTreeMap::new();
    for _ in 0..cursor.u32()? {
        let (index, count) = (cursor.u32()?, cursor.u8()?);
        let taints = (0..count).map(|_| take(cursor)).collect::<Result<_, _>>()?;
        sides.insert(index, taints);
    }
    Ok(sides)
}

#[cfg(test)]
mod tests {
    use bitcoin::absolute::LockTime;
    use bitcoin::{Amount, ScriptBuf, Transaction, TxIn, TxOut, transaction};

    use super::*;

    #[test]
    fn former_rows_are_laid_out_as_the_schema_says() {
        let key = FormerKey { at: TxPosition { height: 1, tx_index: 2 }, seq: 3 };
        assert_eq!(const_hex::encode(key.key()), "00000001000000020000000000000003");
        assert_eq!(FormerKey::from_key(&key.key()), Ok(key));

        let inputs = BTreeMap::from([(4, vec![InputTaint { rule: Rule::Haircut, taint: 5, hops: 6 }])]);
        let received = Received { rule: Rule::Fifo, taint: 7, hops: 8, fate: Fate::Service };
        let taint = MovedTaint { inputs, outputs: BTreeMap::from([(9, vec![received])]) };
        let parents = BTreeMap::from([(4, TxPosition { height: 10, tx_index: 11 })]);
        let former = Former { retractions: 2, removed: None, taint, parents };
        let expected = [
            "0000000200",
            "0000000100000004010100000000000000",
            "0500000006",
            "0000000100000009010200000000000000",
            "070000000801",
            "000000040000000a0000000b",
        ];
        assert_eq!(const_hex::encode(former.value()), expected.concat());
        assert_eq!(Former::from_value(&former.value()), Ok(former.clone()));

        let output = TxOut { value: Amount::from_sat(1), script_pubkey: ScriptBuf::from_bytes(vec![0x51]) };
        let transaction = Transaction {
            version: transaction::Version::ONE,
            lock_time: LockTime::ZERO,
            input: vec![TxIn::default()],
            output: vec![output],
        };
        let record = Record { transaction, spent: Vec::new(), branch: vec![[1; 32]] };
        let removed = RemovedRecord { block: BlockHash::from_byte_array([0xab; 32]), time: 5, record };
        let former = Former { removed: Some(removed), ..former };
        let value = former.value();
        assert_eq!(const_hex::encode(&value[..41]), format!("0000000201{}00000005", "ab".repeat(32)));
        assert_eq!(Former::from_value(&value), Ok(former));
        for end in 0..value.len() {
            let without_parents = value.len() - end == 12;
            assert_eq!(Former::from_value(&value[..end]).is_ok(), without_parents, "{end} bytes");
        }
    }
}
