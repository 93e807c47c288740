//! The commands that ask the index and write nothing: [`open`] begins each of them, and the rest is a command a file.

pub mod balance;
pub mod coins;
pub mod digest;
pub mod events;
pub mod history;
pub mod open;
pub mod screen;
pub mod status;
pub mod trace;
pub mod tx;
