//! Scans one block, in any order: which of its transactions may touch a flagged script or spend a followed coin. Pure.

pub mod block;
mod bloom;
mod fingerprint;
mod gcs;
mod golomb;
mod needles;
mod script_map;
mod script_set;

pub use block::{BlockScan, ScanError, scan};
pub use fingerprint::{CoinSet, Fingerprints, OutPointHasher};
pub use gcs::Matcher;
pub use needles::{Needles, is_left_out};
pub use script_map::{ScriptMap, ScriptMapBuilder};
pub use script_set::ScriptSet;
