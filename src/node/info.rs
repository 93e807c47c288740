//! What the node is and what it can do, and which lanes that opens, with what its operator has to do for the others.

use bitcoin::BlockHash;
use serde::Serialize;

use super::access::settings::LaneChoice;
use super::answers::{ChainInfo, Indexes, NetworkInfo};
use super::error::NodeError;
use super::lane::Methods;
use crate::chain::{Chain, Height};

/// The oldest version that can be used, as it introduced `getblock` verbosity 3.
pub(super) const OLDEST: u64 = 230_000;
/// The version that introduced `getrawtransaction` verbosity 2.
const RAW_TRANSACTION_PREVOUTS: u64 = 250_000;
/// The filter index's name in `getindexinfo`.
pub(super) const FILTER_INDEX: &str = "basic block filter index";

/// The node's version, chain and tip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeInfo {
    /// As in `getnetworkinfo`: 290400 is 29.4.
    pub version: u64,
    /// Its user agent in the peer-to-peer network (BIP14).
    pub subversion: String,
    /// Its chain, which is the one in the settings.
    pub chain: Chain,
    /// Height of its tip.
    pub blocks: Height,
    /// Height of the best header that it knows: above `blocks` while it catches up.
    pub headers: Height,
    /// Hash of its tip.
    pub best: BlockHash,
    /// Whether it prunes old blocks.
    pub pruned: bool,
    /// Height of the lowest block that it still has, if it has pruned any.
    pub prune_height: Option<Height>,
    /// Whether it is in initial block download, by its own judgement.
    pub ibd: bool,
    /// Size of its block and undo files, in bytes.
    pub size_on_disk: u64,
    /// Its warnings, as in `getblockchaininfo`.
    pub warnings: Vec<String>,
    /// The signet's challenge script in hex (BIP325); from version 28 on.
    pub signet_challenge: Option<String>,
}

impl NodeInfo {
    pub(super) fn new(chain: Chain, network: NetworkInfo, info: ChainInfo) -> Self {
        Self {
            version: network.version,
            subversion: network.subversion,
            chain,
            blocks: info.blocks,
            headers: info.headers,
            best: info.bestblockhash,
            pruned: info.pruned,
            prune_height: info.pruneheight.filter(|_| info.pruned),
            ibd: info.initialblockdownload,
            size_on_disk: info.size_on_disk,
            warnings: info.warnings.into_vec(),
            signet_challenge: info.signet_challenge,
        }
    }

    /// What distinguishes its chain from others of that name.
    pub fn signature(&self) -> ChainSignature {
        ChainSignature { chain: self.chain, challenge: self.signet_challenge.clone() }
    }

    /// Checks that the node still has every block from height `first` on.
    ///
    /// # Errors
    /// [`NodeError::Pruned`], with the lowest height that it has.
    pub fn serves_from(&self, first: Height) -> Result<(), NodeError> {
        match self.prune_height {
            Some(lowest) if first < lowest => Err(NodeError::Pruned { height: first, lowest: Some(lowest) }),
            _ => Ok(()),
        }
    }
}

/// What distinguishes a chain from others of its name: all signets have one genesis block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainSignature {
    chain: Chain,
    /// The signet's challenge, where the node reports it (since version 28).
    challenge: Option<String>,
}

impl ChainSignature {
    /// How a chain with this name and challenge differs from it, in words.
    pub(super) fn difference(&self, chain: &str, challenge: Option<&str>) -> Option<String> {
        if chain != self.chain.name() {
            return Some(chain.to_owned());
        }
        let (ours, theirs) = self.challenge.as_deref().zip(challenge)?;
        (self.chain == Chain::Signet && ours != theirs).then(|| format!("signet with challenge {theirs}"))
    }
}

/// What this node can do, beyond what every node can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// The node's version, as in [`NodeInfo`]: the form of some REST paths depends on it.
    pub version: u64,
    /// Whether it serves REST.
    pub rest: bool,
    /// Whether its REST has `/rest/spenttxouts` (Core 30, Knots 29).
    pub rest_spent_outputs: bool,
    /// Whether `getrawtransaction` has verbosity 2 (version 25).
    pub transaction_prevouts: bool,
    /// State of its index of BIP158 basic filters.
    pub filter_index: FilterIndex,
}

/// State of the node's index of BIP158 basic filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum FilterIndex {
    /// The node has none.
    Absent,
    /// It is being built.
    Building {
        /// Height of the last block with a filter.
        through: Height,
    },
    /// It is at the tip.
    Synced {
        /// Height of the tip.
        through: Height,
    },
}

