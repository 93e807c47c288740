//! What an answer rests on: heights, tip, lists, trace, and whether that is near now. "Not scanned" must never look like "clean".
//!
//! ```text
//! doubts   why an answer is not complete, each reason with the way out
//! basis    the entries that an answer speaks for, and how far they were scanned
//! report   the coverage as it is printed
//! ```
//!
//! An answer is complete exactly if there is no reason why it isn't: [`Coverage::doubt`] is the only way to make it incomplete.

mod basis;
mod doubts;
mod report;

use super::at::Moment;
use super::{Result, Snapshot};
use doubts::IndexState;

pub use basis::Basis;
pub use report::{Coverage, Gap, TraceCoverage};

impl Basis {
    /// The coverage of an answer about a moment.
    pub fn coverage(&self, snapshot: &Snapshot, moment: Moment) -> Coverage {
        let index = IndexState::of(snapshot);
        let now = moment.is_now.then(|| snapshot.freshness());
        let mut coverage = Coverage {
            chain: snapshot.chain(),
            from: self.from(),
            through: self.through(),
            tip: snapshot.tip.map(|tip| tip.hash),
            tip_time: snapshot.tip_time,
            age_s: now.as_ref().and_then(|now| now.age_s),
            node: now.as_ref().and_then(|now| now.node),
            lag: now.as_ref().and_then(|now| now.lag),
            complete: true,
            why: Vec::new(),
            lists: snapshot.lists.version(),
            lists_changed: snapshot.lists_changed,
            quarantined: snapshot.lists.quarantined(),
            trace: TraceCoverage {
                rules: snapshot.trace.rules.clone(),
                min_taint_sat: snapshot.trace.min_taint_sat,
                max_hops: snapshot.trace.max_hops,
                settled: index.settled,
            },
            gaps: moment.height.map(|asked| self.gaps(asked)).unwrap_or_default(),
        };
        let reasons = self.doubts(&index, moment.height).into_iter().chain(now.into_iter().flat_map(|now| now.why));
        reasons.for_each(|reason| coverage.doubt(reason));
        coverage
    }
}

/// The coverage of everything flagged, at a moment.
///
/// # Errors
/// What reading reports.
pub fn whole_coverage(snapshot: &Snapshot, moment: Moment) -> Result<Coverage> {
    Ok(Basis::of_flagged(snapshot)?.progress().traced().coverage(snapshot, moment))
}
