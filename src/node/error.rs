//! How talking to the node fails: what a caller sees ([`NodeError`]), and inside this layer how one call fails and whether it is made
//! again ([`CallError`]).

use std::time::Duration;
use std::{fmt, io};

use bitcoin::BlockHash;

use crate::chain::{BlockId, Chain, Height};

/// Why there is no usable answer from the node. Transient failures don't appear here, as they are waited out, except in calls with a
/// time limit.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The settings contradict each other, or one of them can't be used; holds the whole message.
    #[error("{0}")]
    Settings(String),
    /// The node refuses the credentials.
    #[error("the node at {url} refuses {credentials}: {advice}")]
    Unauthorized {
        /// `http://HOST:PORT`.
        url: String,
        /// The credentials in words, without the secret.
        credentials: String,
        /// The way out.
        advice: String,
    },
    /// The node lets this user make other calls, but not this one (`rpcwhitelist`).
    #[error(
        "the node at {url} refuses the call {call} to user {user}: add `{line}` to bitcoin.conf and restart the node; if it refuses \
         every call, see rpcallowip"
    )]
    CallRefused {
        /// `http://HOST:PORT`.
        url: String,
        /// The call's name.
        call: String,
        /// The user's name.
        user: String,
        /// The line for bitcoin.conf that allows every call of this program.
        line: String,
    },
    /// The node has a block's header but can't return the block now.
    #[error(
        "the node can't serve this now: {why}. A node that was loaded from a UTXO snapshot, or is in its initial block download, has it \
         later; until then list the entries with a `from` from which it has blocks, or use another node"
    )]
    NotYet {
        /// What it can't serve, and its own words for it.
        why: String,
    },
    /// The node is on another chain than the one asked for.
    #[error(
        "the node at {url} is on chain {found}, not {expected}: set --chain to match, or point --bitcoin-datadir or \
         --rpc-url at the right node"
    )]
    WrongChain {
        /// `http://HOST:PORT`.
        url: String,
        /// The chain in the settings.
        expected: Chain,
        /// The node's own name for its chain.
        found: String,
    },
    /// The node has pruned the block.
    #[error("the node is pruned and no longer has block {height}: {}", pruned_advice(*.lowest))]
    Pruned {
        /// Height of the block.
        height: Height,
        /// Height of the lowest block that the node still has, if it is known.
        lowest: Option<Height>,
    },
    /// The node is too old.
    #[error("the node's version is {}, but 23.0 or later is needed: update Bitcoin Core", version_text(*.version))]
    TooOld {
        /// As `getnetworkinfo` gives it: 220000 is 22.0.
        version: u64,
    },
    /// The lane that was chosen is not open on this node.
    #[error("lane {lane} cannot serve: {why}")]
    LaneCannotServe {
        /// As in [`LaneChoice`](super::LaneChoice).
        lane: &'static str,
        /// The reason, and how to open the lane.
        why: String,
    },
    /// The node returned another block, or a damaged one.
    #[error(
        "asked for block {asked}, the node answered with a block whose header hashes to {found}: its files may be damaged"
    )]
    WrongBlock {
        /// The block that was requested.
        asked: BlockId,
        /// Hash of the header that came.
        found: BlockHash,
    },
    /// The node's answer can't be parsed, or contradicts itself.
    #[error("cannot use the node's answer to {what}: {detail}")]
    BadAnswer {
        /// The call, or the thing it asked for.
        what: String,
        /// The contradiction or parse error.
        detail: String,
    },
    /// The block is not on the node's active chain, or has left it.
    #[error("block {0} is not on the node's active chain")]
    NotOnChain(BlockId),
    /// No answer within the caller's time limit.
    #[error("no answer from the node at {url} within {} s: {why}", .waited.as_secs())]
    Unreachable {
        /// `http://HOST:PORT`.
        url: String,
        /// The limit.
        waited: Duration,
        /// The last transient failure.
        why: String,
    },
    /// A stop was requested while waiting for the node.
    #[error("stopped while waiting for the node")]
    Stopped,
    /// No thread could be started for a long call.
    #[error("cannot start a thread to call the node ({0}): raise the limit on processes (ulimit -u), or free memory")]
    Thread(io::Error),
}

impl NodeError {
    /// Whether the node may have meant something else: its answer can't be used, but the next one may.
    pub fn is_doubtful(&self) -> bool {
        matches!(self, Self::BadAnswer { .. } | Self::WrongBlock { .. })
    }

    /// Whether a change of settings mends it: exit code 2.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Settings(_) | Self::LaneCannotServe { .. })
    }

    pub(super) fn bad(what: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self::BadAnswer { what: what.into(), detail: detail.to_string() }
    }
}

