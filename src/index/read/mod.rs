//! Reading an index that is open: rows by their types.

pub(super) mod read_rows;
pub(super) mod same_key;
pub(super) mod script_rows;
pub(super) mod sums;
pub(super) mod view;
