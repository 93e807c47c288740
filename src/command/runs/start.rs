//! The start of `backfill` and `follow`: reads the lists, reaches the node, chooses a lane, opens the index, and refuses what can't work.

use std::sync::Arc;
use std::time::Duration;

use crate::chain::{BlockId, Chain, Height};
use crate::command::signals;
use crate::config::Settings;
use crate::error::Error;
use crate::index::folder::{FolderState, folder_state};
use crate::index::meta::{self, Identity, TakenLists, Waiter, Waiting};
use crate::index::{IndexError, Writer};
use crate::lists::{self, ReadList};
use crate::node::{CallPolicy, Capabilities, Lane, LaneChoice, Node, NodeAccess, NodeError, NodeInfo};
use crate::stop::Stop;
use crate::sync::apply::batch::RunTally;
use crate::sync::fetch::node_source::{FilterLane, NodeSource};
use crate::sync::plan::change::{Change, ChangePlan};
use crate::sync::plan::needs::Needs;
use crate::sync::plan::open::{self, check_identity, make};
use crate::sync::plan::wanted::{Lists, Wanted};
use crate::sync::sweep::run::Pace;
use crate::watchlist::entries::merge;

/// How long to retry a login at the start: a node that has just started may still be writing its cookie.
const LOGIN_PATIENCE: Duration = Duration::from_secs(5);

/// How long the first block is waited for: a node that has the header may not have the block.
const FIRST_BLOCK_LIMIT: Duration = Duration::from_secs(5);

/// A node that answers, and the lanes by which its blocks are read.
pub(in crate::command) struct Contact {
    pub node: Node,
    pub info: NodeInfo,
    pub lane: Lane,
    /// The filter lane, if the node offers one and the settings allow it.
    pub filters: Arc<FilterLane>,
    capabilities: Capabilities,
    /// Ends the calls to this node, while the program itself may keep running.
    stop: Stop,
}

impl Contact {
    /// Waits for the node of the settings and chooses a lane; `None` if a stop was requested before it answered.
    pub fn new(settings: &Settings, stop: &Stop) -> Result<Option<Self>, Error> {
        let part = stop.of_part();
        let node = Node::new(NodeAccess::resolve(&settings.node)?, part.clone());
        signals::HangUp::listen()?.on(&node, stop);
        let info = wait_for_info(&node);
        Self::with(settings, node, part, info)
    }

    /// The same with calls as `policy` says, which `hang_up` can end: fails where the node doesn't answer.
    pub fn by_policy(
        settings: &Settings,
        stop: &Stop,
        policy: &CallPolicy,
        hang_up: &signals::HangUp,
    ) -> Result<Option<Self>, Error> {
        let part = stop.of_part();
        let node = Node::with_policy(NodeAccess::resolve(&settings.node)?, part.clone(), policy);
        hang_up.on(&node, stop);
        let info = node.info();
        Self::with(settings, node, part, info)
    }

    fn with(
        settings: &Settings,
        node: Node,
        stop: Stop,
        info: Result<NodeInfo, NodeError>,
    ) -> Result<Option<Self>, Error> {
        let answer = info.and_then(|info| Ok((node.capabilities(&info)?, info)));
        let (capabilities, info) = match answer {
            Err(NodeError::Stopped) => return Ok(None),
            answer => answer?,
        };
        let choice = settings.node.lane.value;
        let lane = node.lane(choice, &capabilities)?;
        let filters = Arc::new(FilterLane::new(&node, &capabilities, choice)?);
        Ok(Some(Self { node, info, lane, filters, capabilities, stop }))
    }

    /// Whether the node can do what it could do then.
    pub fn can_do_the_same(&self, then: &Self) -> bool {
        self.capabilities == then.capabilities && self.info.prune_height == then.info.prune_height
    }

    /// The node's chain, as an index records it.
    pub fn identity(&self) -> Identity {
        let chain = self.info.chain;
        let challenge = self.info.signet_challenge.clone().filter(|_| chain == Chain::Signet);
        Identity { chain, genesis: chain.genesis_hash(), challenge }
    }

    /// Opens the index of the settings, or makes it, and applies the changes of lists and settings.
    pub fn open(&self, settings: &Settings, wanted: &mut Wanted) -> Result<Writer, Error> {
        let writer = match folder_state(&settings.index)? {
            FolderState::Absent => None,
            FolderState::Index => Some(Writer::open(&settings.index)?),
        };
        self.open_known(settings, wanted, writer)
    }

