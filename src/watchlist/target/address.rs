//! Parses an address of a bitcoin network, or finds the likeliest reason why a text is not one.

use std::str::FromStr;

use bitcoin::bech32::primitives::decode::CheckedHrpstring;
use bitcoin::bech32::{Bech32, Bech32m};
use bitcoin::{Address, Network, ScriptBuf, base58};

use super::refusal::{ChecksumCause, Refusal};
use crate::chain::Chain;
use crate::watchlist::text::is_base58;

/// Bytes of a Base58Check address: version (1), hash (20), checksum (4).
const BASE58_BYTES: usize = 25;

/// The script that an address pays to: base58, bech32 (BIP173) or bech32m (BIP350), of any witness version.
///
/// # Errors
/// [`Refusal::WrongNetwork`] for a valid address of another bitcoin network; else the likeliest reason by the text's form, at worst
/// [`Refusal::NotUnderstood`].
pub fn parse(text: &str, chain: Chain) -> Result<ScriptBuf, Refusal> {
    let Ok(address) = Address::from_str(text) else {
        return Err(diagnose(text));
    };
    if address.is_valid_for_network(chain.network()) {
        return Ok(address.assume_checked().script_pubkey());
    }
    let found = if address.is_valid_for_network(Network::Bitcoin) {
        "the main chain"
    } else if address.is_valid_for_network(Network::Testnet) {
        "a test network"
    } else {
        "regtest"
    };
    Err(Refusal::WrongNetwork { found, chain })
}

/// The likeliest reason why `text` is not an address.
fn diagnose(text: &str) -> Refusal {
    let lower = text.to_lowercase();
    if lower.starts_with("bc1") || lower.starts_with("tb1") || lower.starts_with("bcrt1") {
        return diagnose_segwit(text, &lower);
    }
    if !text.starts_with(['1', '3', 'm', 'n', '2']) || text.chars().count() < 6 {
        return Refusal::NotUnderstood;
    }
    if text.contains("...") || text.contains('…') {
        return Refusal::Truncated;
    }
    if !text.is_ascii() {
        let is_address_like = text.chars().all(char::is_alphanumeric) && (25..=36).contains(&text.chars().count());
        return if is_address_like { Refusal::BadChecksum(ChecksumCause::NonAscii) } else { Refusal::NotUnderstood };
    }
    diagnose_base58(text)
}

fn diagnose_segwit(text: &str, lower: &str) -> Refusal {
    let Some((_, data)) = lower.split_once('1') else {
        return Refusal::NotUnderstood;
    };
    if text.contains("...") || text.contains('…') {
        return Refusal::Truncated;
    }
    if !text.is_ascii() {
        return Refusal::BadChecksum(ChecksumCause::NonAscii);
    }
    if text != lower && text != text.to_uppercase() {
        return Refusal::MixedCase;
    }
    if !data.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return if data.len() > 38 { Refusal::Overlong } else { Refusal::NotUnderstood };
    }
    if CheckedHrpstring::new::<Bech32>(text).is_ok() || CheckedHrpstring::new::<Bech32m>(text).is_ok() {
        return Refusal::BadProgram;
    }
    if data.bytes().any(|byte| b"1bio".contains(&byte)) {
        return Refusal::BadChecksum(ChecksumCause::Character);
    }
    // The data are the witness version, the program and the checksum. A version 0 program has 20 or 32 bytes, one of version 1 has 32
    // (or 2: pay-to-anchor).
    match (data.as_bytes().first(), data.len()) {
        (Some(b'q'), 39 | 59) | (Some(b'p'), 59) => Refusal::BadChecksum(ChecksumCause::Mistyped),
        (Some(b'q' | b'p'), 60..) | (_, 78..) => Refusal::Overlong,
        (Some(b'q' | b'p'), _) | (_, 0..10) => Refusal::Truncated,
        _ => Refusal::BadChecksum(ChecksumCause::Mistyped),
    }
}

