//! Parses output descriptors (BIP380 to 386): miniscript's, and those that it lacks (`addr`, `raw`, `combo`, `rawtr`, top-level
//! `sortedmulti`, `sortedmulti_a`).

use std::str::FromStr;
use std::sync::LazyLock;

use bitcoin::opcodes::all::OP_PUSHNUM_1;
use bitcoin::secp256k1::{Secp256k1, VerifyOnly};
use bitcoin::{NetworkKind, PublicKey, ScriptBuf, script};
use miniscript::descriptor::{DescriptorPublicKey, XKeyNetwork, checksum};
use miniscript::{Descriptor, ForEachKey};

use super::range::{LIMIT, Range};
use super::refusal::Refusal;
use super::{address, hex};
use crate::chain::Chain;
use crate::watchlist::secret;

static SECP: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);

/// Makes the script from a descriptor that is derived at one index; `None` if the descriptor has the wrong form for it.
type MakeScript = fn(&Descriptor<PublicKey>) -> Option<ScriptBuf>;

/// The scripts of a descriptor, with or without `#checksum`; one with a wildcard is derived at each index of `range`.
///
/// A descriptor with paths in angle brackets (BIP389) has the scripts of each path; `combo` has up to four scripts a key. The caller has
/// checked that there is no private key in the text.
///
/// # Errors
/// [`Refusal::DescriptorChecksum`], [`Refusal::NeedsRange`], [`Refusal::TooMany`], [`Refusal::WrongNetwork`] for an extended key
/// or address of another network, [`Refusal::Descriptor`] with miniscript's message for the rest.
pub fn parse(text: &str, chain: Chain, range: Option<Range>) -> Result<Vec<ScriptBuf>, Refusal> {
    let body = checksum::verify_checksum(text).map_err(|error| match error {
        checksum::Error::InvalidCharacter { .. } => Refusal::Descriptor("it has characters beyond ASCII".to_owned()),
        checksum::Error::InvalidChecksumLength { .. } | checksum::Error::InvalidChecksum { .. } => {
            Refusal::DescriptorChecksum
        }
    })?;
    let (name, inner) = split(body).ok_or(Refusal::NotUnderstood)?;
    match name {
        "addr" => address::parse(inner, chain).map(|script| vec![script]),
        "raw" => hex::parse(inner).map(|script| vec![script]),
        "combo" => combo(inner, chain, range),
        "rawtr" => derive(&[(format!("tr({inner})"), internal_key)], chain, range),
        // Miniscript has it only within sh(): the output's script is what would be the redeem script there.
        "sortedmulti" => derive(&[(format!("sh({body})"), redeem_script)], chain, range),
        "tr" if body.contains(SORTED) => derive(&[(unsorted(body)?, sorted_leaves)], chain, range),
        _ => derive(&[(body.to_owned(), script_pubkey)], chain, range),
    }
}

/// Keys of a taproot leaf in any order (BIP387). Miniscript lacks it: the keys are put in order once they are derived.
const SORTED: &str = "sortedmulti_a(";
/// The same with keys in their order.
const UNSORTED: &str = "multi_a(";

/// The descriptor as miniscript reads it.
fn unsorted(body: &str) -> Result<String, Refusal> {
    if body.matches(UNSORTED).count() != body.matches(SORTED).count() {
        return Err(Refusal::Descriptor(
            "multi_a beside sortedmulti_a isn't read; list the scripts by script:HEX".into(),
        ));
    }
    Ok(body.replace(SORTED, UNSORTED))
}

/// The taproot script with the keys of each `multi_a` in their order.
fn sorted_leaves(descriptor: &Descriptor<PublicKey>) -> Option<ScriptBuf> {
    let text = format!("{descriptor:#}");
    let mut parts = text.split(UNSORTED);
    let mut sorted = parts.next()?.to_owned();
    for part in parts {
        let (keys, rest) = part.split_once(')')?;
        let mut keys: Vec<&str> = keys.split(',').collect();
        // The first is the number of signatures. Keys are ordered by their 32 bytes, whatever their parity.
        keys.get_mut(1..)?.sort_unstable_by_key(|key| key.get(key.len().saturating_sub(64)..).unwrap_or(key));
        sorted = format!("{sorted}{UNSORTED}{}){rest}", keys.join(","));
    }
    Some(Descriptor::<PublicKey>::from_str(&sorted).ok()?.script_pubkey())
}

