//! Filters and filter headers over REST: the paths, and the bytes of the answers. Each request is made once.

use bitcoin::BlockHash;
use bitcoin::bip158::FilterHeader;
use bitcoin::consensus::encode::VarInt;
use bitcoin::consensus::{Decodable, deserialize};
use bitcoin::hashes::Hash;

use crate::node::error::{CallError, NodeError};
use crate::node::transport::rest::{Rest, SMALL_CAP};
use crate::node::transport::rpc::code;

/// The filter of a block; `None` if the node has none.
pub(super) fn filter(rest: &Rest, block: BlockHash) -> Result<Option<Vec<u8>>, CallError> {
    let path = format!("/rest/blockfilter/basic/{block}.bin");
    let Some(bytes) = found(rest.get(&path, SMALL_CAP))? else { return Ok(None) };
    parse(&bytes, block).map(|filter| Some(filter.to_vec())).map_err(|why| CallError::bad(path, why))
}

/// The filter header of a block; `None` if the block is not on the active chain or not indexed yet.
pub(super) fn header(rest: &Rest, block: BlockHash, version: u64) -> Result<Option<FilterHeader>, CallError> {
    // As with block headers, version 24 introduced the query.
    let path = if version < 240_000 {
        format!("/rest/blockfilterheaders/basic/1/{block}.bin")
    } else {
        format!("/rest/blockfilterheaders/basic/{block}.bin?count=1")
    };
    let bytes = found(rest.get(&path, SMALL_CAP))?.unwrap_or_default();
    match <[u8; 32]>::try_from(&bytes[..]) {
        Ok(header) => Ok(Some(FilterHeader::from_byte_array(header))),
        Err(_) if bytes.is_empty() => Ok(None),
        Err(_) => Err(CallError::bad(path, format!("{} bytes are no filter header", bytes.len()))),
    }
}

/// The answer, or `None` if the node has no such thing.
fn found<T>(answer: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(CallError::Rpc { code: code::NOT_FOUND, .. }) => Ok(None),
        // It has restarted without its filter index ("Index is not enabled for filtertype basic" in Core's `src/rest.cpp`).
        Err(CallError::Fatal(NodeError::BadAnswer { detail, .. })) if detail.contains("not enabled") => Ok(None),
        Err(other) => Err(other),
    }
}

/// Parses the filter's type (0, basic), its block's hash, its length in compact size encoding, and the filter.
fn parse(bytes: &[u8], block: BlockHash) -> Result<&[u8], String> {
    let (filter_type, rest) = bytes.split_first().ok_or("it is empty")?;
    let (hash, mut rest) = rest.split_first_chunk::<32>().ok_or("it has no block hash")?;
    let found: BlockHash = deserialize(hash).map_err(|error| error.to_string())?;
    if (*filter_type, found) != (0, block) {
        return Err(format!("it is a filter of type {filter_type} of block {found}"));
    }
    let length = VarInt::consensus_decode(&mut rest).map_err(|error| error.to_string())?.0;
    if length != rest.len() as u64 {
        return Err(format!("it claims {length} bytes, but has {}", rest.len()));
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_as_the_node_writes_it_and_other_bytes_are_an_error() {
        let block = BlockHash::hash(b"any");
        let hash = block.to_byte_array();
        let whole = [&[0][..], &hash, &[4, 1, 10, 92, 208]].concat();
        assert_eq!(parse(&whole, block), Ok(&whole[34..]));
        let cases = [
            (vec![], "empty"),
            (vec![0; 20], "no block hash"),
            ([&[1][..], &whole[1..]].concat(), "type 1"),
            ([&[0][..], &[0; 32], &whole[33..]].concat(), "of block 0000"),
            (whole[..33].to_vec(), "io error"),
            (whole[..37].to_vec(), "claims 4 bytes, but has 3"),
            ([&whole[..], &[0]].concat(), "claims 4 bytes, but has 5"),
        ];
        for (bytes, why) in cases {
            let error = parse(&bytes, block).unwrap_err();
            assert!(error.to_lowercase().contains(why), "{error}");
        }
    }
}
