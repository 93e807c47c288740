//! The bench's tables, each from the results gathered for it. Medians over the rounds.

pub mod blocks;
pub mod filters;
pub mod growth;
pub mod matching;
pub mod tip;