/// Whether the text begins like a descriptor: `Address (BTC)` doesn't.
pub(super) fn has_known_name(text: &str) -> bool {
    const NAMES: [&str; 12] =
        ["addr", "raw", "combo", "rawtr", "pk", "pkh", "wpkh", "sh", "wsh", "tr", "multi", "sortedmulti"];
    split(text.split('#').next().unwrap_or_default()).is_some_and(|(name, _)| NAMES.contains(&name))
}

/// Name and content of `name(content)`.
fn split(body: &str) -> Option<(&str, &str)> {
    let (name, rest) = body.split_once('(')?;
    Some((name, rest.strip_suffix(')')?))
}

/// The scripts of `combo(key)`: P2PK and P2PKH, and for a compressed key P2WPKH and P2SH-P2WPKH.
fn combo(key: &str, chain: Chain, range: Option<Range>) -> Result<Vec<ScriptBuf>, Refusal> {
    let legacy = read(&format!("pkh({key})"))?;
    let mut forms: Vec<(String, MakeScript)> =
        vec![(format!("pk({key})"), script_pubkey), (format!("pkh({key})"), script_pubkey)];
    if !legacy.for_any_key(miniscript::MiniscriptKey::is_uncompressed) {
        forms.push((format!("wpkh({key})"), script_pubkey));
        forms.push((format!("sh(wpkh({key}))"), script_pubkey));
    }
    derive(&forms, chain, range)
}

fn script_pubkey(descriptor: &Descriptor<PublicKey>) -> Option<ScriptBuf> {
    Some(descriptor.script_pubkey())
}

fn redeem_script(descriptor: &Descriptor<PublicKey>) -> Option<ScriptBuf> {
    descriptor.explicit_script().ok()
}

/// The taproot script with the descriptor's key as it is, without a tweak (`rawtr`).
fn internal_key(descriptor: &Descriptor<PublicKey>) -> Option<ScriptBuf> {
    if descriptor.tap_tree().is_some() {
        return None;
    }
    let (key, _) = descriptor.internal_key()?.inner.x_only_public_key();
    Some(script::Builder::new().push_opcode(OP_PUSHNUM_1).push_slice(key.serialize()).into_script())
}

fn read(text: &str) -> Result<Descriptor<DescriptorPublicKey>, Refusal> {
    Descriptor::from_str(text).map_err(|error| Refusal::Descriptor(short_message(&error.to_string())))
}

/// The scripts of all `forms`, for each of their paths and each index of the range.
fn derive(forms: &[(String, MakeScript)], chain: Chain, range: Option<Range>) -> Result<Vec<ScriptBuf>, Refusal> {
    let mut parsed = Vec::new();
    for (text, make) in forms {
        let descriptor = read(text)?;
        check_network(&descriptor, chain)?;
        let paths = descriptor
            .into_single_descriptors()
            .map_err(|error| Refusal::Descriptor(short_message(&error.to_string())))?;
        parsed.extend(paths.into_iter().map(|path| (path, *make)));
    }
    let mut total = 0;
    let mut plan = Vec::new();
    for (descriptor, make) in parsed {
        let indexes = if descriptor.has_wildcard() { range.ok_or(Refusal::NeedsRange)? } else { Range::ONE };
        total += indexes.count();
        plan.push((descriptor, make, indexes));
    }
    if total > LIMIT {
        return Err(Refusal::TooMany { scripts: total, limit: LIMIT });
    }
    let mut scripts = Vec::new();
    for (descriptor, make, indexes) in plan {
        for index in indexes.start()..=indexes.end() {
            let definite = descriptor
                .at_derivation_index(index)
                .map_err(|error| Refusal::Descriptor(short_message(&error.to_string())))?;
            let script = make(&definite.derived_descriptor(&SECP));
            scripts
                .push(script.ok_or_else(|| Refusal::Descriptor("it must have one key and nothing else".to_owned()))?);
        }
    }
    Ok(scripts)
}

