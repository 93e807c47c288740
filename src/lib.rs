//! coinhound: a full-node block scanner that indexes every transaction touching flagged scripts.
//!
//! The program of this name scans the chain and makes the index. Other programs can open that index here and ask it: [`Index`] is the
//! way in, `examples/history.rs` and `examples/screening.rs` are two whole programs. Everything else is private.
//!
//! # Layers
//! The map for those who work on coinhound itself. `scripts/layers` reads it: each layer names those after its arrow, all of which
//! stand further down, and no others; each arrow is needed by some file.
//!
//! ```text
//! main         parses, runs, prints an error, sets the exit code
//!            → cli, command, output, stdout
//! command      one command a file: opens what it needs, asks, hands the answer to output
//!            → audit, chain, cli, config, error, index, lists, lock, node, output, query, stop, sync, trace, watchlist
//! api          the library: an index that other programs can ask
//!            → chain, index, lists, query
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
//! stdout       whether the process was started without a stdout; of the program, not of the library
//! stop         the flag that ends long work early
//! lock         mutexes that outlive a panic
//! chain        heights, headers, proof of work, merkle trees
//! ```
//!
//! What may be named where:
//!
//! ```text
//! bitcoincore_rpc                                       only in node/transport/rpc.rs
//! ureq                                                  only in node/
//! rocksdb                                               only in index/database/
//! index::raw, index::schema::Family                     only in index/
//! to_be_bytes(), from_be_bytes()                        never in audit/, query/, sync/
//! clap                                                  only in cli/
//! print!, println!, eprint!, eprintln!                  only in output/
//! std::io::stdout, std::io::stderr                      only in output/
//! std::env, std::fs, std::net, std::thread, std::time   never in chain/, scan/, trace/, watchlist/
//! query::screen::row, query::screen::package            never in query/screen/coins/, query/screen/evidence/
//! query::screen::coins                                  never in query/screen/evidence/
//! query::screen::evidence                               never in query/screen/coins/
//! command::runs                                         never in command/questions/
//! sync::sweep                                           never in sync/apply/, sync/fetch/, sync/plan/
//! sync::apply                                           never in sync/fetch/, sync/plan/
//! sync::fetch, node, std::thread                        never in sync/plan/
//! index                                                 never in sync/fetch/
//! ```

#![forbid(unsafe_code)]

mod api;

pub use api::{Index, Question, Screening};
pub use bitcoin;
pub use chain::{BlockId, Chain, Height};
pub use index::IndexError;
pub use query::QueryError;
pub use query::by_rule::ByRule;
pub use query::coverage::{Coverage, Gap, TraceCoverage};
pub use query::facts::ScriptInfo;
pub use query::history::HistoryRow;
pub use query::now::NodeCoverage;
pub use query::screen::{
    Bound, ChainLookup, CutCoin, InBlock, LabelShare, NoLookup, ProvenBy, ScreenRow, Shares, Verdict, Vouch,
};
pub use trace::Rule;

// What main.rs is made of.
#[doc(hidden)]
pub use {cli::Cli, command::no_stdout, command::run, error::Exit, output::print_error};

// Private, so that the compiler finds what nothing uses; public for the tests and benches of this repository.
#[cfg(not(feature = "testing"))]
mod audit;
#[cfg(not(feature = "testing"))]
mod chain;
#[cfg(not(feature = "testing"))]
mod cli;
#[cfg(not(feature = "testing"))]
mod command;
#[cfg(not(feature = "testing"))]
mod config;
#[cfg(not(feature = "testing"))]
mod error;
#[cfg(not(feature = "testing"))]
mod index;
#[cfg(not(feature = "testing"))]
mod lists;
#[cfg(not(feature = "testing"))]
mod lock;
#[cfg(not(feature = "testing"))]
mod node;
#[cfg(not(feature = "testing"))]
mod output;
#[cfg(not(feature = "testing"))]
mod query;
#[cfg(not(feature = "testing"))]
mod scan;
#[cfg(not(feature = "testing"))]
mod stop;
#[cfg(not(feature = "testing"))]
mod sync;
#[cfg(not(feature = "testing"))]
mod trace;
#[cfg(not(feature = "testing"))]
mod watchlist;

#[cfg(feature = "testing")]
pub mod audit;
#[cfg(feature = "testing")]
pub mod chain;
#[cfg(feature = "testing")]
pub mod cli;
#[cfg(feature = "testing")]
pub mod command;
#[cfg(feature = "testing")]
pub mod config;
#[cfg(feature = "testing")]
pub mod error;
#[cfg(feature = "testing")]
pub mod index;
#[cfg(feature = "testing")]
pub mod lists;
#[cfg(feature = "testing")]
pub mod lock;
#[cfg(feature = "testing")]
pub mod node;
#[cfg(feature = "testing")]
pub mod output;
#[cfg(feature = "testing")]
pub mod query;
#[cfg(feature = "testing")]
pub mod scan;
#[cfg(feature = "testing")]
pub mod stop;
#[cfg(feature = "testing")]
pub mod sync;
#[cfg(feature = "testing")]
pub mod trace;
#[cfg(feature = "testing")]
pub mod watchlist;
