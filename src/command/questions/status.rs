//! `coinhound status`: how far the index is scanned and what it holds.

use std::time::Duration;

use crate::command::Context;
use crate::error::{Error, Exit};
use crate::node::Node;
use crate::output;
use crate::output::cell;
use crate::output::page::{Page, coverage_lines};
use crate::query::status::{NodeRow, StatusAnswer, status};
use crate::stop::Stop;

/// How long to wait for the node, which only adds its height to the answer.
const LAG_PATIENCE: Duration = Duration::from_secs(2);

pub fn run(context: &Context) -> Result<Exit, Error> {
    let snapshot = context.snapshot_within(LAG_PATIENCE)?;
    let node = snapshot.now.node.and_then(|state| {
        let node = Node::new(context.node_access(&snapshot).ok()?, Stop::default());
        let info = node.info_within(LAG_PATIENCE);
        let info = info.inspect_err(|error| tracing::info!("the node could not be asked: {error}")).ok()?;
        Some(NodeRow { height: state.height, version: info.subversion })
    });
    let answer = status(&snapshot, node)?;
    output::object(context.format, &answer, || page(&answer))?;
    Ok(Exit::Answered)
}

fn page(answer: &StatusAnswer) -> Page {
    let mut page = Page::default();
    let tip = answer.tip.as_ref().map_or("– (no block yet)".into(), |tip| {
        format!("{} ({}), {} UTC", tip.height, tip.hash, cell::time(i64::from(tip.time)))
    });
    let node = match (&answer.node, answer.lag) {
        (Some(node), Some(lag)) => {
            format!("{} at height {}; the index is {lag} blocks behind", node.version, node.height)
        }
        (Some(node), None) => {
            format!("{} at height {}; its active chain doesn't have the index's last block", node.version, node.height)
        }
        _ => "no answer".into(),
    };
    page.fields(&[
        ("index", answer.index.path.clone()),
        ("size", format!("{:.1} MB, format {}", megabytes(answer.index.bytes), answer.index.format)),
        ("tip", tip),
        ("node", node),
        ("entries", format!("{} flagged, {} service", answer.entries.flagged, answer.entries.service)),
        (
            "records",
            format!(
                "{} transactions ({} per 1,000 blocks), {} touches",
                answer.records, answer.records_per_1000_blocks, answer.touches
            ),
        ),
        ("coins", format!("{} followed, {} of them not spent", answer.followed, answer.live)),
    ]);
    if let Some(waiting) = &answer.waiting {
        let since = cell::time(i64::try_from(waiting.since).unwrap_or_default());
        page.line(format!("waiting since {since} UTC for {}: {}", waiting.what, waiting.error));
    }
    page.lines(coverage_lines(&answer.coverage));
    page
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
