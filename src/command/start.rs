//! What `backfill` and `follow` begin with: the lists, the node and its lane, the index, and whether they fit.

use std::sync::Arc;
use std::time::Duration;

use super::{Context, lists, signals};
use crate::chain::{Chain, Height};
use crate::config::Settings;
use crate::error::Error;
use crate::index::meta::{Identity, TakenLists};
use crate::index::writer::{FolderState, folder_state};
use crate::index::{IndexError, Writer};
use crate::node::{Connection, Lane, LaneChoice, Node, NodeError, NodeInfo};
use crate::stop::Stop;
use crate::sync::apply::advance::Tally;
use crate::sync::fetch::interest::Needs;
use crate::sync::fetch::source::{FilterLane, NodeSource};
use crate::sync::plan::change::{Change, Plan, Wanted};
use crate::sync::plan::open::open;
use crate::sync::sweep::sweeper::Pace;
use crate::watchlist::List;
use crate::watchlist::entries::merge;

/// How long a node that answers may refuse our cookie at the start.
const LOGIN_PATIENCE: Duration = Duration::from_secs(5);

/// A node that was reached, and the way blocks come from it.
pub struct Contact {
    /// The node.
    pub node: Node,
    /// What it is.
    pub info: NodeInfo,
    /// The way.
    pub lane: Lane,
    /// What spares blocks the way, where it is to be had and wanted.
    pub filters: Arc<FilterLane>,
}

impl Contact {
    /// Reaches the node of the settings and chooses a lane; `None` where a stop was requested before it answered.
    pub fn new(settings: &Settings, stop: &Stop) -> Result<Option<Self>, Error> {
        let node = Node::new(Connection::resolve(&settings.node)?, stop.clone());
        signals::hang_up_on(&node)?;
        let met = first_contact(&node).and_then(|info| Ok((node.capabilities(&info)?, info)));
        let (capabilities, info) = match met {
            Err(NodeError::Stopped) => return Ok(None),
            met => met?,
        };
        let choice = settings.node.lane.value;
        let lane = node.lane(choice, &capabilities)?;
        let filters = Arc::new(FilterLane::new(&node, &capabilities, choice)?);
        Ok(Some(Self { node, info, lane, filters }))
    }

    /// The chain the node is on, as an index states it.
    pub fn identity(&self) -> Identity {
        let chain = self.info.chain;
        let challenge = self.info.signet_challenge.clone().filter(|_| chain == Chain::Signet);
        Identity { chain, genesis: chain.genesis_hash(), challenge }
    }

    /// The index of the settings, opened for what is wanted, or made.
    pub fn open(&self, settings: &Settings, wanted: &Wanted) -> Result<Writer, Error> {
        if let Some((entries, _)) = &wanted.lists
            && folder_state(&settings.index)? == FolderState::Absent
        {
            // Before anything is made: a run that can't start leaves nothing behind.
            serves(&self.info, Needs::of_entries(entries))?;
        }
        if wanted.lists.is_none() {
            tracing::info!("no list is configured: going on with the entries that the index has");
        }
        let (writer, plan) = open(&settings.index, &self.identity(), wanted)?;
        plan.iter().for_each(say);
        self.prepare(&writer)?;
        Ok(writer)
    }

    /// Whether the node has what is missing, and what it will cost.
    pub fn prepare(&self, writer: &Writer) -> Result<(), Error> {
        let (info, needs) = (&self.info, Needs::missing(writer)?);
        if needs.blocks_from.is_none() {
            tracing::warn!("no entry is flagged: only headers are read");
        }
        serves(info, needs)?;
        if info.ibd {
            tracing::warn!(
                "the node is in its initial block download: it has blocks through height {} and headers through {}; what it has \
                 is scanned",
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
                 `getblock` verbosity 3: most of a second a block, some {} h in all. Faster: rest=1 in bitcoin.conf of Bitcoin \
                 Core 30 or Knots 29, blockfilterindex=1, or `--from 0`",
                blocks.div_ceil(5000)
            );
        }
        Ok(())
    }

    /// The node as a source of blocks.
    pub fn source(self, stop: &Stop) -> Arc<NodeSource> {
        let Self { node, lane, filters, .. } = self;
        Arc::new(NodeSource { node, lane, filters, stop: stop.clone() })
    }
}

