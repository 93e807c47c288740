//! One block into one step of the index, on one thread.

pub mod advance;
pub mod candidate;
pub mod disconnect;
pub mod events;
pub mod records;
