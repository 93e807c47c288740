//! The index against itself: headers link and carry their work, the merkle branches of records lead to the headers, and every other
//! row is the one that records, entries and parameters make. Names the first difference. It can't notice a transaction that was never
//! recorded: only the node can.

use std::collections::{BTreeMap, HashMap};

use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, OutPoint, Script, Txid};

use crate::chain::header::{self, HeaderError};
use crate::chain::{Height, ScriptHash, merkle};
use crate::index::derive::{self, Derived, Marks};
use crate::index::keys::TxPosition;
use crate::index::meta::{self, TraceParameters};
use crate::index::sums::SumKey;
use crate::index::values::Record;
use crate::index::{DerivedFamily, IndexError, KeySet, ReadRows, Result, RowMismatch, SameKeyFault, View};

/// The counts of what was found right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The last height whose rows were compared; `None` where nothing is settled yet.
    pub through: Option<Height>,
    /// Headers.
    pub headers: u64,
    /// Records.
    pub records: u64,
    /// Rows derived from them.
    pub rows: u64,
}

/// The first thing that isn't right.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A header that doesn't link or lacks its work.
    #[error("header {height}: {source}")]
    Header {
        /// Its height.
        height: Height,
        /// What is wrong.
        source: HeaderError,
    },
    /// A header is missing between others.
    #[error("there is no header at height {height}, and there is one above it")]
    NoHeader {
        /// The height.
        height: Height,
    },
    /// A record whose merkle branch doesn't lead to its block's root.
    #[error("record {txid} ({}/{}): its merkle branch does not lead to the root in the header", at.height, at.tx_index)]
    Branch {
        /// Its position by its key.
        at: TxPosition,
        /// Its transaction.
        txid: Txid,
    },
    /// A record spends an output that differs from the one that another record made.
    #[error("record {txid} ({}/{}): it spends {outpoint} as another output than the record that made it", at.height, at.tx_index)]
    SpentOutput {
        /// The spending record.
        at: TxPosition,
        /// Its transaction.
        txid: Txid,
        /// The output.
        outpoint: OutPoint,
    },
    /// A record that touches nothing and spends nothing that is followed.
    #[error("record {txid} ({}/{}): it touches no flagged script and spends no followed coin", at.height, at.tx_index)]
    Needless {
        /// Where it is.
        at: TxPosition,
        /// Its transaction.
        txid: Txid,
    },
    /// A row that a record makes is missing.
    #[error("a row of {family} is missing (key {key}), which record {}/{} brings", at.height, at.tx_index)]
    Missing {
        /// Its family.
        family: &'static str,
        /// Its key, in hex.
        key: String,
        /// The record.
        at: TxPosition,
    },
    /// A row differs from the one that a record makes.
    #[error("a row of {family} (key {key}) is {found}, and record {}/{} makes it {expected}", at.height, at.tx_index)]
    Differs {
        /// Its family.
        family: &'static str,
        /// Its key, in hex.
        key: String,
        /// Its value, in hex.
        found: String,
        /// The value that the record makes, in hex.
        expected: String,
        /// The record.
        at: TxPosition,
    },
    /// A row that an entry makes is missing.
    #[error("a row of same_key is missing (key {key}), which an entry brings")]
    NoSameKey {
        /// Its key, in hex.
        key: String,
    },
    /// A row that no entry makes.
    #[error("a row of same_key (key {key}) comes from no entry")]
    ExtraSameKey {
        /// Its key, in hex.
        key: String,
    },
    /// A sum that isn't that of the rows it is of.
    #[error("the sum {key:?} is {found}, and its rows add up to {counted}")]
    Sum {
        /// What it is of.
        key: SumKey,
        /// The sum in the index.
        found: u128,
        /// What its rows add up to.
        counted: u128,
    },
    /// A row that no record makes.
    #[error("a row of {family} (key {key}) comes from no record")]
    Extra {
        /// Its family.
        family: &'static str,
        /// Its key, in hex.
        key: String,
    },
}

/// Verifies everything up to where the index is settled.
///
/// # Errors
/// What reading reports; a flaw is no error.
pub fn verify(view: &View) -> Result<Result<Verified, Flaw>> {
    let mut verified = Verified::default();
    if let Err(flaw) = headers(view, &mut verified)? {
        return Ok(Err(flaw));
    }
    if let Some((key, difference)) = view.same_key_fault()? {
        return Ok(Err(match difference {
            SameKeyFault::Missing => Flaw::NoSameKey { key },
            SameKeyFault::Extra => Flaw::ExtraSameKey { key },
        }));
    }
    let settled = view.sweeps()?.settled();
    verified.through = settled.checked_sub(1);
    let audit = Audit { view, marks: EntryRoles::read(view)?, parameters: meta::trace(view)?, settled };
    let mut counted = BTreeMap::new();
    for row in view.range::<Record>(..TxPosition::first(settled)) {
        let (at, record) = row?;
        if let Some(flaw) = audit.record(at, &record, &mut counted)? {
            return Ok(Err(flaw));
        }
        verified.records += 1;
    }
    verified.rows = counted.values().sum();
    for family in view.derived_families() {
        if let Some(flaw) = audit.extra(family, counted.get(family.name()).copied().unwrap_or(0))? {
            return Ok(Err(flaw));
        }
    }
    if let Some((key, found, counted)) = view.sums()?.difference(&view.recounted_sums()?) {
        return Ok(Err(Flaw::Sum { key, found, counted }));
    }
    Ok(Ok(verified))
}

