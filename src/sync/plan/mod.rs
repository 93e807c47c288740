//! What has to be scanned, decided from lists, settings and the index. Knows no node and no thread.

pub mod change;
pub mod interest;
pub mod needs;
pub mod open;
pub mod schedule;
pub mod wanted;
