//! Changing an index that is open: a step gathers changes, and writes them in one batch.

mod changes;
pub(super) mod derived_rows;
mod entries;
pub(super) mod mend;
pub(super) mod step;
mod sums;
