//! Per block, in any order: which of its transactions may touch the interest. Pure.

pub mod block;
mod bloom;
pub mod gcs;
mod golomb;
pub mod live;
pub mod needles;
pub mod script_map;
pub mod scripts;

pub use block::{BlockScan, ScanError, scan};
pub use gcs::{GcsError, Matcher};
pub use live::{Coins, Fingerprints, OutPointHasher};
pub use needles::Needles;
pub use script_map::{ScriptMap, ScriptMapBuilder};
pub use scripts::Scripts;
