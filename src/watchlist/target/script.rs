//! Parses what a list's row or a question names: an address, `script:HEX`, an unmistakable script in hex, or a descriptor.

use bitcoin::ScriptBuf;

use super::range::Range;
use super::refusal::Refusal;
use super::{address, descriptor, foreign, hex, without_script};
use crate::chain::Chain;
use crate::watchlist::secret;
use crate::watchlist::text::{self, is_margin, strip_prefix};

/// The scripts that `text` names on `chain`: one, or several for `combo()`, paths and ranges.
///
/// It can be an address (also as a `bitcoin:` link), `script:HEX` (any bytes, or none), one of the usual output scripts in hex, or a
/// descriptor. `range` only matters for descriptors with a wildcard.
///
/// # Errors
/// The reason, which never repeats the text.
pub fn parse(text: &str, chain: Chain, range: Option<Range>) -> Result<Vec<ScriptBuf>, Refusal> {
    let text = text.trim_matches(is_margin);
    if text.is_empty() {
        return Err(Refusal::NoTarget);
    }
    if text.contains('\0') {
        return Err(if secret::holds_key(text) { Refusal::PrivateKey } else { Refusal::Nul });
    }
    if let Some(digits) = strip_prefix(text, "script:") {
        return if secret::holds_key(digits) { Err(Refusal::PrivateKey) } else { Ok(vec![hex::parse(digits)?]) };
    }
    if secret::holds_key(text) || secret::is_mini_key_shape(text) {
        return Err(Refusal::PrivateKey);
    }
    if text.contains('(') {
        return descriptor::parse(text, chain, range);
    }
    let text = match strip_prefix(text, "bitcoin:") {
        Some(link) => link.split_once('?').map_or(link, |(address, _)| address),
        None => text,
    };
    let reason = match address::parse(text, chain) {
        Ok(script) => return Ok(vec![script]),
        Err(reason @ Refusal::WrongNetwork { .. }) => return Err(reason),
        Err(reason) => reason,
    };
    if let Some(name) = foreign::recognise(text) {
        return Err(Refusal::OtherChain(name));
    }
    let digits = strip_prefix(text, "0x").unwrap_or(text);
    if text::is_hex(digits) {
        return hex::parse_unmarked(digits).map(|script| vec![script]);
    }
    if let Some(found) = without_script::recognise(text) {
        return Err(Refusal::WithoutScript(found));
    }
    if is_extended_key(text) {
        return Err(Refusal::ExtendedKey);
    }
    Err(reason)
}

/// As [`parse`], for a cell that may list several addresses: each of its words must name scripts of this chain, or be another chain's.
///
/// # Errors
/// As [`parse`], of the first word that names none.
pub fn parse_several(text: &str, chain: Chain, range: Option<Range>) -> Result<Vec<ScriptBuf>, Refusal> {
    let whole = parse(text, chain, range);
    let separates = |letter: char| letter.is_whitespace() || ",;|".contains(letter);
    let Err(reason) = &whole else { return whole };
    let words = || text.split(separates).filter(|word| !word.trim_matches(is_margin).is_empty());
    if matches!(reason, Refusal::PrivateKey | Refusal::Nul) || text.contains('(') || words().nth(1).is_none() {
        return whole;
    }
    let (mut scripts, mut foreign) = (Vec::new(), None);
    for word in words() {
        match parse(word, chain, range) {
            Ok(found) => scripts.extend(found),
            Err(Refusal::OtherChain(name)) => foreign = Some(name),
            Err(reason) => return Err(reason),
        }
    }
    match foreign {
        Some(name) if scripts.is_empty() => Err(Refusal::OtherChain(name)),
        _ => Ok(scripts),
    }
}

/// As [`parse`], for a cell whose column is named for scripts: there hex can be any script except one that may be a key by its length.
///
/// # Errors
/// As [`parse`].
pub fn from_script_cell(text: &str, chain: Chain, range: Option<Range>) -> Result<Vec<ScriptBuf>, Refusal> {
    match parse(text, chain, range) {
        Err(Refusal::BareHex) => {
            let digits = text.trim_matches(is_margin);
            hex::parse(strip_prefix(digits, "0x").unwrap_or(digits)).map(|script| vec![script])
        }
        result => result,
    }
}