/// Writes `290403` as `29.4.3`, as Core does.
pub(super) fn version_text(version: u64) -> String {
    let (major, minor, patch) = (version / 10_000, version / 100 % 100, version % 100);
    if patch == 0 { format!("{major}.{minor}") } else { format!("{major}.{minor}.{patch}") }
}

fn pruned_advice(lowest: Option<Height>) -> String {
    let kept = lowest.map_or_else(String::new, |lowest| format!("it has blocks from {lowest} on; "));
    format!("{kept}use a node that keeps all blocks (prune=0, then a restart with -reindex)")
}

/// A failure that passes by itself: the call is made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Transient {
    /// No server listens there, or the host can't be resolved; holds the reason.
    Refused(String),
    /// The connection broke before the whole answer had come; holds the reason.
    Broken(String),
    /// No answer before the deadline of one call.
    Timeout,
    /// The node is starting up or shutting down; holds its message.
    Starting(String),
    /// The node refuses the cookie, or has not written one yet; holds the message with the way out.
    Cookie(String),
    /// The node's work queue is full.
    Busy,
    /// The node has a block's header but not the block; or another scan of its coins runs.
    NotYet(String),
    /// The node's active chain changed between two answers.
    Moved,
}

impl Transient {
    /// The number of failures in a row at which it is logged: more than one where a single failure is normal, as with an idle
    /// connection that the node has closed.
    pub(super) fn log_after(&self) -> u32 {
        match self {
            Self::Refused(_) | Self::Starting(_) | Self::NotYet(_) => 1,
            Self::Broken(_) | Self::Timeout | Self::Cookie(_) => 2,
            Self::Moved => 4,
            Self::Busy => 8,
        }
    }

    /// Whether the node as a whole is unavailable, rather than unable to answer this call.
    pub(super) fn means_down(&self) -> bool {
        !matches!(self, Self::Busy | Self::NotYet(_) | Self::Moved)
    }
}

impl fmt::Display for Transient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "no connection ({why})"),
            Self::Broken(why) => write!(f, "the connection broke ({why})"),
            Self::Timeout => f.write_str("it does not answer in time"),
            Self::Starting(why) => write!(f, "it is starting up or shutting down ({why})"),
            Self::Cookie(why) => f.write_str(why),
            Self::Busy => f.write_str("its work queue is full (raise rpcworkqueue, or use fewer threads)"),
            Self::NotYet(why) => f.write_str(why),
            Self::Moved => f.write_str("its active chain keeps changing"),
        }
    }
}

/// Why one call failed.
#[derive(Debug)]
pub(super) enum CallError {
    /// It passes by itself: call again later.
    Retry(Transient),
    /// The node answered with an error.
    Rpc {
        /// As in Core's `src/rpc/protocol.h`; see [`code`](super::transport::rpc::code).
        code: i64,
        message: String,
    },
    /// The node refuses the call to this user. Only the caller knows its name.
    Forbidden,
    /// Calling again would not help.
    Fatal(NodeError),
}

impl From<NodeError> for CallError {
    fn from(error: NodeError) -> Self {
        Self::Fatal(error)
    }
}

impl CallError {
    /// Whether one odd answer may explain it, so that the call is made again before it counts.
    pub(super) fn is_doubtful(&self) -> bool {
        match self {
            Self::Rpc { .. } => true,
            Self::Fatal(error) => error.is_doubtful(),
            Self::Retry(_) | Self::Forbidden => false,
        }
    }

    pub(super) fn bad(what: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self::Fatal(NodeError::bad(what, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_as_core_prints_them() {
        for (number, text) in [(220_000, "22.0"), (290_403, "29.4.3"), (310_100, "31.1")] {
            assert_eq!(version_text(number), text);
        }
    }

    #[test]
    fn only_errors_that_settings_mend_are_usage_errors() {
        assert!(NodeError::Settings(String::new()).is_usage());
        assert!(NodeError::LaneCannotServe { lane: "rest", why: String::new() }.is_usage());
        assert!(!NodeError::Pruned { height: 1, lowest: None }.is_usage());
        assert!(!NodeError::Stopped.is_usage());
        assert!(NodeError::bad("x", "y").is_doubtful() && !NodeError::Stopped.is_doubtful());
    }

    #[test]
    fn a_pruned_block_is_reported_with_the_way_out() {
        let text = NodeError::Pruned { height: 7, lowest: Some(500) }.to_string();
        for part in ["block 7", "from 500 on", "prune=0"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
