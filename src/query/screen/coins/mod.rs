//! Where a coin's taint came from, by the rows of the index.
//!
//! ```text
//! label_shares    the labels behind some coins' taint, each with its share
//! label_parts     the share of one label, passed through the coins' ancestry again
//! ancestry        the tainted transactions behind some coins
//! ledger          the index coin by coin, with what was read before (cache)
//! coin_parts      what coins hold of single labels; label_names: labels by number
//! cut, same_key   coins at which the index stopped following; listed scripts of the same key
//! ```

mod ancestry;
mod cache;
pub mod coin_parts;
pub mod cut;
mod label_names;
mod label_parts;
pub mod label_shares;
pub mod ledger;
mod same_key;
