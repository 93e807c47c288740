//! Blocks in chain order from a source: read, parsed and searched on many threads. Knows no index.

pub mod block;
pub mod coins;
pub mod filter;
pub mod filter_scripts;
pub mod headers;
pub mod node_source;
pub mod payoff;
pub mod pipeline;
pub mod pool;
pub mod read;
pub mod single;
pub mod source;
pub mod window;