    /// The same with the index already open, if there is one.
    pub fn open_known(
        &self,
        settings: &Settings,
        wanted: &mut Wanted,
        writer: Option<Writer>,
    ) -> Result<Writer, Error> {
        wanted.served_from = self.info.prune_height.unwrap_or(0);
        if wanted.lists.is_none() {
            tracing::info!("no list is configured: scanning for the entries of the index");
        }
        let writer = match writer {
            Some(writer) => {
                check_identity(&writer, &self.identity())?;
                take_in(&writer, wanted, &self.info)?;
                writer
            }
            None => {
                if let Some(lists) = &wanted.lists {
                    // Before the folder is made: a run that can't start leaves nothing behind.
                    let needs = Needs::of_entries(&lists.entries);
                    check_blocks_served(&self.info, needs)?;
                    self.probe(needs)?;
                }
                make(&settings.index, &self.identity(), wanted)?
            }
        };
        self.check_needs(&writer)?;
        Ok(writer)
    }

    /// Refuses where the node has the header of the first block that is needed, and not the block: it would be waited for without end.
    fn probe(&self, needs: Needs) -> Result<(), NodeError> {
        // Every node has the genesis block.
        let first = needs.blocks_from.map(|first| first.max(1));
        let Some(first) = first.filter(|first| *first <= self.info.blocks) else { return Ok(()) };
        let mut worker = self.lane.worker_within(FIRST_BLOCK_LIMIT);
        let read = worker.headers(first, 1).and_then(|headers| match headers.first() {
            Some(header) => worker.block(BlockId { height: first, hash: header.block_hash() }).map(drop),
            None => Ok(()),
        });
        match read {
            Err(error @ (NodeError::NotYet { .. } | NodeError::Pruned { .. } | NodeError::CallRefused { .. })) => {
                Err(error)
            }
            // Anything else shows in the sweep too, which waits where that helps.
            _ => Ok(()),
        }
    }

    /// Refuses where the node lacks blocks that the index needs, and warns of what will be slow.
    fn check_needs(&self, writer: &Writer) -> Result<(), Error> {
        let (info, needs) = (&self.info, Needs::missing(writer)?);
        if needs.blocks_from.is_none() {
            tracing::warn!("no entry is flagged: only headers will be read");
        }
        // A sweep below the main one that can't be served stands still, and doesn't keep that one from going on.
        let of_main = Needs::of_main(writer)?;
        check_blocks_served(info, of_main)?;
        self.probe(of_main)?;
        if info.ibd {
            tracing::warn!(
                "the node is in its initial block download: it has blocks through height {} and headers through {}; only those \
                 blocks are scanned",
                info.blocks,
                info.headers
            );
        }
        if let Some(from) = needs.spent_from.filter(|from| *from <= info.blocks)
            && !self.lane.gives_spent_outputs_cheaply()
            && self.filters.open().is_none()
        {
            let blocks = info.blocks - from + 1;
            tracing::warn!(
                "some entries start above height 0, so the spent outputs of {blocks} blocks are needed, and this lane reads them by \
                 `getblock` verbosity 3, which takes most of a second per block: about {} h in all. To be faster, set rest=1 in bitcoin.conf \
                 of Bitcoin Core 30 or Knots 29, set blockfilterindex=1, or pass `--from 0`",
                blocks.div_ceil(5000)
            );
        }
        Ok(())
    }

    /// A source of its blocks.
    pub fn source(&self) -> Arc<NodeSource> {
        Arc::new(NodeSource {
            node: self.node.clone(),
            lane: self.lane.clone(),
            filters: Arc::clone(&self.filters),
            signature: self.info.signature(),
            stop: self.stop.clone(),
        })
    }
}

/// The names of the lanes that a run used; `block_lane` is the one for whole blocks.
pub(in crate::command) fn lanes_used(
    tally: &RunTally,
    block_lane: &'static str,
    choice: LaneChoice,
) -> Vec<&'static str> {
    let is_idle = tally.filtered == 0 && tally.unfiltered == 0;
    let used_filters = tally.filtered > 0 || is_idle && choice == LaneChoice::Filters;
    let used_blocks = tally.unfiltered > 0 || !used_filters;
    used_filters.then_some("filters").into_iter().chain(used_blocks.then_some(block_lane)).collect()
}

/// The pace that the settings ask for.
pub(in crate::command) fn pace(settings: &Settings) -> Pace {
    Pace { threads: settings.threads, batch_blocks: settings.batch_blocks }
}

/// Asks the node what it is. One that is down is waited for. One that is up and keeps refusing the cookie is not the node whose
/// directory was named: waiting doesn't help.
fn wait_for_info(node: &Node) -> Result<NodeInfo, NodeError> {
    match node.info_within(LOGIN_PATIENCE) {
        Err(NodeError::Unreachable { .. }) => node.info(),
        answer => answer,
    }
}

