//! coinhound: a full-node block scanner that indexes every transaction touching flagged scripts.
//!
//! The layer map (arrows point down only; `scripts/layers` checks that they do):
//!
//! ```text
//! main ─ command ─┬─ sync ───── node, scan, index      backfill: the sweep
//!                 ├─ query ──── index                  answers as Serialize structs, from one snapshot
//!                 ├─ node                              Bitcoin Core: rpc, rest; the only code that talks to it
//!                 └─ output                            table, json, jsonl, csv: the only code that prints
//!    scan       pure, per block: which transactions touch the interest
//!    index      RocksDB: records, derived rows, one batch per step
//!    watchlist  lists → entries (takes `Read`)
//!    chain      heights, headers, proof of work, merkle: pure, under all of the above
//! ```
//!
//! `node` and `index` never meet. `scan`, `watchlist` and `chain` know no clock, disk or socket. `bitcoincore_rpc` is named
//! in one file, `rocksdb` only under `index/`, `clap` only in `cli.rs` and `command/`.

pub mod chain;
pub mod node;
pub mod stop;
