//! All rows of an answer together: how many of each verdict, and what they come to.

use serde::Serialize;

use super::screen_row::{ScreenRow, Verdict};

/// The counts of an answer's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ScreenTally {
    /// Rows with this verdict, as in all that follow.
    pub flagged: u64,
    /// Those that hold too little taint to count included.
    pub derived: u64,
    /// As above.
    pub same_key: u64,
    /// As above.
    pub unknown: u64,
    /// As above.
    pub none: u64,
    /// Rows that hold too little taint to count.
    pub below_threshold: u64,
    /// Whether some row counts.
    #[serde(skip)]
    pub is_found: bool,
    /// Whether there may be more than is known of some row.
    #[serde(skip)]
    pub is_unsure: bool,
}

impl ScreenTally {
    /// Adds a row.
    pub fn add(&mut self, row: &ScreenRow) {
        *match row.verdict {
            Verdict::Flagged => &mut self.flagged,
            Verdict::Derived => &mut self.derived,
            Verdict::SameKey => &mut self.same_key,
            Verdict::Unknown => &mut self.unknown,
            Verdict::None => &mut self.none,
        } += 1;
        self.below_threshold += u64::from(row.below_threshold);
        self.is_found |= row.is_found();
        self.is_unsure |= row.is_unsure();
    }
}
