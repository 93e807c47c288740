//! Where a transaction that the index doesn't hold is confirmed, as far as records, the node and the caller say; and what of it they
//! show. The cheap questions come first. Whether that proves anything is for `proof` to decide.

use bitcoin::{OutPoint, Transaction, TxOut, Txid};

use super::lookup::{ChainLookup, InBlock};
use super::proof::{Evidence, SilenceJudge};
use super::vouch::NamedPlace;
use crate::chain::{BlockId, Height};
use crate::index::ReadRows;
use crate::index::values::Spender;
use crate::query::{Result, Snapshot};

/// Outputs of a transaction that are looked up one by one, where the lookup doesn't know the transaction itself: each costs a call.
const PROBED: u32 = 10;

/// The transaction that is looked for, or one of its outputs.
pub struct Sought<'s> {
    /// The transaction.
    pub txid: Txid,
    /// One of its outputs; `None` for all of them.
    pub vout: Option<u32>,
    /// The transaction itself, if the caller gave it.
    pub raw: Option<Transaction>,
    /// Where the caller says that it is.
    pub named: &'s NamedPlace,
}

/// What was found out about a transaction.
pub struct Sighting {
    /// Where it is confirmed, and who says so.
    pub evidence: Evidence,
    /// The whole transaction, where it is known.
    pub transaction: Option<Transaction>,
    /// Outputs that were asked about, where they are known by themselves.
    pub outputs: Vec<TxOut>,
    /// What speaks against the place that the caller names, or against what the node says.
    pub doubt: Option<String>,
}

/// What the node says of a transaction.
enum NodeWord {
    /// It is in this block.
    Block(BlockId),
    /// It is known, and in no block.
    Waiting,
    /// The caller's block, which the node can't look into.
    Unsaid,
    /// It is not known.
    Unknown,
}

/// Looks for transactions.
#[derive(Clone, Copy)]
pub struct TransactionSearch<'s, 'a> {
    /// The index.
    pub snapshot: &'a Snapshot,
    /// What its silence proves.
    pub judge: &'s SilenceJudge<'a>,
    /// The node, or nowhere.
    pub lookup: &'s dyn ChainLookup,
}

impl TransactionSearch<'_, '_> {
    /// Asks the index, then the lookup.
    ///
    /// # Errors
    /// What reading reports.
    pub fn find(&self, sought: &Sought<'_>) -> Result<Sighting> {
        let mut sighting = Sighting {
            evidence: Evidence::Nothing(String::new()),
            transaction: sought.raw.clone(),
            outputs: Vec::new(),
            doubt: None,
        };
        let spent = self.lowest_spend(sought, &mut sighting)?;
        // A record of a spend proves enough, unless something may have happened before the heights that were scanned, or the whole
        // transaction is asked about and may pay a script that is flagged from a later height only.
        let is_known = sought.vout.is_some() || self.judge.scanned_from() == 0;
        if let (Some(height), None, NamedPlace::Unnamed, true) = (spent, self.judge.blind(), sought.named, is_known) {
            sighting.evidence = Evidence::IndexSpend(height);
            return Ok(sighting);
        }
        let word = self.ask(sought, &mut sighting);
        let contradiction = contradiction(sought.named, &word, spent);
        sighting.doubt = sighting.doubt.or(contradiction);
        // The node's word names the block. A record of a spend proves more than the caller does, but not in which block: where some heights
        // were not scanned for every entry, only the named block can show that the transaction lies above them.
        sighting.evidence = match (word, spent, sought.named) {
            (NodeWord::Block(block), ..) => Evidence::Node(block),
            (_, Some(height), _) if self.judge.blind().is_none() => Evidence::IndexSpend(height),
            (NodeWord::Unsaid, _, NamedPlace::Block(block, true)) => Evidence::Caller(*block),
            (_, Some(height), _) => Evidence::IndexSpend(height),
            (word, None, named) => Evidence::Nothing(self.not_found(sought, &word, named)),
        };
        Ok(sighting)
    }

    /// The whole transaction, which the node has in this block.
    pub fn whole(&self, txid: Txid, block: BlockId) -> Option<Transaction> {
        let known = self.lookup.transaction(txid).map(|(transaction, _)| transaction);
        let known = known.or_else(|| match self.lookup.in_block(txid, block.hash) {
            InBlock::Holds(transaction) => Some(transaction),
            InBlock::Lacks | InBlock::Stale | InBlock::Unsaid => None,
        });
        known.filter(|transaction| transaction.compute_txid() == txid)
    }

    /// The lowest height at which a record spends one of its outputs, or the one that is asked about: that another is spent doesn't prove
    /// that this one exists. Of that one the record shows what it is.
    fn lowest_spend(&self, sought: &Sought<'_>, sighting: &mut Sighting) -> Result<Option<Height>> {
        let txid = sought.txid;
        if let Some(vout) = sought.vout {
            let Some(spender) = self.snapshot.reader.spender(&OutPoint { txid, vout })? else { return Ok(None) };
            let record = self.snapshot.record(spender.at)?;
            sighting.outputs.extend(record.spent.get(spender.vin as usize).cloned());
            return Ok(Some(spender.at.height));
        }
        let mut lowest: Option<Height> = None;
        let outputs = OutPoint { txid, vout: 0 }..=OutPoint { txid, vout: u32::MAX };
        for row in self.snapshot.reader.range::<Spender>(outputs) {
            let height = row?.1.at.height;
            lowest = Some(lowest.map_or(height, |lowest| lowest.min(height)));
        }
        Ok(lowest)
    }

