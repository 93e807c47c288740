//! Per block, in any order: which of its transactions may touch the interest. Pure.

pub mod block;
pub mod live;
pub mod scripts;

pub use block::{BlockScan, ScanError, scan};
pub use live::{Fingerprints, OutPointHasher};
pub use scripts::Scripts;
