//! The row of a target, from what was found and what finding nothing proves; and all rows of an answer together.
//!
//! ```text
//! tally          the rows of an answer, counted by verdict
//! gates          what a row claims: how far the index follows coins
//! screen_row     the row by its verdict ── threshold   shares of the value, and what counts
//! output_tally   sums over a target's outputs
//! findings       what was found of a target
//! ```

pub mod findings;
pub mod gates;
pub mod output_tally;
pub mod screen_row;
pub mod tally;
pub mod threshold;
