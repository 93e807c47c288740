//! `coinhound check`: reports on node, index and lists, on the lanes that are open, and on the time and space that a backfill takes.

use std::time::Instant;

use serde::Serialize;

use super::Context;
use super::questions::open::NODE_PATIENCE;
use super::runs::start;
use crate::chain::{BlockId, Height};
use crate::error::{Error, Exit};
use crate::index::IndexError;
use crate::index::folder::{FolderState, folder_state};
use crate::index::meta::TakenLists;
use crate::lists::{self, ReadList};
use crate::node::{CallPolicy, Lane, LaneReport, Node, NodeAccess, NodeError, NodeInfo, SettingReport};
use crate::output;
use crate::output::page::Page;
use crate::query::Coverage;
use crate::query::at::Moment;
use crate::query::coverage::whole_coverage;
use crate::stop::Stop;
use crate::sync::fetch::node_source::FilterLane;
use crate::sync::plan::change::plan;
use crate::sync::plan::needs::Needs;
use crate::sync::plan::wanted::{Lists, Wanted};
use crate::watchlist::Report;
use crate::watchlist::entries::merge;

/// Blocks read to estimate the speed of the node.
const SAMPLE: u32 = 5;

#[derive(Serialize)]
struct CheckAnswer {
    /// Coverage of the index, if there is one.
    coverage: Option<Coverage>,
    /// Whether a backfill could start.
    ready: bool,
    /// What keeps a backfill from starting.
    problems: Vec<String>,
    settings: Vec<SettingReport>,
    node: Option<NodeInfo>,
    lanes: Vec<LaneReport>,
    lane: Option<&'static str>,
    index: IndexReport,
    lists: Vec<Report>,
    estimate: Option<Estimate>,
}

#[derive(Serialize)]
struct IndexReport {
    path: String,
    exists: bool,
}

/// Time and space that a backfill would take.
#[derive(Serialize)]
struct Estimate {
    /// Blocks to read.
    blocks: u32,
    /// Extrapolated from the time that a few blocks took just now.
    seconds: u64,
    /// Bytes of headers on disk; each touched transaction adds 1 to 2 kB.
    bytes: u64,
}

pub fn run(context: &Context) -> Result<Exit, Error> {
    let settings = &context.settings;
    let mut problems = Vec::new();
    let access = NodeAccess::resolve(&settings.node)?;
    let report = access.report().to_vec();
    let node = Node::with_policy(access, Stop::default(), &CallPolicy::failing_at_most(NODE_PATIENCE));
    let mut answer = CheckAnswer {
        coverage: None,
        ready: false,
        problems: Vec::new(),
        settings: report,
        node: None,
        lanes: Vec::new(),
        lane: None,
        index: IndexReport { path: settings.index.display().to_string(), exists: false },
        lists: Vec::new(),
        estimate: None,
    };
    let (mut read, mut taken) = (Vec::new(), TakenLists::default());
    for file in &settings.watch {
        match lists::read(file, settings.node.chain.value) {
            Ok(ReadList { list, taken: remembered }) => {
                answer.lists.push(list.report.clone());
                taken.files.push(remembered);
                read.push(list);
            }
            Err(error) => problems.push(error.to_string()),
        }
    }
    let entries = merge(read, 0);
    let missing = ask_index(context, Lists { entries, taken }, &mut answer).unwrap_or_else(|error| {
        problems.push(error.to_string());
        Missing::default()
    });
    let asked = ask_node(context, &node, missing, &mut answer);
    answer.problems.splice(0..0, problems);
    answer.problems.extend(asked.err().map(|error| error.to_string()));
    answer.ready = answer.problems.is_empty();
    output::object(context.format, &answer, || page(&answer))?;
    Ok(if answer.ready { Exit::Answered } else { Exit::Failed })
}

/// Where a backfill would begin.
#[derive(Clone, Copy, Default)]
struct Missing {
    /// The first header that the index lacks.
    next: Height,
    /// The first block that would be read.
    block: Height,
}

/// Asks the index what a backfill with these lists would read.
fn ask_index(context: &Context, lists: Lists, answer: &mut CheckAnswer) -> Result<Missing, Error> {
    let settings = &context.settings;
    if folder_state(&settings.index)? == FolderState::Absent {
        if settings.watch.is_empty() {
            return Err(start::nothing_to_scan_for());
        }
        return Ok(Missing { next: 0, block: Needs::of_entries(&lists.entries).blocks_from.unwrap_or(0) });
    }
    let snapshot = context.snapshot()?;
    answer.index.exists = true;
    answer.coverage = Some(whole_coverage(&snapshot, Moment::now(&snapshot))?);
    let (found, expected) = (snapshot.chain(), settings.node.chain.value);
    if found != expected {
        let (found, expected) = (found.to_string(), expected.to_string());
        return Err(IndexError::OtherChain { path: settings.index.clone(), found, expected }.into());
    }
    let mut block = Needs::missing(&snapshot.reader)?.blocks_from.unwrap_or(0);
    if !settings.watch.is_empty() && snapshot.next > 0 {
        let wanted = Wanted { lists: Some(lists), trace: settings.trace.clone(), ..Wanted::default() };
        let plan = plan(&snapshot.reader, &wanted)?;
        block = plan.first_block().map_or(block, |first| block.min(first));
    }
    Ok(Missing { next: snapshot.next, block })
}

