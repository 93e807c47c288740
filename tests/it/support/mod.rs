//! The rigs of the integration tests.
//!
//! ```text
//! random ── chains drawn from a seed                  scripts ── an output script of every shape; sign ── how each is spent
//!   └─ chain ── assembles valid regtest blocks        records ── real blocks
//!        └─ theft, crowd ── made-up thefts and payouts
//!
//! node ──── a real bitcoind                           cli ────── runs the coinhound binary; small ── over a small index
//!   ├─ gate ─── slows or stops its answers            library ── asks an index through the library
//!   └─ proxy ── puts faults between it and a run      browser ── a headless Chromium; dot ── reads Graphviz's language
//!        ├─ lies ───────── the faults, and what must come of each
//!        ├─ node_call ──── a request and its answer
//!        └─ chain_facts ── which lies can be told from the truth
//!
//! source ── blocks from memory, with faults           crash ──── runs that are killed, and what is left of them
//!   ├─ swept ────── an index swept from it              ├─ settled_index ── an index at rest, block by block
//!   └─ fake_node ── sweeps into any folder              └─ strace ───────── system calls counted, killed at, failed
//!
//! taint_cases ── random lists, gates and indexes for the taint oracle
//! sample_traces, hand_traces ── made-up answers of `trace`
//! ```

pub mod bitcoind;
pub mod browser;
pub mod chain;
pub mod chain_facts;
pub mod crash;
pub mod crowd;
pub mod dot;
pub mod effort;
pub mod event_log;
pub mod fake_node;
pub mod faults;
pub mod files;
pub mod gate;
pub mod hand_traces;
pub mod library;
pub mod lists;
pub mod log_capture;
pub mod node_call;
pub mod program;
pub mod proxy;
pub mod random;
pub mod records;
pub mod sample_traces;
pub mod scene;
pub mod scripts;
pub mod settled_index;
pub mod sign;
pub mod small_index;
pub mod source;
pub mod strace;
pub mod stub;
pub mod swept;
pub mod taint_cases;
pub mod theft;
pub mod wait;
