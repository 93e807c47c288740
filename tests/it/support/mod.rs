//! The rigs of the integration tests.
//!
//! ```text
//! Chains      random ──── chains and lists drawn from a seed     records ── real blocks
//!             chain ───── builds valid regtest blocks            theft, crowd ── made-up thefts and payouts
//!             scripts ─── an output script of every shape        sign ───── spends them
//!
//! Nodes       bitcoind ── a real node                            stub ───── a server with made-up answers
//!             gate ────── slows down or stops its answers        source ─── blocks from memory, with faults
//!             proxy ───── lets faults happen to its answers      fake_node ── sweeps from memory into any folder
//!               faults, fault_answers, node_call, chain_facts ── the faults, their answers, the calls, what can be detected
//!
//! Program     program ─── runs coinhound                         library ── asks an index through coinhound's library
//!             scene ───── a node, a chain, a list, indexes       small_index ── an index of the first real blocks
//!             browser, dot ── read the pictures                  lists, files, event_log, log_capture ── read and write text
//!
//! Indexes     swept ───── swept from memory                      taint_cases ── random ones that follow coins
//!             settled_index ── one that no run changes           crash, strace ── what kills and full disks leave
//!
//! Answers     sample_traces, hand_traces ── made-up answers of `trace`
//!
//! wait, effort ── patience, and the number of cases
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
pub mod fault_answers;
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
