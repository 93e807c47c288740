//! Merkle trees of transaction ids, as Core's `consensus/merkle.cpp` builds them: root, branch, and the duplicated pairs of
//! CVE-2012-2459 that let two lists of transactions share one root.

use bitcoin::hashes::{Hash, HashEngine, sha256d};
use bitcoin::{TxMerkleNode, Txid};

/// The parent of two nodes.
fn parent(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    let mut engine = sha256d::Hash::engine();
    engine.input(&left);
    engine.input(&right);
    sha256d::Hash::from_engine(engine).to_byte_array()
}

/// All levels of a tree, from the transaction ids up to the root.
pub struct Tree {
    levels: Vec<Vec<[u8; 32]>>,
    mutated: bool,
}

impl Tree {
    /// Builds the tree over a block's transaction ids, in block order; `None` where there are none.
    pub fn new(txids: &[Txid]) -> Option<Self> {
        let mut levels = vec![txids.iter().map(|txid| txid.to_byte_array()).collect::<Vec<_>>()];
        let mut mutated = false;
        loop {
            let level = levels.last()?;
            if level.len() <= 1 {
                break;
            }
            mutated |= level.chunks_exact(2).any(|pair| pair[0] == pair[1]);
            let next = level.chunks(2).map(|pair| parent(pair[0], pair[pair.len() - 1])).collect();
            levels.push(next);
        }
        (!txids.is_empty()).then_some(Self { levels, mutated })
    }

    /// The root, as a header states it.
    pub fn root(&self) -> TxMerkleNode {
        let root = self.levels.last().and_then(|level| level.first()).copied().unwrap_or_default();
        TxMerkleNode::from_byte_array(root)
    }

    /// Whether two neighbours of a pair are equal somewhere: another list of transactions has the same root (CVE-2012-2459).
    pub fn is_mutated(&self) -> bool {
        self.mutated
    }

    /// The siblings on the way from the transaction at `index` to the root, lowest first; empty for a block of one.
    pub fn branch(&self, index: usize) -> Vec<[u8; 32]> {
        let below_root = &self.levels[..self.levels.len() - 1];
        let sibling = |(depth, level): (usize, &Vec<[u8; 32]>)| {
            let at = (index >> depth) ^ 1;
            level.get(at).or_else(|| level.last()).copied().unwrap_or_default()
        };
        below_root.iter().enumerate().map(sibling).collect()
    }
}

/// The root that a transaction id, its index in the block and its branch lead to.
pub fn root_from_branch(txid: Txid, index: u32, branch: &[[u8; 32]]) -> TxMerkleNode {
    let fold = |(node, index): ([u8; 32], u32), sibling: &[u8; 32]| {
        let node = if index & 1 == 0 { parent(node, *sibling) } else { parent(*sibling, node) };
        (node, index >> 1)
    };
    let (root, _) = branch.iter().fold((txid.to_byte_array(), index), fold);
    TxMerkleNode::from_byte_array(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txids(count: u8) -> Vec<Txid> {
        (0..count).map(|n| Txid::from_byte_array([n + 1; 32])).collect()
    }

    #[test]
    fn root_agrees_with_rust_bitcoin_for_every_size() {
        for count in 1..40 {
            let txids = txids(count);
            let expected = bitcoin::merkle_tree::calculate_root(txids.iter().map(|id| id.to_raw_hash())).unwrap();
            let tree = Tree::new(&txids).unwrap();
            assert_eq!(tree.root().to_raw_hash(), expected, "{count} transactions");
            assert!(!tree.is_mutated());
        }
    }

    #[test]
    fn every_branch_leads_to_the_root() {
        for count in 1..40u8 {
            let txids = txids(count);
            let tree = Tree::new(&txids).unwrap();
            for (index, txid) in txids.iter().enumerate() {
                let index32 = u32::try_from(index).unwrap();
                assert_eq!(root_from_branch(*txid, index32, &tree.branch(index)), tree.root(), "{index} of {count}");
            }
        }
    }

    #[test]
    fn a_list_that_repeats_its_tail_is_mutated() {
        let mut ids = txids(6);
        let root = Tree::new(&ids).unwrap().root();
        ids.extend_from_within(4..6);
        let doubled = Tree::new(&ids).unwrap();
        assert_eq!(doubled.root(), root, "this is what makes the attack possible");
        assert!(doubled.is_mutated());
    }

    #[test]
    fn no_transactions_make_no_tree() {
        assert!(Tree::new(&[]).is_none());
    }
}
