//! Keys and values of all families as types, and their bytes: what a row says, without reading or writing one. The layouts stand in
//! `schema`.

pub(super) mod bytes;
pub mod entries;
pub mod events;
pub mod former;
pub mod keys;
pub(super) mod layout;
pub mod row;
pub(super) mod row_set;
pub mod same_key;
pub mod sums;
pub mod sweeps;
pub mod values;
