//! coinhound: a full-node block scanner that indexes every transaction touching flagged scripts.
//!
//! The layer map (arrows point down only; `scripts/layers` checks that they do):
//!
//! ```text
//! main ─ command ─┬─ sync ───── node, scan, trace, index      backfill, follow: the sweeps
//!                 ├─ query ──── index, trace                  answers as Serialize structs, from one snapshot
//!                 ├─ audit ──── index, trace, node            verify: the index against itself and against the node
//!                 ├─ node                                     Bitcoin Core: rpc, rest, filters; the only code that talks to it
//!                 └─ output                                   table, json, jsonl, csv, pictures: the only code that prints
//!    scan       pure, per block: which transactions touch the interest
//!    index      RocksDB: records, derived rows, one batch per step
//!    trace      pure, chain order: taint, hops, when to stop
//!    watchlist  lists → entries (takes `Read`)
//!    chain      heights, headers, proof of work, merkle: pure, under all of the above
//! ```
//!
//! `node` and `index` never meet. `scan`, `trace`, `watchlist` and `chain` know no clock, disk or socket. `bitcoincore_rpc` is named
//! in one file, `rocksdb` only under `index/`, `clap` only in `cli.rs` and `command/`.

pub mod audit;
pub mod chain;
pub mod cli;
pub mod command;
pub mod config;
pub mod error;
pub mod index;
pub mod node;
pub mod output;
pub mod query;
pub mod scan;
pub mod stop;
pub mod sync;
pub mod trace;
pub mod watchlist;
