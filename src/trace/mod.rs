//! Taint: what each output holds of a source's value, under each rule. Pure; one transaction at a time, in chain order.
//!
//! A [`Rule`] says how taint passes from inputs to outputs and fee; [`pass`] is the definition of DESIGN §6 around it:
//! sources, hops, and which coins are followed. Whoever tracks while scanning and whoever answers a question both use it.

pub mod fifo;
pub mod flow;
pub mod haircut;
pub mod lifo;
pub mod poison;
mod queue;
pub mod rule;
pub mod tiho;

pub use flow::{Column, Fate, Gates, Input, Kind, Output, Taint, pass};
pub use rule::{Part, Rule, Segment, Share, Shares};

#[cfg(test)]
mod tests;
