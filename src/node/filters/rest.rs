//! Filters and their headers over REST: the paths, and the bytes that come back. Each request is made once.

use bitcoin::BlockHash;
use bitcoin::bip158::FilterHeader;
use bitcoin::consensus::encode::VarInt;
use bitcoin::consensus::{Decodable, deserialize};
use bitcoin::hashes::Hash;

use crate::node::error::{NodeError, Problem};
use crate::node::rest::{Rest, SMALL_CAP};
use crate::node::rpc::code;

/// The filter of a block; `None` where the node has none.
pub(super) fn filter(rest: Rest<'_>, block: BlockHash) -> Result<Option<Vec<u8>>, Problem> {
    let path = format!("/rest/blockfilter/basic/{block}.bin");
    let Some(bytes) = have(rest.get(&path, SMALL_CAP))? else { return Ok(None) };
    parse(&bytes, block).map(|filter| Some(filter.to_vec())).map_err(|why| Problem::bad(path, why))
}

/// The filter header of a block of the active chain; `None` where the block is not on that chain or not indexed yet.
pub(super) fn header(rest: Rest<'_>, block: BlockHash, version: u64) -> Result<Option<FilterHeader>, Problem> {
    // As with headers of blocks, the query came with 24.
    let path = if version < 240_000 {
        format!("/rest/blockfilterheaders/basic/1/{block}.bin")
    } else {
        format!("/rest/blockfilterheaders/basic/{block}.bin?count=1")
    };
    let bytes = have(rest.get(&path, SMALL_CAP))?.unwrap_or_default();
    match <[u8; 32]>::try_from(&bytes[..]) {
        Ok(header) => Ok(Some(FilterHeader::from_byte_array(header))),
        Err(_) if bytes.is_empty() => Ok(None),
        Err(_) => Err(Problem::bad(path, format!("{} bytes are no filter header", bytes.len()))),
    }
}

/// What there is, unless the node says that it isn't.
fn have<T>(answer: Result<T, Problem>) -> Result<Option<T>, Problem> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Problem::Said { code: code::NOT_FOUND, .. }) => Ok(None),
        // It was restarted without its filters ("Index is not enabled for filtertype basic"; Core's `rest.cpp`).
        Err(Problem::Fatal(NodeError::BadAnswer { detail, .. })) if detail.contains("not enabled") => Ok(None),
        Err(other) => Err(other),
    }
}

/// The filter's type (0, basic), its block's hash, a CompactSize, so many bytes.
fn parse(bytes: &[u8], block: BlockHash) -> Result<&[u8], String> {
    let (kind, rest) = bytes.split_first().ok_or("it is empty")?;
    let (hash, mut rest) = rest.split_first_chunk::<32>().ok_or("it has no block hash")?;
    let found: BlockHash = deserialize(hash).map_err(|error| error.to_string())?;
    if (*kind, found) != (0, block) {
        return Err(format!("it is a filter of type {kind} of block {found}"));
    }
    let length = VarInt::consensus_decode(&mut rest).map_err(|error| error.to_string())?.0;
    if length != rest.len() as u64 {
        return Err(format!("it claims {length} bytes, and {} are there", rest.len()));
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_as_the_node_writes_it_and_what_is_none_is_an_error() {
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
            (whole[..37].to_vec(), "claims 4 bytes, and 3"),
            ([&whole[..], &[0]].concat(), "claims 4 bytes, and 5"),
        ];
        for (bytes, why) in cases {
            let error = parse(&bytes, block).unwrap_err();
            assert!(error.to_lowercase().contains(why), "{error}");
        }
    }
}
