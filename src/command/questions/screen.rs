//! `coinhound screen`.

use std::cell::RefCell;

use bitcoin::{BlockHash, OutPoint, Transaction, TxOut, Txid};
use serde_json::{Map, json};

use super::open::{self, NODE_PATIENCE};
use crate::chain::BlockId;
use crate::cli::ScreenArgs;
use crate::command::Context;
use crate::error::{Error, Exit};
use crate::lists;
use crate::node::{BlockSearch, Node, NodeError, NodeLookup};
use crate::output::columns::column;
use crate::output::{Column, Kind, Stream};
use crate::query::screen::{
    ChainLookup, InBlock, MinShare, NoShare, ScreenRow, ScreenTally, Screener, Thresholds, Vouch,
};
use crate::query::{QueryError, Snapshot};
use crate::stop::Stop;
use crate::trace::Rule;
use crate::watchlist::Range;
use crate::watchlist::targets::{TargetRow, UnclearRow};
use crate::watchlist::{holds_key, masked};

const BEFORE: [Column; 4] = [
    column("target", "target", Kind::Text),
    column("verdict", "verdict", Kind::Text),
    column("hops", "hops", Kind::Number),
    column("value_sat", "BTC", Kind::Btc),
];
const AFTER: [Column; 7] = [
    column("labels", "labels", Kind::Text),
    column("why", "why", Kind::Text),
    column("bound", "", Kind::Text),
    column("proven_by", "", Kind::Text),
    column("flagged_inputs", "", Kind::Number),
    column("flagged_outputs", "", Kind::Number),
    column("path", "", Kind::Text),
];

/// In CSV behind the shares.
const LAST: [Column; 1] = [column("below_threshold", "", Kind::Text)];

/// The share's column under each rule that can be tracked; tables have it in the reason.
const fn share_column(rule: Rule) -> Option<Column> {
    match rule {
        Rule::Poison => None,
        Rule::Haircut => Some(column("share.haircut", "", Kind::Number)),
        Rule::Fifo => Some(column("share.fifo", "", Kind::Number)),
        Rule::Lifo => Some(column("share.lifo", "", Kind::Number)),
        Rule::Tiho => Some(column("share.tiho", "", Kind::Number)),
    }
}

/// What the caller counts.
fn thresholds(args: &ScreenArgs) -> Result<Thresholds, Error> {
    let share = args.min_share.as_deref().map(str::parse::<MinShare>).transpose();
    let min_share = share.map_err(|error: NoShare| QueryError::Usage(format!("--min-share: {error}")))?;
    Ok(Thresholds { at_least: args.at_least, min_share })
}

/// The taint's column under each rule that can be tracked.
const fn taint_column(rule: Rule) -> Option<Column> {
    match rule {
        Rule::Poison => None,
        Rule::Haircut => Some(column("taint_sat.haircut", "haircut BTC", Kind::Btc)),
        Rule::Fifo => Some(column("taint_sat.fifo", "fifo BTC", Kind::Btc)),
        Rule::Lifo => Some(column("taint_sat.lifo", "lifo BTC", Kind::Btc)),
        Rule::Tiho => Some(column("taint_sat.tiho", "tiho BTC", Kind::Btc)),
    }
}

