//! Which RPC calls the node refuses to this user: found out by making each, harmlessly.

use std::time::Duration;

use serde_json::{Value, json};

use super::Node;
use super::error::{CallError, NodeError};
use super::transport::link::{CALLS, Patience};

impl Node {
    /// The error that names the calls of this program that the node refuses (`rpcwhitelist`); `None` where it refuses none. Takes no longer
    /// than `limit`; a call that isn't answered meanwhile doesn't count.
    pub fn refused_calls(&self, limit: Duration) -> Option<NodeError> {
        let rpc = self.rpc(Patience::within(limit));
        let refused = CALLS.into_iter().filter(|call| {
            matches!(
                rpc.call::<Value>(call, &self.harmless_arguments(call)),
                Err(CallError::Fatal(NodeError::CallRefused { .. }))
            )
        });
        let refused: Vec<_> = refused.collect();
        (!refused.is_empty()).then(|| self.link.refusal(refused.join(", ")))
    }

    fn harmless_arguments(&self, call: &str) -> Vec<Value> {
        let genesis = json!(self.access().chain().genesis_hash());
        let zeros = json!("00".repeat(32));
        match call {
            "getblock" | "getblockheader" => vec![genesis],
            "getblockfilter" => vec![genesis],
            "getblockhash" => vec![json!(0)],
            "getrawtransaction" => vec![zeros],
            "gettxout" => vec![zeros, json!(0)],
            "scantxoutset" => vec![json!("status")],
            // Milliseconds.
            "waitfornewblock" => vec![json!(1)],
            _ => Vec::new(),
        }
    }
}
