//! Bitcoin Core's REST interface: its paths, and the bytes that come back. Each request is made once.

use bitcoin::block::Header;
use bitcoin::consensus::encode::VarInt;
use bitcoin::consensus::{Decodable, deserialize};
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, TxOut};

use super::error::{NodeError, Problem};
use super::http::{Ask, excerpt};
use super::link::{Link, Patience};
use super::rpc::code;
use crate::chain::Height;

/// Headers in one call, the most that Core gives.
pub(super) const HEADERS_A_CALL: usize = 2000;
/// A block has at most 4 MB: that is what its weight allows.
const BLOCK_CAP: usize = 4_000_000 + 4096;
/// A block has room for some 24,000 inputs (41 bytes, without their witness), each of which can spend a script of 10,000
/// bytes; real ones stay below a few MB.
const SPENT_CAP: usize = 256 << 20;
pub(super) const SMALL_CAP: usize = 1 << 20;

/// The REST interface of one node.
#[derive(Clone, Copy)]
pub(super) struct Rest<'a> {
    pub(super) link: &'a Link,
    pub(super) patience: Patience,
}

impl Rest<'_> {
    /// Whether the node offers REST at all.
    pub(super) fn is_open(self) -> Result<bool, Problem> {
        self.offers("/rest/chaininfo.json", 200)
    }

    /// Whether it offers spent outputs: it complains of the hash, not of the path.
    pub(super) fn offers_spent_outputs(self) -> Result<bool, Problem> {
        self.offers("/rest/spenttxouts/0.bin", 400)
    }

    fn offers(self, path: &str, status: u16) -> Result<bool, Problem> {
        let mut body = Vec::new();
        let reply = self.link.exchange(self.patience, Ask::Get(path), SMALL_CAP, &mut body)?;
        match reply.status {
            404 => Ok(false),
            found if found == status && !reply.html => Ok(true),
            _ => Err(Problem::bad(path, excerpt(&body, reply))),
        }
    }

    /// The hash at a height of the active chain; `None` above the tip.
    pub(super) fn hash_at(self, height: Height) -> Result<Option<BlockHash>, Problem> {
        let path = format!("/rest/blockhashbyheight/{height}.bin");
        match self.get(&path, SMALL_CAP) {
            Ok(bytes) => {
                let bytes = bytes.try_into().map_err(|_| Problem::bad(&path, "it should have 32 bytes"))?;
                Ok(Some(BlockHash::from_byte_array(bytes)))
            }
            Err(Problem::Said { code: code::NOT_FOUND, .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// At most `count` (and [`HEADERS_A_CALL`]) headers of the active chain from `hash` on; none if it is off that chain.
    pub(super) fn headers(self, hash: BlockHash, count: usize, version: u64) -> Result<Vec<Header>, Problem> {
        let count = count.min(HEADERS_A_CALL);
        // The query came with 24; what came before still works, but is called deprecated.
        let path = if version < 240_000 {
            format!("/rest/headers/{count}/{hash}.bin")
        } else {
            format!("/rest/headers/{hash}.bin?count={count}")
        };
        let bytes = self.get(&path, SMALL_CAP)?;
        if bytes.len() % Header::SIZE != 0 || bytes.len() / Header::SIZE > count {
            return Err(Problem::bad(&path, format!("{} bytes are not up to {count} headers", bytes.len())));
        }
        let decode = |bytes: &[u8]| deserialize(bytes).map_err(|error| Problem::bad(&path, error));
        bytes.chunks_exact(Header::SIZE).map(decode).collect()
    }

    /// The raw block, whether it is on the active chain or not.
    /// Where it comes to is `room`'s memory.
    pub(super) fn block(self, hash: BlockHash, room: Vec<u8>) -> Result<Vec<u8>, Problem> {
        self.get_into(room, &format!("/rest/block/{hash}.bin"), BLOCK_CAP)
    }

    /// What each transaction of a block spends.
    pub(super) fn spent_outputs(self, hash: BlockHash) -> Result<Vec<Vec<TxOut>>, Problem> {
        let path = format!("/rest/spenttxouts/{hash}.bin");
        parse_spent_outputs(&self.get(&path, SPENT_CAP)?).map_err(|why| Problem::bad(&path, why))
    }

    /// The body at `path`.
    pub(super) fn get(self, path: &str, cap: usize) -> Result<Vec<u8>, Problem> {
        self.get_into(Vec::new(), path, cap)
    }

    fn get_into(self, mut body: Vec<u8>, path: &str, cap: usize) -> Result<Vec<u8>, Problem> {
        let reply = self.link.exchange(self.patience, Ask::Get(path), cap, &mut body)?;
        match reply.status {
            200 if !reply.html => Ok(body),
            404 if body.is_empty() || reply.html => Err(Problem::Fatal(NodeError::LaneCannotServe {
                lane: "rest",
                why: format!("the node no longer offers {path}; was it restarted without rest=1?"),
            })),
            404 => Err(Problem::Said { code: code::NOT_FOUND, message: excerpt(&body, reply) }),
            _ => Err(Problem::bad(path, excerpt(&body, reply))),
        }
    }
}

/// CompactSize count of transactions, the coinbase among them; for each a CompactSize count of outputs as in a transaction.
fn parse_spent_outputs(bytes: &[u8]) -> Result<Vec<Vec<TxOut>>, String> {
    let mut rest = bytes;
    let wrong = |error| format!("it is no list of spent outputs: {error}");
    let count = VarInt::consensus_decode(&mut rest).map_err(wrong)?.0;
    // A transaction takes a byte at least: what claims more is not believed, and no memory is set aside for it.
    let count = usize::try_from(count).ok().filter(|count| *count <= rest.len());
    let count = count.ok_or("it claims more transactions than it has bytes")?;
    let mut spent = Vec::with_capacity(count);
    for _ in 0..count {
        spent.push(Vec::<TxOut>::consensus_decode(&mut rest).map_err(wrong)?);
    }
    match (rest.len(), spent.first()) {
        (0, Some(coinbase)) if coinbase.is_empty() => Ok(spent),
        (0, _) => Err("its first transaction is no coinbase".into()),
        (left, _) => Err(format!("{left} bytes are left over")),
    }
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
    fn what_is_no_list_of_spent_outputs_is_an_error_and_not_a_panic() {
        let cases = [
            ("", "no list"),
            ("00", "no coinbase"),
            ("0200", "more transactions"),
            ("0100ff", "left over"),
            ("01010100000000000000", "no list"),
            ("010101000000000000000151", "no coinbase"),
            ("ffffffffffffffffff", "more transactions"),
            ("0201ff", "no list"),
            ("0200feffffffff", "no list"),
        ];
        for (hex, why) in cases {
            let error = parse_hex(hex).unwrap_err();
            assert!(error.contains(why), "{hex}: {error}");
        }
    }
}
