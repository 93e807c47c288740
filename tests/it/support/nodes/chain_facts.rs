//! Facts about the blocks of a chain that decide which wrong answers about them can be detected.

use std::collections::{BTreeMap, HashMap};

use bitcoin::{Block, OutPoint, ScriptBuf, TxOut};

use crate::support::lists::List;
use crate::support::node_call::NodeCall;
use crate::support::random::Rng;

/// Blocks of one or more chains.
///
/// A block is hashed only if one of its transactions may touch (docs/design.md, "The way of a block"), so a flipped bit that hides
/// the only touching transaction goes unnoticed. And a spent output is the node's word if the index lacks the transaction that made
/// it ("Index"). So bits are flipped in blocks where two transactions pay listed scripts, and in spent outputs that are coins of
/// flagged scripts.
#[derive(Default)]
pub struct ChainFacts {
    facts: BTreeMap<String, BlockFacts>,
    hashes: Vec<String>,
}

/// Facts about one block.
#[derive(Default)]
pub struct BlockFacts {
    /// Ids of its transactions.
    pub txids: Vec<String>,
    /// Number of inputs of each transaction; 0 for the coinbase.
    inputs: Vec<usize>,
    /// Number of transactions that pay a listed script.
    pub paying: usize,
    /// Indexes of the transactions that touch, without the coinbase.
    touching: Vec<usize>,
    /// Inputs that spend a coin of a flagged script: index of the transaction, index of the input, spent output.
    pub coins: Vec<(usize, usize, TxOut)>,
}

impl ChainFacts {
    /// Adds the blocks of a chain.
    pub fn learn(&mut self, blocks: &[Block], list: &List) {
        let listed: HashMap<&ScriptBuf, u32> = list.iter().map(|(script, from)| (script, *from)).collect();
        let flagged = |script: &ScriptBuf, height: u32| listed.get(script).is_some_and(|from| *from <= height);
        let mut made: HashMap<OutPoint, (TxOut, u32)> = HashMap::new();
        for (height, block) in (0..).zip(blocks) {
            let mut facts = BlockFacts::default();
            for (index, transaction) in block.txdata.iter().enumerate() {
                let txid = transaction.compute_txid();
                facts.txids.push(txid.to_string());
                let inputs = if index == 0 { &[][..] } else { &transaction.input };
                facts.inputs.push(inputs.len());
                let pays = |test: &dyn Fn(&ScriptBuf) -> bool| {
                    transaction.output.iter().any(|output| test(&output.script_pubkey))
                };
                let mut touches = pays(&|script| flagged(script, height));
                facts.paying += usize::from(pays(&|script| listed.contains_key(script)));
                for (vin, input) in inputs.iter().enumerate() {
                    let (output, since) = made[&input.previous_output].clone();
                    touches |= flagged(&output.script_pubkey, height);
                    if flagged(&output.script_pubkey, since) {
                        facts.coins.push((index, vin, output));
                    }
                }
                if touches && index > 0 {
                    facts.touching.push(index);
                }
                let outputs = (0..).zip(&transaction.output);
                made.extend(outputs.map(|(vout, output)| (OutPoint { txid, vout }, (output.clone(), height))));
            }
            let hash = block.block_hash().to_string();
            if self.facts.insert(hash.clone(), facts).is_none() {
                self.hashes.push(hash);
            }
        }
    }

    /// The facts about the block that a call names.
    pub fn of(&self, call: &NodeCall) -> Option<&BlockFacts> {
        self.facts.get(call.block()?)
    }

    /// A random other block.
    pub fn another(&self, hash: &str, rng: &mut Rng) -> &str {
        let others: Vec<&String> = self.hashes.iter().filter(|other| *other != hash).collect();
        rng.pick(&others).as_str()
    }

    /// A block whose spent outputs can't be mistaken for those of the call's block: a touching transaction has another number of
    /// inputs.
    pub fn unlike(&self, call: &NodeCall, rng: &mut Rng) -> Option<&str> {
        let (asked, facts) = (call.block()?, self.of(call)?);
        let differs = |other: &&String| {
            let inputs = &self.facts[*other].inputs;
            // If the other block lacks the transaction, the run asks again.
            let unlike = |index: &usize| inputs.get(*index).is_some_and(|count| *count != facts.inputs[*index]);
            *other != asked && facts.touching.iter().any(unlike)
        };
        let others: Vec<&String> = self.hashes.iter().filter(differs).collect();
        (!others.is_empty()).then(|| rng.pick(&others).as_str())
    }
}
