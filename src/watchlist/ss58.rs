//! Addresses of Polkadot and its relatives: some begin like bitcoin's, and some are as long as a private key that lost a few letters.

use bitcoin::base58;

/// Polkadot and its relatives (SS58): a prefix of one or two bytes, a key, and two bytes of a BLAKE2b hash.
pub fn substrate(text: &str) -> Option<&'static str> {
    if !(46..=50).contains(&text.len()) {
        return None;
    }
    let bytes = base58::decode(text).ok()?;
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(2)?)?;
    if !matches!(body.len(), 33 | 34) {
        return None;
    }
    let hash = blake2b_simd::State::new().update(b"SS58PRE").update(body).finalize();
    (hash.as_bytes().get(..2) == Some(checksum)).then_some(match body.first() {
        Some(0) => "Polkadot",
        Some(2) => "Kusama",
        _ => "Substrate (SS58)",
    })
}
