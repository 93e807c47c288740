//! One SHA-256 over everything that the index derives from the chain: indexes with equal digests hold the same data.

use bitcoin::hashes::{Hash, HashEngine, sha256};

use super::error::Result;
use super::meta::{self, Identity};
use super::read::read_rows::ReadRows;
use super::read::view::View;
use super::rows::row::corrupt;
use super::schema::{Family, row_height};
use crate::chain::Height;

/// The layout of what is hashed. It stays when only rows change that the digest doesn't cover.
const LAYOUT: u32 = 1;

/// The digest of the state after the block at `height`; `None` where the index has no block at that height.
///
/// SHA-256 over these parts, each behind its length as a big-endian u64: [`LAYOUT`]\[4\], genesis\[32\], hash of the block\[32\],
/// trace parameters (JSON); per entry in key order script_pubkey, roles\[1\], from\[4\]; per family of [`Family::DIGESTED`] its
/// name, then key and value of each row of a height up to `height`, in key order.
///
/// # Errors
/// As all reads.
pub fn digest(view: &View, height: Height) -> Result<Option<sha256::Hash>> {
    let Some(header) = view.header(height)? else { return Ok(None) };
    let mut engine = sha256::Hash::engine();
    part(&mut engine, &LAYOUT.to_be_bytes());
    part(&mut engine, Identity::read(view)?.genesis.as_byte_array());
    part(&mut engine, header.block_hash().as_byte_array());
    part(&mut engine, &serde_json::to_vec(&meta::trace(view)?).expect("strings and numbers"));
    for entry in view.entries() {
        let (_, entry) = entry?;
        part(&mut engine, entry.script.as_bytes());
        part(&mut engine, &[entry.roles_byte()]);
        part(&mut engine, &entry.from.to_be_bytes());
    }
    for family in Family::DIGESTED {
        part(&mut engine, family.name().as_bytes());
        for row in view.raw_range(family, &[], None) {
            let (key, value) = row?;
            let at = row_height(family, &key, &value).ok_or_else(|| corrupt(family, &key))?;
            if at <= height {
                part(&mut engine, &key);
                part(&mut engine, &value);
            }
        }
    }
    Ok(Some(sha256::Hash::from_engine(engine)))
}

/// Hashes a part behind its length, so that no two sequences of parts are the same bytes.
fn part(engine: &mut sha256::HashEngine, bytes: &[u8]) {
    engine.input(&u64::try_from(bytes.len()).expect("a usize fits").to_be_bytes());
    engine.input(bytes);
}
