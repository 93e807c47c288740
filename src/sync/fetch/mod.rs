//! Blocks in chain order from a source.

pub mod filter;
pub mod interest;
pub mod payoff;
pub mod pipeline;
pub mod single;
pub mod sought;
pub mod source;
pub mod window;
