//! The merkle tree of a block's transaction ids, built as Core's `consensus/merkle.cpp` does: its root, the branch of one transaction,
//! and the duplicated pairs of CVE-2012-2459, with which two lists of transactions have the same root.

use bitcoin::hashes::{Hash, HashEngine, sha256d};
use bitcoin::{TxMerkleNode, Txid};

/// Double SHA-256 of two nodes, one after the other.
fn parent(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    let mut engine = sha256d::Hash::engine();
    engine.input(&left);
    engine.input(&right);
    sha256d::Hash::from_engine(engine).to_byte_array()
}

/// All levels of the tree, from the transaction ids up to the root.
pub(crate) struct MerkleTree {
    levels: Vec<Vec<[u8; 32]>>,
    mutated: bool,
}

impl MerkleTree {
    /// Builds the tree over `txids`, in block order; `None` if there are none.
    pub(crate) fn new(txids: &[Txid]) -> Option<Self> {
        let mut levels = vec![txids.iter().map(|txid| txid.to_byte_array()).collect::<Vec<_>>()];
        let mut mutated = false;
        loop {
            let level = levels.last()?;
            if level.len() <= 1 {
                break;
            }
            mutated |= level.chunks_exact(2).any(|pair| pair[0] == pair[1]);
            // The last node of an odd level is hashed with itself.
            let next = level.chunks(2).map(|pair| parent(pair[0], pair[pair.len() - 1])).collect();
            levels.push(next);
        }
        (!txids.is_empty()).then_some(Self { levels, mutated })
    }

    /// The root, to be compared with a header's `merkle_root`.
    pub(crate) fn root(&self) -> TxMerkleNode {
        let root = self.levels.last().and_then(|level| level.first()).copied().unwrap_or_default();
        TxMerkleNode::from_byte_array(root)
    }

    /// Whether two nodes that are hashed together are equal: then a shorter list of transactions has the same root (CVE-2012-2459).
    pub(crate) fn is_mutated(&self) -> bool {
        self.mutated
    }

    /// The sibling at each level from the transaction at `index` up to the root, lowest first; empty for a block of one transaction.
    pub(crate) fn branch(&self, index: usize) -> Vec<[u8; 32]> {
        let below_root = self.levels[..self.levels.len() - 1].iter().enumerate();
        below_root
            .map(|(depth, level)| {
                // The last node of an odd level is its own sibling.
                level.get((index >> depth) ^ 1).or_else(|| level.last()).copied().unwrap_or_default()
            })
            .collect()
    }
}

/// Computes the root from a transaction's id, its index in the block, and its branch.
pub fn root_from_branch(txid: Txid, index: u32, branch: &[[u8; 32]]) -> TxMerkleNode {
    let (mut node, mut position) = (txid.to_byte_array(), index);
    for sibling in branch {
        node = if position & 1 == 0 { parent(node, *sibling) } else { parent(*sibling, node) };
        position >>= 1;
    }
    TxMerkleNode::from_byte_array(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txids(count: u8) -> Vec<Txid> {
        (0..count).map(|n| Txid::from_byte_array([n + 1; 32])).collect()
    }

    #[test]
    fn the_root_is_that_of_rust_bitcoin_for_every_size() {
        for count in 1..40 {
            let txids = txids(count);
            let expected = bitcoin::merkle_tree::calculate_root(txids.iter().map(|id| id.to_raw_hash())).unwrap();
            let tree = MerkleTree::new(&txids).unwrap();
            assert_eq!(tree.root().to_raw_hash(), expected, "{count} transactions");
            assert!(!tree.is_mutated());
        }
    }

    #[test]
    fn every_branch_leads_to_the_root() {
        for count in 1..40u8 {
            let txids = txids(count);
            let tree = MerkleTree::new(&txids).unwrap();
            for (index, txid) in txids.iter().enumerate() {
                let index32 = u32::try_from(index).unwrap();
                assert_eq!(root_from_branch(*txid, index32, &tree.branch(index)), tree.root(), "{index} of {count}");
            }
        }
    }

    #[test]
    fn a_list_that_repeats_its_tail_has_the_same_root_and_is_mutated() {
        let mut ids = txids(6);
        let root = MerkleTree::new(&ids).unwrap().root();
        ids.extend_from_within(4..6);
        let doubled = MerkleTree::new(&ids).unwrap();
        assert_eq!(doubled.root(), root, "this is what makes the attack possible");
        assert!(doubled.is_mutated());
    }

    #[test]
    fn an_empty_list_has_no_tree() {
        assert!(MerkleTree::new(&[]).is_none());
    }
}
