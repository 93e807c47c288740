//! The integers and byte strings that rows are made of.

use bitcoin::hashes::Hash;
use bitcoin::{ScriptBuf, Txid, VarInt, consensus};

use crate::chain::ScriptHash;
use crate::trace::{Fate, Rule};

/// The row does not have the layout that `schema` states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the row is not laid out as its format says")]
pub struct Malformed;

/// Takes typed parts off the front of a row.
pub struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// Starts at the front of `row`.
    pub fn new(row: &'a [u8]) -> Self {
        Self(row)
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    /// The next `N` bytes, as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    /// A big-endian u32.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A big-endian u64.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A transaction's id.
    pub fn txid(&mut self) -> Result<Txid, Malformed> {
        Ok(Txid::from_byte_array(self.array()?))
    }

    /// A script's hash.
    pub fn script_hash(&mut self) -> Result<ScriptHash, Malformed> {
        Ok(ScriptHash(self.array()?))
    }

    /// Bytes behind their length as a CompactSize.
    pub fn sized(&mut self) -> Result<&'a [u8], Malformed> {
        let (length, used) = consensus::deserialize_partial::<VarInt>(self.0).map_err(|_| Malformed)?;
        self.take(used)?;
        self.take(usize::try_from(length.0).map_err(|_| Malformed)?)
    }

    /// A script behind its length.
    pub fn script(&mut self) -> Result<ScriptBuf, Malformed> {
        Ok(ScriptBuf::from_bytes(self.sized()?.to_vec()))
    }

    /// One byte, 0 or 1.
    pub fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// A rule, by its byte.
    pub fn rule(&mut self) -> Result<Rule, Malformed> {
        Rule::from_byte(self.u8()?).ok_or(Malformed)
    }

    /// The fate of a coin, by its byte.
    pub fn fate(&mut self) -> Result<Fate, Malformed> {
        Fate::ALL.get(usize::from(self.u8()?)).copied().ok_or(Malformed)
    }

    /// Taint under a rule: the rule, satoshis, hops.
    pub fn taint(&mut self) -> Result<(Rule, u64, u32), Malformed> {
        Ok((self.rule()?, self.u64()?, self.u32()?))
    }

    /// The bytes that are left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// `value`, if the row ends here.
    pub fn end<T>(self, value: T) -> Result<T, Malformed> {
        if self.0.is_empty() { Ok(value) } else { Err(Malformed) }
    }
}

/// Appends `bytes` behind their length as a CompactSize.
pub fn push_sized(row: &mut Vec<u8>, bytes: &[u8]) {
    row.extend(consensus::serialize(&VarInt::from(bytes.len())));
    row.extend_from_slice(bytes);
}

/// Appends taint under a rule, as [`Cursor::taint`] reads it.
pub fn push_taint(row: &mut Vec<u8>, rule: Rule, satoshis: u64, hops: u32) {
    row.push(rule.byte());
    row.extend_from_slice(&satoshis.to_be_bytes());
    row.extend_from_slice(&hops.to_be_bytes());
}