/// The lanes that a run went by; `blocks` is the one that blocks come by.
pub fn lanes(tally: &Tally, blocks: &'static str, choice: LaneChoice) -> Vec<&'static str> {
    let nothing_done = tally.filtered == 0 && tally.unfiltered == 0;
    let filters = tally.filtered > 0 || nothing_done && choice == LaneChoice::Filters;
    let whole = tally.unfiltered > 0 || !filters;
    filters.then_some("filters").into_iter().chain(whole.then_some(blocks)).collect()
}

/// How fast to go, as the settings have it.
pub fn pace(settings: &Settings) -> Pace {
    Pace { threads: settings.threads, batch_blocks: settings.batch_blocks }
}

/// What node this is. One that is down is waited for; one that is up and goes on refusing us is another node than the one whose
/// directory was named, and no waiting mends that.
fn first_contact(node: &Node) -> Result<NodeInfo, NodeError> {
    match node.info_within(LOGIN_PATIENCE) {
        Err(NodeError::Unreachable { .. }) => node.info(),
        answer => answer,
    }
}

/// Whether the node still has every block that is missing.
fn serves(info: &NodeInfo, needs: Needs) -> Result<(), NodeError> {
    match needs.blocks_from {
        Some(first) if first <= info.blocks => info.serves_from(first),
        _ => Ok(()),
    }
}

/// What lists and settings ask for.
pub fn wanted(context: &Context, from: Option<Height>, accept_quarantined: bool) -> Result<Wanted, Error> {
    let settings = &context.settings;
    let mut wanted = Wanted { trace: settings.trace.clone(), ..Wanted::default() };
    if settings.watch.is_empty() {
        if folder_state(&settings.index)? == FolderState::Absent {
            let why = "there is nothing to look for: name a list with `--watch FILE`, or in the configuration as \
                       [[watchlist]]";
            return Err(Error::Usage(why.into()));
        }
        return Ok(wanted);
    }
    let mut taken = TakenLists { files: Vec::new(), quarantine_accepted: accept_quarantined };
    let mut read = Vec::new();
    for file in &settings.watch {
        let list = lists::read(file, settings.node.chain.value)?;
        say_read(&list);
        taken.files.push(lists::taken(&list, file));
        read.push(list);
    }
    wanted.lists = Some((merge(read, from.unwrap_or(0)), taken));
    Ok(wanted)
}

/// Says what was read of a list.
pub fn say_read(list: &List) {
    let report = &list.report;
    tracing::info!("{}: {} rows taken in, {} of other chains", report.path, report.accepted, report.other_chain);
    if !report.quarantined.is_empty() {
        tracing::warn!(
            "{}: {} rows could not be read and are not looked for; `coinhound watch check` shows them",
            report.path,
            report.quarantined.len()
        );
    }
}

/// Says what a change of lists or settings comes to.
pub fn say(plan: &Plan) {
    let count = |what: fn(&Change) -> bool| plan.count(what);
    let (new, services) = (count(|c| *c == Change::New), count(|c| *c == Change::NewService));
    let (lowered, forgotten) = (count(|c| matches!(c, Change::Lowered { .. })), count(|c| *c == Change::Forgotten));
    if new + services + lowered + forgotten > 0 {
        tracing::info!(
            "the lists changed: {new} new entries, {services} new services, {lowered} entries from a lower height on, {forgotten} \
             forgotten"
        );
    }
    let kept = count(|c| *c == Change::Kept);
    if kept > 0 {
        tracing::warn!("{kept} entries that no list names any more are kept; `backfill --forget` drops them");
    }
    let raised = count(|c| matches!(c, Change::RaiseIgnored { .. }));
    if raised > 0 {
        tracing::info!(
            "{raised} entries are known from lower heights than their lists ask for now; they stay as they are"
        );
    }
    if plan.parameters_changed {
        let names: Vec<_> = plan.parameters.rules.iter().map(|rule| rule.name()).collect();
        let hops = plan.parameters.max_hops.map_or("any number of".to_owned(), |hops| hops.to_string());
        tracing::info!(
            "coins are followed under {} from {} sat on, through {hops} hops, from now on",
            names.join(" and "),
            plan.parameters.min_taint_sat
        );
    }
    if let Some(start) = plan.start {
        tracing::info!("what is new is swept for from height {start} on");
    }
}

/// Whether an index is there at all.
pub fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Index(IndexError::Missing { .. }))
}
