//! Bitcoin Core: the only code that talks to it. It knows blocks, headers, filters and coins, but not what they are used for.
//!
//! ```text
//! Node ─┬─ info                 version, chain, capabilities
//!       ├─ lanes                which lanes are open; opens one
//!       ├─ tip, verbose, utxo   the tip; blocks and unspent outputs as the node parsed them
//!       ├─ calls                which calls the node refuses
//!       ├─ lookup, state        one coin, one transaction, how far it is: for questions
//!       ├─ lane                 headers, blocks and spent outputs, by RPC or REST
//!       └─ filters/             BIP158 filters from the node's files or REST, proven
//! transport/                    below all of these: one request by RPC or REST, its deadline, waiting out what passes
//! access/                       settings → where the node is and how to log in
//! ```

mod access;
mod answers;
mod calls;
mod error;
mod filters;
mod info;
mod lane;
mod lanes;
mod lookup;
mod state;
mod tip;
mod transport;
mod utxo;
mod verbose;

use std::sync::Arc;
use std::time::Duration;

use bitcoin::BlockHash;
use serde_json::json;

use answers::{ChainInfo, Indexes, NetworkInfo};
use error::CallError;
use transport::link::{Caller, Link, Patience};
use transport::rest::Rest;
use transport::rpc::{Rpc, code};

use crate::chain::{Chain, Height};
use crate::stop::Stop;

pub use access::NodeAccess;
pub use access::settings::{Given, LaneChoice, NodeSettings, Origin, SettingReport, key};
pub use error::NodeError;
pub use filters::Filters;
pub use info::{Capabilities, ChainSignature, FilterIndex, LaneReport, NodeInfo};
pub use lane::{Lane, Worker};
pub use lookup::{BlockSearch, NodeLookup};
pub use transport::link::CallPolicy;
pub use transport::rest::HEADERS_PER_CALL;
pub use utxo::Unspent;
pub use verbose::VerboseTransaction;

/// A block of bitcoin's history.
struct HistoricBlock {
    height: Height,
    hash: &'static str,
}

/// Bitcoin's first block that Bitcoin Cash, and what forked off that, does not have (2017-08-01).
const FORKED_OFF: HistoricBlock =
    HistoricBlock { height: 478_559, hash: "00000000000000000019f112ec0a9982926f1258cdcc558dd7c3b7e5dc7fa148" };

/// A handle to one Bitcoin Core node. Clones share its connections and its known state.
#[derive(Clone)]
pub struct Node {
    link: Arc<Link>,
}

impl Node {
    /// Makes no connection yet. `stop` ends every wait.
    pub fn new(access: NodeAccess, stop: Stop) -> Self {
        Self::with_policy(access, stop, &CallPolicy::default())
    }

    /// The same, called as `policy` says.
    pub fn with_policy(access: NodeAccess, stop: Stop, policy: &CallPolicy) -> Self {
        Self { link: Arc::new(Link::new(access, stop, policy)) }
    }

    /// Where the node is, and the origins of that.
    pub fn access(&self) -> &NodeAccess {
        &self.link.access
    }

    /// The node's version, chain and tip. Waits until it answers.
    ///
    /// # Errors
    /// [`NodeError::WrongChain`] (by name or by genesis block), [`NodeError::TooOld`], [`NodeError::Unauthorized`],
    /// [`NodeError::BadAnswer`], [`NodeError::Stopped`].
    pub fn info(&self) -> Result<NodeInfo, NodeError> {
        self.ask_info(self.link.patience)
    }

    /// The node's version, chain and tip, if it answers within `limit`.
    ///
    /// # Errors
    /// As [`Self::info`], and [`NodeError::Unreachable`].
    pub fn info_within(&self, limit: Duration) -> Result<NodeInfo, NodeError> {
        self.ask_info(Patience::within(limit))
    }

    /// What the node, of which `info` is known, can do. Waits until it answers.
    ///
    /// # Errors
    /// [`NodeError::Unauthorized`], [`NodeError::BadAnswer`], [`NodeError::Stopped`].
    pub fn capabilities(&self, info: &NodeInfo) -> Result<Capabilities, NodeError> {
        self.ask_capabilities(info, self.link.patience)
    }

