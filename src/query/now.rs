//! Whether an index is near now: the node's word and the clock, gathered once when a question opens the index, and judged by a pure
//! function.
//!
//! A question without `--at` is about now. Its answer is complete only if the index's last block is on the node's active chain and near
//! its end, as far as the node answers, and if that block isn't too old, whether the node answers or not.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::chain::{Chain, Height};

/// A node that lacks this many blocks of the headers that it knows is catching up; one or two may be on their way to it.
const MISSING_BLOCKS: Height = 3;
/// Bitcoin Core refuses blocks whose time is further ahead of its clock (`MAX_FUTURE_BLOCK_TIME`, consensus/consensus.h), so an index
/// with such a block is on a machine whose clock is slow.
const MAX_AHEAD_S: u64 = 2 * 60 * 60;

/// How far behind now the index may be for an answer about now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Blocks that the node may be ahead.
    pub max_lag: Height,
    /// The age of the index's last block; `None` for no limit.
    pub max_age: Option<Duration>,
}

impl Limits {
    /// The limits where the user sets none. Other chains than main may have no block for days.
    pub fn of_chain(chain: Chain) -> Self {
        let max_age = (chain == Chain::Main).then_some(Duration::from_secs(3 * 60 * 60));
        Self { max_lag: 2, max_age }
    }
}

/// Where the index's last block stands for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TipOnNode {
    /// On its active chain. Also said of an index without a block.
    Active,
    /// Above its active chain, which ends in a lower block of the index.
    Behind,
    /// Not on its active chain, which the index doesn't know; also where the node is of another chain.
    Elsewhere,
}

/// What a node says of its active chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// The height of its last block.
    pub height: Height,
    /// The height of its best header.
    pub headers: Height,
    /// Whether it is in its initial block download, by its own judgement.
    pub initial_block_download: bool,
    /// Where the index's last block stands.
    pub tip: TipOnNode,
}

/// The node as a coverage shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeCoverage {
    /// The height of its last block.
    pub height: Height,
    /// The height of its best header: above `height` while it catches up.
    pub headers: Height,
    /// Whether it is in its initial block download, by its own judgement, which the answer's completeness doesn't rest on.
    pub initial_block_download: bool,
    /// Whether the index's last block is known to be on its active chain.
    pub on_our_chain: bool,
}

/// The state of the world around the index, as of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The clock; Unix seconds.
    pub time: u64,
    /// The node, if it was asked and answered in time.
    pub node: Option<NodeState>,
    /// How far behind the index may be.
    pub limits: Limits,
}

/// What the state of the world means for an answer about now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Seconds since the time of the index's last block, 0 if that lies ahead of the clock; `None` without a block.
    pub age_s: Option<u64>,
    /// The node.
    pub node: Option<NodeCoverage>,
    /// Blocks that the node is ahead on the index's chain; `None` where that isn't known.
    pub lag: Option<Height>,
    /// Why the index may be too far behind, each with the way out.
    pub why: Vec<String>,
}

/// The index's last block, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its height.
    pub height: Height,
    /// Its time; Unix seconds.
    pub time: u32,
}

impl Now {
    /// By this machine's clock, without a node.
    pub fn by_clock(limits: Limits) -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { time, node: None, limits }
    }

    /// Judges an index whose last block is `tip`.
    pub fn judge(&self, tip: Option<Tip>) -> Freshness {
        let lag = self.node.and_then(|node| lag(node, tip));
        let mut why = Vec::new();
        if let (Some(node), Some(tip)) = (self.node, tip) {
            why.extend(self.doubt_of_place(node, tip, lag));
        }
        why.extend(self.node.and_then(doubt_of_node));
        why.extend(tip.and_then(|tip| self.doubt_of_age(tip, lag)));
        Freshness {
            age_s: tip.map(|tip| self.age_s(tip)),
            node: self.node.map(|node| NodeCoverage {
                height: node.height,
                headers: node.headers,
                initial_block_download: node.initial_block_download,
                on_our_chain: node.tip == TipOnNode::Active,
            }),
            lag,
            why,
        }
    }

    fn age_s(&self, tip: Tip) -> u64 {
        self.time.saturating_sub(tip.time.into())
    }

    fn doubt_of_place(&self, node: NodeState, tip: Tip, lag: Option<Height>) -> Option<String> {
        let (ours, most) = (tip.height, self.limits.max_lag);
        match node.tip {
            TipOnNode::Elsewhere => Some(format!(
                "the index's last block, {ours}, is not on the node's active chain; run `coinhound backfill`, which follows the node, or \
                 name the right node with `--bitcoin-datadir` or `--rpc-url`"
            )),
            TipOnNode::Behind => Some(format!(
                "the node is at height {} and doesn't have the index's last block, {ours}; wait until the node has caught up",
                node.height
            )),
            TipOnNode::Active => lag.filter(|lag| *lag > most).map(|lag| {
                format!(
                    "the index is {lag} blocks behind the node, and `--max-lag` allows {most}; run `coinhound backfill`"
                )
            }),
        }
    }

    fn doubt_of_age(&self, tip: Tip, lag: Option<Height>) -> Option<String> {
        let most = self.limits.max_age?.as_secs();
        let age = self.age_s(tip);
        if u64::from(tip.time) > self.time.saturating_add(MAX_AHEAD_S) {
            return Some(format!(
                "this machine's clock is {} behind the time of the index's last block, so its age can't be known; set the clock",
                span(u64::from(tip.time).saturating_sub(self.time))
            ));
        }
        (age > most).then(|| {
            let advice = match lag {
                Some(0) => "the node has no newer block either: check its connections and this machine's clock",
                _ => "run `coinhound backfill`",
            };
            format!("the index's last block is {} old, and `--max-age` allows {}; {advice}", span(age), span(most))
        })
    }
}

