//! `trace`: where the money of a source went, computed from the records of the index in chain order.
//!
//! The definition is in docs/design.md, "Trace", and [`crate::trace`] has it for one transaction. Here is what is around it: what a question starts
//! from (`source`), the pass over the records it comes to (`walk`), what that finds (`coin`), and the rows that are answered (`rows`, `answer`).

pub mod answer;
pub mod coin;
pub mod place;
mod rows;
pub mod source;
pub mod walk;

pub use answer::{CoinRow, CoinState, RuleAnswer, TraceAnswer};

use answer::{GatesRow, SourceRow};
use walk::{Question, walk};

use super::{Result, Snapshot};
use crate::chain::Height;
use crate::trace::{Gates, Rule};
use crate::watchlist::Range;

/// The rules of a question that names none.
pub const DEFAULT_RULES: [Rule; 2] = [Rule::Haircut, Rule::Fifo];

/// How a trace is asked for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// The rules, each by itself; the default ones where there is none.
    pub rules: Vec<Rule>,
    /// Coins with less taint aren't followed; the index's own gate where it isn't said.
    pub min_taint: Option<u64>,
    /// Coins with more hops aren't followed, `Some(None)` for no limit; the index's own gate where it isn't said.
    pub max_hops: Option<Option<u32>>,
    /// Whether to stop at flagged scripts that are no source.
    pub stop_flagged: bool,
}

/// Traces the targets' coins to the state after the block at `at`.
///
/// # Errors
/// [`super::QueryError::Usage`] where a target is malformed; what reading reports.
pub fn trace(
    snapshot: &Snapshot,
    targets: &[String],
    range: Option<Range>,
    ask: &Ask,
    at: Option<Height>,
) -> Result<TraceAnswer> {
    let source::Resolved { sources, unknown, basis } = source::resolve(snapshot, targets, range)?;
    let mut rules: Vec<Rule> = Vec::new();
    for rule in if ask.rules.is_empty() { &DEFAULT_RULES[..] } else { &ask.rules } {
        if !rules.contains(rule) {
            rules.push(*rule);
        }
    }
    let gates = Gates {
        min_taint: ask.min_taint.unwrap_or(snapshot.trace.min_taint_sat).max(1),
        max_hops: ask.max_hops.unwrap_or(snapshot.trace.max_hops),
    };
    let question = Question {
        sources: &sources,
        rules: &rules,
        gates,
        stop_flagged: ask.stop_flagged,
        at: at.unwrap_or(Height::MAX),
    };
    let found = walk(snapshot, &question)?;
    let order = rows::order(&found);
    let answers = rules.iter().enumerate().map(|(number, rule)| rows::of_rule(snapshot, &found, &order, number, *rule));
    let answers: Vec<RuleAnswer> = answers.collect();
    let mut coverage = basis.coverage(snapshot, at);
    let lost_sight = |answer: &RuleAnswer| answer.coins.iter().any(|coin| coin.state == CoinState::NotFollowed);
    coverage.complete &= !answers.iter().any(lost_sight);
    let coins: Vec<_> = order.iter().map(|number| &found.coins[*number]).filter(|coin| coin.source).collect();
    Ok(TraceAnswer {
        coverage,
        source: SourceRow {
            target: targets.join(" "),
            coins_sat: coins.iter().map(|coin| coin.value).fold(0, u64::saturating_add),
            coins: coins.iter().map(|coin| coin.outpoint).collect(),
        },
        at,
        gates: GatesRow { min_taint_sat: gates.min_taint, max_hops: gates.max_hops, stop_flagged: ask.stop_flagged },
        unknown,
        rules: answers,
    })
}
