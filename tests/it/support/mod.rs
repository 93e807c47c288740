//! The rigs of the integration tests.
//!
//! ```text
//! Chains      random ──── chains and lists drawn from a seed     records ── real blocks
//!             chain ───── builds valid regtest blocks            theft, crowd, traffic, fragments ── made-up uses
//!             scripts ─── an output script of every shape        sign ───── spends them
//!
//! Nodes       bitcoind ── a real node                            stub ───── a server with made-up answers
//!             gate ────── slows down or stops its answers        source ─── blocks from memory, with faults
//!             proxy ───── lets faults happen to its answers      fake_node ── sweeps from memory into any folder
//!               faults, fault_answers, node_call, chain_facts ── the faults, their answers, the calls, what can be detected
//!
//! Program     program ─── runs coinhound                         library ── asks an index through coinhound's library
//!             scene ───── a node, a chain, a list, indexes       small_index ── an index of the first real blocks
//!             coverage ── compares that of two answers
//!             browser, dot ── read the pictures                  lists, files, event_log, log_capture ── read and write text
//!
//! Indexes     swept ───── swept from memory                      taint_cases ── random ones that follow coins
//!             settled_index ── one that no run changes           crash, strace ── what kills and full disks leave
//!             small_disk ── a disk that can be filled up
//!
//! Answers     sample_traces, hand_traces ── made-up answers of `trace`
//!
//! wait, effort ── patience, and the number of cases
//! ```

/// Chains, drawn or built, and the scripts on them.
mod chains {
    pub mod chain;
    pub mod crowd;
    pub mod fragments;
    pub mod random;
    pub mod records;
    pub mod scripts;
    pub mod sign;
    pub mod theft;
    pub mod traffic;
}

/// Nodes, real and made up, and what happens to their answers.
mod nodes {
    pub mod bitcoind;
    pub mod chain_facts;
    pub mod fake_node;
    pub mod fault_answers;
    pub mod faults;
    pub mod gate;
    pub mod node_call;
    pub mod proxy;
    pub mod source;
    pub mod stub;
}

/// The program and the library as others use them, and what they write.
mod programs {
    pub mod browser;
    pub mod coverage;
    pub mod dot;
    pub mod event_log;
    pub mod files;
    pub mod library;
    pub mod lists;
    pub mod log_capture;
    pub mod program;
    pub mod scene;
    pub mod small_index;
}

/// Indexes without a node, and what is left of them.
mod indexes {
    pub mod crash;
    pub mod settled_index;
    pub mod small_disk;
    pub mod strace;
    pub mod swept;
    pub mod taint_cases;
}

pub mod effort;
pub mod hand_traces;
pub mod sample_traces;
pub mod wait;

// Tests name a rig, not the folder it lies in.
pub use chains::*;
pub use indexes::*;
pub use nodes::*;
pub use programs::*;
