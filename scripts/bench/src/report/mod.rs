//! The bench's tables, each made from its own results. Figures are medians over the rounds.

pub mod blocks;
pub mod filters;
pub mod growth;
pub mod matching;
pub mod tip;
