//! A chain in memory in a node's place, which may tell a lie; and sweeps of it without the binary.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bitcoin::block::Header;
use bitcoin::consensus::serialize;
use bitcoin::{Amount, Block, OutPoint, ScriptBuf, TxOut, Txid};
use coinhound::chain::{BlockId, Chain, Height, ScriptHash};
use coinhound::index::meta::{Identity, TakenLists};
use coinhound::node::NodeError;
use coinhound::stop::Stop;
use coinhound::sync::SyncError;
use coinhound::sync::advance::Tally;
use coinhound::sync::backfill::{self, Observer, Outcome, Pace, Sweeper};
use coinhound::sync::lists::Entries;
use coinhound::sync::source::{Connection, Source, Spent};
use coinhound::watchlist::entries::Entry;
use coinhound::watchlist::{Label, Role};

use super::blocks::outputs;

/// What is wrong with the answers about one transaction's spent outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Each is worth a satoshi more.
    Value,
    /// Each stands on another script.
    Script,
    /// One is left out.
    Missing,
}

/// A chain that answers as a node does.
#[derive(Clone)]
pub struct Memory(Arc<Inner>);

struct Inner {
    blocks: Vec<Block>,
    spent: Vec<Vec<Vec<TxOut>>>,
    lie: Option<(Height, u32, Lie)>,
}

impl Memory {
    /// An honest one.
    pub fn new(blocks: &[Block]) -> Self {
        Self::build(blocks, None)
    }

    /// One that lies about what a transaction of a block spends.
    pub fn lying(blocks: &[Block], height: Height, tx_index: u32, lie: Lie) -> Self {
        Self::build(blocks, Some((height, tx_index, lie)))
    }

    fn build(blocks: &[Block], lie: Option<(Height, u32, Lie)>) -> Self {
        let mut made: BTreeMap<OutPoint, TxOut> = BTreeMap::new();
        let mut spent = Vec::new();
        for block in blocks {
            let mut of_block = Vec::new();
            for (at, transaction) in block.txdata.iter().enumerate() {
                let inputs = transaction.input.iter().filter(|_| at > 0);
                of_block.push(inputs.map(|input| made[&input.previous_output].clone()).collect());
                made.extend(outputs(transaction).map(|(at, output)| (at, output.clone())));
            }
            spent.push(of_block);
        }
        Self(Arc::new(Inner { blocks: blocks.to_vec(), spent, lie }))
    }

    fn tip(&self) -> Height {
        u32::try_from(self.0.blocks.len() - 1).expect("a test's chain is short")
    }

    fn told(&self, height: Height, tx_index: u32) -> Vec<TxOut> {
        let mut spent = self.0.spent[height as usize][tx_index as usize].clone();
        if let Some((_, _, lie)) = self.0.lie.filter(|lie| (lie.0, lie.1) == (height, tx_index)) {
            match lie {
                Lie::Value => spent.iter_mut().for_each(|output| output.value += Amount::ONE_SAT),
                Lie::Script => spent.iter_mut().for_each(|output| output.script_pubkey = vec![0x52].into()),
                Lie::Missing => drop(spent.pop()),
            }
        }
        spent
    }

    /// Sweeps the chain into the index at `path`, which is made if it isn't there.
    pub fn sweep(
        &self,
        path: &Path,
        list: &[(ScriptBuf, Height)],
        to: Option<Height>,
        pace: Pace,
    ) -> Result<Outcome, SyncError> {
        let identity = Identity { chain: Chain::Regtest, genesis: Chain::Regtest.genesis_hash(), challenge: None };
        let writer = backfill::open(path, &identity, &entries(list), &TakenLists::default())?;
        let stop = Stop::default();
        Sweeper::new(&writer, Arc::new(self.clone()), pace, &stop).run(to, &mut Nobody)
    }
}

struct Nobody;

impl Observer for Nobody {
    fn begin(&mut self, _: Height, _: Height) {}
    fn passed(&mut self, _: Height, _: &Tally) {}
    fn end(&mut self) {}
}

fn entries(list: &[(ScriptBuf, Height)]) -> Entries {
    let label = |script: &ScriptBuf, from: Height| Label {
        list: "list.csv".into(),
        label: Some(super::answers::label(script)),
        source: None,
        category: None,
        role: Role::Flagged,
        from: Some(from),
        line: 1,
        extra: BTreeMap::new(),
    };
    let entry = |(script, from): &(ScriptBuf, Height)| {
        let entry = Entry {
            script: script.clone(),
            roles: [Role::Flagged].into(),
            from: *from,
            labels: vec![label(script, *from)],
        };
        (ScriptHash::of(script), entry)
    };
    list.iter().map(entry).collect()
}

impl Source for Memory {
    fn connect(&self) -> Box<dyn Connection> {
        Box::new(self.clone())
    }

    fn connections(&self, threads: usize) -> usize {
        threads
    }

    fn height(&self) -> Result<Height, NodeError> {
        Ok(self.tip())
    }

    fn calls_invalid(&self, _: BlockId) -> Result<bool, NodeError> {
        Ok(false)
    }

    fn give_up(&self) {}
}

impl Connection for Memory {
    fn headers(&mut self, first: Height, count: usize) -> Result<Vec<Header>, NodeError> {
        Ok(self.0.blocks.iter().skip(first as usize).take(count).map(|block| block.header).collect())
    }

    fn block(&mut self, id: BlockId) -> Result<Vec<u8>, NodeError> {
        Ok(serialize(&self.0.blocks[id.height as usize]))
    }

    fn all_spent(&mut self, id: BlockId) -> Result<Vec<Vec<TxOut>>, NodeError> {
        let transactions = (0..).take(self.0.blocks[id.height as usize].txdata.len());
        Ok(transactions.map(|tx_index| self.told(id.height, tx_index)).collect())
    }

    fn spent(&mut self, id: BlockId, wanted: &[(u32, Txid)]) -> Result<Spent, NodeError> {
        Ok(Spent::Some(wanted.iter().map(|(tx_index, _)| (*tx_index, self.told(id.height, *tx_index))).collect()))
    }
}