/// Takes the wanted lists and settings into an open index.
pub(in crate::command) fn take_in(writer: &Writer, wanted: &Wanted, info: &NodeInfo) -> Result<(), Error> {
    if let Some(plan) = open::take_in(writer, wanted)? {
        log_changes(&plan);
        note_unserved(writer, &plan, info)?;
    }
    Ok(())
}

/// Notes in the index why no sweep covers some heights, or that there are none such.
fn note_unserved(writer: &Writer, plan: &ChangePlan, info: &NodeInfo) -> Result<(), Error> {
    let known = meta::waiting(writer, Waiter::Unserved)?;
    let waiting = plan.unserved().map(|(entries, from)| {
        let error = NodeError::Pruned { height: from, lowest: info.prune_height };
        Waiting::now(format!("blocks from height {from} on, which {entries} entries need that were added later"), error)
    });
    if known.as_ref().map(|known| &known.error) == waiting.as_ref().map(|waiting| &waiting.error) {
        return Ok(());
    }
    if let Some(Waiting { what, error, .. }) = &waiting {
        tracing::warn!("waiting for {what}: {error}; new blocks are indexed for them, and what is older is a gap");
    }
    let mut step = writer.step();
    meta::put_waiting(&mut step, Waiter::Unserved, waiting.as_ref());
    step.commit(false)?;
    Ok(())
}

/// Refuses where the node no longer has a block that the index needs.
fn check_blocks_served(info: &NodeInfo, needs: Needs) -> Result<(), NodeError> {
    match needs.blocks_from {
        Some(first) if first <= info.blocks => info.serves_from(first),
        _ => Ok(()),
    }
}

/// The changes that the settings ask for, lists apart. An error if there is neither a list nor an index, so nothing to scan for.
pub(in crate::command) fn wanted_without_lists(settings: &Settings) -> Result<Wanted, Error> {
    if settings.watch.is_empty() && folder_state(&settings.index)? == FolderState::Absent {
        return Err(nothing_to_scan_for());
    }
    Ok(Wanted { trace: settings.trace.clone(), ..Wanted::default() })
}

/// The changes that the settings and their lists ask for.
pub(in crate::command) fn wanted(
    settings: &Settings,
    from: Option<Height>,
    accept_quarantined: bool,
) -> Result<Wanted, Error> {
    let mut wanted = wanted_without_lists(settings)?;
    if settings.watch.is_empty() {
        return Ok(wanted);
    }
    let mut taken = TakenLists { files: Vec::new(), quarantine_accepted: accept_quarantined };
    let mut read = Vec::new();
    for file in &settings.watch {
        let ReadList { list, taken: remembered } = lists::read(file, settings.node.chain.value)?;
        lists::log_read(&list);
        taken.files.push(remembered);
        read.push(list);
    }
    wanted.lists = Some(Lists { entries: merge(read, from.unwrap_or(0)), taken });
    Ok(wanted)
}

/// Without a list there are no scripts, and a scan would find nothing.
pub(in crate::command) fn nothing_to_scan_for() -> Error {
    Error::Usage(
        "there is nothing to scan for: name a list with `--watch FILE`, or as [[watchlist]] in the settings".into(),
    )
}

/// Logs what a change of lists or settings does to the index.
pub(in crate::command) fn log_changes(plan: &ChangePlan) {
    let new = plan.count(|change| *change == Change::New);
    let services = plan.count(|change| *change == Change::NewService);
    let lowered = plan.count(|change| matches!(change, Change::Lowered { .. }));
    let forgotten = plan.count(|change| *change == Change::Forgotten);
    if new + services + lowered + forgotten > 0 {
        tracing::info!(
            "the lists changed: {new} new entries, {services} new services, {lowered} entries to be scanned from a lower height, \
             {forgotten} forgotten"
        );
    }
    let kept = plan.count(|change| *change == Change::Kept);
    if kept > 0 {
        tracing::warn!("entries that are on no list, but kept: {kept}; `backfill --forget` drops them");
    }
    let raised = plan.count(|change| matches!(change, Change::RaiseIgnored { .. }));
    if raised > 0 {
        tracing::info!("{raised} entries stay scanned from a lower height than their lists now give");
    }
    if plan.parameters_changed {
        let rules: Vec<_> = plan.parameters.rules.iter().map(|rule| rule.name()).collect();
        let hops = plan.parameters.max_hops.map_or("any number of".to_owned(), |hops| format!("up to {hops}"));
        tracing::info!(
            "now following coins under {} that hold at least {} sat of taint, through {hops} hops",
            rules.join(" and "),
            plan.parameters.min_taint_sat
        );
    }
    if let Some(start) = plan.start {
        tracing::info!("scanning for the changes from height {start}");
    }
}

/// Whether there is no index.
pub(in crate::command) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Index(IndexError::Missing { .. }))
}
