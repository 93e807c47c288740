//! Support for the integration tests: a real node, valid blocks, the naive model, the binary, random chains.
//!
//! ```text
//! random ── chains drawn from a seed                     model ── what coinhound's answers must be (uses nothing else)
//!   └─ blocks ── assembles valid regtest blocks           cli ─── runs the coinhound binary
//!        ├─ scripts ── an output script of every shape
//!        └─ sign ───── how each of them is spent          node ── a real bitcoind
//!                                                        records ── real blocks
//! answers ── what each answer's fields must be, by the model    asker ── asks an index through the library
//! proxy ──── a way to two nodes on which faults happen
//!   └─ lies ─── what they are, and what must come of each
//!        ├─ call ── a request and its answer             lore ─── which lies can be told from the truth
//! gate ───── a slow or stuck way to the node             told ─── sweeps of it into any folder, by a node that may lie
//! crash ──── runs that are killed, and what is left of them    strace ── system calls counted, killed at, failed
//!   └─ still ── an index at rest, block by block
//! memory ─── a source of blocks without a node, with faults    swept ── an index swept from it
//! tracer ─── the naive tracer (uses the rules alone)          traced ── random lists, gates and indexes for it
//! tracked ── what an index that follows coins must hold
//! theft ── a made-up theft, on two branches    crowd ─── as many coins to follow as wanted
//! browser ── a headless Chromium      dot ── reads Graphviz's language     traces, handmade ─ answers of `trace`
//! ```
#![allow(dead_code, reason = "each test binary compiles all of this and uses a part")]

pub mod answers;
pub mod asker;
pub mod blocks;
pub mod browser;
pub mod call;
pub mod cli;
pub mod crash;
pub mod crowd;
pub mod dot;
pub mod gate;
pub mod handmade;
pub mod lies;
pub mod lore;
pub mod memory;
pub mod model;
pub mod node;
pub mod proxy;
pub mod random;
pub mod records;
pub mod scripts;
pub mod sign;
pub mod small;
pub mod still;
pub mod strace;
pub mod swept;
pub mod theft;
pub mod told;
pub mod traced;
pub mod tracer;
pub mod traces;
pub mod tracked;
