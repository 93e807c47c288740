//! What the index knows as of a snapshot, each fact read in one place: `balance`, `history`, `coins`, `tx`, `trace` and `screen` all
//! read it here.

pub mod coin;
pub mod input;
pub mod script;
pub mod txids;

pub use coin::{CoinState, SpentBy};
pub use script::ScriptInfo;
pub use txids::Txids;
