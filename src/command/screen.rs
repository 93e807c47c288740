//! `coinhound screen`.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead, BufReader};

use bitcoin::{BlockHash, OutPoint, Transaction, TxOut, Txid};
use serde_json::{Map, json};

use super::Context;
use super::open::{self, NODE_PATIENCE};
use crate::chain::BlockId;
use crate::cli::ScreenArgs;
use crate::error::{Error, Exit};
use crate::node::{BlockSearch, Node, NodeError, NodeLookup};
use crate::output::columns::column;
use crate::output::{Column, Kind, Stream};
use crate::query::screen::{ChainLookup, InBlock, MinShare, NoShare, ScreenRow, Screener, Tally, Thresholds, Vouch};
use crate::query::{QueryError, Snapshot};
use crate::stop::Stop;
use crate::trace::Rule;
use crate::watchlist::Range;
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
    let tally = RefCell::new(Tally::default());
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
    let head = Map::from_iter([
        ("since".to_owned(), json!(args.since)),
        ("gates".to_owned(), json!(gates)),
        ("frontier_sat".to_owned(), json!(frontier)),
    ]);
    let taints = snapshot.trace.rules.iter().filter_map(|rule| taint_column(*rule));
    let shares = snapshot.trace.rules.iter().filter_map(|rule| share_column(*rule));
    let columns: Vec<Column> = BEFORE.into_iter().chain(taints).chain(AFTER).chain(shares).chain(LAST).collect();
    let tail = || Map::from_iter([("tally".to_owned(), json!(*tally.borrow()))]);
    Stream { coverage: &coverage, head, columns: &columns }.print(context.format, rows, tail)?;
    let Tally { is_found, is_unsure, .. } = *tally.borrow();
    Ok(match (is_found, is_unsure || !coverage.complete) {
        (true, _) => Exit::Found,
        (false, unsure) => Exit::of(!unsure),
    })
}

/// One thing to screen.
enum ScreenTarget {
    /// An argument: a mistake in it is wrong usage.
    Typed(String),
    /// A row of a file, with its block or height if a column is named so: a mistake in it is the answer of that row.
    Row(String, Option<Vouch>),
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
            Self::Row(text, said) => match screener.screen(&text, range, said.or(vouch)) {
                Err(QueryError::Usage(why)) => {
                    let shown = if holds_key(&text) { "(not shown)".to_owned() } else { masked(&text) };
                    Ok(vec![ScreenRow::nothing_known(&shown, why)])
                }
                answer => Ok(answer?),
            },
        }
    }
}

/// The targets in the order of their rows; a file is read line by line.
fn targets(args: &ScreenArgs) -> Result<Box<dyn Iterator<Item = Result<ScreenTarget, Error>>>, Error> {
    let typed = args.targets.clone().into_iter().map(|text| Ok(ScreenTarget::Typed(text)));
    let raw = args.raw_tx.clone().into_iter().map(|hex| Ok(ScreenTarget::Raw(hex)));
    let Some(path) = &args.file else { return Ok(Box::new(typed.chain(raw))) };
    let failed = {
        let path = path.display().to_string();
        move |source| Error::TargetsFile { path: path.clone(), source }
    };
    let lines = BufReader::new(File::open(path).map_err(&failed)?).split(b'\n');
    let rows = lines.map(move |line| Ok(String::from_utf8_lossy(&line.map_err(&failed)?).trim().to_owned()));
    let rows = rows.filter(|row: &Result<String, Error>| {
        row.as_ref().map_or(true, |row| !row.is_empty() && !row.starts_with('#'))
    });
    let mut header = None;
    let mut is_first = true;
    let rows = rows.filter_map(move |row| {
        let row = match row {
            Ok(row) => row,
            Err(error) => return Some(Err(error)),
        };
        if std::mem::take(&mut is_first) {
            header = Header::read(&row);
            if header.is_some() {
                return None;
            }
        }
        let (text, vouch) = header.as_ref().map_or_else(|| (without_number(&row), None), |header| header.split(&row));
        Some(Ok(ScreenTarget::Row(text.to_owned(), vouch)))
    });
    Ok(Box::new(typed.chain(raw).chain(rows)))
}

const SEPARATORS: [char; 4] = [' ', '\t', ',', ';'];

/// The first line of a file of targets, where it names the column of a height or of a block. The target is in the first column.
struct Header {
    column: usize,
    is_block: bool,
}

impl Header {
    fn read(line: &str) -> Option<Self> {
        let named = line.split(SEPARATORS).filter(|cell| !cell.is_empty()).enumerate().skip(1);
        let mut named = named.map(|(column, name)| (column, name.to_ascii_lowercase()));
        let (column, name) = named.find(|(_, name)| name == "height" || name == "block")?;
        Some(Self { column, is_block: name == "block" })
    }

    fn split<'l>(&self, line: &'l str) -> (&'l str, Option<Vouch>) {
        let mut cells = line.split(SEPARATORS).filter(|cell| !cell.is_empty());
        let text = cells.next().unwrap_or(line);
        let cell = cells.nth(self.column - 1).unwrap_or_default();
        let vouch =
            if self.is_block { cell.parse().ok().map(Vouch::Block) } else { cell.parse().ok().map(Vouch::Height) };
        (text, vouch)
    }
}

/// A line without a number at its end, which may be anything where no header names it: an output's index, an amount.
fn without_number(line: &str) -> &str {
    // A label may end in a number of its own.
    let split = line.rsplit_once(SEPARATORS).filter(|_| !line.starts_with("label:"));
    split.filter(|(_, end)| end.parse::<u64>().is_ok()).map_or(line, |(text, _)| text.trim_end())
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
