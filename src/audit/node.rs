//! The index against the node, by other means than those it was made by: unspent coins against the node's own set of them, and blocks
//! as the node's own parser tells them against the records.
//!
//! What the index says of a flagged script holds where the script is swept, and what it says of followed coins where the trace is
//! settled: which coins, scripts and heights to compare is the caller's to say, [`unspent`] and [`sample`] draw them where all is.

mod difference;
mod select;

use std::collections::{BTreeMap, HashMap, HashSet};

use bitcoin::{BlockHash, OutPoint, ScriptBuf};

use super::{AuditError, Result};
use crate::chain::{BlockId, Height, ScriptHash};
use crate::index::keys::{CoinKey, TxPosition};
use crate::index::values::{Coin, Record};
use crate::index::{IndexError, ReadRows, View};
use crate::node::{Node, NodeError, Unspent, VerboseTransaction};

pub use difference::{Difference, Why};
use select::{can_be_scanned, is_flagged};
pub use select::{sample, unspent};

/// Coins asked for in one request.
const COINS_A_CALL: usize = 200;
/// Scripts asked for in one pass over the node's coins: as many as fit its limit of 32 MB a request, with room to spare.
const SCAN_BYTES: usize = 24 << 20;
/// The node may be so many blocks ahead; each is read in words, most of a second.
const AHEAD_AT_MOST: Height = 144;

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Unspent coins of the index.
    pub coins: u64,
    /// Scripts whose unspent coins in the node were all looked up in the index.
    pub scripts: u64,
    /// Blocks.
    pub blocks: u64,
    /// Records in these blocks.
    pub records: u64,
}

/// A comparison of one moment of the index with a node. The node may be ahead, or move ahead meanwhile.
pub struct Comparison<'a> {
    view: &'a View,
    node: &'a Node,
    tip: BlockId,
    /// What was spent between the index's tip and a tip of the node's.
    since: HashMap<BlockHash, HashSet<OutPoint>>,
    compared: Compared,
}

impl<'a> Comparison<'a> {
    /// Of an index with a node; `None` for an index without a block.
    ///
    /// # Errors
    /// What reading reports.
    pub fn new(view: &'a View, node: &'a Node) -> Result<Option<Self>> {
        let since = HashMap::new();
        Ok(view.tip()?.map(|tip| Self { view, node, tip, since, compared: Compared::default() }))
    }

    /// What was compared until now.
    pub fn compared(&self) -> Compared {
        self.compared
    }

