//! Heights, block ids, script hashes, chain names, headers and merkle trees: pure, and below every other layer.

pub mod header;
pub mod merkle;

use std::fmt;
use std::str::FromStr;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{BlockHash, Network, Script};
use serde::{Deserialize, Serialize};

/// A block's height; genesis is 0.
pub type Height = u32;

/// A block by height and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct BlockId {
    /// Height on the chain the block is part of.
    pub height: Height,
    /// Hash of its header, which names the block.
    pub hash: BlockHash,
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.height, self.hash)
    }
}

/// SHA-256 of a script in digest byte order (Electrum's protocol reverses it); the key of every row that is stored by script.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScriptHash(pub [u8; 32]);

impl ScriptHash {
    /// Hashes `script`.
    pub fn of(script: &Script) -> Self {
        Self(sha256::Hash::hash(script.as_bytes()).to_byte_array())
    }
}

impl fmt::Debug for ScriptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", const_hex::encode(self.0))
    }
}

/// A Bitcoin chain, named as by bitcoind's `-chain`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chain {
    /// The main chain.
    #[default]
    Main,
    /// The third test network.
    Test,
    /// The fourth test network (BIP94).
    Testnet4,
    /// A signed test network (BIP325), with the default challenge or another.
    Signet,
    /// A chain of one's own, for tests.
    Regtest,
}

impl Chain {
    /// Every chain, in the order help texts list them.
    pub const ALL: [Self; 5] = [Self::Main, Self::Test, Self::Testnet4, Self::Signet, Self::Regtest];

    /// The name in settings, paths and answers: bitcoind's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Test => "test",
            Self::Testnet4 => "testnet4",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }

    /// The same chain as rust-bitcoin names it.
    pub fn network(self) -> Network {
        match self {
            Self::Main => Network::Bitcoin,
            Self::Test => Network::Testnet,
            Self::Testnet4 => Network::Testnet4,
            Self::Signet => Network::Signet,
            Self::Regtest => Network::Regtest,
        }
    }

    /// Hash of the block at height 0. All signets have the same one.
    pub fn genesis_hash(self) -> BlockHash {
        bitcoin::constants::genesis_block(self.network()).block_hash()
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Chain {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "main" | "mainnet" | "bitcoin" => Ok(Self::Main),
            "test" | "testnet" | "testnet3" => Ok(Self::Test),
            "testnet4" => Ok(Self::Testnet4),
            "signet" => Ok(Self::Signet),
            "regtest" => Ok(Self::Regtest),
            _ => Err(format!("no chain is called '{name}'; use main, test, testnet4, signet or regtest")),
        }
    }
}