/// Checks the network of extended keys, which only tell the main chain from test networks.
fn check_network(descriptor: &Descriptor<DescriptorPublicKey>, chain: Chain) -> Result<(), Refusal> {
    let wanted = if chain == Chain::Main { NetworkKind::Main } else { NetworkKind::Test };
    match descriptor.xkey_network() {
        XKeyNetwork::NoXKeys => Ok(()),
        XKeyNetwork::Single(kind) if kind == wanted => Ok(()),
        XKeyNetwork::Single(NetworkKind::Main) => Err(Refusal::WrongNetwork { found: "the main chain", chain }),
        XKeyNetwork::Single(NetworkKind::Test) => Err(Refusal::WrongNetwork { found: "a test network", chain }),
        XKeyNetwork::Mixed => Err(Refusal::Descriptor("its extended keys are of different networks".to_owned())),
    }
}

/// Miniscript's message, shortened and without key material.
fn short_message(message: &str) -> String {
    let message = secret::masked(&message.split_whitespace().collect::<Vec<_>>().join(" "));
    if message.chars().count() <= 160 { message } else { message.chars().take(160).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    const X: &str = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    const LONG: &str = "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\
                        483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
    const OTHER: &str = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";
    const XPUB: &str = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";

    fn hex(text: &str) -> Result<Vec<String>, Refusal> {
        Ok(parse(text, Chain::Main, None)?.iter().map(|script| script.to_hex_string()).collect())
    }

    #[test]
    fn sorted_keys_of_a_taproot_leaf_make_the_same_script_in_any_order() {
        let (low, high) = (KEY, OTHER);
        let expected = hex(&format!("tr({X},multi_a(1,{low},{high}))"));
        assert!(expected.is_ok());
        for keys in [format!("{low},{high}"), format!("{high},{low}")] {
            assert_eq!(hex(&format!("tr({X},sortedmulti_a(1,{keys}))")), expected);
        }
        assert_ne!(hex(&format!("tr({X},multi_a(1,{high},{low}))")), expected);
        let ranged = |order: &str| {
            let text = format!("tr({X},{{pk({X}),sortedmulti_a(2,{order})}})");
            parse(&text, Chain::Main, Some(Range::new(0, 9).unwrap())).map(|scripts| scripts.len())
        };
        assert_eq!(ranged(&format!("{XPUB}/0/*,{KEY}")), Ok(10));
        let both = parse(&format!("tr({X},{{sortedmulti_a(1,{KEY}),multi_a(1,{KEY})}})"), Chain::Main, None);
        assert!(matches!(both, Err(Refusal::Descriptor(_))));
    }

    #[test]
    fn every_kind_has_its_scripts() {
        let hash = "751e76e8199196d454941c45d1b3a323f1433bd6";
        let table = [
            (format!("pk({KEY})"), vec![format!("21{KEY}ac")]),
            (format!("pk({LONG})"), vec![format!("41{LONG}ac")]),
            (format!("pkh({KEY})"), vec![format!("76a914{hash}88ac")]),
            (format!("wpkh({KEY})"), vec![format!("0014{hash}")]),
            (format!("sh(wpkh({KEY}))"), vec!["a914bcfeb728b584253d5f3f70bcb780e9ef218a68f487".to_owned()]),
            (format!("multi(1,{OTHER},{KEY})"), vec![format!("5121{OTHER}21{KEY}52ae")]),
            (format!("sortedmulti(1,{OTHER},{KEY})"), vec![format!("5121{KEY}21{OTHER}52ae")]),
            (format!("rawtr({X})"), vec![format!("5120{X}")]),
            (
                format!("tr({X})"),
                vec!["5120da4710964f7852695de2da025290e24af6d8c281de5a0b902b7135fd9fd74d21".to_owned()],
            ),
            ("raw(6a)".to_owned(), vec!["6a".to_owned()]),
            ("raw()".to_owned(), vec![String::new()]),
            (
                "addr(1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa)".to_owned(),
                vec!["76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac".to_owned()],
            ),
            (
                format!("combo({LONG})"),
                vec![format!("41{LONG}ac"), "76a91491b24bf9f5288532960ac687abb035127b1d28a588ac".to_owned()],
            ),
            (
                format!("combo({KEY})"),
                vec![
                    format!("21{KEY}ac"),
                    format!("76a914{hash}88ac"),
                    format!("0014{hash}"),
                    "a914bcfeb728b584253d5f3f70bcb780e9ef218a68f487".to_owned(),
                ],
            ),
        ];
        for (text, scripts) in table {
            assert_eq!(hex(&text), Ok(scripts), "{text}");
        }
        for text in [
            format!("wsh(pk({KEY}))"),
            format!("sh(sortedmulti(1,{KEY},{OTHER}))"),
            format!("wsh(and_v(v:pk({KEY}),older(144)))"),
            format!("tr({X},pk({}))", &OTHER[2..]),
            format!("tr({X},multi_a(1,{},{X}))", &OTHER[2..]),
            format!("wpkh([d34db33f/84h/0h/0h]{XPUB}/0/1)"),
        ] {
            assert_eq!(hex(&text).map(|scripts| scripts.len()), Ok(1), "{text}");
        }
    }

    #[test]
    fn ranges_and_paths_multiply_up_to_a_limit() {
        let count = |text: &str, range: Option<&str>| {
            let range = range.map(|range| range.parse().unwrap());
            parse(text, Chain::Main, range).map(|scripts| scripts.len())
        };
        let wild = format!("wpkh({XPUB}/0/*)");
        assert_eq!(count(&wild, None), Err(Refusal::NeedsRange));
        assert_eq!(count(&wild, Some("0-9")), Ok(10));
        assert_eq!(count(&wild, Some("7-7")), Ok(1));
        assert_eq!(count(&format!("wpkh({XPUB}/<0;1>/*)"), Some("0-9")), Ok(20));
        assert_eq!(count(&format!("wpkh({XPUB}/<0;1;5>)"), None), Ok(3));
        assert_eq!(count(&format!("combo({XPUB}/<0;1>/*)"), Some("0-1")), Ok(16));
        assert_eq!(count(&format!("tr({XPUB}/*)"), Some("0-3")), Ok(4));
        assert_eq!(count(&format!("pkh({KEY})"), Some("0-9")), Ok(1), "a range does not matter without a wildcard");
        assert_eq!(count(&wild, Some("0-1000000")), Err(Refusal::TooMany { scripts: 1_000_001, limit: LIMIT }));
        let one = parse(&wild, Chain::Main, Some("7-7".parse().unwrap())).unwrap();
        let ten = parse(&wild, Chain::Main, Some("0-9".parse().unwrap())).unwrap();
        assert_eq!(one[0], ten[7]);
        assert_eq!(vec![one[0].clone()], parse(&format!("wpkh({XPUB}/0/7)"), Chain::Main, None).unwrap());
    }

    #[test]
    fn errors_are_told_apart() {
        assert_eq!(hex(&format!("pkh({KEY})#aaaaaaaa")), Err(Refusal::DescriptorChecksum));
        assert_eq!(hex(&format!("pkh({KEY})#aaa")), Err(Refusal::DescriptorChecksum));
        assert_eq!(hex("raw(6)"), Err(Refusal::BadHex));
        let wrong = |chain| Refusal::WrongNetwork { found: "the main chain", chain };
        assert_eq!(parse(&format!("pkh({XPUB})"), Chain::Signet, None), Err(wrong(Chain::Signet)));
        for text in [
            "pkh()".to_owned(),
            "foo(bar)".to_owned(),
            format!("wpkh({LONG})"),
            format!("wpkh({X})"),
            format!("pkh({XPUB}/0h/1)"),
            format!("combo(pkh({KEY}))"),
            format!("rawtr({X},pk({X}))"),
            format!("sortedmulti(3,{KEY},{OTHER})"),
            format!("pkh({KEY}) "),
            "pkh(é)".to_owned(),
        ] {
            assert!(matches!(hex(&text), Err(Refusal::Descriptor(_) | Refusal::NotUnderstood)), "{text}");
        }
    }

    #[test]
    fn a_checksum_is_verified_over_the_text_as_written() {
        let text = "raw(deadbeef)#89f8spxm";
        assert_eq!(hex(text), Ok(vec!["deadbeef".to_owned()]));
        assert_eq!(hex("raw(deadbeee)#89f8spxm"), Err(Refusal::DescriptorChecksum));
    }
}
