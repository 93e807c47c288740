//! `trace`: where the money of a source went, computed from the records of the index in chain order.
//!
//! [`crate::trace`] defines how taint passes through one transaction (docs/design.md, "Trace"). Here is what surrounds that: what a question starts from
//! (`source`), the pass over the records in chain order (`walk`), its findings (`coin`), and the rows of the answer (`rows`, `answer`).

pub mod answer;
pub mod coin;
mod rows;
pub mod source;
pub mod walk;

pub use answer::{RuleAnswer, TraceAnswer, TracedCoinRow};

use answer::{GatesRow, TraceSource};
use source::TraceTargets;
use walk::{TraceQuestion, walk};

use super::{Result, Snapshot};
use crate::query::at::Moment;
use crate::trace::{Gates, HopLimit, Rule};
use crate::watchlist::Range;

/// The rules of a question that names none.
pub const DEFAULT_RULES: [Rule; 2] = [Rule::Haircut, Rule::Fifo];

/// The options of a question.
#[derive(Clone, Debug, Default)]
pub struct TraceOptions {
    /// The rules, each applied by itself; if empty, [`DEFAULT_RULES`].
    pub rules: Vec<Rule>,
    /// Coins with less taint aren't followed, satoshis; `None` for the gate of the index.
    pub min_taint: Option<u64>,
    /// Coins with more hops aren't followed; `None` for the gate of the index.
    pub max_hops: Option<HopLimit>,
    /// Whether to stop at flagged scripts that are no source.
    pub stop_flagged: bool,
}

/// Traces the targets' coins to the state at a moment.
///
/// # Errors
/// [`super::QueryError::Usage`] where a target is malformed; what reading reports.
pub fn trace(
    snapshot: &Snapshot,
    targets: &[String],
    range: Option<Range>,
    options: &TraceOptions,
    moment: Moment,
) -> Result<TraceAnswer> {
    let TraceTargets { sources, unknown, basis } = TraceTargets::read(snapshot, targets, range)?;
    let mut rules: Vec<Rule> = Vec::new();
    for rule in if options.rules.is_empty() { &DEFAULT_RULES[..] } else { &options.rules } {
        if !rules.contains(rule) {
            rules.push(*rule);
        }
    }
    let tracked = snapshot.trace.gates();
    let gates = Gates {
        min_taint: options.min_taint.map_or(tracked.min_taint, |least| least.max(1)),
        max_hops: options.max_hops.map_or(tracked.max_hops, HopLimit::most),
    };
    let question = TraceQuestion {
        sources: &sources,
        rules: &rules,
        gates,
        stop_flagged: options.stop_flagged,
        at: moment.last(),
    };
    let found = walk(snapshot, &question)?;
    let order = rows::order(&found);
    let answers =
        rules.iter().enumerate().map(|(number, rule)| rows::of_rule(snapshot.chain(), &found, &order, number, *rule));
    let answers: Vec<RuleAnswer> = answers.collect();
    let mut coverage = basis.coverage(snapshot, moment);
    if answers.iter().any(RuleAnswer::has_coins_not_followed) {
        coverage.doubt(
            "the index did not look for the spends of some coins of this trace (state not_followed), so they may have moved on; use the \
             rules and gates of the index, or widen those with `coinhound backfill`"
                .to_owned(),
        );
    }
    let coins: Vec<_> = order.iter().map(|number| &found.coins[*number]).filter(|coin| coin.source).collect();
    Ok(TraceAnswer {
        coverage,
        source: TraceSource {
            target: targets.join(" "),
            coins_sat: coins.iter().map(|coin| coin.value).fold(0, u64::saturating_add),
            coins: coins.iter().map(|coin| coin.outpoint).collect(),
        },
        at: moment.block(snapshot)?,
        gates: GatesRow {
            min_taint_sat: gates.min_taint,
            max_hops: gates.max_hops,
            stop_flagged: options.stop_flagged,
        },
        unknown,
        rules: answers,
    })
}
