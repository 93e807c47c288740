//! Bitcoin Core's REST interface (`doc/REST-interface.md`): its paths, and the bytes of its answers. Each request is made once.

use bitcoin::block::Header;
use bitcoin::consensus::encode::{self, VarInt};
use bitcoin::consensus::{Decodable, deserialize};
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, TxOut};

use super::http::{Request, excerpt};
use super::link::Caller;
use super::rpc::code;
use crate::chain::Height;
use crate::node::error::{CallError, NodeError};

/// The most headers that one call returns (Core's `MAX_REST_HEADERS_RESULTS`).
pub const HEADERS_PER_CALL: usize = 2000;
/// The largest block, by its weight (Core's `MAX_BLOCK_SERIALIZED_SIZE`), and some room.
const BLOCK_CAP: usize = 4_000_000 + 4096;
/// The largest list of spent outputs: a block has room for some 24,000 inputs (41 bytes without witness), each of which can spend a
/// script of 10,000 bytes. Lists of real blocks have a few MB at most.
const SPENT_CAP: usize = 256 << 20;
/// Larger than any other answer.
pub(in crate::node) const SMALL_CAP: usize = 1 << 20;

/// The REST interface of one node.
pub(in crate::node) struct Rest {
    pub(in crate::node) caller: Caller,
}

impl Rest {
    pub(in crate::node) fn new(caller: Caller) -> Self {
        Self { caller }
    }

    /// Whether the node serves REST.
    pub(in crate::node) fn is_open(&self) -> Result<bool, CallError> {
        self.offers("/rest/chaininfo.json", 200)
    }

    /// Whether it serves spent outputs: then the error is about the hash, not the path.
    pub(in crate::node) fn offers_spent_outputs(&self) -> Result<bool, CallError> {
        self.offers("/rest/spenttxouts/0.bin", 400)
    }

    fn offers(&self, path: &str, status: u16) -> Result<bool, CallError> {
        let mut body = Vec::new();
        let reply = self.caller.exchange(Request::Get(path), SMALL_CAP, &mut body)?;
        match reply.status {
            404 => Ok(false),
            found if found == status && !reply.html => Ok(true),
            _ => Err(CallError::bad(path, excerpt(&body, reply))),
        }
    }