impl FilterIndex {
    pub(super) fn of(indexes: &Indexes) -> Self {
        match indexes.get(FILTER_INDEX) {
            None => Self::Absent,
            Some(index) if index.synced => Self::Synced { through: index.best_block_height },
            Some(index) => Self::Building { through: index.best_block_height },
        }
    }

    /// Height of the last block with a filter; `None` if there is no index.
    pub(super) fn through(self) -> Option<Height> {
        match self {
            Self::Absent => None,
            Self::Building { through } | Self::Synced { through } => Some(through),
        }
    }
}

impl Capabilities {
    pub(super) fn new(version: u64, rest: bool, rest_spent_outputs: bool, indexes: &Indexes) -> Self {
        let transaction_prevouts = version >= RAW_TRANSACTION_PREVOUTS;
        Self { version, rest, rest_spent_outputs, transaction_prevouts, filter_index: FilterIndex::of(indexes) }
    }

    /// The methods by which a lane's blocks come. `conf` is the file in which the operator would open the lane.
    ///
    /// # Errors
    /// [`NodeError::LaneCannotServe`]
    pub(super) fn methods(&self, choice: LaneChoice, conf: &str) -> Result<Methods, NodeError> {
        let rest = match choice {
            LaneChoice::Auto | LaneChoice::Filters => self.rest,
            LaneChoice::Rpc => false,
            LaneChoice::Rest if self.rest => true,
            LaneChoice::Rest => {
                let why =
                    format!("the node does not offer REST; add rest=1 to {conf} and restart it, or use --lane rpc");
                return Err(NodeError::LaneCannotServe { lane: "rest", why });
            }
        };
        Ok(Methods {
            rest,
            offers_rest: self.rest,
            rest_spent: rest && self.rest_spent_outputs,
            prevouts: self.transaction_prevouts,
            version: self.version,
        })
    }

    /// The lanes, the best first. `filters` is [`Filters::source`](super::Filters::source), or why the filters can't be had.
    pub(super) fn lanes(&self, info: &NodeInfo, conf: &str, filters: Result<&str, String>) -> Vec<LaneReport> {
        let spent = match (self.rest_spent_outputs, self.transaction_prevouts) {
            (true, _) => "with spent outputs",
            (false, true) => {
                "spent outputs of whole blocks come slowly, by getblock; Core 30 or Knots 29 serve them over REST"
            }
            (false, false) => "spent outputs come slowly, by getblock; update the node to version 25 or later",
        };
        let pruned = match info.prune_height {
            Some(lowest) => format!("; the node is pruned and has blocks from {lowest} on"),
            None => String::new(),
        };
        let filters = match (self.filter_index, filters) {
            (FilterIndex::Absent, _) => LaneReport::closed(
                "filters",
                "the node has no filter index, with which only blocks that can matter have to be read".into(),
                vec![format!("in {conf}:"), "blockfilterindex=1".into(), "then restart the node".into()],
            ),
            (_, Err(why)) => LaneReport::closed(
                "filters",
                format!("the node has a filter index, which can't be read from here: {why}"),
                vec![
                    "run as the node's user, or".into(),
                    format!("in {conf}:"),
                    "rest=1".into(),
                    "then restart the node".into(),
                ],
            ),
            (index, Ok(source)) => {
                let reach = match index {
                    FilterIndex::Building { through } => format!("the node's index has reached height {through}"),
                    _ => "the node's index is complete".into(),
                };
                let source = if source == "files" { "read from the node's files" } else { "fetched over REST" };
                LaneReport::open(
                    "filters",
                    format!("only blocks that can matter, by filters {source}; {reach}{pruned}"),
                )
            }
        };
        let rest = if self.rest {
            LaneReport::open("rest", format!("raw blocks, {spent}{pruned}"))
        } else {
            let how = vec![format!("in {conf}:"), "rest=1".into(), "then restart the node".into()];
            LaneReport::closed(
                "rest",
                "the node does not offer REST, which is tens of times faster than rpc".into(),
                how,
            )
        };
        let rpc_spent = if self.transaction_prevouts { "" } else { "; spent outputs come slowly, by getblock" };
        vec![
            filters,
            rest,
            LaneReport::open(
                "rpc",
                format!("every block as hex, which costs the node the most time{rpc_spent}{pruned}"),
            ),
        ]
    }
}