fn headers(view: &View, verified: &mut Verified) -> Result<Result<(), Flaw>> {
    let mut previous = BlockHash::all_zeros();
    for (expected, row) in (0..).zip(view.range::<Header>(..)) {
        let (height, found) = row?;
        if height != expected {
            return Ok(Err(Flaw::NoHeader { height: expected }));
        }
        previous = match header::check(&found, height, previous) {
            Ok(hash) => hash,
            Err(source) => return Ok(Err(Flaw::Header { height, source })),
        };
        verified.headers += 1;
    }
    Ok(Ok(()))
}

struct Audit<'a> {
    view: &'a View,
    marks: EntryRoles,
    parameters: TraceParameters,
    settled: Height,
}

impl Audit<'_> {
    fn derived(&self, at: TxPosition, txid: Txid, record: &Record) -> Result<Derived> {
        derive::derive(
            |outpoint: &OutPoint| Ok(self.view.coin_at(outpoint, at.height)?.map(|(_, coin)| coin)),
            &self.parameters,
            &self.marks,
            at,
            txid,
            record,
        )
    }

    fn record(
        &self,
        at: TxPosition,
        record: &Record,
        counted: &mut BTreeMap<&'static str, u64>,
    ) -> Result<Option<Flaw>> {
        let txid = record.txid();
        let root = merkle::root_from_branch(txid, at.tx_index, &record.branch);
        if self.view.header(at.height)?.map(|header| header.merkle_root) != Some(root) {
            return Ok(Some(Flaw::Branch { at, txid }));
        }
        for (input, spent) in record.transaction.input.iter().zip(&record.spent) {
            let outpoint = input.previous_output;
            let Some(made) = self.view.positions(outpoint.txid)?.first().copied() else { continue };
            let output = self.view.record(made)?;
            let output = output.as_ref().and_then(|made| made.transaction.output.get(outpoint.vout as usize));
            if output.is_some_and(|output| output != spent) {
                return Ok(Some(Flaw::SpentOutput { at, txid, outpoint }));
            }
        }
        let derived = self.derived(at, txid, record)?;
        if !derived.is_record {
            return Ok(Some(Flaw::Needless { at, txid }));
        }
        let mismatch = derived.rows.mismatch(self.view, at, counted)?;
        Ok(mismatch.map(|RowMismatch { family, key, expected, found }| match found {
            Some(found) => Flaw::Differs { family, key, found, expected, at },
            None => Flaw::Missing { family, key, at },
        }))
    }

    /// A row of settled heights that no record makes, if a family has more rows than the `known` ones.
    fn extra(&self, family: DerivedFamily<'_>, known: u64) -> Result<Option<Flaw>> {
        let mut found = 0;
        for row in family.rows() {
            found += u64::from(row?.height()? < self.settled);
        }
        if found == known {
            return Ok(None);
        }
        // Keys of one record only: rows of one record often follow each other, and memory stays bounded where they don't.
        let mut last: Option<(TxPosition, KeySet)> = None;
        for row in family.rows() {
            let row = row?;
            if row.height()? >= self.settled {
                continue;
            }
            let mut is_made = false;
            for at in row.known_origins(self.view)? {
                if last.as_ref().is_none_or(|(known, _)| *known != at) {
                    let Some(record) = self.view.record(at)? else { continue };
                    last = Some((at, self.derived(at, record.txid(), &record)?.rows.into_keys()));
                }
                is_made |= last.as_ref().is_some_and(|(_, keys)| row.is_in(keys));
            }
            if !is_made {
                return Ok(Some(Flaw::Extra { family: family.name(), key: row.key_hex() }));
            }
        }
        Ok(None)
    }
}

/// The roles of scripts below the settled height, where every entry reaches down to the height that its lists want.
struct EntryRoles(HashMap<ScriptHash, (Option<Height>, bool), foldhash::quality::RandomState>);

impl EntryRoles {
    fn read(view: &View) -> Result<Self, IndexError> {
        let mut roles = HashMap::default();
        for entry in view.entry_heads() {
            let (script, entry) = entry?;
            let from = entry.served_lowered().map_or(entry.from, |lowered| lowered.from);
            roles.insert(script, (entry.flagged.then_some(from), entry.service));
        }
        Ok(Self(roles))
    }
}

impl Marks for EntryRoles {
    fn flagged_from(&self, script: &Script) -> Option<Height> {
        self.0.get(&ScriptHash::of(script)).and_then(|(from, _)| *from)
    }

    fn is_service(&self, script: &Script) -> bool {
        self.0.get(&ScriptHash::of(script)).is_some_and(|(_, service)| *service)
    }
}