fn is_extended_key(text: &str) -> bool {
    text.len() > 50 && text.is_ascii() && text[1..4].eq_ignore_ascii_case("pub") && text.bytes().all(text::is_base58)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    const LONG: &str = "0411db93e1dcdb8a016b49840f8c53bc1eb68a382e97b1482ecad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412a3";

    fn one(text: &str) -> Result<String, Refusal> {
        let scripts = parse(text, Chain::Main, None)?;
        assert_eq!(scripts.len(), 1, "{text}");
        Ok(scripts[0].to_hex_string())
    }

    #[test]
    fn usual_scripts_are_accepted_in_hex() {
        for hex in [
            "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac".to_owned(),
            "a914e9c3dd0c07aac76179ebc76a6c78d4d67c6c160a87".to_owned(),
            "0014751e76e8199196d454941c45d1b3a323f1433bd6".to_owned(),
            format!("0020{}", "ab".repeat(32)),
            format!("5120{}", "ab".repeat(32)),
            "51024e73".to_owned(),
            format!("6028{}", "ab".repeat(40)),
            format!("21{KEY}ac"),
            format!("41{LONG}ac"),
            format!("5121{KEY}41{LONG}52ae"),
            format!("5121{}51ae", "ff".repeat(33)),
        ] {
            assert_eq!(one(&hex), Ok(hex.clone()));
            assert_eq!(one(&hex.to_uppercase()), Ok(hex));
        }
    }

    #[test]
    fn hex_that_may_be_something_else_is_refused() {
        let table = [
            ("ab".repeat(32), Refusal::BareHash),
            (KEY.to_owned(), Refusal::BareKey),
            (LONG.to_owned(), Refusal::BareKey),
            ("ab".repeat(64), Refusal::BareKey),
            ("ab".repeat(33), Refusal::BareKey),
            (format!("21{}ac", "ff".repeat(33)), Refusal::BareHex),
            ("751e76e8199196d454941c45d1b3a323f1433bd6".to_owned(), Refusal::BareHex),
            ("6a".to_owned(), Refusal::BareHex),
            (format!("5221{KEY}51ae"), Refusal::BareHex),
            (format!("51{}ae", format!("21{KEY}").repeat(300)), Refusal::BareHex),
            ("76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888a".to_owned(), Refusal::Truncated),
        ];
        for (text, reason) in table {
            assert_eq!(one(&text), Err(reason), "{text}");
        }
    }

    #[test]
    fn script_hex_is_any_bytes() {
        for hex in [String::new(), "6a".to_owned(), KEY.to_owned(), "ab".repeat(32), "ff".repeat(10_001)] {
            assert_eq!(one(&format!("script:{hex}")), Ok(hex.clone()));
        }
        assert_eq!(one("SCRIPT:6A"), Ok("6a".to_owned()));
        for text in ["script:6", "script:0x6a", "script:xyz", "script: 6a"] {
            assert_eq!(one(text), Err(Refusal::BadHex), "{text}");
        }
    }

    #[test]
    fn a_cell_of_a_script_column_can_hold_unusual_scripts_but_no_keys() {
        let cell = |text: &str| from_script_cell(text, Chain::Main, None).map(|scripts| scripts[0].to_hex_string());
        assert_eq!(cell("6a"), Ok("6a".to_owned()));
        assert_eq!(cell(&"ab".repeat(32)), Err(Refusal::BareHash));
        assert_eq!(cell(KEY), Err(Refusal::BareKey));
        assert_eq!(cell("script:"), Ok(String::new()));
    }

    #[test]
    fn other_texts_are_refused_with_their_reason() {
        let xpub = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";
        let table = [
            ("", Refusal::NoTarget),
            ("   ", Refusal::NoTarget),
            ("a\0b", Refusal::Nul),
            ("TEAqwfMhXLaomXhZ8KeMhx3njGmQEDnsUR", Refusal::OtherChain("TRON")),
            ("0x175d44451403Edf28469dF03A9280c1197ADb92c", Refusal::OtherChain("Ethereum")),
            (xpub, Refusal::ExtendedKey),
            ("KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn", Refusal::PrivateKey),
            ("pkh(KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn)", Refusal::PrivateKey),
            ("S6c56bnXQiBjk9mqSYE7ykVQ7NzrRz", Refusal::PrivateKey),
            ("hello", Refusal::NotUnderstood),
        ];
        for (text, reason) in table {
            assert_eq!(one(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn a_cell_can_list_several_addresses() {
        const A: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
        const B: &str = "3P14159f73E4gFr7JterCCQh9QjiTjiZrG";
        const TRON: &str = "TEAqwfMhXLaomXhZ8KeMhx3njGmQEDnsUR";
        let count = |text: &str| parse_several(text, Chain::Main, None).map(|scripts| scripts.len());
        for text in [
            format!("{A} {B}"),
            format!("{A}\n{B}"),
            format!("{A}, {B}"),
            format!("{A};{B};"),
            format!("{A} {TRON} {B}"),
        ] {
            assert_eq!(count(&text), Ok(2), "{text}");
        }
        assert_eq!(count(A), Ok(1));
        assert_eq!(count(&format!("{TRON} {TRON}")), Err(Refusal::OtherChain("TRON")));
        assert_eq!(count(&format!("{A} {}", &B[..30])), Err(Refusal::Truncated));
        assert_eq!(count(&format!("{A} old")), Err(Refusal::NotUnderstood));
    }

    #[test]
    fn links_and_invisible_margins_are_removed() {
        let script = Ok("0014751e76e8199196d454941c45d1b3a323f1433bd6".to_owned());
        for text in [
            "bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4?amount=1&label=x",
            "BITCOIN:BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "\u{200b}bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4\u{feff} ",
        ] {
            assert_eq!(one(text), script, "{text:?}");
        }
    }

    #[test]
    fn ranges_are_read_strictly() {
        assert_eq!("0-9".parse(), Range::new(0, 9));
        assert_eq!(" 3 - 3 ".parse(), Range::new(3, 3));
        for text in ["", "9", "9-0", "-1-5", "+1-5", "0-2147483648", "0-99999999999", "a-b", "0-", "0-1-2"] {
            assert_eq!(text.parse::<Range>(), Err(Refusal::BadRange), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), chain in prop::sample::select(Chain::ALL.to_vec())) {
            let _ = parse(&text, chain, Some(Range::ONE));
        }

        #[test]
        fn no_descriptor_like_text_makes_it_panic(
            parts in prop::collection::vec(prop::sample::select(vec![
                "wsh(", "sh(", "tr(", "pk(", "pkh(", "wpkh(", "combo(", "multi(", "sortedmulti(", "multi_a(", "and_v(",
                "v:", "older(", "after(", "thresh(", "raw(", "rawtr(", "addr(", ")", ")", ")", "))", ",", "{", "}", "1",
                "2", "0", "144", "*", "/", "/*", "/<0;1>", "/0h", "[d34db33f/0h]", "#", "é", " ", "6a",
                KEY, &KEY[2..], LONG, "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
            ]), 0..12),
        ) {
            let _ = parse(&parts.concat(), Chain::Main, Some(Range::ONE));
        }

        #[test]
        fn no_address_with_one_wrong_letter_is_accepted_or_called_another_chains(
            hash in any::<[u8; 20]>(), at in 0usize..42, letter in "[0-9a-zA-Z]", segwit in any::<bool>(),
        ) {
            let script = if segwit {
                ScriptBuf::from_hex(&format!("0014{}", const_hex::encode(hash))).unwrap()
            } else {
                ScriptBuf::from_hex(&format!("76a914{}88ac", const_hex::encode(hash))).unwrap()
            };
            let address = bitcoin::Address::from_script(&script, bitcoin::Network::Bitcoin).unwrap().to_string();
            prop_assert_eq!(parse(&address, Chain::Main, None), Ok(vec![script]));
            let at = at % address.len();
            let mut wrong = address.clone();
            wrong.replace_range(at..=at, &letter);
            prop_assume!(wrong != address);
            let result = parse(&wrong, Chain::Main, None);
            prop_assert!(matches!(result, Err(ref reason) if !matches!(reason, Refusal::OtherChain(_))), "{wrong} {result:?}");
        }
    }
}
