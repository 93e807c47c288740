//! Whether finding nothing proves that there is nothing: the judge of that, and what it is decided on.
//!
//! ```text
//! sighting   where a transaction is confirmed, as far as records, the node and the caller say
//! history    how far back coins reach, where entries are not scanned from the first block on
//! proof      the judge, and what counts as evidence
//! vouch      the block that the caller names; lookup: the node, or nowhere
//! ```

pub mod history;
pub mod lookup;
pub mod proof;
pub mod sighting;
pub mod vouch;
