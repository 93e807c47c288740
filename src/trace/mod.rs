//! Taint: how much of a source's value each output holds, under each rule. Pure; one transaction at a time, in chain order.
//!
//! A [`Rule`] says how taint passes from inputs to outputs and fee, each in a file of its own (docs/taint.md). [`pass`] adds what is
//! the same under all of them (docs/design.md, "Trace"): sources, hops, and which coins are followed. Both the index, while it
//! scans, and the answer to `trace` are computed with it.

mod fifo;
pub mod flow;
mod haircut;
pub mod least;
mod lifo;
mod poison;
mod queue;
pub mod rule;
mod share;
mod tiho;

pub use flow::{Fate, Gates, HopLimit, OutputKind, RuleTaint, Taint, TracedInput, TracedOutput, pass};
pub use least::pass_at_least;
pub use rule::Rule;
pub use share::Segment;
#[cfg(feature = "testing")]
pub use share::{MAX_SEGMENTS, Part};

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