fn diagnose_base58(text: &str) -> Refusal {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !plain || text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Refusal::NotUnderstood;
    }
    if text.len() > 50 {
        return if text.bytes().all(is_base58) { Refusal::Overlong } else { Refusal::NotUnderstood };
    }
    if is_one_case(text) && (25..=36).contains(&text.len()) {
        return Refusal::BadChecksum(ChecksumCause::CaseLost);
    }
    let Ok(bytes) = base58::decode(text) else {
        return if (25..=36).contains(&text.len()) {
            Refusal::BadChecksum(ChecksumCause::Character)
        } else {
            Refusal::NotUnderstood
        };
    };
    if bytes.len() < BASE58_BYTES {
        return Refusal::Truncated;
    }
    if bytes.len() > BASE58_BYTES {
        return Refusal::Overlong;
    }
    match base58::decode_check(text) {
        Ok(payload) => payload.first().map_or(Refusal::NotUnderstood, |version| Refusal::UnknownVersion(*version)),
        Err(_) => Refusal::BadChecksum(ChecksumCause::Mistyped),
    }
}

fn is_one_case(text: &str) -> bool {
    let lower = text.bytes().any(|byte| byte.is_ascii_lowercase());
    let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    lower != upper
}

#[cfg(test)]
mod tests {
    use super::*;

    const P2PKH: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";

    #[test]
    fn every_kind_of_address_pays_to_its_script() {
        let table = [
            (P2PKH, Chain::Main, "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac"),
            ("3P14159f73E4gFr7JterCCQh9QjiTjiZrG", Chain::Main, "a914e9c3dd0c07aac76179ebc76a6c78d4d67c6c160a87"),
            ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", Chain::Main, "0014751e76e8199196d454941c45d1b3a323f1433bd6"),
            (
                "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3",
                Chain::Main,
                "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
            ),
            (
                "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
                Chain::Main,
                "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
            ),
            ("bc1pfeessrawgf", Chain::Main, "51024e73"),
            ("BC1SW50QGDZ25J", Chain::Main, "6002751e"),
            ("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", Chain::Main, "5210751e76e8199196d454941c45d1b3a323"),
            ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", Chain::Test, "76a914243f1394f44554f4ce3fd68649c19adc483ce92488ac"),
            (
                "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn",
                Chain::Regtest,
                "76a914243f1394f44554f4ce3fd68649c19adc483ce92488ac",
            ),
            (
                "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
                Chain::Signet,
                "0014751e76e8199196d454941c45d1b3a323f1433bd6",
            ),
            (
                "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
                Chain::Testnet4,
                "0014751e76e8199196d454941c45d1b3a323f1433bd6",
            ),
        ];
        for (text, chain, script) in table {
            assert_eq!(parse(text, chain).map(|script| script.to_hex_string()), Ok(script.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_likeliest_reason_is_found() {
        let wrong = |found| Refusal::WrongNetwork { found, chain: Chain::Main };
        let bad = Refusal::BadChecksum;
        let table = [
            ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn".to_owned(), wrong("a test network")),
            ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx".to_owned(), wrong("a test network")),
            ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080".to_owned(), wrong("regtest")),
            (format!("{}b", &P2PKH[..33]), bad(ChecksumCause::Mistyped)),
            (P2PKH.to_lowercase(), bad(ChecksumCause::CaseLost)),
            (P2PKH.to_uppercase(), bad(ChecksumCause::CaseLost)),
            (P2PKH.replace('G', "0"), bad(ChecksumCause::Character)),
            (P2PKH.replace('e', "\u{435}"), bad(ChecksumCause::NonAscii)),
            (P2PKH[..30].to_owned(), Refusal::Truncated),
            ("1A1zP1…vfNa".to_owned(), Refusal::Truncated),
            (format!("{P2PKH}{P2PKH}"), Refusal::Overlong),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5".to_owned(), bad(ChecksumCause::Mistyped)),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3".to_owned(), Refusal::Truncated),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kV8f3t4".to_owned(), Refusal::MixedCase),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kvbf3t4".to_owned(), bad(ChecksumCause::Character)),
            // A version 1 program with bech32's checksum, as before BIP350.
            (
                "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7k7grplx".to_owned(),
                Refusal::BadProgram,
            ),
            ("hello".to_owned(), Refusal::NotUnderstood),
            ("123456789".to_owned(), Refusal::NotUnderstood),
        ];
        for (text, reason) in table {
            assert_eq!(parse(&text, Chain::Main), Err(reason), "{text}");
        }
        let main = Refusal::WrongNetwork { found: "the main chain", chain: Chain::Regtest };
        assert_eq!(parse(P2PKH, Chain::Regtest), Err(main));
        let signet = Refusal::WrongNetwork { found: "a test network", chain: Chain::Regtest };
        assert_eq!(parse("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", Chain::Regtest), Err(signet));
    }
}
