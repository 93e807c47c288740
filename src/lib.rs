//! coinhound: a full-node block scanner that indexes every transaction touching flagged scripts.
//!
//! The map of its layers. `scripts/layers` reads it: each layer names those after its arrow, all of which stand further down, and no
//! others; each arrow is needed by some file.
//!
//! ```text
//! main         parses, runs, prints an error, sets the exit code
//!            → cli, command, error, output
//! command      one command a file: opens what it needs, asks, hands the answer to output
//!            → audit, chain, cli, config, error, index, lists, lock, node, output, query, stop, sync, trace, watchlist
//! lists        the lists' files: opened, read, compared with those the index took in, watched
//!            → chain, config, error, index, sync, watchlist
//! cli          the command line
//!            → config, error, output, trace
//! error        what can fail, and the exit code that says so
//!            → audit, config, index, node, output, query, sync, watchlist
//! config       settings: flags, environment, file, defaults
//!            → chain, node, output, sync, trace, watchlist
//! output       table, json, jsonl, csv, pictures, log: the only code that prints
//!            → chain, query, sync
//! query        answers as Serialize structs, from one snapshot of the index
//!            → chain, index, trace, watchlist
//! audit        verify: the index against itself and against the node
//!            → chain, index, node, trace
//! sync         backfill, follow: the sweeps
//!            → chain, index, lock, node, scan, stop, trace, watchlist
//! index        RocksDB: records, derived rows, one batch a step
//!            → chain, trace, watchlist
//! node         Bitcoin Core by RPC, REST and its filter files: the only code that talks to it
//!            → chain, lock, stop
//! watchlist    lists to entries
//!            → chain
//! trace        taint, hops, when to stop; in chain order
//! scan         which transactions of a block touch what is sought
//!            → chain
//! stop         the flag that ends long work early
//! lock         mutexes that outlive a panic
//! chain        heights, headers, proof of work, merkle trees
//! ```
//!
//! What may be named where:
//!
//! ```text
//! bitcoincore_rpc                                       only in node/rpc.rs
//! ureq                                                  only in node/
//! rocksdb                                               only in index/
//! clap                                                  only in cli.rs, command/
//! print!, println!, eprint!, eprintln!                  only in output/
//! std::io::stdout, std::io::stderr                      only in output/
//! std::env, std::fs, std::net, std::thread, std::time   never in chain/, scan/, trace/, watchlist/
//! sync::sweep                                           never in sync/apply/, sync/fetch/, sync/plan/
//! sync::apply                                           never in sync/fetch/, sync/plan/
//! sync::fetch, node, std::thread                        never in sync/plan/
//! index                                                 never in sync/fetch/
//! ```

pub mod audit;
pub mod chain;
pub mod cli;
pub mod command;
pub mod config;
pub mod error;
pub mod index;
pub mod lists;
pub mod lock;
pub mod node;
pub mod output;
pub mod query;
pub mod scan;
pub mod stop;
pub mod sync;
pub mod trace;
pub mod watchlist;
