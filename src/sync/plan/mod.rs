//! What has to be scanned: decided from lists, settings and the index.

pub mod change;
pub mod open;
pub mod schedule;
