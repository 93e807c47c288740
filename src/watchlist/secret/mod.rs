//! Private keys and seed phrases by their shape, so that none is ever kept or repeated.
//!
//! Shape counts, not validity: a key with a typing error gives itself away all the same.

mod seed;

use std::borrow::Cow;

use bitcoin::hashes::{Hash, sha256};

use super::ss58::substrate;
use super::text::{is_base58, is_hex};

/// Whether `text` holds a WIF, extended or encrypted private key, a mini private key, or a seed phrase.
///
/// Not asked about 64 hex digits, which have harmless meanings too: see `holds_bare_hash`.
pub fn holds_key(text: &str) -> bool {
    let text = without_unseen(text);
    tokens(&text).any(|token| token.len() >= 20 && is_key(token)) || seed::holds_phrase(&text)
}

/// Whether `text` holds 64 hex digits that nothing introduces as a transaction id, a block hash or part of a link.
pub fn holds_bare_hash(text: &str) -> bool {
    tokens(text).any(|token| {
        let digits = token.strip_prefix("0x").unwrap_or(token);
        digits.len() == 64 && is_hex(digits) && !is_introduced(text, token)
    })
}

/// Whether the whole of `text` is a mini private key by its shape (Casascius: S and 21, 25 or 29 more).
pub fn is_mini_key_shape(text: &str) -> bool {
    matches!(text.len(), 22 | 26 | 30)
        && text.starts_with('S')
        && text.bytes().all(is_base58)
        && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// `text` with what could be key material in hex or base58 replaced, for showing a refused row.
pub fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = 0;
    for token in tokens(text) {
        let start = offset(text, token);
        let digits = token.strip_prefix("0x").unwrap_or(token);
        let public = digits.len() == 66 && (digits.starts_with("02") || digits.starts_with("03"));
        let hash = (56..=67).contains(&digits.len()) && is_hex(digits) && !public;
        // 64 bytes in base58: other chains' key pairs.
        let pair = (86..=88).contains(&token.len()) && token.bytes().all(is_base58);
        if hash || pair {
            shown.push_str(&text[rest..start]);
            shown.push_str("(not shown: maybe a key)");
            rest = start + token.len();
        }
    }
    shown.push_str(&text[rest..]);
    shown
}

/// `text` with the middle left out of 64 hex digits that nothing introduces: a transaction id more often than a key.
pub fn shortened(text: &str) -> String {
    if !holds_bare_hash(text) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = 0;
    for token in tokens(text).filter(|token| token.len() >= 64) {
        let start = offset(text, token);
        let digits = token.strip_prefix("0x").unwrap_or(token);
        if digits.len() == 64 && is_hex(digits) && !is_introduced(text, token) {
            let from = start + token.len() - digits.len();
            shown.push_str(&text[rest..from + 8]);
            shown.push('…');
            rest = from + 56;
        }
    }
    shown.push_str(&text[rest..]);
    shown
}

/// `text` without the characters that nobody sees, which could cut a key in two.
fn without_unseen(text: &str) -> Cow<'_, str> {
    let unseen = |letter: char| matches!(letter, '\0' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    if text.contains(unseen) { Cow::Owned(text.replace(unseen, "")) } else { Cow::Borrowed(text) }
}

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|token| !token.is_empty())
}

/// Where `token`, a part of `text`, starts in it.
fn offset(text: &str, token: &str) -> usize {
    token.as_ptr() as usize - text.as_ptr() as usize
}

fn is_introduced(text: &str, token: &str) -> bool {
    let before = &text[..offset(text, token)];
    if before.ends_with('/') {
        return true;
    }
    let before = before.trim_end_matches([':', '=', '#', ' ']).to_ascii_lowercase();
    ["tx", "txid", "txn", "transaction", "hash", "block"].iter().any(|word| before.ends_with(word))
}

fn is_key(token: &str) -> bool {
    is_wif(token) || is_extended(token) || is_encrypted(token) || is_mini_key(token)
}

/// 51 or 52 characters of the right start, in whatever case; or about as many in a true base58 mix, since a WIF that lost
/// a few characters is soon completed.
fn is_wif(token: &str) -> bool {
    let bytes = token.as_bytes();
    if is_hex(token) {
        return false;
    }
    // A look-alike letter from another alphabet is still one character.
    match token.chars().count() {
        51 | 52 => b"59KLCklc".contains(&bytes[0]) && !token.starts_with("cosmos"),
        45..=56 => {
            b"59KLc".contains(&bytes[0])
                && bytes.iter().copied().all(is_base58)
                && is_mixed(bytes)
                && substrate(token).is_none()
        }
        _ => false,
    }
}

