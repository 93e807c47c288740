//! Support for the integration tests: a real node, valid blocks, the naive model, the binary, random chains.
//!
//! ```text
//! random ── chains drawn from a seed                     model ── what coinhound's answers must be (uses nothing else)
//!   └─ blocks ── assembles valid regtest blocks           cli ─── runs the coinhound binary
//!        ├─ scripts ── an output script of every shape
//!        └─ sign ───── how each of them is spent          node ── a real bitcoind
//!                                                        records ── real blocks
//! ```
#![allow(dead_code, reason = "each test binary compiles all of this and uses a part")]

pub mod blocks;
pub mod cli;
pub mod model;
pub mod node;
pub mod random;
pub mod records;
pub mod scripts;
pub mod sign;
pub mod small;
