//! Bitcoin Core: the only code that talks to it. Knows blocks, headers and spent outputs, not what they are wanted for.
//!
//! ```text
//! settings ─ connection (bitcoin_conf, url, secret)   what was said → where the node is, how to log in
//! Node ───── info                                     what node it is, what it can do
//!      ├──── tip, told, utxo                         a new tip; blocks and unspent outputs in the node's own words
//!      ├──── teller                                  one coin, one transaction, for questions
//!      ├──── lane ─┬─ rpc (answers)                   JSON-RPC
//!      │           └─ rest                            REST
//!      └──── filters (flat, rest, proof)              BIP158 filters: from the node's files or REST, proven
//! link (http, resolve)                                under all: one request, its deadline, waiting out what passes
//! ```

mod answers;
mod bitcoin_conf;
mod connection;
mod error;
mod filters;
mod http;
mod info;
mod lane;
mod link;
mod resolve;
mod rest;
mod rpc;
mod secret;
mod settings;
mod teller;
mod tip;
mod told;
mod url;
mod utxo;

use std::sync::Arc;
use std::time::Duration;

use bitcoin::BlockHash;
use serde_json::json;

use answers::{ChainInfo, Indexes, NetworkInfo};
use error::Problem;
use link::{Link, Patience};
use rest::Rest;
use rpc::{Rpc, code};

use crate::stop::Stop;

pub use connection::Connection;
pub use error::NodeError;
pub use filters::Filters;
pub use info::{Capabilities, FilterIndex, LaneReport, NodeInfo};
pub use lane::{Lane, Worker};
pub use secret::Secret;
pub use settings::{Given, LaneChoice, Origin, SettingReport, Settings, key};
pub use teller::Teller;
pub use told::{ToldBlock, ToldTransaction};
pub use utxo::{AtTip, Unspent};

/// A handle to one Bitcoin Core node; clones share its connections and what is known of its state.
#[derive(Clone)]
pub struct Node {
    link: Arc<Link>,
}

impl Node {
    /// A node to be asked later: nothing goes over the network here. `stop` ends every wait.
    pub fn new(connection: Connection, stop: Stop) -> Self {
        Self { link: Arc::new(Link::new(connection, stop)) }
    }

    /// Where the node is and who said so.
    pub fn connection(&self) -> &Connection {
        &self.link.connection
    }

    /// What node this is. Waits until it answers.
    ///
    /// # Errors
    /// [`NodeError::WrongChain`] (by name or by genesis block), [`NodeError::TooOld`], [`NodeError::Unauthorized`],
    /// [`NodeError::BadAnswer`], [`NodeError::Stopped`].
    pub fn info(&self) -> Result<NodeInfo, NodeError> {
        self.ask_info(Patience::ENDLESS)
    }

    /// What node this is, if it answers within `limit`.
    ///
    /// # Errors
    /// As [`Self::info`], and [`NodeError::Unreachable`].
    pub fn info_within(&self, limit: Duration) -> Result<NodeInfo, NodeError> {
        self.ask_info(Patience::within(limit))
    }

    /// What the node described by `info` can do. Waits until it answers.
    ///
    /// # Errors
    /// [`NodeError::Unauthorized`], [`NodeError::BadAnswer`], [`NodeError::Stopped`].
    pub fn capabilities(&self, info: &NodeInfo) -> Result<Capabilities, NodeError> {
        self.ask_capabilities(info, Patience::ENDLESS)
    }

    /// What the node described by `info` can do, if it answers within `limit`.
    ///
    /// # Errors
    /// As [`Self::capabilities`], and [`NodeError::Unreachable`].
    pub fn capabilities_within(&self, info: &NodeInfo, limit: Duration) -> Result<Capabilities, NodeError> {
        self.ask_capabilities(info, Patience::within(limit))
    }

    /// Every lane, the best first: whether it is open, and how to open it.
    pub fn lanes(&self, info: &NodeInfo, capabilities: &Capabilities) -> Vec<LaneReport> {
        let filters = self.filters(capabilities);
        let source = filters.as_ref().map(Filters::source).map_err(ToString::to_string);
        capabilities.lanes(info, &self.link.connection.conf_name(), source)
    }

    /// How blocks come by the lane that `choice` names, or the best open one; those of the filter lane by the best of the others.
    ///
    /// # Errors
    /// [`NodeError::LaneCannotServe`], with how to open it.
    pub fn lane(&self, choice: LaneChoice, capabilities: &Capabilities) -> Result<Lane, NodeError> {
        Ok(Lane::new(&self.link, capabilities.ways(choice, &self.link.connection.conf_name())?))
    }

    /// Breaks off all requests under way, for good: after [`Stop::request`], so that no thread sits out the deadline of a
    /// node that does not answer.
    pub fn hang_up(&self) {
        self.link.hang_up();
    }

    fn ask_info(&self, patience: Patience) -> Result<NodeInfo, NodeError> {
        let rpc = Rpc::new(&self.link, patience);
        let expected = self.link.connection.chain();
        let wrong = |found: String| Err(NodeError::WrongChain { url: self.link.connection.url(), expected, found });
        let network: NetworkInfo = rpc.ask("getnetworkinfo", &[])?;
        self.link.learn_version(network.version);
        let info: ChainInfo = rpc.ask("getblockchaininfo", &[])?;
        if info.chain != expected.name() {
            return wrong(info.chain);
        }
        let genesis: BlockHash = rpc.ask("getblockhash", &[json!(0)])?;
        if genesis != expected.genesis_hash() {
            return wrong(format!("{} with another genesis block ({genesis})", info.chain));
        }
        if network.version < info::OLDEST {
            return Err(NodeError::TooOld { version: network.version });
        }
        Ok(NodeInfo::new(expected, network, info))
    }

    fn ask_capabilities(&self, info: &NodeInfo, patience: Patience) -> Result<Capabilities, NodeError> {
        let rest = Rest { link: &self.link, patience };
        let open = self.link.persist(patience, || "whether REST is open".into(), || rest.is_open())?;
        let ask_spent = || if open { rest.offers_spent_outputs() } else { Ok(false) };
        let spent = self.link.persist(patience, || "whether REST has spent outputs".into(), ask_spent)?;
        let rpc = Rpc::new(&self.link, patience);
        let ask_indexes = || match rpc.call::<Indexes>("getindexinfo", &[json!(info::FILTER_INDEX)]) {
            Err(Problem::Said { code: code::NO_METHOD, .. }) => Ok(Indexes::new()),
            answer => answer,
        };
        let indexes = self.link.persist(patience, || "getindexinfo".into(), ask_indexes)?;
        Ok(Capabilities::new(info.version, open, spent, &indexes))
    }
}