    /// Asks the node for each of these coins, which the index has unspent: milliseconds each. That the index lacks no coin it
    /// doesn't prove. Returns the first difference.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn coins(
        &mut self,
        coins: impl IntoIterator<Item = Result<(CoinKey, Coin), IndexError>>,
    ) -> Result<Option<Difference>> {
        let mut coins = coins.into_iter();
        loop {
            let some = coins.by_ref().take(COINS_A_CALL).collect::<Result<Vec<_>, _>>()?;
            if some.is_empty() {
                return Ok(None);
            }
            let outpoints: Vec<_> = some.iter().map(|(key, _)| key.outpoint).collect();
            let answer = self.node.unspent(&outpoints)?;
            self.learn(answer.tip)?;
            for ((key, coin), found) in some.iter().zip(answer.found) {
                if let Some(difference) = self.compare(key, coin, found.as_ref(), answer.tip) {
                    return Ok(Some(difference));
                }
            }
        }
    }

    /// Has the node look through all its coins for those on these scripts (hash, script, height flagged from), and compares both
    /// ways: minutes on the main chain, for each some 300,000 scripts. Returns the first difference.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn scripts(
        &mut self,
        scripts: impl IntoIterator<Item = Result<(ScriptHash, ScriptBuf, Height), IndexError>>,
    ) -> Result<Option<Difference>> {
        let mut scripts = scripts.into_iter();
        loop {
            let (mut part, mut bytes) = (BTreeMap::new(), 0);
            while bytes < SCAN_BYTES
                && let Some(script) = scripts.next()
            {
                let (hash, script, from) = script?;
                // Twice in hex, and what stands around it.
                bytes += 2 * script.len() + 8;
                part.insert(hash, (script, from));
            }
            if part.is_empty() {
                return Ok(None);
            }
            if let Some(difference) = self.scan(&part)? {
                return Ok(Some(difference));
            }
        }
    }

    fn scan(&mut self, part: &BTreeMap<ScriptHash, (ScriptBuf, Height)>) -> Result<Option<Difference>> {
        let wanted: Vec<_> =
            part.values().map(|(script, _)| script).filter(|script| can_be_scanned(script)).cloned().collect();
        let mut found = HashSet::new();
        let mut tip = self.tip;
        if !wanted.is_empty() {
            let answer = self.node.scan_unspent(&wanted)?;
            tip = answer.tip;
            self.learn(tip)?;
            for coin in answer.found {
                found.insert(coin.outpoint);
                if let Some(difference) = self.look_up(&coin, part, tip)? {
                    return Ok(Some(difference));
                }
            }
            self.compared.scripts += wanted.len() as u64;
        }
        let mut unscanned = Vec::new();
        for coin in unspent(self.view) {
            let (key, coin) = coin?;
            let Some((script, _)) = part.get(&coin.script) else { continue };
            if !can_be_scanned(script) {
                unscanned.push(Ok((key, coin)));
            } else if !found.contains(&key.outpoint)
                && let Some(difference) = self.compare(&key, &coin, None, tip)
            {
                return Ok(Some(difference));
            }
        }
        self.coins(unscanned)
    }

    /// Looks up a coin of the node's in the index.
    fn look_up(
        &mut self,
        found: &Unspent,
        part: &BTreeMap<ScriptHash, (ScriptBuf, Height)>,
        tip: BlockId,
    ) -> Result<Option<Difference>> {
        let Some((_, from)) = part.get(&ScriptHash::of(&found.output.script_pubkey)) else {
            let what = format!("it names {}, which is on none of the scripts asked for", found.outpoint);
            return Err(NodeError::BadAnswer { what: "scantxoutset".into(), detail: what }.into());
        };
        if found.height < *from || found.height > self.tip.height {
            return Ok(None);
        }
        let key = CoinKey { outpoint: found.outpoint, height: found.height };
        let Some(coin) = self.view.coin(&key)? else { return Ok(Some(Difference::Missed(found.clone()))) };
        match self.view.spender_of(&key)? {
            Some(spender) => Ok(Some(Difference::Spent { coin: key, by: spender.at, vin: spender.vin })),
            None => Ok(self.compare(&key, &coin, Some(found), tip)),
        }
    }

    /// Compares a coin that the index has unspent with what the node found as of a tip that was learnt.
    fn compare(&mut self, key: &CoinKey, coin: &Coin, found: Option<&Unspent>, tip: BlockId) -> Option<Difference> {
        self.compared.coins += 1;
        let Some(found) = found else {
            let spent_since = self.since.get(&tip.hash).is_some_and(|spent| spent.contains(&key.outpoint));
            return (!spent_since).then_some(Difference::Lacking { coin: *key, value: coin.value, tip });
        };
        let differs = |what, index: String, node: String| {
            (index != node).then_some(Difference::Coin { outpoint: key.outpoint, what, index, node })
        };
        let script = |hash: ScriptHash| const_hex::encode(hash.0);
        let coinbase = found.coinbase.unwrap_or(coin.coinbase);
        differs("value in satoshis", coin.value.to_string(), found.output.value.to_sat().to_string())
            .or_else(|| {
                differs("script hash", script(coin.script), script(ScriptHash::of(&found.output.script_pubkey)))
            })
            .or_else(|| differs("height", key.height.to_string(), found.height.to_string()))
            .or_else(|| differs("being a coinbase", coin.coinbase.to_string(), coinbase.to_string()))
    }

    /// Learns what the blocks above the index's tip spend, up to a tip of the node's; one that isn't above ours is another chain's.
    fn learn(&mut self, tip: BlockId) -> Result<()> {
        if self.since.contains_key(&tip.hash) {
            return Ok(());
        }
        let ours = self.tip;
        let other = || AuditError::OtherChain { block: ours };
        if tip.height.checked_sub(ours.height).is_none_or(|ahead| ahead > AHEAD_AT_MOST) {
            return Err(other());
        }
        let mut spent = HashSet::new();
        let mut at = tip;
        while at.height > ours.height {
            let block = match self.node.verbose_block(at) {
                Err(NodeError::NotOnChain(_)) => return Err(other()),
                block => block?,
            };
            spent.extend(block.transactions.iter().flat_map(|tx| &tx.inputs).map(|(outpoint, _)| *outpoint));
            at = BlockId { height: at.height - 1, hash: block.previous.ok_or_else(other)? };
        }
        if at != ours {
            return Err(other());
        }
        self.since.insert(tip.hash, spent);
        Ok(())
    }

    /// Compares a block as the node tells it with the records of its height: those that must be there are, no others, and each
    /// spends what the node says. Returns the first difference.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn block(&mut self, height: Height) -> Result<Option<Difference>> {
        let header = self.view.known_header(height)?;
        let id = BlockId { height, hash: header.block_hash() };
        let block = match self.node.verbose_block(id) {
            Err(NodeError::NotOnChain(block)) => return Err(AuditError::OtherChain { block }),
            block => block?,
        };
        self.compared.blocks += 1;
        let mut records = self.view.records(height)?;
        for (tx_index, told) in (0..).zip(&block.transactions) {
            let at = TxPosition { height, tx_index };
            let recorded = records.remove(&tx_index);
            if let Some(difference) = self.transaction(at, told, recorded)? {
                return Ok(Some(difference));
            }
        }
        match records.pop_first() {
            Some((tx_index, record)) => {
                let at = TxPosition { height, tx_index };
                Ok(Some(Difference::Transaction { at, index: record.txid(), node: None }))
            }
            None => Ok(None),
        }
    }

    fn transaction(
        &mut self,
        at: TxPosition,
        told: &VerboseTransaction,
        recorded: Option<Record>,
    ) -> Result<Option<Difference>> {
        let txid = told.txid;
        let why = self.why(at.height, told)?;
        let Some(record) = recorded else {
            return Ok(why.map(|why| Difference::NoRecord { at, txid, why }));
        };
        self.compared.records += 1;
        let index = record.txid();
        if index != txid {
            return Ok(Some(Difference::Transaction { at, index, node: Some(txid) }));
        }
        if why.is_none() {
            return Ok(Some(Difference::Needless { at, txid }));
        }
        for vin in 0..record.spent.len().max(told.inputs.len()) {
            let index = record.spent.get(vin);
            let node = told.inputs.get(vin).map(|(_, output)| output);
            if index != node {
                let (index, node) = (index.cloned(), node.cloned());
                return Ok(Some(Difference::SpentOutput { at, txid, vin, index, node }));
            }
        }
        Ok(None)
    }

    /// What makes a transaction a record (docs/design.md, "Trace", 4).
    fn why(&self, height: Height, told: &VerboseTransaction) -> Result<Option<Why>> {
        for (_, spent) in &told.inputs {
            if is_flagged(self.view, ScriptHash::of(&spent.script_pubkey), height)? {
                return Ok(Some(Why::SpendsFrom(spent.script_pubkey.clone())));
            }
        }
        for output in &told.outputs {
            if is_flagged(self.view, ScriptHash::of(&output.script_pubkey), height)? {
                return Ok(Some(Why::Pays(output.script_pubkey.clone())));
            }
        }
        for (outpoint, _) in &told.inputs {
            if self.view.coin_at(outpoint, height)?.is_some_and(|(_, coin)| coin.is_followed()) {
                return Ok(Some(Why::Spends(*outpoint)));
            }
        }
        Ok(None)
    }
}