/// Blocks that the node is ahead on the index's chain.
fn lag(node: NodeState, tip: Option<Tip>) -> Option<Height> {
    match (node.tip, tip) {
        (TipOnNode::Elsewhere, _) => None,
        (TipOnNode::Behind, _) => Some(0),
        (TipOnNode::Active, Some(tip)) => Some(node.height.saturating_sub(tip.height)),
        // Genesis is missing too.
        (TipOnNode::Active, None) => Some(node.height.saturating_add(1)),
    }
}

fn doubt_of_node(node: NodeState) -> Option<String> {
    let missing = node.headers.saturating_sub(node.height);
    (missing >= MISSING_BLOCKS).then(|| {
        format!(
            "the node is at height {} and knows headers through {}, so it lacks {missing} blocks; wait until it has caught up, then run \
             `coinhound backfill`",
            node.height, node.headers
        )
    })
}

/// A length of time in its two largest units.
fn span(seconds: u64) -> String {
    let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let words: Vec<_> =
        parts.iter().filter(|(count, _)| *count > 0).take(2).map(|(count, unit)| format!("{count} {unit}")).collect();
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: u64 = 1_800_000_000;
    const TIP: Tip = Tip { height: 100, time: 1_800_000_000 };

    fn node(height: Height, headers: Height, tip: TipOnNode) -> Option<NodeState> {
        Some(NodeState { height, headers, initial_block_download: true, tip })
    }

    fn now(time: u64, node: Option<NodeState>, max_lag: Height, max_age_s: Option<u64>) -> Now {
        Now { time, node, limits: Limits { max_lag, max_age: max_age_s.map(Duration::from_secs) } }
    }

    #[test]
    fn each_border_is_judged_on_both_of_its_sides() {
        use TipOnNode::{Active, Behind, Elsewhere};
        // The node, the lag allowed; then the lag found and words of each reason.
        type LagCase = (Option<NodeState>, Height, Option<Height>, &'static [&'static str]);
        let cases: [LagCase; 17] = [
            (None, 2, None, &[]),
            (node(100, 100, Active), 2, Some(0), &[]),
            (node(102, 102, Active), 2, Some(2), &[]),
            (node(103, 103, Active), 2, Some(3), &["3 blocks behind"]),
            (node(100, 100, Active), 0, Some(0), &[]),
            (node(101, 101, Active), 0, Some(1), &["1 blocks behind"]),
            (node(1_122, 1_122, Active), 1_022, Some(1_022), &[]),
            (node(100, 102, Active), 2, Some(0), &[]),
            (node(100, 103, Active), 2, Some(0), &["lacks 3 blocks"]),
            (node(102, 104, Active), 2, Some(2), &[]),
            (node(103, 106, Active), 2, Some(3), &["3 blocks behind", "lacks 3 blocks"]),
            // A node counts no header less than its blocks, but nothing from it is trusted.
            (node(100, 0, Active), 2, Some(0), &[]),
            (node(99, 99, Active), 2, Some(0), &[]),
            (node(60, 60, Behind), 2, Some(0), &["doesn't have the index's last block"]),
            (node(60, 90, Behind), 2, Some(0), &["doesn't have the index's last block", "lacks 30 blocks"]),
            (node(100, 100, Elsewhere), 2, None, &["not on the node's active chain"]),
            (node(101, 105, Elsewhere), 2, None, &["not on the node's active chain", "lacks 4 blocks"]),
        ];
        for (node, max_lag, lag, words) in cases {
            let found = now(TIME, node, max_lag, None).judge(Some(TIP));
            assert_eq!((found.lag, found.age_s, found.why.len()), (lag, Some(0), words.len()), "{node:?}: {found:?}");
            for (reason, words) in found.why.iter().zip(words) {
                assert!(reason.contains(words), "{node:?}: '{reason}' lacks '{words}'");
            }
            let shown = found.node;
            assert_eq!(shown.map(|node| node.on_our_chain), node.map(|node| node.tip == Active), "{node:?}");
            assert_eq!(shown.map(|node| (node.height, node.headers)), node.map(|node| (node.height, node.headers)));
            assert!(shown.is_none_or(|node| node.initial_block_download), "shown, and not judged");
        }
    }

    #[test]
    fn age_counts_whether_the_node_answers_or_not() {
        // The clock less the tip's time, the age allowed; then the age found and words of the reason.
        type AgeCase = (i64, Option<u64>, u64, Option<&'static str>);
        let cases: [AgeCase; 13] = [
            (0, Some(0), 0, None),
            (1, Some(0), 1, Some("1 s old")),
            (10_800, Some(10_800), 10_800, None),
            (10_801, Some(10_800), 10_801, Some("3 h 1 s old, and `--max-age` allows 3 h")),
            (500_000_000, None, 500_000_000, None),
            (500_000_000, Some(10_800), 500_000_000, Some("5787 d 53 min old")),
            // The tip is ahead of the clock: by as much as a block may be, and by more.
            (-1, Some(10_800), 0, None),
            (-7_200, Some(10_800), 0, None),
            (-7_201, Some(10_800), 0, Some("set the clock")),
            (-7_201, None, 0, None),
            (-500_000_000, Some(0), 0, Some("5787 d 53 min behind")),
            (-1_800_000_000, Some(10_800), 0, Some("set the clock")),
            (-1_800_000_000, None, 0, None),
        ];
        for (ahead, max_age, age, words) in cases {
            let time = TIME.checked_add_signed(ahead).expect("a time since 1970");
            for (node, advice) in [
                (None, "run `coinhound backfill`"),
                (node(101, 101, TipOnNode::Active), "run `coinhound backfill`"),
                (node(100, 100, TipOnNode::Active), "the node has no newer block either"),
            ] {
                let found = now(time, node, 2, max_age).judge(Some(TIP));
                assert_eq!(
                    (found.age_s, found.why.len()),
                    (Some(age), usize::from(words.is_some())),
                    "{ahead}: {found:?}"
                );
                if let (Some(reason), Some(words)) = (found.why.first(), words) {
                    assert!(reason.contains(words), "{ahead}: '{reason}' lacks '{words}'");
                    assert!(reason.contains(advice) || ahead < 0, "{ahead}: '{reason}' lacks '{advice}'");
                }
            }
        }
    }

    #[test]
    fn an_index_without_a_block_lacks_all_of_the_nodes() {
        let found = now(TIME, node(7, 7, TipOnNode::Active), 2, Some(1)).judge(None);
        assert_eq!(
            (found.age_s, found.lag, &found.why),
            (None, Some(8), &Vec::new()),
            "coverage says that there is no block"
        );
        let found = now(TIME, node(7, 10, TipOnNode::Active), 2, Some(1)).judge(None);
        assert_eq!((found.lag, found.why.len()), (Some(8), 1), "{found:?}");
        assert_eq!(now(TIME, None, 2, Some(1)).judge(None).lag, None);
    }

    #[test]
    fn only_on_the_main_chain_a_last_block_grows_old() {
        let limits = Limits::of_chain(Chain::Main);
        assert_eq!((limits.max_lag, limits.max_age), (2, Some(Duration::from_secs(10_800))));
        for chain in [Chain::Test, Chain::Testnet4, Chain::Signet, Chain::Regtest] {
            let limits = Limits::of_chain(chain);
            assert_eq!((limits.max_lag, limits.max_age), (2, None), "{chain}");
        }
    }

    #[test]
    fn spans_have_their_two_largest_units() {
        for (seconds, words) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3_661, "1 h 1 min"), (86_401, "1 d 1 s")] {
            assert_eq!(span(seconds), words);
        }
    }
}