pub fn run(context: &Context, args: &ScreenArgs) -> Result<Exit, Error> {
    let snapshot = context.snapshot()?;
    let range = args.range.range.as_deref().map(open::range).transpose()?;
    let node = LazyNode::new(context, &snapshot);
    let thresholds = thresholds(args)?;
    let screener = RefCell::new(Screener::new(&snapshot, &node)?.since(args.since).counting(thresholds));
    let tally = RefCell::new(ScreenTally::default());
    let vouch = args.block.map(Vouch::Block).or(args.height.map(Vouch::Height));
    let rows = targets(args)?.flat_map(|target| {
        let answered = target.and_then(|target| target.screen(&mut screener.borrow_mut(), range, vouch));
        let rows = match answered {
            Ok(rows) => rows.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        rows.iter().flatten().for_each(|row| tally.borrow_mut().add(row));
        rows
    });
    let mut rows = rows.peekable();
    if matches!(rows.peek(), Some(Err(_)))
        && let Some(Err(error)) = rows.next()
    {
        // Nothing was printed yet: an error by itself, not half an answer.
        return Err(error);
    }
    let (coverage, frontier, gates) = {
        let screener = screener.borrow();
        (screener.coverage.clone(), screener.frontier.clone(), screener.gates())
    };
    let mut head = Map::from_iter([
        ("since".to_owned(), json!(args.since)),
        ("gates".to_owned(), json!(gates)),
        ("frontier_sat".to_owned(), json!(frontier)),
    ]);
    // A file without a row proves nothing about what should have been in it.
    let empty = args.file.as_ref().filter(|_| rows.peek().is_none());
    if let Some(file) = empty {
        let why = format!(
            "{} names no target at all; put one on each line, or name its columns in a header line",
            file.display()
        );
        tracing::warn!("{why}");
        head.insert("why".to_owned(), json!(why));
    }
    let taints = snapshot.trace.rules.iter().filter_map(|rule| taint_column(*rule));
    let shares = snapshot.trace.rules.iter().filter_map(|rule| share_column(*rule));
    let columns: Vec<Column> = BEFORE.into_iter().chain(taints).chain(AFTER).chain(shares).chain(LAST).collect();
    Stream { coverage: &coverage, head, columns: &columns }
        .print(context.format, rows, || Map::from_iter([("tally".to_owned(), json!(*tally.borrow()))]))?;
    let ScreenTally { is_found, is_unsure, .. } = *tally.borrow();
    // A hit is one however incomplete the coverage is.
    Ok(match (is_found, is_unsure || empty.is_some() || !coverage.complete) {
        (true, _) => Exit::Found,
        (false, unsure) => Exit::of(!unsure),
    })
}

/// One thing to screen.
enum ScreenTarget {
    /// An argument: a mistake in it is wrong usage.
    Typed(String),
    /// A row of a file: a mistake in it is the answer of that row.
    Row(TargetRow),
    /// A row of a file whose target isn't clear.
    Unclear(UnclearRow),
    /// A transaction in hex.
    Raw(String),
}

impl ScreenTarget {
    fn screen(
        self,
        screener: &mut Screener<'_>,
        range: Option<Range>,
        vouch: Option<Vouch>,
    ) -> Result<Vec<ScreenRow>, Error> {
        match self {
            Self::Typed(text) => Ok(screener.screen(&text, range, vouch)?),
            Self::Raw(hex) => Ok(vec![screener.raw(&hex, vouch)?]),
            Self::Row(row) => match screener.screen(&row.target, range, said_by(&row).or(vouch)) {
                Err(QueryError::Usage(why)) => {
                    let shown = if holds_key(&row.target) { "(not shown)".to_owned() } else { masked(&row.target) };
                    Ok(vec![ScreenRow::nothing_known(&shown, format!("line {}: {why}", row.line))])
                }
                answer => Ok(answer?),
            },
            Self::Unclear(row) => {
                Ok(vec![ScreenRow::nothing_known(&row.text, format!("line {}: {}", row.line, row.reason))])
            }
        }
    }
}

/// Where the columns of a row say that its transaction is confirmed.
fn said_by(row: &TargetRow) -> Option<Vouch> {
    row.block.map(Vouch::Block).or(row.height.map(Vouch::Height))
}

/// The targets in the order of their rows; a file is read row by row.
fn targets(args: &ScreenArgs) -> Result<Box<dyn Iterator<Item = Result<ScreenTarget, Error>>>, Error> {
    let typed = args.targets.clone().into_iter().map(|text| Ok(ScreenTarget::Typed(text)));
    let raw = args.raw_tx.clone().into_iter().map(|hex| Ok(ScreenTarget::Raw(hex)));
    let Some(path) = &args.file else { return Ok(Box::new(typed.chain(raw))) };
    let rows = lists::targets::open(path)?.map(|row| Ok(row?.map_or_else(ScreenTarget::Unclear, ScreenTarget::Row)));
    Ok(Box::new(typed.chain(raw).chain(rows)))
}

/// The node, connected to when a target first needs it; one that doesn't answer is not asked again.
struct LazyNode<'a> {
    context: &'a Context,
    snapshot: &'a Snapshot,
    lookup: RefCell<Option<Result<NodeLookup, String>>>,
}

impl<'a> LazyNode<'a> {
    fn new(context: &'a Context, snapshot: &'a Snapshot) -> Self {
        Self { context, snapshot, lookup: RefCell::default() }
    }

    fn connect(&self) -> Result<NodeLookup, NodeError> {
        let node = Node::new(self.context.node_access(self.snapshot)?, Stop::default());
        node.info_within(NODE_PATIENCE)?;
        Ok(node.lookup(NODE_PATIENCE))
    }

    fn ask<T>(&self, ask: impl FnOnce(&NodeLookup) -> Result<Option<T>, NodeError>) -> Option<T> {
        let mut lookup = self.lookup.borrow_mut();
        let known = lookup.get_or_insert_with(|| self.connect().map_err(|error| gone(&error)));
        let answer = match known {
            Ok(lookup) => ask(lookup),
            Err(_) => return None,
        };
        answer.unwrap_or_else(|error| {
            *known = Err(gone(&error));
            None
        })
    }
}

/// Warns that the node can't be asked; gives the words for answers.
fn gone(error: &NodeError) -> String {
    tracing::warn!("the node could not be asked (targets that are not in the index stay unknown): {error}");
    format!("the node could not be asked: {error}")
}

impl ChainLookup for LazyNode<'_> {
    fn coin(&self, outpoint: OutPoint) -> Option<(TxOut, BlockId)> {
        self.ask(|lookup| lookup.coin(outpoint))
    }

    fn transaction(&self, txid: Txid) -> Option<(Transaction, Option<BlockId>)> {
        self.ask(|lookup| lookup.transaction(txid))
    }

    fn in_block(&self, txid: Txid, block: BlockHash) -> InBlock {
        match self.ask(|lookup| lookup.in_block(txid, block).map(Some)) {
            Some(BlockSearch::Holds(transaction)) => InBlock::Holds(transaction),
            Some(BlockSearch::Lacks) => InBlock::Lacks,
            Some(BlockSearch::Stale) => InBlock::Stale,
            Some(BlockSearch::NoBlock) | None => InBlock::Unsaid,
        }
    }

    fn name(&self) -> String {
        match &*self.lookup.borrow() {
            Some(Err(why)) => why.clone(),
            _ => "the node".into(),
        }
    }
}
