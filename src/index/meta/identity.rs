//! The format that an index was written in, and the chain that it was made from.

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;

use crate::chain::Chain;
use crate::index::error::{IndexError, Result};
use crate::index::raw::{RawChanges, RawRows};
use crate::index::read::view::View;
use crate::index::schema::{FORMAT, FORMAT_KEY, Family};

const GENESIS_KEY: &[u8] = b"genesis";
const CHAIN_KEY: &[u8] = b"chain";
const CHALLENGE_KEY: &[u8] = b"challenge";

/// The chain that an index was made from. All signets share a genesis block, so a signet is known by its challenge too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The chain's name.
    pub chain: Chain,
    /// The hash of its first block.
    pub genesis: BlockHash,
    /// The signet's challenge script, in hex.
    pub challenge: Option<String>,
}

impl Identity {
    /// The chain in words, for messages.
    pub fn describe(&self) -> String {
        match &self.challenge {
            Some(challenge) => format!("{} with challenge {challenge}", self.chain),
            None => self.chain.to_string(),
        }
    }

    /// Whether both are the same chain. A node before version 28 does not report its signet's challenge: then the genesis must do.
    pub fn is_same_chain(&self, other: &Self) -> bool {
        let challenges = self.challenge.as_ref().zip(other.challenge.as_ref());
        self.chain == other.chain && self.genesis == other.genesis && challenges.is_none_or(|(one, two)| one == two)
    }

    /// Writes the format and the chain.
    pub fn put(&self, step: &mut impl RawChanges) {
        step.raw_put(Family::Meta, FORMAT_KEY, &FORMAT.to_be_bytes());
        step.raw_put(Family::Meta, GENESIS_KEY, self.genesis.as_byte_array());
        step.raw_put(Family::Meta, CHAIN_KEY, self.chain.name().as_bytes());
        if let Some(challenge) = &self.challenge {
            step.raw_put(Family::Meta, CHALLENGE_KEY, challenge.as_bytes());
        }
    }

    /// Reads the format, which must be ours, and the chain.
    ///
    /// # Errors
    /// [`IndexError::OtherFormat`], [`IndexError::Damaged`].
    pub fn read(view: &View) -> Result<Self> {
        let format = view.raw_get(Family::Meta, FORMAT_KEY)?.ok_or_else(|| damaged(view, "it states no format"))?;
        if format != FORMAT.to_be_bytes() {
            let found =
                format.try_into().map_or_else(|_| "unknown".to_owned(), |bytes| u32::from_be_bytes(bytes).to_string());
            return Err(IndexError::OtherFormat { path: view.path().to_owned(), found });
        }
        let genesis = view.raw_get(Family::Meta, GENESIS_KEY)?.and_then(|bytes| BlockHash::from_slice(&bytes).ok());
        let chain = view.raw_get(Family::Meta, CHAIN_KEY)?.and_then(|name| String::from_utf8(name).ok()?.parse().ok());
        let challenge =
            view.raw_get(Family::Meta, CHALLENGE_KEY)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Self {
            chain: chain.ok_or_else(|| damaged(view, "it states no chain"))?,
            genesis: genesis.ok_or_else(|| damaged(view, "it states no genesis block"))?,
            challenge,
        })
    }
}

fn damaged(view: &View, detail: &str) -> IndexError {
    IndexError::Damaged { path: view.path().to_owned(), detail: detail.to_owned() }
}
