//! What can go wrong with the node: what a caller sees, and inside this layer what is worth waiting for.

use std::fmt;
use std::time::Duration;

use bitcoin::BlockHash;

use crate::chain::{BlockId, Chain, Height};

/// Why the node could not be asked, or what its answer rules out. Transient trouble never shows here except from the
/// calls that have a limit: it is waited for.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The settings contradict each other or name what cannot be used.
    #[error("{0}")]
    Settings(String),
    /// The node refuses these credentials.
    #[error("the node at {url} refuses {credentials}: {advice}")]
    Unauthorized {
        /// Where.
        url: String,
        /// Which credentials, in words without the secret.
        credentials: String,
        /// What to do.
        advice: String,
    },
    /// The node is on another chain than the one asked for.
    #[error(
        "the node at {url} is on chain {found}, not {expected}: set --chain to match, or --bitcoin-datadir or --rpc-url to \
         the node meant"
    )]
    WrongChain {
        /// Where.
        url: String,
        /// The chain of the settings.
        expected: Chain,
        /// What the node says, as it says it.
        found: String,
    },
    /// The node has deleted the block.
    #[error("the node is pruned and no longer has block {height}: {}", pruned_advice(*.lowest))]
    Pruned {
        /// The block asked for.
        height: Height,
        /// The lowest block that the node still has, where it says so.
        lowest: Option<Height>,
    },
    /// The node is older than this program can use.
    #[error("the node's version is {}, and 23.0 is the oldest that can serve: update Bitcoin Core", version_text(*.version))]
    TooOld {
        /// As `getnetworkinfo` gives it: 220000 is 22.0.
        version: u64,
    },
    /// The lane asked for is not open on this node.
    #[error("lane {lane} cannot serve: {why}")]
    LaneCannotServe {
        /// Which.
        lane: &'static str,
        /// Why, and how to open it.
        why: String,
    },
    /// The node answered with another block than the one asked for, or with a damaged one.
    #[error(
        "asked for block {asked}, the node answered with a block whose header hashes to {found}: its files may be damaged"
    )]
    WrongBlock {
        /// What was asked for.
        asked: BlockId,
        /// The hash of what came.
        found: BlockHash,
    },
    /// An answer that cannot be understood or believed.
    #[error("cannot use the node's answer to {what}: {detail}")]
    BadAnswer {
        /// The question.
        what: String,
        /// What is wrong with the answer.
        detail: String,
    },
    /// The block is not, or no longer, on the node's active chain.
    #[error("block {0} is not on the node's active chain")]
    NotOnChain(BlockId),
    /// No answer within the time the caller gave.
    #[error("no answer from the node at {url} within {} s: {why}", .waited.as_secs())]
    Unreachable {
        /// Where.
        url: String,
        /// How long was waited.
        waited: Duration,
        /// The last trouble met.
        why: String,
    },
    /// Somebody asked to stop while the node was waited for.
    #[error("stopped while waiting for the node")]
    Stopped,
}

impl NodeError {
    /// Whether the user can mend it on the command line: exit code 2.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Settings(_) | Self::LaneCannotServe { .. })
    }

    pub(super) fn bad(what: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self::BadAnswer { what: what.into(), detail: detail.to_string() }
    }
}

/// `290403` as `29.4.3`.
pub(super) fn version_text(version: u64) -> String {
    let (major, minor, patch) = (version / 10_000, version / 100 % 100, version % 100);
    if patch == 0 { format!("{major}.{minor}") } else { format!("{major}.{minor}.{patch}") }
}

fn pruned_advice(lowest: Option<Height>) -> String {
    let lowest = lowest.map_or_else(String::new, |lowest| format!("it has blocks from {lowest} on; "));
    format!("{lowest}use a node that keeps all blocks (prune=0, then a restart with -reindex)")
}

/// Trouble that passes by itself: the call is made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing listens, or the host cannot be found.
    Refused(String),
    /// The connection broke before the whole answer was there.
    Broken(String),
    /// No answer before the deadline of one call.
    Timeout,
    /// The node is starting up or shutting down; what it says of it.
    Starting(String),
    /// The node does not accept the cookie, or there is none yet.
    Cookie(String),
    /// The node has too many requests on its hands.
    Busy,
    /// The node knows the block by its header only.
    NotYet(String),
    /// Its active chain changed between two answers.
    Moved,
}

impl Trouble {
    /// Failures in a row before it is worth a line: an idle connection that the node closed is not.
    pub(super) fn patience(&self) -> u32 {
        match self {
            Self::Refused(_) | Self::Starting(_) | Self::NotYet(_) => 1,
            Self::Broken(_) | Self::Timeout | Self::Cookie(_) => 2,
            Self::Moved => 4,
            Self::Busy => 8,
        }
    }

    /// Whether the node as a whole is away; else it answers, just not this.
    pub(super) fn means_down(&self) -> bool {
        !matches!(self, Self::Busy | Self::NotYet(_) | Self::Moved)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "no connection ({why})"),
            Self::Broken(why) => write!(f, "the connection broke ({why})"),
            Self::Timeout => f.write_str("it does not answer in time"),
            Self::Starting(why) => write!(f, "it is starting up or shutting down ({why})"),
            Self::Cookie(why) => f.write_str(why),
            Self::Busy => f.write_str("its work queue is full (raise rpcworkqueue, or use fewer threads)"),
            Self::NotYet(what) => f.write_str(what),
            Self::Moved => f.write_str("its active chain keeps changing"),
        }
    }
}

/// How one call failed.
#[derive(Debug)]
pub(super) enum Problem {
    /// Make the call again, later.
    Wait(Trouble),
    /// Bitcoin Core's own error, by its code (`src/rpc/protocol.h`).
    Said {
        /// -5 unknown block, -8 out of range, …
        code: i64,
        /// In Core's words.
        message: String,
    },
    /// There is no use in asking again.
    Fatal(NodeError),
}

impl From<NodeError> for Problem {
    fn from(error: NodeError) -> Self {
        Self::Fatal(error)
    }
}

impl Problem {
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
    fn only_what_the_command_line_can_mend_is_a_usage_error() {
        assert!(NodeError::Settings(String::new()).is_usage());
        assert!(NodeError::LaneCannotServe { lane: "rest", why: String::new() }.is_usage());
        assert!(!NodeError::Pruned { height: 1, lowest: None }.is_usage());
        assert!(!NodeError::Stopped.is_usage());
    }

    #[test]
    fn a_pruned_node_is_named_with_the_way_out() {
        let text = NodeError::Pruned { height: 7, lowest: Some(500) }.to_string();
        for part in ["block 7", "from 500 on", "prune=0"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