    fn ask(&self, sought: &Sought<'_>, sighting: &mut Sighting) -> NodeWord {
        let txid = sought.txid;
        if let Some((output, block)) = sought.vout.and_then(|vout| self.lookup.coin(OutPoint { txid, vout })) {
            sighting.outputs = vec![output];
            return NodeWord::Block(block);
        }
        if let Some((transaction, block)) = self.lookup.transaction(txid) {
            return self.accept(sought, transaction, sighting, block.map_or(NodeWord::Waiting, NodeWord::Block));
        }
        let mut word = NodeWord::Unknown;
        if let NamedPlace::Block(block, _) = sought.named {
            match self.lookup.in_block(txid, block.hash) {
                InBlock::Holds(transaction) => {
                    return self.accept(sought, transaction, sighting, NodeWord::Block(*block));
                }
                InBlock::Lacks => {
                    sighting.doubt = Some(format!("according to {} it is not in block {block}", self.lookup.name()));
                }
                InBlock::Stale => {
                    sighting.doubt =
                        Some(format!("according to {} block {block} is not on the active chain", self.lookup.name()));
                }
                InBlock::Unsaid => word = NodeWord::Unsaid,
            }
        }
        let count = match (&sighting.transaction, sought.vout) {
            (_, Some(_)) => 0,
            (Some(transaction), None) => u32::try_from(transaction.output.len()).unwrap_or(PROBED).min(PROBED),
            (None, None) => PROBED,
        };
        // Any unspent output shows that it is confirmed.
        match (0..count).find_map(|vout| self.lookup.coin(OutPoint { txid, vout })) {
            Some((output, block)) => {
                sighting.outputs = vec![output];
                NodeWord::Block(block)
            }
            None => word,
        }
    }

    /// Takes a transaction from the node, if it is the one that was asked for.
    fn accept(
        &self,
        sought: &Sought<'_>,
        transaction: Transaction,
        sighting: &mut Sighting,
        word: NodeWord,
    ) -> NodeWord {
        if transaction.compute_txid() != sought.txid {
            sighting.doubt = Some(format!("{} returned a different transaction", self.lookup.name()));
            return NodeWord::Unknown;
        }
        sighting.transaction.get_or_insert(transaction);
        word
    }

    fn not_found(&self, sought: &Sought<'_>, word: &NodeWord, named: &NamedPlace) -> String {
        let name = self.lookup.name();
        match (word, named) {
            (NodeWord::Unsaid, NamedPlace::Block(block, false)) => format!(
                "existence not proven: --height {} says where to look and proves nothing, and no node confirms it ({name}); name \
                 its block by --block, or ask with a node that has it",
                block.height
            ),
            _ => {
                let what = match sought.vout {
                    Some(_) => "unspent coin and no transaction",
                    None => "transaction",
                };
                format!(
                    "existence not proven: {name} has no {what} with that id; name its block by --block, or run the node with \
                     txindex=1"
                )
            }
        }
    }
}

/// What speaks against the place that the caller names.
fn contradiction(named: &NamedPlace, word: &NodeWord, spent: Option<Height>) -> Option<String> {
    let block = match named {
        NamedPlace::Unnamed => None,
        NamedPlace::Nowhere(why) => return Some(why.clone()),
        NamedPlace::Block(block, _) => Some(block),
    };
    let known = match word {
        NodeWord::Block(known) => Some(known),
        _ => None,
    };
    match (block, known, word, spent) {
        (Some(block), Some(known), ..) if block != known => {
            Some(format!("the node has it in block {known}, not in block {block}, which the caller names"))
        }
        (Some(block), _, NodeWord::Waiting, _) => {
            Some(format!("the node has it unconfirmed, not in block {block}, which the caller names"))
        }
        (_, _, NodeWord::Waiting, Some(spent)) => {
            Some(format!("the node has it unconfirmed, though a record spends an output of it at height {spent}"))
        }
        (block, known, _, Some(spent)) => {
            let place = known.or(block).filter(|place| place.height > spent)?;
            Some(format!("a record spends an output of it at height {spent}, below block {place}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::BlockHash;
    use bitcoin::hashes::Hash;

    use super::*;

    #[test]
    fn what_speaks_against_the_callers_block_is_said() {
        let block = |height, byte| BlockId { height, hash: BlockHash::from_byte_array([byte; 32]) };
        let named = NamedPlace::Block(block(7, 1), true);
        let nowhere = NamedPlace::Nowhere("no such block".into());
        // the caller's block, the node's word, the height at which a record spends an output, words of what speaks against it
        let cases = [
            (&NamedPlace::Unnamed, NodeWord::Unknown, None, None),
            (&NamedPlace::Unnamed, NodeWord::Waiting, None, None),
            (&NamedPlace::Unnamed, NodeWord::Block(block(7, 1)), Some(7), None),
            (&NamedPlace::Unnamed, NodeWord::Block(block(8, 1)), Some(7), Some("at height 7")),
            (&NamedPlace::Unnamed, NodeWord::Waiting, Some(7), Some("unconfirmed")),
            (&nowhere, NodeWord::Block(block(7, 1)), None, Some("no such block")),
            (&named, NodeWord::Block(block(7, 1)), None, None),
            (&named, NodeWord::Block(block(7, 2)), None, Some("not in block 7")),
            (&named, NodeWord::Block(block(8, 1)), None, Some("not in block 7")),
            (&named, NodeWord::Waiting, None, Some("unconfirmed")),
            (&named, NodeWord::Unsaid, None, None),
            (&named, NodeWord::Unknown, None, None),
            (&named, NodeWord::Unsaid, Some(7), None),
            (&named, NodeWord::Unsaid, Some(6), Some("at height 6")),
        ];
        for (number, (named, word, spent, expected)) in cases.into_iter().enumerate() {
            let found = contradiction(named, &word, spent);
            assert_eq!(found.is_some(), expected.is_some(), "case {number}: {found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "case {number}");
        }
    }
}
