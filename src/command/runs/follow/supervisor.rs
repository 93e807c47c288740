//! Decides what a `follow` does after a failure. A program that runs for months ends for a signal, for settings that can't work, for an
//! index that can't be used and for a reader that has gone; everything else passes, and is tried again.

use std::time::Duration;

use crate::error::{Error, Exit};
use crate::index::IndexError;
use crate::node::NodeError;
use crate::query::QueryError;
use crate::sync::SyncError;

/// After the first failure: a node or a disk that comes back at once costs no more than that.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
/// After many failures: what has come back is noticed within that time.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The settings contradict each other, or don't fit the node.
    Settings,
    /// The index can't be used as it is: damaged, of another chain, of another format.
    Index,
    /// The reader of the output has gone.
    Reader,
    /// The node can't be reached, or its answers can't be used.
    Node,
    /// The index can't be written now.
    Disk,
    /// A list can't be read.
    List,
    /// A sweep below the main one, which can continue.
    Below,
    /// Anything else.
    Other,
}

/// What has been done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Node, lists and index have not yet worked together.
    Starting,
    /// They have.
    Running,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// End with the error.
    End,
    /// Ask the node anew after this time.
    Retry(Duration),
    /// Open the index anew after this time, and ask the node anew: RocksDB stays in its error until then.
    Reopen(Duration),
}

impl Trouble {
    /// The kind of an error.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Node(error) => Self::of_node(error),
            Error::Index(error) | Error::Query(QueryError::Index(error)) => Self::of_index(error),
            Error::Sync(error) => Self::of_sync(error),
            Error::Output(_) => Self::Reader,
            Error::List(_) | Error::ListFile { .. } => Self::List,
            error if error.exit() == Exit::Usage => Self::Settings,
            _ => Self::Other,
        }
    }

    fn of_node(error: &NodeError) -> Self {
        match error {
            error if error.is_usage() => Self::Settings,
            NodeError::WrongChain { .. } => Self::Settings,
            _ => Self::Node,
        }
    }

    fn of_index(error: &IndexError) -> Self {
        match error {
            IndexError::Full { .. }
            | IndexError::Io { .. }
            | IndexError::Storage { .. }
            | IndexError::InUse { .. }
            | IndexError::Busy { .. } => Self::Disk,
            _ => Self::Index,
        }
    }

    fn of_sync(error: &SyncError) -> Self {
        match error {
            SyncError::Node(error) => Self::of_node(error),
            SyncError::Index(error) => Self::of_index(error),
            SyncError::Below { .. } => Self::Below,
            SyncError::Narrower { .. } => Self::Settings,
            SyncError::ListShrank { .. } => Self::List,
            SyncError::Block { .. }
            | SyncError::Header(_)
            | SyncError::Unsteady { .. }
            | SyncError::SpentOutput { .. } => Self::Node,
            SyncError::Thread(_) | SyncError::Panic(_) => Self::Other,
        }
    }

    /// The thing that is waited for, in words.
    pub fn awaited(self) -> &'static str {
        match self {
            Self::Node | Self::Below | Self::Settings => "the node",
            Self::Disk | Self::Index => "the disk",
            Self::List => "the lists",
            Self::Reader | Self::Other => "the system",
        }
    }
}

/// What to do after a failure, the `failures`th in a row; `random` spreads the waits.
pub fn next(trouble: Trouble, phase: Phase, failures: u32, random: u64) -> Next {
    match (trouble, phase) {
        (Trouble::Index | Trouble::Reader, _) | (Trouble::Settings, Phase::Starting) => Next::End,
        (Trouble::Disk | Trouble::Other, _) => Next::Reopen(pause(failures, random)),
        (Trouble::Below, _) => Next::Retry(SHORTEST_WAIT),
        // Settings that worked: the node has changed, and may change back.
        (Trouble::Node | Trouble::List | Trouble::Settings, _) => Next::Retry(pause(failures, random)),
    }
}

/// The wait after `failures` failures in a row: doubling, capped, and spread at random.
fn pause(failures: u32, random: u64) -> Duration {
    // The longest wait is reached long before the tenth doubling.
    let full = SHORTEST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_WAIT);
    let part = u32::try_from(random % 1024).unwrap_or(0);
    full / 2 + full / 2 * part / 1024
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;
    use crate::chain::Chain;
    use crate::output::OutputError;

    fn path() -> PathBuf {
        "/index".into()
    }

    fn closed_lane() -> NodeError {
        NodeError::LaneCannotServe { lane: "rest", why: "it is closed".into() }
    }

    #[test]
    fn only_settings_at_the_start_an_unusable_index_and_a_gone_reader_end_a_follow() {
        let unreachable =
            || NodeError::Unreachable { url: String::new(), waited: Duration::ZERO, why: "refused".into() };
        let bad = || NodeError::BadAnswer { what: "getblock".into(), detail: "it is not JSON".into() };
        let other_chain =
            || NodeError::WrongChain { url: String::new(), expected: Chain::Main, found: "regtest".into() };
        let pruned = || NodeError::Pruned { height: 1, lowest: Some(2) };
        let gone = io::Error::other("gone");
        let damaged = || IndexError::Damaged { path: path(), detail: String::new() };
        // Error → whether it ends a start, whether it ends a run, whether the index is opened again.
        let cases: [(Error, bool, bool, bool); 17] = [
            (Error::Usage("x".into()), true, true, false),
            (closed_lane().into(), true, false, false),
            (other_chain().into(), true, false, false),
            (unreachable().into(), false, false, false),
            (bad().into(), false, false, false),
            (SyncError::Node(bad()).into(), false, false, false),
            (SyncError::Node(closed_lane()).into(), true, false, false),
            (SyncError::Node(pruned()).into(), false, false, false),
            (SyncError::Unsteady { moves: 10, next: 1 }.into(), false, false, false),
            (SyncError::Below { from: 1, source: Box::new(SyncError::Node(pruned())) }.into(), false, false, false),
            (SyncError::Panic("x".into()).into(), false, false, true),
            (IndexError::Full { path: path() }.into(), false, false, true),
            (SyncError::Index(IndexError::Storage { path: path(), detail: String::new() }).into(), false, false, true),
            (damaged().into(), true, true, false),
            (SyncError::Index(damaged()).into(), true, true, false),
            (OutputError::Closed.into(), true, true, false),
            (Error::ListFile { path: "/list".into(), source: gone }, false, false, false),
        ];
        for (error, ends_start, ends_run, reopens) in cases {
            let trouble = Trouble::of(&error);
            let at_start = next(trouble, Phase::Starting, 1, 0);
            assert_eq!(at_start == Next::End, ends_start, "{error}");
            // Settings don't change while it runs, so wrong ones show at the start.
            if !matches!(error, Error::Usage(_)) {
                let running = next(trouble, Phase::Running, 1, 0);
                assert_eq!(running == Next::End, ends_run, "{error}");
                assert_eq!(matches!(running, Next::Reopen(_)), reopens, "{error}");
            }
        }
    }

    #[test]
    fn waits_grow_to_ten_seconds_and_are_spread() {
        for (failures, most) in [(1, 500), (2, 1000), (5, 8000), (6, 10_000), (u32::MAX, 10_000)] {
            for random in [0, 511, 1023, u64::MAX] {
                let wait = pause(failures, random).as_millis();
                assert!(wait >= most / 2 && wait <= most, "{failures} {random}: {wait}");
            }
        }
    }
}