    /// What the node, of which `info` is known, can do, if it answers within `limit`.
    ///
    /// # Errors
    /// As [`Self::capabilities`], and [`NodeError::Unreachable`].
    pub fn capabilities_within(&self, info: &NodeInfo, limit: Duration) -> Result<Capabilities, NodeError> {
        self.ask_capabilities(info, Patience::within(limit))
    }

    /// Breaks off all requests and refuses new ones, after [`Stop::request`]: so no thread waits for the deadline of a call that isn't
    /// answered.
    pub fn hang_up(&self) {
        self.link.hang_up();
    }

    fn ask_info(&self, patience: Patience) -> Result<NodeInfo, NodeError> {
        let rpc = self.rpc(patience);
        let expected = self.link.access.chain();
        // First, so that messages about the answers that follow name the version.
        let network: NetworkInfo = rpc.call_until_answered("getnetworkinfo", &[])?;
        self.link.set_version(network.version);
        let info: ChainInfo = rpc.call_until_answered("getblockchaininfo", &[])?;
        if info.chain != expected.name() {
            return Err(self.wrong_chain(info.chain));
        }
        let genesis: BlockHash = rpc.call_until_answered("getblockhash", &[json!(0)])?;
        if genesis != expected.genesis_hash() {
            return Err(self.wrong_chain(format!("{} with another genesis block ({genesis})", info.chain)));
        }
        self.check_currency(&rpc, &info)?;
        if network.version < info::OLDEST {
            return Err(NodeError::TooOld { version: network.version });
        }
        Ok(NodeInfo::new(expected, network, info))
    }

    /// Makes sure that the node is still on the chain that it was on when it was first asked.
    ///
    /// # Errors
    /// [`NodeError::WrongChain`]; as [`Self::info`].
    pub fn confirm_chain(&self, signature: &ChainSignature) -> Result<(), NodeError> {
        let rpc = self.rpc(self.link.patience);
        let info: ChainInfo = rpc.call_until_answered("getblockchaininfo", &[])?;
        match signature.difference(&info.chain, info.signet_challenge.as_deref()) {
            Some(found) => Err(self.wrong_chain(found)),
            None => self.check_currency(&rpc, &info),
        }
    }

    /// Refuses a node of another currency that forked off: Bitcoin Cash, BSV and eCash call their chains `main`, and have bitcoin's
    /// genesis block.
    fn check_currency(&self, rpc: &Rpc, info: &ChainInfo) -> Result<(), NodeError> {
        if info.chain != Chain::Main.name() || info.blocks < FORKED_OFF.height {
            return Ok(());
        }
        let found: BlockHash = rpc.call_until_answered("getblockhash", &[json!(FORKED_OFF.height)])?;
        if found.to_string() == FORKED_OFF.hash {
            return Ok(());
        }
        let height = FORKED_OFF.height;
        Err(self.wrong_chain(format!(
            "main of another currency (its block {height} is {found}, bitcoin's {})",
            FORKED_OFF.hash
        )))
    }

    fn ask_capabilities(&self, info: &NodeInfo, patience: Patience) -> Result<Capabilities, NodeError> {
        let rest = self.rest(patience);
        let open = rest.caller.persist("whether REST is open", || rest.is_open())?;
        let spent = match open {
            true => rest.caller.persist("whether REST has spent outputs", || rest.offers_spent_outputs())?,
            false => false,
        };
        let rpc = self.rpc(patience);
        let indexes = rpc.caller.persist("getindexinfo", || {
            match rpc.call::<Indexes>("getindexinfo", &[json!(info::FILTER_INDEX)]) {
                Err(CallError::Rpc { code: code::NO_METHOD, .. })
                | Err(CallError::Fatal(NodeError::CallRefused { .. })) => Ok(Indexes::new()),
                answer => answer,
            }
        })?;
        Ok(Capabilities::new(info.version, open, spent, &indexes))
    }

    fn wrong_chain(&self, found: String) -> NodeError {
        NodeError::WrongChain { url: self.access().url(), expected: self.access().chain(), found }
    }

    fn rpc(&self, patience: Patience) -> Rpc {
        Rpc::new(Caller::new(&self.link, patience))
    }

    fn rest(&self, patience: Patience) -> Rest {
        Rest::new(Caller::new(&self.link, patience))
    }
}
