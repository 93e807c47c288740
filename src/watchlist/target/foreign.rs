//! Addresses of other chains, recognised by their checksum where they have one, and otherwise by a shape no bitcoin address has.

use bitcoin::base58;
use bitcoin::bech32::primitives::decode::CheckedHrpstring;
use bitcoin::bech32::{Bech32, Bech32m};

use crate::watchlist::ss58::substrate;
use crate::watchlist::text::{is_base58, is_hex};

/// Base58Check payloads: leading bytes, length of the payload, name. Version 0x05, Litecoin's old one for scripts, is
/// bitcoin's too; 0x1e is also that of DigiByte and Verge.
const BASE58: [(&[u8], usize, &str); 17] = [
    (&[0x41], 21, "TRON"),
    (&[0x30], 21, "Litecoin"),
    (&[0x32], 21, "Litecoin"),
    (&[0x1e], 21, "Dogecoin"),
    (&[0x16], 21, "Dogecoin"),
    (&[0x4c], 21, "Dash"),
    (&[0x10], 21, "Dash"),
    (&[0x26], 21, "Bitcoin Gold"),
    (&[0x17], 21, "Bitcoin Gold"),
    (&[0x3c], 21, "Ravencoin"),
    (&[0x3f], 21, "DigiByte"),
    (&[0x1c, 0xb8], 22, "Zcash"),
    (&[0x1c, 0xbd], 22, "Zcash"),
    (&[0x20, 0x89], 22, "Horizen"),
    (&[0x20, 0x96], 22, "Horizen"),
    (&[0x06, 0xa1, 0x9f], 23, "Tezos"),
    (&[0x06, 0xa1, 0xa1], 23, "Tezos"),
];

/// Human-readable parts of bech32 and bech32m.
const BECH32: [(&str, &str); 21] = [
    ("ltc", "Litecoin"),
    ("ltcmweb", "Litecoin"),
    ("tltc", "Litecoin"),
    ("addr", "Cardano"),
    ("stake", "Cardano"),
    ("zs", "Zcash"),
    ("u", "Zcash"),
    ("btg", "Bitcoin Gold"),
    ("dgb", "DigiByte"),
    ("ex", "Liquid"),
    ("bnb", "BNB Beacon Chain"),
    ("cosmos", "Cosmos"),
    ("osmo", "Osmosis"),
    ("terra", "Terra"),
    ("thor", "THORChain"),
    ("kava", "Kava"),
    ("inj", "Injective"),
    ("sei", "Sei"),
    ("celestia", "Celestia"),
    ("one", "Harmony"),
    ("erd", "MultiversX"),
];

/// Prefixes of cash addresses.
const CASH: [(&str, &str); 4] = [
    ("bitcoincash", "Bitcoin Cash"),
    ("bchtest", "Bitcoin Cash"),
    ("simpleledger", "Bitcoin Cash"),
    ("ecash", "eCash"),
];

/// The name of the other chain that `text` is an address of, if that is beyond doubt.
///
/// Never true of a bitcoin address with a typing error: where the other chain's form is anything like bitcoin's, its
/// checksum has been verified.
pub fn recognise(text: &str) -> Option<&'static str> {
    if !text.is_ascii() || text.len() > 300 {
        return None;
    }
    if text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).is_some_and(|hex| hex.len() == 40 && is_hex(hex)) {
        return Some("Ethereum");
    }
    base58_check(text)
        .or_else(|| ripple(text))
        .or_else(|| substrate(text))
        .or_else(|| bech32(text))
        .or_else(|| cash(text))
        .or_else(|| unlike(text))
}

fn base58_check(text: &str) -> Option<&'static str> {
    if !(25..=50).contains(&text.len()) {
        return None;
    }
    let payload = base58::decode_check(text).ok()?;
    BASE58.iter().find(|(start, length, _)| payload.len() == *length && payload.starts_with(start)).map(|row| row.2)
}

/// XRP writes Base58Check in an order of letters of its own.
fn ripple(text: &str) -> Option<&'static str> {
    const RIPPLE: &[u8; 58] = b"rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz";
    const BITCOIN: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    if !text.starts_with('r') || !(25..=35).contains(&text.len()) {
        return None;
    }
    let same = |byte: u8| RIPPLE.iter().position(|letter| *letter == byte).map(|place| char::from(BITCOIN[place]));
    let translated: String = text.bytes().map(same).collect::<Option<_>>()?;
    let payload = base58::decode_check(&translated).ok()?;
    (payload.len() == 21 && payload[0] == 0).then_some("XRP")
}

fn bech32(text: &str) -> Option<&'static str> {
    let (prefix, _) = text.rsplit_once('1')?;
    let (_, name) = BECH32.iter().find(|(hrp, _)| hrp.eq_ignore_ascii_case(prefix))?;
    (CheckedHrpstring::new::<Bech32>(text).is_ok() || CheckedHrpstring::new::<Bech32m>(text).is_ok()).then_some(*name)
}

