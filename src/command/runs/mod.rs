//! The commands that write the index: [`start`] begins each of them, and the rest is a command a file or folder.

pub mod backfill;
pub mod follow;
pub mod retrace;
pub mod start;
