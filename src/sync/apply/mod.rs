//! One block into one step of the index, in chain order, on one thread.

pub mod advance;
pub mod batch;
pub mod candidate;
pub mod disconnect;
pub mod events;
pub mod moved;
pub mod place;
pub mod recompute;
pub mod records;
