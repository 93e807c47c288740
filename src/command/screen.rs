//! `coinhound screen`.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{BufRead, BufReader};

use bitcoin::{OutPoint, Transaction, TxOut, Txid};
use serde_json::{Map, json};

use super::Context;
use super::open::{self, NODE_PATIENCE};
use crate::chain::BlockId;
use crate::cli::ScreenArgs;
use crate::error::{Error, Exit};
use crate::node::{Node, NodeError, NodeLookup};
use crate::output::columns::column;
use crate::output::{Column, Kind, Stream};
use crate::query::screen::{ChainLookup, ScreenRow, Screener, Verdict};
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
const AFTER: [Column; 5] = [
    column("labels", "labels", Kind::Text),
    column("why", "why", Kind::Text),
    column("flagged_inputs", "", Kind::Number),
    column("flagged_outputs", "", Kind::Number),
    column("path", "", Kind::Text),
];

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
    let screener = RefCell::new(Screener::new(&snapshot, &node)?);
    let (found, unsure) = (Cell::new(false), Cell::new(false));
    let rows = targets(args)?.flat_map(|target| {
        let answered = target.and_then(|target| target.screen(&mut screener.borrow_mut(), range, args.height));
        let rows = match answered {
            Ok(rows) => rows.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        for row in rows.iter().flatten() {
            found.set(found.get() || row.is_found());
            unsure.set(unsure.get() || row.verdict == Verdict::Unknown);
        }
        rows
    });
    let mut rows = rows.peekable();
    if matches!(rows.peek(), Some(Err(_)))
        && let Some(Err(error)) = rows.next()
    {
        // Nothing was printed yet: an error by itself, not half an answer.
        return Err(error);
    }
    let (coverage, frontier) = {
        let screener = screener.borrow();
        (screener.coverage.clone(), screener.frontier.clone())
    };
    let head = Map::from_iter([("frontier_sat".to_owned(), json!(frontier))]);
    let taints = snapshot.trace.rules.iter().filter_map(|rule| taint_column(*rule));
    let columns: Vec<Column> = BEFORE.into_iter().chain(taints).chain(AFTER).collect();
    Stream { coverage: &coverage, head, columns: &columns }.print(context.format, rows, Map::new)?;
    Ok(match (found.get(), unsure.get() || !coverage.complete) {
        (true, _) => Exit::Found,
        (false, unsure) => Exit::of(!unsure),
    })
}

/// One thing to screen.
enum ScreenTarget {
    /// An argument: a mistake in it is wrong usage.
    Typed(String),
    /// A row of a file, with a height if it has one: a mistake in it is the answer of that row.
    Row(String),
    /// A transaction in hex.
    Raw(String),
}

impl ScreenTarget {
    fn screen(
        self,
        screener: &mut Screener<'_>,
        range: Option<Range>,
        height: Option<u32>,
    ) -> Result<Vec<ScreenRow>, Error> {
        match self {
            Self::Typed(text) => Ok(screener.screen(&text, range, height)?),
            Self::Raw(hex) => Ok(vec![screener.raw(&hex, height)?]),
            Self::Row(line) => {
                // A label may end in a number of its own.
                let split = line.rsplit_once([' ', '\t', ',']).filter(|_| !line.starts_with("label:"));
                let split = split.and_then(|(text, height)| Some((text.trim_end(), height.parse().ok()?)));
                let (text, said) = split.map_or((line.as_str(), None), |(text, height)| (text, Some(height)));
                match screener.screen(text, range, said.or(height)) {
                    Err(QueryError::Usage(why)) => {
                        let shown = if holds_key(text) { "(not shown)".to_owned() } else { masked(text) };
                        Ok(vec![ScreenRow::nothing_known(&shown, why)])
                    }
                    answer => Ok(answer?),
                }
            }
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
    Ok(Box::new(typed.chain(raw).chain(rows.map(|row| Ok(ScreenTarget::Row(row?))))))
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

    fn name(&self) -> String {
        match &*self.lookup.borrow() {
            Some(Err(why)) => why.clone(),
            _ => "the node".into(),
        }
    }
}
