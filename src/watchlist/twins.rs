//! Listed keys whose other script is not listed: a key's P2PK script and its address are two scripts, and matching is exact.

use std::collections::BTreeSet;

use bitcoin::ScriptBuf;

use super::Listing;

/// A listed P2PK script whose key's P2PKH script is not listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// The P2PK script, as listed.
    pub listed: ScriptBuf,
    /// The P2PKH script of the same key (its `1…` address).
    pub missing: ScriptBuf,
}

/// The twins that are missing from a list, in its order, each once. From an address alone the key is unknown, so only P2PK counts.
pub fn missing_twins(listings: &[Listing]) -> Vec<Twin> {
    let listed: BTreeSet<_> = listings.iter().map(|listing| &listing.script).collect();
    let mut seen = BTreeSet::new();
    let twins = listings.iter().filter_map(|listing| {
        let key = listing.script.p2pk_public_key()?;
        Some(Twin { listed: listing.script.clone(), missing: ScriptBuf::new_p2pkh(&key.pubkey_hash()) })
    });
    twins.filter(|twin| !listed.contains(&twin.missing) && seen.insert(twin.listed.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chain;
    use crate::watchlist::{ListOptions, read};

    const KEY: &str = "04678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5f";
    const ADDRESS: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";

    fn twins(text: &str) -> usize {
        let list = read(&mut text.as_bytes(), "list.txt", Chain::Main, &ListOptions::default()).unwrap();
        missing_twins(&list.listings).len()
    }

    #[test]
    fn the_address_of_a_listed_key_is_missing_unless_it_is_listed_too() {
        assert_eq!(twins(&format!("pk({KEY})\n")), 1);
        assert_eq!(twins(&format!("pk({KEY}) once\npk({KEY}) twice\n")), 1);
        assert_eq!(twins(&format!("pk({KEY})\n{ADDRESS}\n")), 0);
        assert_eq!(twins(&format!("{ADDRESS}\n")), 0);
    }
}
