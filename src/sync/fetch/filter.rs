//! Rules blocks out by their filters, ahead of the sweep, as long as that pays ([`super::payoff`]).

use std::time::{Duration, Instant};

use bitcoin::BlockHash;

use super::block::RuledOut;
use super::filter_scripts::{FilterQuery, FilterScripts};
use super::payoff::FilterPayoff;
use super::pool::ConnectionPool;
use super::source::FilterAnswer;
use crate::chain::BlockId;
use crate::scan::Matcher;
use crate::sync::interrupt::Flow;

/// Whether a block has to be read.
pub enum Selection {
    /// It has to be.
    Read {
        /// Whether that is since its filter matched.
        by_filter: bool,
    },
    /// It doesn't have to be.
    RuledOut(RuledOut),
}

/// Selects the blocks to read, for one sweep.
pub struct BlockSelector<'a> {
    scripts: &'a FilterScripts,
    payoff: FilterPayoff,
    query: FilterQuery,
    late: usize,
    /// How many blocks were last selected without asking their filters, and when.
    unasked: Option<(usize, Instant)>,
}

impl<'a> BlockSelector<'a> {
    /// Selects by these scripts, where reading a block takes about `read_cost`.
    pub fn new(scripts: &'a FilterScripts, read_cost: Duration) -> Self {
        let mut query = FilterQuery::since(0);
        scripts.update(&mut query);
        let payoff = FilterPayoff::new(scripts.always(), query.next(), read_cost);
        Self { scripts, payoff, query, late: scripts.late(), unasked: None }
    }

    /// How many blocks to select from next.
    pub fn at_once(&self) -> usize {
        self.payoff.at_once()
    }

    /// Whether each of `blocks`, which follow `previous`, has to be read. Uses the threads of the rayon pool it is called in.
    pub fn select(&mut self, pool: &ConnectionPool, previous: BlockHash, blocks: &[BlockId]) -> Flow<Vec<Selection>> {
        self.scripts.update(&mut self.query);
        if let Some((blocks, since)) = self.unasked.take() {
            self.payoff.learn_read(blocks, since.elapsed());
        }
        if !self.query.can_rule_out() || !self.payoff.asks(blocks.len()) {
            self.unasked = Some((blocks.len(), Instant::now()));
            return Ok(blocks.iter().map(|_| Selection::Read { by_filter: false }).collect());
        }
        pool.with(|node| node.locate_filters(blocks));
        let began = Instant::now();
        let (scripts, query) = (self.query.next(), &self.query);
        let answers = pool.with(|node| {
            node.match_filters(previous, blocks, &|matcher: &mut Matcher, id, filter: &[u8]| {
                query.may_be_in(matcher, id, filter)
            })
        })?;
        let selections = answers.into_iter().map(|answer| match answer {
            None => Selection::Read { by_filter: false },
            Some(FilterAnswer::MayMatter) => Selection::Read { by_filter: true },
            Some(FilterAnswer::RuledOut(filter)) => Selection::RuledOut(RuledOut { scripts, filter }),
        });
        let selections: Vec<_> = selections.collect();
        let read = selections.iter().filter(|selection| matches!(selection, Selection::Read { .. })).count();
        let late = self.scripts.late();
        self.payoff.learn_match(blocks.len(), began.elapsed(), read, late - self.late);
        self.late = late;
        Ok(selections)
    }
}
