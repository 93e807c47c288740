//! Sweeps: from the node's blocks to the index's rows.
//!
//! ```text
//! sweep    the run: which sweep is next, over which heights, and what interrupts it
//!   │
//! apply    one block at a time, in chain order, on one thread: a block into one step of the index
//!   │
//! fetch    blocks in chain order from a source: reads, parses and searches them on many threads; knows no index
//!   │
//! plan     what has to be scanned, from lists, settings and the index: knows no node and no thread
//! ```
//!
//! Each floor uses those below it only. A block passes through them as
//! [`fetch::block::BlockOrder`] → [`fetch::block::FetchedBlock`] → [`apply::candidate::Candidates`] →
//! [`crate::index::values::Record`] → [`crate::index::derive::Derived`] → its rows → [`crate::index::Step`].
//!
//! What fails is a [`SyncError`]; what ends work early for a good reason is an [`interrupt::Interrupt`].

pub mod apply;
mod error;
pub mod fetch;
pub mod interrupt;
pub mod plan;
pub mod sweep;

pub use error::SyncError;