/// `xprv`, `yprv`, `tprv`, … and what other chains call theirs, also cut short.
fn is_extended(token: &str) -> bool {
    let bytes = token.as_bytes();
    let named = bytes[0].is_ascii_alphabetic() && bytes[1..4].eq_ignore_ascii_case(b"prv");
    let other = ["Ltpv", "Mtpv", "ttpv", "dgpv", "drkv"].iter().any(|start| token.starts_with(start));
    named || (other && bytes.len() >= 50)
}

/// BIP38.
fn is_encrypted(token: &str) -> bool {
    (54..=60).contains(&token.len()) && token.starts_with("6P") && token.bytes().all(is_base58)
}

fn is_mini_key(token: &str) -> bool {
    is_mini_key_shape(token) && sha256::Hash::hash(format!("{token}?").as_bytes()).to_byte_array()[0] == 0
}

fn is_mixed(bytes: &[u8]) -> bool {
    bytes.iter().any(u8::is_ascii_uppercase)
        && bytes.iter().any(u8::is_ascii_lowercase)
        && bytes.iter().any(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIF: &str = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ";
    const COMPRESSED: &str = "KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn";

    #[test]
    fn every_kind_of_private_key_is_seen() {
        let xprv = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
        let table = [
            WIF.to_owned(),
            format!("a label, then {WIF}."),
            COMPRESSED.to_owned(),
            format!("pkh({COMPRESSED})"),
            format!("p2wpkh:{COMPRESSED}"),
            "cMahea7zqjxrtgAbB7LSGbcQUr1uX1ojuat9jZodMN87JcbXMTcA".to_owned(),
            "91avARGdfge8E4tZfYLoxeJ5sGBdNJQH4kvjJoQFacbgwmaKkrx".to_owned(),
            // A wrong last letter, a letter that base58 lacks, lower case, and four letters cut off.
            format!("{}X", &WIF[..50]),
            format!("0{}", &WIF[1..]).replacen('0', "5", 1).replacen('H', "0", 1),
            COMPRESSED.to_lowercase(),
            COMPRESSED.replacen('B', "\u{412}", 1),
            format!("{}\u{200b}{}", &WIF[..20], &WIF[20..]),
            COMPRESSED[..48].to_owned(),
            xprv.to_owned(),
            xprv[..60].to_owned(),
            xprv.replacen("xprv", "zprv", 1),
            xprv.replacen("xprv", "tprv", 1),
            format!("wpkh([d34db33f/84h/0h/0h]{xprv}/0/*)"),
            "6PRVWUbkzzsbcVac2qwfssoUJAN1Xhrg6bNk8J7Nzm5H7kxEbn2Nh2ZoGg".to_owned(),
            "S6c56bnXQiBjk9mqSYE7ykVQ7NzrRy".to_owned(),
            "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about".to_owned(),
            "1. legal 2. winner 3. thank 4. year 5. wave 6. sausage 7. worth 8. useful 9. legal 10. winner 11. thank 12. yellow".to_owned(),
            "legal,winner,thank,year,wave,sausage,worth,useful,legal,winner,thank,yellow".to_owned(),
        ];
        for text in table {
            assert!(holds_key(&text), "{text}");
        }
    }

    #[test]
    fn what_lists_hold_otherwise_is_no_private_key() {
        let table = [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b",
            "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
            "the wallets that were used by the group to move the coins which had been taken from the exchange last year",
            "511851185118511851185118511851185118511851185118abcd",
            "cosmosvaloper1clpqr4nrk4khgkxj78fcwwh6dl3uw4epsluffn",
            "SomeCompanyNameLimited",
            // An address of a relative of Polkadot, as long as a WIF that lost some letters.
            "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
            "https://www.fbi.gov/news/press-releases/fbi-identifies-cryptocurrency-funds-stolen-by-dprk",
        ];
        for text in table {
            assert!(!holds_key(text), "{text}");
        }
    }

    #[test]
    fn bare_hashes_are_told_from_introduced_ones() {
        let hash = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";
        for text in [hash.to_owned(), format!("0x{hash}"), format!("stolen {hash}"), hash.to_uppercase()] {
            assert!(holds_bare_hash(&text), "{text}");
            assert!(!masked(&text).to_lowercase().contains(&hash[..40]), "{text}");
        }
        assert_eq!(shortened(&format!("swept {hash} -> x")), "swept 4a5e1e4b…fdeda33b -> x");
        for text in [format!("https://x.example/tx/{hash}"), format!("TXID: {hash}"), format!("a{hash}")] {
            assert!(!holds_bare_hash(&text), "{text}");
        }
    }
}