fn ask_node(context: &Context, node: &Node, missing: Missing, answer: &mut CheckAnswer) -> Result<(), Error> {
    let refused = node.refused_calls(NODE_PATIENCE).map(|refused| refused.to_string());
    answer.problems.extend(refused);
    let info = match node.info_within(NODE_PATIENCE) {
        // The problem is named, with all other calls that are refused.
        Err(NodeError::CallRefused { .. }) if !answer.problems.is_empty() => return Ok(()),
        info => info?,
    };
    answer.node = Some(info.clone());
    let capabilities = node.capabilities_within(&info, NODE_PATIENCE)?;
    answer.lanes = node.lanes(&info, &capabilities);
    let choice = context.settings.node.lane.value;
    let lane = node.lane(choice, &capabilities)?;
    let filters = FilterLane::new(node, &capabilities, choice)?;
    answer.lane = Some(if filters.open().is_some() { "filters" } else { lane.name() });
    if missing.block <= info.blocks {
        info.serves_from(missing.block)?;
    }
    answer.estimate = Some(estimate(&info, &lane, missing)?);
    Ok(())
}

/// Reads a few of the missing blocks, spread over all of them, and extrapolates.
fn estimate(info: &NodeInfo, lane: &Lane, missing: Missing) -> Result<Estimate, Error> {
    let blocks = (info.blocks + 1).saturating_sub(missing.block);
    let mut worker = lane.worker_within(NODE_PATIENCE);
    let start = Instant::now();
    let mut read = 0;
    for part in 0..SAMPLE.min(blocks) {
        let height = missing.block + (blocks - 1) / SAMPLE.min(blocks) * part;
        if let Some(header) = worker.headers(height, 1)?.first() {
            worker.block(BlockId { height, hash: header.block_hash() })?;
            read += 1;
        }
    }
    let each = start.elapsed().checked_div(read).unwrap_or_default();
    // A backfill reads over several connections; a node on the same machine serves about twice as fast over them.
    let seconds = (each * blocks).as_secs() / 2;
    let headers = u64::from((info.blocks + 1).saturating_sub(missing.next));
    // A row of `headers` has a key of 4 bytes and a value of 80.
    Ok(Estimate { blocks, seconds, bytes: headers * 84 })
}

fn page(answer: &CheckAnswer) -> Page {
    let mut page = Page::default();
    page.line("settings");
    let rows = answer.settings.iter();
    let rows = rows.map(|setting| vec![setting.name.into(), setting.value.clone(), setting.origin.to_string()]);
    page.grid(&["setting", "value", "from"], &[], rows.collect());
    page.line("");
    if let Some(node) = &answer.node {
        let catching_up = if node.ibd { ", still catching up" } else { "" };
        let pruned = match (node.pruned, node.prune_height) {
            (true, Some(height)) => format!("yes, it has blocks from height {height}"),
            (true, None) => "yes, but it still has all blocks".into(),
            (false, _) => "no".into(),
        };
        page.fields(&[
            ("node", node.subversion.clone()),
            ("chain", node.chain.to_string()),
            ("blocks", format!("{} of {} headers{catching_up}", node.blocks, node.headers)),
            ("pruned", pruned),
        ]);
        page.lines(node.warnings.iter().map(|warning| format!("  the node warns: {warning}")));
        page.line("");
    }
    for lane in &answer.lanes {
        let taken = if answer.lane == Some(lane.lane) { " (used)" } else { "" };
        page.line(format!("lane {}: {}{taken}: {}", lane.lane, if lane.open { "open" } else { "closed" }, lane.why));
        page.lines(lane.how_to_open.iter().map(|line| format!("    {line}")));
    }
    page.line("");
    let index = if answer.index.exists { "" } else { " (does not exist yet)" };
    page.line(format!("index {}{index}", answer.index.path));
    if let Some(coverage) = &answer.coverage {
        page.lines(crate::output::page::coverage_lines(coverage));
    }
    for report in &answer.lists {
        let (accepted, quarantined) = (report.accepted, report.quarantined.len());
        page.line(format!(
            "list {}: {accepted} rows, {quarantined} quarantined, {} of other chains",
            report.path, report.other_chain
        ));
    }
    if let Some(estimate) = &answer.estimate {
        page.line(format!(
            "a backfill would read {} blocks in about {} min, and take {} MB for headers and 1 to 2 kB for each touched transaction",
            estimate.blocks,
            estimate.seconds.div_ceil(60),
            estimate.bytes.div_ceil(1_000_000)
        ));
    }
    for problem in &answer.problems {
        page.line(format!("problem: {problem}"));
    }
    page.line(if answer.ready { "ready: `coinhound backfill` can start" } else { "not ready" });
    page
}
