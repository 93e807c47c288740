//! Makes a block that a regtest node accepts out of transactions: coinbase, witness commitment, proof of work.

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::opcodes::all::OP_RETURN;
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, TxOut,
    Witness, transaction,
};

/// The time of regtest's genesis block; each later block is ten minutes after the one before.
const GENESIS_TIME: u32 = 1_296_688_602;
/// Regtest's target, which every other hash meets.
const BITS: u32 = 0x207f_ffff;
/// Blocks between two halvings of the subsidy on regtest.
const HALVING: u32 = 150;

/// The subsidy of a block at `height`, in satoshis.
pub fn subsidy_sat(height: u32) -> u64 {
    5_000_000_000_u64.checked_shr(height / HALVING).unwrap_or(0)
}

/// The block of `transactions` at `height` on `previous`, whose coinbase pays subsidy and `fees_sat` to `reward`.
pub fn assemble(
    height: u32,
    previous: BlockHash,
    transactions: Vec<Transaction>,
    fees_sat: u64,
    reward: ScriptBuf,
) -> Block {
    let mut txdata = Vec::with_capacity(transactions.len() + 1);
    txdata.push(coinbase(height, subsidy_sat(height) + fees_sat, reward));
    txdata.extend(transactions);
    let header = Header {
        version: Version::from_consensus(0x2000_0000),
        prev_blockhash: previous,
        merkle_root: TxMerkleNode::all_zeros(),
        time: GENESIS_TIME + 600 * height,
        bits: CompactTarget::from_consensus(BITS),
        nonce: 0,
    };
    let mut block = Block { header, txdata };
    let witness_root = block.witness_root().expect("there is a coinbase");
    let commitment = Block::compute_witness_commitment(&witness_root, &[0; 32]);
    let mut payload = PushBytesBuf::from([0xaa, 0x21, 0xa9, 0xed]);
    payload.extend_from_slice(commitment.as_ref()).expect("36 bytes are far below what a push holds");
    let script_pubkey = Builder::new().push_opcode(OP_RETURN).push_slice(payload).into_script();
    block.txdata[0].output.push(TxOut { value: Amount::ZERO, script_pubkey });
    block.header.merkle_root = block.compute_merkle_root().expect("there is a coinbase");
    let target = block.header.target();
    while !target.is_met_by(block.header.block_hash()) {
        block.header.nonce += 1;
    }
    block
}

fn coinbase(height: u32, value_sat: u64, reward: ScriptBuf) -> Transaction {
    Transaction {
        version: transaction::Version::ONE,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig: Builder::new().push_int(i64::from(height)).push_slice(b"coinhound bench").into_script(),
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&[[0_u8; 32]]),
        }],
        output: vec![TxOut { value: Amount::from_sat(value_sat), script_pubkey: reward }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_proves_its_work_and_commits_to_its_transactions() {
        let block = assemble(1, BlockHash::all_zeros(), vec![], 0, ScriptBuf::new());
        assert!(block.check_merkle_root() && block.check_witness_commitment());
        assert!(block.header.validate_pow(block.header.target()).is_ok());
        assert_eq!(block.txdata[0].output[0].value.to_sat(), 5_000_000_000);
    }

    #[test]
    fn the_subsidy_halves_every_150_blocks() {
        let table = [(0, 5_000_000_000), (149, 5_000_000_000), (150, 2_500_000_000), (847, 156_250_000), (150 * 64, 0)];
        for (height, sat) in table {
            assert_eq!(subsidy_sat(height), sat, "at {height}");
        }
    }
}
