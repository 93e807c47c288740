//! `trace`: where the money of a source went, computed from the records of the index in chain order.

pub mod answer;

pub use answer::{CoinRow, CoinState, RuleAnswer, TraceAnswer};