    /// The hash of the active chain's block at `height`; `None` above the tip.
    pub(in crate::node) fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, CallError> {
        let path = format!("/rest/blockhashbyheight/{height}.bin");
        match self.get(&path, SMALL_CAP) {
            Ok(bytes) => {
                let bytes = bytes.try_into().map_err(|_| CallError::bad(&path, "it doesn't have 32 bytes"))?;
                Ok(Some(BlockHash::from_byte_array(bytes)))
            }
            Err(CallError::Rpc { code: code::NOT_FOUND, .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// At most `count` (and [`HEADERS_PER_CALL`]) headers of the active chain from `hash` on; none if `hash` is not on that chain.
    pub(in crate::node) fn headers(
        &self,
        hash: BlockHash,
        count: usize,
        version: u64,
    ) -> Result<Vec<Header>, CallError> {
        let count = count.min(HEADERS_PER_CALL);
        // Version 24 introduced the query and deprecated the older path.
        let path = if version < 240_000 {
            format!("/rest/headers/{count}/{hash}.bin")
        } else {
            format!("/rest/headers/{hash}.bin?count={count}")
        };
        let bytes = self.get(&path, SMALL_CAP)?;
        if bytes.len() % Header::SIZE != 0 || bytes.len() / Header::SIZE > count {
            return Err(CallError::bad(&path, format!("{} bytes are not up to {count} headers", bytes.len())));
        }
        let headers = bytes.chunks_exact(Header::SIZE);
        headers.map(|header| deserialize(header).map_err(|error| CallError::bad(&path, error))).collect()
    }

    /// The raw block, on the active chain or not, in the memory of `spare`.
    pub(in crate::node) fn block(&self, hash: BlockHash, spare: Vec<u8>) -> Result<Vec<u8>, CallError> {
        self.get_into(spare, &format!("/rest/block/{hash}.bin"), BLOCK_CAP)
    }

    /// The outputs that each transaction of a block spends.
    pub(in crate::node) fn spent_outputs(&self, hash: BlockHash) -> Result<Vec<Vec<TxOut>>, CallError> {
        let path = format!("/rest/spenttxouts/{hash}.bin");
        parse_spent_outputs(&self.get(&path, SPENT_CAP)?).map_err(|why| CallError::bad(&path, why))
    }

    /// The body of the answer at `path`.
    pub(in crate::node) fn get(&self, path: &str, cap: usize) -> Result<Vec<u8>, CallError> {
        self.get_into(Vec::new(), path, cap)
    }

    fn get_into(&self, mut body: Vec<u8>, path: &str, cap: usize) -> Result<Vec<u8>, CallError> {
        let reply = self.caller.exchange(Request::Get(path), cap, &mut body)?;
        match reply.status {
            200 if !reply.html => Ok(body),
            404 if body.is_empty() || reply.html => Err(CallError::Fatal(NodeError::LaneCannotServe {
                lane: "rest",
                why: format!("the node no longer serves {path}; restart it with rest=1, or use --lane rpc"),
            })),
            404 => Err(CallError::Rpc { code: code::NOT_FOUND, message: excerpt(&body, reply) }),
            _ => Err(CallError::bad(path, excerpt(&body, reply))),
        }
    }
}

/// Parses `/rest/spenttxouts`: the number of transactions, coinbase included, then for each the number of outputs and the outputs as
/// in a transaction. Numbers are in compact size encoding.
fn parse_spent_outputs(bytes: &[u8]) -> Result<Vec<Vec<TxOut>>, String> {
    let mut rest = bytes;
    let count = VarInt::consensus_decode(&mut rest).map_err(no_list)?.0;
    // Each transaction takes at least a byte; so no memory is reserved for more than there can be.
    let count = usize::try_from(count).ok().filter(|count| *count <= rest.len());
    let count = count.ok_or("it claims more transactions than it has bytes")?;
    let mut spent = Vec::with_capacity(count);
    for _ in 0..count {
        spent.push(Vec::<TxOut>::consensus_decode(&mut rest).map_err(no_list)?);
    }
    match (rest.len(), spent.first()) {
        (0, Some(coinbase)) if coinbase.is_empty() => Ok(spent),
        (0, _) => Err("its first transaction spends outputs, so it is not a coinbase".into()),
        (left, _) => Err(format!("{left} bytes are left over")),
    }
}

fn no_list(error: encode::Error) -> String {
    format!("it is not a list of spent outputs: {error}")
}

#[cfg(test)]
mod tests {
    use bitcoin::consensus::encode::serialize_hex;

    use super::*;

    fn parse_hex(hex: &str) -> Result<Vec<Vec<TxOut>>, String> {
        parse_spent_outputs(&const_hex::decode(hex).unwrap())
    }

    #[test]
    fn spent_outputs_are_read_as_the_node_writes_them() {
        // Three transactions: the coinbase, one with two inputs, one with an input on an empty script.
        let two = ["01000000000000000151", "f00000000000000002ffff"].concat();
        let hex = format!("03 00 02{two} 01ffffffffffffff7f00").replace(' ', "");
        let spent = parse_hex(&hex).unwrap();
        assert_eq!(spent.iter().map(Vec::len).collect::<Vec<_>>(), [0, 2, 1]);
        assert_eq!((spent[1][1].value.to_sat(), spent[1][1].script_pubkey.len()), (240, 2));
        assert!(spent[2][0].script_pubkey.is_empty());
        assert_eq!(serialize_hex(&spent[1]), format!("02{two}"));
        assert_eq!(parse_hex("0100").unwrap(), [vec![]], "the genesis block");
    }

    #[test]
    fn other_bytes_are_an_error_and_not_a_panic() {
        let cases = [
            ("", "not a list"),
            ("00", "not a coinbase"),
            ("0200", "more transactions"),
            ("0100ff", "left over"),
            ("01010100000000000000", "not a list"),
            ("010101000000000000000151", "not a coinbase"),
            ("ffffffffffffffffff", "more transactions"),
            ("0201ff", "not a list"),
            ("0200feffffffff", "not a list"),
        ];
        for (hex, why) in cases {
            let error = parse_hex(hex).unwrap_err();
            assert!(error.contains(why), "{hex}: {error}");
        }
    }
}