/// A lane in the answer of `check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneReport {
    /// `filters`, `rest` or `rpc`.
    pub lane: &'static str,
    /// Whether it can be used.
    pub open: bool,
    /// What it serves, or why it is closed.
    pub why: String,
    /// How to open it, line by line; empty if it is open or can't be opened.
    pub how_to_open: Vec<String>,
}

impl LaneReport {
    fn open(lane: &'static str, why: String) -> Self {
        Self { lane, open: true, why, how_to_open: Vec::new() }
    }

    fn closed(lane: &'static str, why: String, how_to_open: Vec<String>) -> Self {
        Self { lane, open: false, why, how_to_open }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LaneChoice::{Auto, Filters, Rest, Rpc};

    fn node(version: u64, rest: bool, spent: bool) -> Capabilities {
        Capabilities::new(version, rest, spent, &Indexes::new())
    }

    fn info(prune_height: Option<Height>) -> NodeInfo {
        NodeInfo {
            version: 290_000,
            subversion: String::new(),
            chain: Chain::Main,
            blocks: 9,
            headers: 9,
            best: Chain::Main.genesis_hash(),
            pruned: prune_height.is_some(),
            prune_height,
            ibd: false,
            size_on_disk: 0,
            warnings: Vec::new(),
            signet_challenge: None,
        }
    }

    #[test]
    fn the_best_open_lane_is_taken_and_a_closed_one_is_refused() {
        // version, REST, its spent outputs, choice → REST, its spent outputs, prevouts by transaction
        let cases = [
            (290_000, true, true, Auto, Ok((true, true, true))),
            (290_000, true, true, Rpc, Ok((false, false, true))),
            (240_000, true, false, Rest, Ok((true, false, false))),
            (310_000, false, false, Auto, Ok((false, false, true))),
            (310_000, false, false, Rest, Err("rest=1")),
            (310_000, true, true, Filters, Ok((true, true, true))),
            (310_000, false, false, Filters, Ok((false, false, true))),
        ];
        for (version, rest, spent, choice, expected) in cases {
            match (node(version, rest, spent).methods(choice, "/n/bitcoin.conf"), expected) {
                (Ok(methods), Ok(expected)) => {
                    assert_eq!((methods.rest, methods.rest_spent, methods.prevouts), expected);
                }
                (Err(error), Err(part)) => assert!(error.is_usage() && error.to_string().contains(part), "{error}"),
                (other, _) => panic!("{version} {choice}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_closed_lane_is_reported_with_how_to_open_it() {
        let lanes = node(290_000, false, false).lanes(&info(None), "/n/bitcoin.conf", Err("none".into()));
        let filters = lanes.iter().find(|lane| lane.lane == "filters").unwrap();
        assert!(!filters.open && filters.how_to_open.contains(&"blockfilterindex=1".to_owned()), "{filters:?}");
        let rest = lanes.iter().find(|lane| lane.lane == "rest").unwrap();
        assert!(!rest.open);
        assert!(rest.how_to_open.contains(&"rest=1".to_owned()), "{rest:?}");
        assert!(rest.how_to_open[0].contains("/n/bitcoin.conf"), "{rest:?}");
        assert!(lanes.iter().any(|lane| lane.lane == "rpc" && lane.open));
    }

    #[test]
    fn the_filter_lane_is_open_if_the_filters_can_be_read() {
        let mut able = node(290_000, true, true);
        for (filter_index, source, open, part) in [
            (
                FilterIndex::Synced { through: 9 },
                Ok("files"),
                true,
                "from the node's files; the node's index is complete",
            ),
            (
                FilterIndex::Building { through: 7 },
                Ok("rest"),
                true,
                "over REST; the node's index has reached height 7",
            ),
            (FilterIndex::Synced { through: 9 }, Err("not yours".to_owned()), false, "not yours"),
            (FilterIndex::Absent, Err(String::new()), false, "no filter index"),
        ] {
            able.filter_index = filter_index;
            let lanes = able.lanes(&info(None), "/n/bitcoin.conf", source);
            assert_eq!((lanes[0].lane, lanes[0].open, lanes[0].how_to_open.is_empty()), ("filters", open, open));
            assert!(lanes[0].why.contains(part), "{lanes:?}");
        }
    }

    #[test]
    fn a_pruned_node_serves_from_its_lowest_block_on() {
        for (prune_height, first, serves) in
            [(None, 0, true), (Some(5), 4, false), (Some(5), 5, true), (Some(0), 0, true)]
        {
            assert_eq!(info(prune_height).serves_from(first).is_ok(), serves, "{prune_height:?} {first}");
        }
    }
}
