//! Rows as bytes: what typed reads and writes are built on. Outside the index only tests name this, to compare every byte of an index or
//! to damage a row.

use super::error::Result;

pub use super::schema::Family;

/// Key and value of a row, in bytes.
pub type RawRow = (Box<[u8]>, Box<[u8]>);

/// Reads rows as bytes.
pub trait RawRows {
    /// The value of a row.
    ///
    /// # Errors
    /// [`super::IndexError::Damaged`] where the disk does not give back what was written, as in all reads.
    fn raw_get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// The rows of a family whose keys begin with `prefix`, in key order.
    fn raw_prefix<'a>(&'a self, family: Family, prefix: &[u8]) -> impl Iterator<Item = Result<RawRow>> + use<'a, Self>;
}

/// Changes rows as bytes.
pub trait RawChanges {
    /// Sets a row.
    fn raw_put(&mut self, family: Family, key: &[u8], value: &[u8]);

    /// Removes a row.
    fn raw_delete(&mut self, family: Family, key: &[u8]);
}
