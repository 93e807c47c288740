//! One moment of the index, with what every answer needs of it.

use bitcoin::{Address, BlockHash, Script};

use super::{QueryError, Result, SpentBy};
use crate::chain::{BlockId, Chain, Height, ScriptHash};
use crate::index::entries::EntryRow;
use crate::index::keys::{CoinKey, TxPosition};
use crate::index::meta::{self, TakenLists, TraceParameters};
use crate::index::sweeps::Sweeps;
use crate::index::values::Record;
use crate::index::{Family, Reader, View};
use crate::trace::flow::MAX_SCRIPT_BYTES;

/// The index as it was when it was opened.
pub struct Snapshot {
    /// Its rows.
    pub reader: Reader,
    /// Its last block; `None` before the first batch.
    pub tip: Option<BlockId>,
    /// The next height of the main sweep.
    pub next: Height,
    /// How far each sweep got.
    pub sweeps: Sweeps,
    /// The height the last run was to reach, if it was higher than the tip.
    pub goal: Option<Height>,
    /// How coins are followed.
    pub trace: TraceParameters,
    /// The lists as they were taken in.
    pub lists: TakenLists,
    /// Whether the lists configured now are others.
    pub lists_changed: bool,
}

impl Snapshot {
    /// Takes one of `reader`; whether the lists changed is for the caller to tell, who can read files.
    ///
    /// # Errors
    /// [`crate::index::IndexError::Corrupt`] where the index lacks a row that each has.
    pub fn new(reader: Reader, lists_changed: impl FnOnce(&TakenLists) -> bool) -> Result<Self> {
        let sweeps = reader.sweeps()?;
        let next = sweeps.main();
        let tip = reader.tip()?;
        if tip.map_or(0, |tip| tip.height + 1) != next {
            return Err(View::corrupt(Family::Sweeps, &[0; 4]).into());
        }
        let lists = meta::lists(&reader)?;
        let lists_changed = lists_changed(&lists);
        Ok(Self {
            tip,
            next,
            sweeps,
            goal: meta::goal(&reader)?,
            trace: meta::trace(&reader)?,
            lists,
            lists_changed,
            reader,
        })
    }

    /// The chain it is of.
    pub fn chain(&self) -> Chain {
        self.reader.identity().chain
    }

    /// The height a question without `--at` is about: the tip, or where the last run was to get to.
    pub fn asked(&self) -> Option<Height> {
        self.tip.map(|tip| tip.height).max(self.goal)
    }

    /// The block at a height.
    ///
    /// # Errors
    /// [`crate::index::IndexError::Corrupt`] where there is none though a row speaks of it.
    pub fn block(&self, height: Height) -> Result<(BlockHash, u32)> {
        let header = self.reader.known_header(height)?;
        Ok((header.block_hash(), header.time))
    }

    /// The record a row speaks of.
    ///
    /// # Errors
    /// [`crate::index::IndexError::Corrupt`] where there is none.
    pub fn record(&self, at: TxPosition) -> Result<Record> {
        let record = self.reader.record(at)?;
        Ok(record.ok_or_else(|| View::corrupt(Family::Records, &at.key()))?)
    }

    /// The entry of a script, if it is on a list.
    ///
    /// # Errors
    /// What reading reports.
    pub fn entry(&self, script: &Script) -> Result<Option<EntryRow>> {
        Ok(self.reader.entry(ScriptHash::of(script))?)
    }

    /// A script as an address, where it has one.
    pub fn address(&self, script: &Script) -> Option<String> {
        Address::from_script(script, self.chain().network()).ok().map(|address| address.to_string())
    }

    /// The input that spent a coin, as of the state after `at`.
    ///
    /// # Errors
    /// What reading reports.
    pub fn spent_by(&self, coin: &CoinKey, at: Height) -> Result<Option<SpentBy>> {
        let Some(spender) = self.reader.spender_of(coin)?.filter(|spender| spender.at.height <= at) else {
            return Ok(None);
        };
        let txid = self.record(spender.at)?.txid();
        Ok(Some(SpentBy { txid, vin: spender.vin, height: spender.at.height }))
    }

    /// Whether a coin can never be spent, though it may look unspent: its script says so, it is the genesis coinbase, or a later
    /// coin took its outpoint (BIP30) before it was spent.
    ///
    /// # Errors
    /// What reading reports.
    pub fn is_unspendable(&self, coin: &CoinKey, script: &Script, at: Height) -> Result<bool> {
        if coin.height == 0 || script.is_op_return() || script.len() > MAX_SCRIPT_BYTES {
            return Ok(true);
        }
        let mut twins = self.reader.coin_heights(&coin.outpoint)?.into_iter();
        let Some(later) = twins.find(|height| *height > coin.height && *height <= at) else { return Ok(false) };
        // The twin took its place, unless it had been spent by then.
        let spender = self.reader.spender_of(coin)?;
        Ok(spender.is_none_or(|spender| spender.at.height >= later))
    }
}

impl QueryError {
    /// Whether the question was at fault, not the index.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }
}
