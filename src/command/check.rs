//! `coinhound check`: what node, index and lists are, which lanes are open, and what a backfill would take.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Context, lists};
use crate::chain::{BlockId, Height};
use crate::error::{Error, Exit};
use crate::index::writer::{FolderState, folder_state};
use crate::node::{Connection, Lane, LaneReport, Node, NodeInfo, SettingReport};
use crate::output;
use crate::output::page::Page;
use crate::query::Coverage;
use crate::query::status::whole_coverage;
use crate::stop::Stop;
use crate::watchlist::Report;
use crate::watchlist::entries::merge;

/// A node that is down is an answer too.
const NODE_PATIENCE: Duration = Duration::from_secs(5);
/// Blocks read to tell how fast the node is.
const SAMPLE: u32 = 5;

#[derive(Serialize)]
struct Answer {
    /// Whether a backfill could start.
    ready: bool,
    /// What stands in its way.
    problems: Vec<String>,
    settings: Vec<SettingReport>,
    node: Option<NodeInfo>,
    lanes: Vec<LaneReport>,
    lane: Option<&'static str>,
    index: IndexAnswer,
    lists: Vec<Report>,
    estimate: Option<Estimate>,
}

#[derive(Serialize)]
struct IndexAnswer {
    path: String,
    exists: bool,
    coverage: Option<Coverage>,
}

/// What a backfill would take.
#[derive(Serialize)]
struct Estimate {
    /// Heights to pass.
    blocks: u32,
    /// About so many seconds, from a few blocks read just now.
    seconds: u64,
    /// What headers take on disk; touched transactions add some 1 to 2 kB each.
    bytes: u64,
}

pub fn run(context: &Context) -> Result<Exit, Error> {
    let settings = &context.settings;
    let mut problems = Vec::new();
    let connection = Connection::resolve(&settings.node)?;
    let report = connection.report().to_vec();
    let node = Node::new(connection, Stop::default());
    let mut answer = Answer {
        ready: false,
        problems: Vec::new(),
        settings: report,
        node: None,
        lanes: Vec::new(),
        lane: None,
        index: IndexAnswer { path: settings.index.display().to_string(), exists: false, coverage: None },
        lists: Vec::new(),
        estimate: None,
    };
    let mut read = Vec::new();
    for file in &settings.watch {
        match lists::read(file, settings.node.chain.value) {
            Ok(list) => {
                answer.lists.push(list.report.clone());
                read.push(list);
            }
            Err(error) => problems.push(error.to_string()),
        }
    }
    let first = lists::first_height(&merge(read, 0)).unwrap_or(0);
    let mut next = 0;
    match folder_state(&settings.index) {
        Ok(FolderState::Absent) if settings.watch.is_empty() => problems.push(
            "there is nothing to look for: name a list with `--watch FILE`, or in the configuration as [[watchlist]]"
                .into(),
        ),
        Ok(FolderState::Absent) => {}
        Ok(FolderState::Index) => match context.snapshot() {
            Ok(snapshot) => {
                answer.index.exists = true;
                next = snapshot.next;
                answer.index.coverage = Some(whole_coverage(&snapshot, snapshot.asked())?);
            }
            Err(error) => problems.push(error.to_string()),
        },
        Err(error) => problems.push(error.to_string()),
    }
    if let Err(error) = ask_node(context, &node, next, first, &mut answer) {
        problems.push(error.to_string());
    }
    answer.ready = problems.is_empty();
    answer.problems = problems;
    output::object(context.format, &answer, || page(&answer))?;
    Ok(if answer.ready { Exit::Answered } else { Exit::Failed })
}

fn ask_node(context: &Context, node: &Node, next: Height, first: Height, answer: &mut Answer) -> Result<(), Error> {
    let info = node.info_within(NODE_PATIENCE)?;
    answer.node = Some(info.clone());
    let capabilities = node.capabilities_within(&info, NODE_PATIENCE)?;
    answer.lanes = node.lanes(&info, &capabilities);
    let lane = node.lane(context.settings.node.lane.value, &capabilities)?;
    answer.lane = Some(lane.name());
    // Below the first height asked for only headers are read, which a pruned node has too.
    let next = next.max(first);
    if next <= info.blocks {
        info.serves_from(next)?;
    }
    answer.estimate = Some(estimate(&info, &lane, next)?);
    Ok(())
}

/// Reads a few blocks, spread over what is missing, and multiplies.
fn estimate(info: &NodeInfo, lane: &Lane, next: Height) -> Result<Estimate, Error> {
    let blocks = (info.blocks + 1).saturating_sub(next);
    let mut worker = lane.worker();
    let start = Instant::now();
    let mut read = 0;
    for part in 0..SAMPLE.min(blocks) {
        let height = next + (blocks - 1) / SAMPLE.min(blocks) * part;
        if let Some(header) = worker.headers(height, 1)?.first() {
            worker.block(BlockId { height, hash: header.block_hash() })?;
            read += 1;
        }
    }
    let each = start.elapsed().checked_div(read).unwrap_or_default();
    // Several connections share the work; two is what a node on the same machine gives.
    let seconds = (each * blocks).as_secs() / 2;
    Ok(Estimate { blocks, seconds, bytes: u64::from(blocks) * 84 })
}

fn page(answer: &Answer) -> Page {
    let mut page = Page::default();
    page.line("settings");
    let settings = answer
        .settings
        .iter()
        .map(|setting| vec![setting.name.into(), setting.value.clone(), setting.origin.to_string()]);
    page.grid(&["setting", "value", "from"], &[], settings.collect());
    page.line("");
    if let Some(node) = &answer.node {
        let catching_up = if node.ibd { ", still catching up" } else { "" };
        let pruned = match (node.pruned, node.prune_height) {
            (true, Some(height)) => format!("yes, blocks from {height} on"),
            (true, None) => "yes, but it has all blocks yet".into(),
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
        let taken = if answer.lane == Some(lane.lane) { " (taken)" } else { "" };
        page.line(format!("lane {}: {}{taken}: {}", lane.lane, if lane.open { "open" } else { "closed" }, lane.why));
        page.lines(lane.how_to_open.iter().map(|line| format!("    {line}")));
    }
    page.line("");
    let index = if answer.index.exists { "" } else { " (not made yet)" };
    page.line(format!("index {}{index}", answer.index.path));
    if let Some(coverage) = &answer.index.coverage {
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
            "a backfill would pass {} blocks in about {} min, and take {} MB for headers and some 1 to 2 kB a touched transaction",
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