/// Cash addresses, with or without their prefix.
fn cash(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    if text != lower && text != text.to_ascii_uppercase() {
        return None;
    }
    match lower.split_once(':') {
        Some((prefix, data)) => {
            let (hrp, name) = CASH.iter().find(|(hrp, _)| *hrp == prefix)?;
            cash_checksum(hrp, data).then_some(*name)
        }
        None if matches!(lower.as_bytes().first(), Some(b'q' | b'p' | b'z' | b'r')) => {
            CASH.iter().find(|(hrp, _)| cash_checksum(hrp, &lower)).map(|(_, name)| *name)
        }
        None => None,
    }
}

/// The 40-bit BCH checksum of a cash address (Bitcoin Cash's `cashaddr` specification).
fn cash_checksum(prefix: &str, data: &str) -> bool {
    const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATORS: [u64; 5] = [0x98_f2bc_8e61, 0x79_b76d_99e2, 0xf3_3e5f_b3c4, 0xae_2eab_e2a8, 0x1e_4f43_e470];
    if !(42..=112).contains(&data.len()) {
        return false;
    }
    let mut sum: u64 = 1;
    let mut feed = |value: u64| {
        let top = sum >> 35;
        sum = ((sum & 0x07_ffff_ffff) << 5) ^ value;
        for (bit, generator) in GENERATORS.iter().enumerate() {
            if (top >> bit) & 1 == 1 {
                sum ^= generator;
            }
        }
    };
    prefix.bytes().for_each(|byte| feed(u64::from(byte & 0x1f)));
    feed(0);
    for byte in data.bytes() {
        match CHARSET.iter().zip(0u64..).find(|(letter, _)| **letter == byte) {
            Some((_, value)) => feed(value),
            None => return false,
        }
    }
    sum ^ 1 == 0
}

/// Forms that no bitcoin address comes near: Monero (95 or 106 characters), Solana (32 bytes), Liquid's blinded segwit.
fn unlike(text: &str) -> Option<&'static str> {
    if text.len() >= 90
        && text.to_ascii_lowercase().starts_with("lq1")
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return Some("Liquid");
    }
    if !text.bytes().all(is_base58) {
        return None;
    }
    match text.len() {
        95 | 106 if text.starts_with('4') || text.starts_with('8') => Some("Monero"),
        43 | 44 if !is_hex(text) => {
            let bytes = base58::decode(text).ok()?;
            (bytes.len() == 32).then_some("Solana")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chain_is_told_by_name() {
        let base58 = |payload: &[u8]| base58::encode_check(payload);
        let with = |start: &[u8], length: usize| base58(&[start, &vec![7; length - start.len()][..]].concat());
        for (start, length, name) in BASE58 {
            assert_eq!(recognise(&with(start, length)), Some(name), "{start:02x?}");
        }
        let table = [
            ("TEAqwfMhXLaomXhZ8KeMhx3njGmQEDnsUR", "TRON"),
            ("0x175d44451403Edf28469dF03A9280c1197ADb92c", "Ethereum"),
            ("ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9", "Litecoin"),
            ("t1ZmpK4QFcvyQZ3ghTgSboBW8b4HgiZHQF9", "Zcash"),
            ("rGeyCsqc6vKXuyTGF39WJxmTRemoV3c97h", "XRP"),
            // The cash address specification's own examples.
            ("bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", "Bitcoin Cash"),
            ("qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", "Bitcoin Cash"),
            ("BITCOINCASH:QPM2QSZNHKS23Z7629MMS6S4CWEF74VCWVY22GDX6A", "Bitcoin Cash"),
            ("bitcoincash:ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq", "Bitcoin Cash"),
            (
                "888tNkZrPN6JsEgekjMnABU4TBzc2Dt29EPAvkRxbANsAnjyPbb3iQ1YBRk1UXcdRsiKc9dhwMVgN5S9cQUiyoogDavup3H",
                "Monero",
            ),
            ("4fYNw3dojWmQ4dXtSGE9epjRGy9pFSx62YypT7avPYvA", "Solana"),
            // One key under three prefixes, as Polkadot's documentation has it.
            ("15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5", "Polkadot"),
            ("HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F", "Kusama"),
            ("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "Substrate (SS58)"),
        ];
        for (text, name) in table {
            assert_eq!(recognise(text), Some(name), "{text}");
        }
    }

    #[test]
    fn a_failed_checksum_is_nobodys_address() {
        for text in [
            "TEAqwfMhXLaomXhZ8KeMhx3njGmQEDnsUS",
            "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n8",
            "rGeyCsqc6vKXuyTGF39WJxmTRemoV3c97j",
            "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp6",
            "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6b",
            "Bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
            "",
        ] {
            assert_eq!(recognise(text), None, "{text}");
        }
    }
}
