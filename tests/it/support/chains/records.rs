//! Reads records in the format of blk*.dat, and the real blocks in `tests/data`.

use bitcoin::consensus::deserialize;
use bitcoin::{Block, Network};

/// The main chain's blocks 0 to 599.
pub fn mainnet() -> Vec<Block> {
    read_records(RECORDS, Network::Bitcoin)
}

/// The same, as bytes.
pub fn raw_mainnet() -> Vec<Vec<u8>> {
    raw_records(RECORDS, Network::Bitcoin).into_iter().map(<[u8]>::to_vec).collect()
}

const RECORDS: &[u8] = include_bytes!("../../../data/mainnet-0-599.dat");

/// The blocks of records in the format of blk*.dat without XOR: magic, length (4 bytes, little-endian), block; in the file's order.
pub fn read_records(bytes: &[u8], network: Network) -> Vec<Block> {
    let blocks = raw_records(bytes, network);
    blocks.into_iter().map(|block| deserialize(block).expect("a record has a whole block")).collect()
}

fn raw_records(mut bytes: &[u8], network: Network) -> Vec<&[u8]> {
    let mut blocks = Vec::new();
    while !bytes.is_empty() {
        assert_eq!(bytes[..4], network.magic().to_bytes(), "record {} begins with another magic", blocks.len());
        let length: u32 = deserialize(&bytes[4..8]).expect("four bytes are a number");
        let (block, rest) = bytes[8..].split_at(length as usize);
        blocks.push(block);
        bytes = rest;
    }
    blocks
}
