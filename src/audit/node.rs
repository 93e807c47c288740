//! The index against the node, by other RPCs than those it was made from: unspent coins against the node's UTXO set (`gettxout`,
//! `scantxoutset`), and records against blocks as the node decodes them (`getblock` with verbosity 3).
//!
//! The index is complete for a flagged script where that is swept, and for followed coins where the trace is settled. So the caller
//! chooses the coins, scripts and heights to compare; [`unspent`] and [`sample`] choose them for an index that is settled everywhere.

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
/// Bytes of scripts in one `scantxoutset`: well below Core's limit of 32 MB a request.
const SCAN_BYTES: usize = 24 << 20;
/// Blocks that the node may be ahead; each takes it most of a second to decode.
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
    /// The outputs spent above the index's tip, by the tip of the node up to which they were read.
    since: HashMap<BlockHash, HashSet<OutPoint>>,
    compared: Compared,
}

impl<'a> Comparison<'a> {
    /// The comparison of an index with a node; `None` for an index without a block.
    ///
    /// # Errors
    /// What reading reports.
    pub fn new(view: &'a View, node: &'a Node) -> Result<Option<Self>> {
        let since = HashMap::new();
        Ok(view.tip()?.map(|tip| Self { view, node, tip, since, compared: Compared::default() }))
    }

    /// The counts so far.
    pub fn compared(&self) -> Compared {
        self.compared
    }

    /// Asks the node for each of these coins, which the index has unspent: milliseconds each. This doesn't prove that the index has
    /// every coin. Returns the first difference.
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

    /// Has the node scan its UTXO set for these scripts (hash, script, height flagged from), and compares both ways: minutes on the main
    /// chain for every 300,000 scripts. Returns the first difference.
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
                // Hex doubles it; `"raw()",` surrounds it.
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

    /// Looks up a coin of the node in the index.
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

    /// Compares a coin that the index has unspent with the node's, as of a tip whose spends were learnt.
    fn compare(&mut self, key: &CoinKey, coin: &Coin, found: Option<&Unspent>, tip: BlockId) -> Option<Difference> {
        self.compared.coins += 1;
        let Some(found) = found else {
            let spent_since = self.since.get(&tip.hash).is_some_and(|spent| spent.contains(&key.outpoint));
            return (!spent_since).then_some(Difference::Lacking { coin: *key, value: coin.value, tip });
        };
        let script = ScriptHash::of(&found.output.script_pubkey);
        let coinbase = found.coinbase.unwrap_or(coin.coinbase);
        let properties = [
            ("value in satoshis", coin.value.to_string(), found.output.value.to_sat().to_string()),
            ("script hash", const_hex::encode(coin.script.0), const_hex::encode(script.0)),
            ("height", key.height.to_string(), found.height.to_string()),
            ("being a coinbase", coin.coinbase.to_string(), coinbase.to_string()),
        ];
        let different = properties.into_iter().find(|(_, index, node)| index != node);
        different.map(|(what, index, node)| Difference::Coin { outpoint: key.outpoint, what, index, node })
    }

    fn other_chain(&self) -> AuditError {
        AuditError::OtherChain { block: self.tip }
    }

    /// Reads the outputs that blocks above the index's tip spend, up to a tip of the node. A tip that doesn't descend from the index's is
    /// on another chain.
    fn learn(&mut self, tip: BlockId) -> Result<()> {
        if self.since.contains_key(&tip.hash) {
            return Ok(());
        }
        let ours = self.tip;
        if tip.height.checked_sub(ours.height).is_none_or(|ahead| ahead > AHEAD_AT_MOST) {
            return Err(self.other_chain());
        }
        let mut spent = HashSet::new();
        let mut at = tip;
        while at.height > ours.height {
            let block = match self.node.verbose_block(at) {
                Err(NodeError::NotOnChain(_)) => return Err(self.other_chain()),
                block => block?,
            };
            spent.extend(block.transactions.iter().flat_map(|tx| &tx.inputs).map(|(outpoint, _)| *outpoint));
            at = BlockId { height: at.height - 1, hash: block.previous.ok_or_else(|| self.other_chain())? };
        }
        if at != ours {
            return Err(self.other_chain());
        }
        self.since.insert(tip.hash, spent);
        Ok(())
    }

    /// Compares a block as the node decodes it with the records of its height: every transaction that must be a record is one, no other
    /// is, and each spends the outputs that the node says. Returns the first difference.
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
        for (tx_index, decoded) in (0..).zip(&block.transactions) {
            let at = TxPosition { height, tx_index };
            let recorded = records.remove(&tx_index);
            if let Some(difference) = self.transaction(at, decoded, recorded)? {
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
        decoded: &VerboseTransaction,
        recorded: Option<Record>,
    ) -> Result<Option<Difference>> {
        let txid = decoded.txid;
        let why = self.why(at.height, decoded)?;
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
        for vin in 0..record.spent.len().max(decoded.inputs.len()) {
            let index = record.spent.get(vin);
            let node = decoded.inputs.get(vin).map(|(_, output)| output);
            if index != node {
                let (index, node) = (index.cloned(), node.cloned());
                return Ok(Some(Difference::SpentOutput { at, txid, vin, index, node }));
            }
        }
        Ok(None)
    }

    /// Why a transaction must be a record (docs/design.md, "Trace", 4); `None` if nothing makes it one.
    fn why(&self, height: Height, decoded: &VerboseTransaction) -> Result<Option<Why>> {
        for (_, spent) in &decoded.inputs {
            if is_flagged(self.view, ScriptHash::of(&spent.script_pubkey), height)? {
                return Ok(Some(Why::SpendsFrom(spent.script_pubkey.clone())));
            }
        }
        for output in &decoded.outputs {
            if is_flagged(self.view, ScriptHash::of(&output.script_pubkey), height)? {
                return Ok(Some(Why::Pays(output.script_pubkey.clone())));
            }
        }
        for (outpoint, _) in &decoded.inputs {
            if self.view.coin_at(outpoint, height)?.is_some_and(|(_, coin)| coin.is_followed()) {
                return Ok(Some(Why::Spends(*outpoint)));
            }
        }
        Ok(None)
    }
}
