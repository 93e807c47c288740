//! What one text names: scripts on this chain, or the reason why it names none.
//!
//! ```text
//! script ─┬─ address      base58, bech32, bech32m; the likeliest error in one that fails
//!         ├─ hex          output scripts in hex
//!         ├─ descriptor ── range
//!         ├─ foreign      addresses of other chains ── currency   what a cell says about the chain
//!         └─ without_script   of bitcoin, but no script comes from it
//! refusal ── every reason, with the way out
//! ```

mod address;
pub mod currency;
mod descriptor;
pub mod foreign;
mod hex;
pub mod range;
pub mod refusal;
pub mod script;
mod without_script;

use self::refusal::Refusal;
use super::text::{is_hex, is_margin};
use crate::chain::Chain;

/// Shortest text that is taken for an address by its form alone: bc1 with a two-byte program has 13 characters.
const SHORTEST: usize = 13;

/// Whether a text is an address of any chain, a script, a key, a hash or a descriptor, even with an error in it: certainly no name, word,
/// number or sentence.
pub fn is_target_like(text: &str) -> bool {
    let text = text.trim_matches(is_margin);
    if is_coin(text) {
        return true;
    }
    if text.len() < SHORTEST || text.bytes().all(|byte| byte.is_ascii_digit()) {
        let is_word = !text.contains(char::is_whitespace);
        return is_word && (text.starts_with("script:") || text.starts_with("raw("));
    }
    match script::parse(text, Chain::Main, None) {
        Ok(_) => true,
        Err(Refusal::Descriptor(_)) => descriptor::has_known_name(text),
        Err(reason) => !matches!(reason, Refusal::NotUnderstood | Refusal::NoTarget | Refusal::BadHex | Refusal::Nul),
    }
}

/// Whether a text is the id of a transaction, or of one of its outputs as `TXID:VOUT`, by its form.
pub fn is_coin(text: &str) -> bool {
    let (txid, vout) = text.split_once(':').map_or((text, "0"), |(txid, vout)| (txid, vout));
    txid.len() == 64 && is_hex(txid) && is_number(vout)
}

/// Whether a text is digits alone.
pub fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";

    #[test]
    fn an_address_with_an_error_is_no_word_or_number() {
        let hash = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";
        let like = [
            A.to_owned(),
            format!(" {A} "),
            A[..30].to_owned(),
            A.to_lowercase(),
            "TEAqwfMhXLaomXhZ8KeMhx3njGmQEDnsUR".to_owned(),
            "0x175d44451403Edf28469dF03A9280c1197ADb92c".to_owned(),
            "bc1pfeessrawgf".to_owned(),
            hash.to_owned(),
            format!("{hash}:12"),
            "07".repeat(32),
            "script:6a".to_owned(),
            format!("pkh({hash})"),
            format!("0{hash}2"),
        ];
        for text in like {
            assert!(is_target_like(&text), "{text}");
        }
        let other = [
            "address",
            "Address (BTC)",
            "List of wallets (2025)",
            "1,000.00",
            "2025-01-01T00:00:00Z",
            "12345678901234567890",
            "https://x.example/1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "raw(6a) x",
            "a name of several words",
            "ransomware",
            "",
        ];
        for text in other {
            assert!(!is_target_like(text), "{text}");
        }
    }
}
