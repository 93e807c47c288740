//! Addresses and the like that are bitcoin's, but that no output script comes from.

use bitcoin::base58;

use crate::watchlist::text::{is_base58, strip_prefix};

/// What a text is, if it is of bitcoin and names no script by itself.
pub fn recognise(text: &str) -> Option<&'static str> {
    if !text.is_ascii() || text.len() < 13 {
        return None;
    }
    let data_of = |prefix: &str| {
        let data = strip_prefix(text, prefix)?;
        (data.len() >= 40 && data.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(data)
    };
    if data_of("sp1").is_some() || data_of("tsp1").is_some() {
        return Some("a silent payment address (BIP352): each payment to it has a script of its own");
    }
    if let Some(rest) = data_of("ln") {
        let has = |start: &str| strip_prefix(rest, start).is_some();
        if has("url1") {
            return Some("a Lightning link (LNURL), which is no address on the chain");
        }
        if has("o1") || has("r1") || has("i1") {
            return Some("a Lightning offer (BOLT12), which is no address on the chain");
        }
        if has("bc") || has("tb") || has("sb") {
            return Some("a Lightning invoice, which is no address on the chain");
        }
    }
    if text.starts_with("PM8T") && text.len() > 100 && base58::decode_check(text).is_ok() {
        return Some("a payment code (BIP47): each payment to it has a script of its own");
    }
    if text.bytes().all(is_base58) {
        return slip132(text);
    }
    None
}

/// Extended public keys that say by their first letters which scripts are meant.
fn slip132(text: &str) -> Option<&'static str> {
    if text.len() < 100 {
        return None;
    }
    match text.get(..4)? {
        "ypub" | "upub" => {
            Some("an extended public key of a wallet; convert it to xpub, and write sh(wpkh(XPUB/<0;1>/*)) and a range")
        }
        "zpub" | "vpub" => {
            Some("an extended public key of a wallet; convert it to xpub, and write wpkh(XPUB/<0;1>/*) and a range")
        }
        "Ypub" | "Zpub" | "Upub" | "Vpub" => {
            Some("an extended public key of a wallet of several keys; list the wallet's descriptor")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_named() {
        let zpub = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs";
        let table = [
            (
                "sp1qqgste7k9hx0qftg6qmwlkqtwuy6cycyavzmzj85c6qdfhjdpdjtdgqjuexzk6murw56suy3e0rd2cgqvycxttddwsvgxe2usfpxumr70xc9pkqwv",
                "silent payment",
            ),
            (
                "lnbc20m1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqhp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqs",
                "Lightning invoice",
            ),
            (
                "LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35XVUKXEFCV5MKVV34X5EKZD3EV56NYD3HXQURZEPEXEJXXEPNXSCRVWFNV9NXZCN9XQ6XYEFHVGCXXCMYXYMNSERXFQ5FNS",
                "LNURL",
            ),
            (
                "lno1pqps7sjqpgtyzm3qv4uxzmtsd3jjqer9wd3hy6tsw35k7msjzfpy7nz5yqcnygrfdej82um5wf5k2uckyypwa3eyt44h6txtxquqh7lz5djge4afgfjn7k4rgrkuag0jsd5xvxg",
                "BOLT12",
            ),
            (zpub, "xpub"),
        ];
        for (text, says) in table {
            assert!(recognise(text).is_some_and(|name| name.contains(says)), "{text}");
        }
        for text in [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "special words",
            "lnbc",
        ] {
            assert_eq!(recognise(text), None, "{text}");
        }
    }
}
