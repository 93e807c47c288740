//! `coinhound verify`: compares the index with its own records, and with the node.

use bitcoin::hashes::Hash;
use serde::Serialize;

use super::Context;
use crate::audit::node::{Comparison, Difference, sample, unspent};
use crate::audit::verify::verify;
use crate::chain::Height;
use crate::cli;
use crate::error::{Error, Exit};
use crate::node::{CallPolicy, Node};
use crate::output;
use crate::output::page::{Page, coverage_lines};
use crate::query::at::Moment;
use crate::query::coverage::whole_coverage;
use crate::query::{Coverage, Snapshot};
use crate::stop::Stop;

/// Blocks compared by default: each takes the node most of a second.
const SAMPLE: usize = 20;
/// Up to this many coins are asked for one by one; more are left to one scan of the node's UTXO set.
const COINS_ONE_BY_ONE: usize = 20_000;

/// How long calls to the node may fail in a row, as they do for blocks that it doesn't have yet.
const NODE_FAILING: std::time::Duration = std::time::Duration::from_secs(10);

#[derive(Serialize)]
struct VerifyAnswer {
    coverage: Coverage,
    /// Whether no difference was found.
    ok: bool,
    /// The first difference, in words.
    difference: Option<String>,
    /// The last height compared.
    through: Option<Height>,
    headers: u64,
    records: u64,
    rows: u64,
    node: Option<NodeComparison>,
}

#[derive(Clone, Copy, Serialize)]
struct NodeComparison {
    coins: u64,
    scripts: u64,
    blocks: u64,
}

pub fn run(context: &Context, args: &cli::VerifyArgs) -> Result<Exit, Error> {
    let snapshot = context.snapshot()?;
    let mut answer = VerifyAnswer {
        coverage: whole_coverage(&snapshot, Moment::now(&snapshot))?,
        ok: true,
        difference: None,
        through: None,
        headers: 0,
        records: 0,
        rows: 0,
        node: None,
    };
    match verify(&snapshot.reader)? {
        Ok(verified) => {
            answer.through = verified.through;
            (answer.headers, answer.records, answer.rows) = (verified.headers, verified.records, verified.rows);
        }
        Err(flaw) => answer.difference = Some(flaw.to_string()),
    }
    let settled = snapshot.sweeps.settled() == snapshot.next;
    if args.node && !settled {
        tracing::warn!("a sweep is unfinished, so nothing is compared with the node: run `coinhound backfill` first");
    } else if args.node && answer.difference.is_none() {
        let (compared, difference) = with_node(context, &snapshot, args.blocks.unwrap_or(SAMPLE))?;
        answer.node = Some(compared);
        answer.difference = difference.map(|difference| difference.to_string());
    }
    answer.ok = answer.difference.is_none();
    output::object(context.format, &answer, || page(&answer))?;
    Ok(match answer.ok {
        true => Exit::of(answer.coverage.complete && (!args.node || settled)),
        false => Exit::Failed,
    })
}

/// Compares unspent coins and a sample of blocks with the node's.
fn with_node(
    context: &Context,
    snapshot: &Snapshot,
    blocks: usize,
) -> Result<(NodeComparison, Option<Difference>), Error> {
    let stop = Stop::default();
    super::signals::listen(&stop)?;
    let policy = CallPolicy::failing_at_most(NODE_FAILING);
    let node = Node::with_policy(context.node_access(snapshot)?, stop, &policy);
    super::signals::hang_up_on(&node)?;
    node.info()?;
    let view = &*snapshot.reader;
    let Some(mut comparison) = Comparison::new(view, &node)? else {
        return Ok((NodeComparison { coins: 0, scripts: 0, blocks: 0 }, None));
    };
    let mut difference = match unspent(view).take(COINS_ONE_BY_ONE + 1).count() {
        few if few <= COINS_ONE_BY_ONE => comparison.coins(unspent(view))?,
        _ => None,
    };
    if difference.is_none() {
        let flagged = view.entry_heads().filter_map(|entry| match entry {
            Ok((hash, entry)) => entry.flagged.then_some(Ok((hash, entry.script, entry.from))),
            Err(error) => Some(Err(error)),
        });
        difference = comparison.scripts(flagged)?;
    }
    if difference.is_none() {
        // Seeded by the tip: each tip has other blocks compared.
        let seed = snapshot
            .tip
            .map_or(0, |tip| u64::from_be_bytes(tip.hash.to_byte_array()[..8].try_into().unwrap_or_default()));
        for height in sample(view, 0..=snapshot.next.saturating_sub(1), blocks, seed)? {
            difference = comparison.block(height)?;
            if difference.is_some() {
                break;
            }
        }
    }
    let compared = comparison.compared();
    Ok((NodeComparison { coins: compared.coins, scripts: compared.scripts, blocks: compared.blocks }, difference))
}

fn page(answer: &VerifyAnswer) -> Page {
    let mut page = Page::default();
    match &answer.difference {
        Some(difference) => {
            page.line(format!("DIFFERENCE: {difference}"));
            page.line(
                "`coinhound retrace` derives rows again; for any other difference, restore a backup or make a new index",
            );
        }
        None => page.line(format!(
            "no difference: {} headers, {} records and {} rows derived from them",
            answer.headers, answer.records, answer.rows
        )),
    }
    if let Some(node) = answer.node {
        page.line(format!(
            "compared with the node: {} unspent coins, all coins of {} scripts, {} whole blocks",
            node.coins, node.scripts, node.blocks
        ));
    }
    page.lines(coverage_lines(&answer.coverage));
    page
}
