//! Per block, in any order: which of its transactions may touch the interest. Pure.

pub mod block;
pub mod gcs;
mod golomb;
pub mod live;
pub mod needles;
pub mod scripts;

pub use block::{BlockScan, ScanError, scan};
pub use gcs::{GcsError, Matcher};
pub use live::{Fingerprints, OutPointHasher};
pub use needles::Needles;
pub use scripts::Scripts;
