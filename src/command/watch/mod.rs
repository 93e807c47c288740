//! The commands of `coinhound watch`: about the lists, and about the entries that the index has of them.

pub mod check;
pub mod diff;
pub mod list;
