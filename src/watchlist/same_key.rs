//! The scripts of one key: a key's P2PK script, its addresses of four kinds, and what a script shows of them. Matching is by exact script,
//! so a list that names one of them says nothing about the others, though the owner of one owns all.
//!
//! A key is a point of the curve, whichever way it is written: the uncompressed form has a P2PK and a P2PKH script, the compressed form
//! those and P2WPKH (BIP84), P2SH-P2WPKH (BIP49) and P2TR without scripts (BIP86).

use std::sync::LazyLock;

use bitcoin::hashes::Hash;
use bitcoin::script::Instruction;
use bitcoin::secp256k1::{Secp256k1, VerifyOnly};
use bitcoin::{PubkeyHash, PublicKey, Script, ScriptBuf, TxIn, WPubkeyHash, XOnlyPublicKey};

static SECP: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);

/// All scripts of a key.
pub fn scripts_of_key(key: &PublicKey) -> Vec<ScriptBuf> {
    let (compressed, uncompressed) = (PublicKey::new(key.inner), PublicKey::new_uncompressed(key.inner));
    let hash = compressed.pubkey_hash().to_byte_array();
    let mut scripts = vec![ScriptBuf::new_p2pk(&compressed), ScriptBuf::new_p2pk(&uncompressed)];
    scripts.push(ScriptBuf::new_p2pkh(&uncompressed.pubkey_hash()));
    scripts.extend(scripts_of_hash(hash));
    scripts.push(ScriptBuf::new_p2tr(&SECP, XOnlyPublicKey::from(key.inner), None));
    scripts
}

/// The scripts that commit to one hash of a key: P2PKH, P2WPKH, P2SH-P2WPKH.
fn scripts_of_hash(hash: [u8; 20]) -> [ScriptBuf; 3] {
    let witness = ScriptBuf::new_p2wpkh(&WPubkeyHash::from_byte_array(hash));
    let nested = ScriptBuf::new_p2sh(&witness.script_hash());
    [ScriptBuf::new_p2pkh(&PubkeyHash::from_byte_array(hash)), witness, nested]
}

/// The other scripts of a script's key, as far as its own bytes show them: all of a P2PK script's, those of the same hash of a P2PKH or
/// P2WPKH script's, none of any other's.
pub fn other_scripts(script: &Script) -> Vec<ScriptBuf> {
    let mut scripts = match (script.p2pk_public_key(), key_hash(script)) {
        (Some(key), _) => scripts_of_key(&key),
        (None, Some(hash)) => scripts_of_hash(hash).into(),
        (None, None) => Vec::new(),
    };
    scripts.retain(|other| other.as_script() != script);
    scripts
}

/// The other scripts of a listed script's key whose own bytes don't show the listed one: a question about one of these can't find it
/// unless the index says where it is.
///
/// A P2PK script shows all of its key's. P2PKH and P2WPKH scripts show each other and what wraps them, but not the key; a P2SH or P2TR
/// script shows nothing. So of a listed key all but its P2PK scripts are blind, and of a listed hash only the P2SH script is. That is
/// said rather than searched for, since deriving a P2TR script costs more than reading a row of a list.
pub fn blind_scripts(listed: &Script) -> Vec<ScriptBuf> {
    let mut scripts = match (listed.p2pk_public_key(), key_hash(listed)) {
        (Some(key), _) => scripts_of_key(&key),
        (None, Some(hash)) => {
            let [_, _, nested] = scripts_of_hash(hash);
            vec![nested]
        }
        (None, None) => Vec::new(),
    };
    scripts.retain(|other| other.p2pk_public_key().is_none());
    scripts
}

/// The key that an input shows, if it has the form of one that spends a coin on P2PKH, P2WPKH or P2SH-P2WPKH: a signature and a key,
/// nothing else. Only the coin's own script could prove that it is one.
pub fn key_of_input(input: &TxIn) -> Option<PublicKey> {
    let (signature, key) = match input.witness.len() {
        0 => {
            let mut pushes = input.script_sig.instructions();
            let mut push = || match pushes.next()?.ok()? {
                Instruction::PushBytes(bytes) => Some(bytes.as_bytes()),
                Instruction::Op(_) => None,
            };
            let two = (push()?, push()?);
            if pushes.next().is_some() {
                return None;
            }
            two
        }
        // Only a compressed key can be that of a witness program.
        2 if input.witness[1].len() == 33 => (&input.witness[0], &input.witness[1]),
        _ => return None,
    };
    let is_signature = (9..=73).contains(&signature.len()) && signature[0] == DER_SEQUENCE;
    PublicKey::from_slice(key).ok().filter(|_| is_signature)
}

/// The first byte of an ECDSA signature.
const DER_SEQUENCE: u8 = 0x30;

/// The hash of a key that a P2PKH or P2WPKH script commits to.
fn key_hash(script: &Script) -> Option<[u8; 20]> {
    let bytes = script.as_bytes();
    match (script.is_p2pkh(), script.is_p2wpkh()) {
        (true, _) => bytes.get(3..23),
        (_, true) => bytes.get(2..22),
        _ => None,
    }
    .and_then(|hash| hash.try_into().ok())
}

#[cfg(test)]
mod tests {
    use bitcoin::script::{self, PushBytesBuf};
    use bitcoin::{Address, Network, Witness};

    use super::*;

    /// The key of the first receiving address in the test vectors of BIP84 and of BIP86.
    const BIP84: (&str, &str) = (
        "0330d54fd0dd420a6e5f8d3624f5f3482cae350f79d5f0753bf5beef9c2d91af3c",
        "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
    );
    const BIP86: (&str, &str) = (
        "02cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115",
        "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
    );
    /// The same of BIP49, whose vectors are of testnet.
    const BIP49: (&str, &str) =
        ("03a1af804ac108a8a51782198c2d034b28bf90c8803f5a53f76276fa69a4eae77f", "2Mww8dCYPUpKHofjgcXcBCEGmniw9CoaiD2");
    /// The key of the first payment, which was written uncompressed.
    const HAL: &str = "0411db93e1dcdb8a016b49840f8c53bc1eb68a382e97b1482ecad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412a3";

    fn key(hex: &str) -> PublicKey {
        hex.parse().unwrap()
    }

    fn addresses(key: &PublicKey, network: Network) -> Vec<String> {
        let scripts = scripts_of_key(key);
        scripts.iter().filter_map(|script| Some(Address::from_script(script, network).ok()?.to_string())).collect()
    }

    #[test]
    fn a_keys_addresses_are_those_of_the_vectors_of_bip49_84_and_86() {
        for ((hex, address), network) in
            [(BIP84, Network::Bitcoin), (BIP86, Network::Bitcoin), (BIP49, Network::Testnet)]
        {
            assert!(addresses(&key(hex), network).contains(&address.to_owned()), "{address}");
        }
        let hal = addresses(&key(HAL), Network::Bitcoin);
        assert!(hal.contains(&"12cbQLTFMXRnSzktFkuoG3eHoMeFtpTu3S".to_owned()), "{hal:?}");
        assert_eq!((hal.len(), scripts_of_key(&key(HAL)).len()), (5, 7), "two P2PK scripts have no address");
    }

    #[test]
    fn a_script_shows_what_its_bytes_commit_to() {
        for key in [key(BIP84.0), key(HAL)] {
            let all = scripts_of_key(&key);
            let [p2pk, p2pk_long, p2pkh_long, p2pkh, p2wpkh, nested, taproot] = &all[..] else {
                panic!("seven scripts")
            };
            for script in [p2pk, p2pk_long] {
                let others = other_scripts(script);
                assert!(others.len() == 6 && others.iter().all(|other| other != script && all.contains(other)));
            }
            assert_eq!(other_scripts(p2pkh), [p2wpkh.clone(), nested.clone()]);
            assert_eq!(other_scripts(p2wpkh), [p2pkh.clone(), nested.clone()]);
            assert_eq!(other_scripts(p2pkh_long).len(), 2, "a hash doesn't say how its key was written");
            assert_eq!((other_scripts(nested), other_scripts(taproot)), (Vec::new(), Vec::new()));
        }
    }

    #[test]
    fn blind_are_those_that_can_not_be_worked_out_from_the_question() {
        let all = scripts_of_key(&key(BIP86.0));
        let [p2pk, p2pk_long, p2pkh_long, p2pkh, p2wpkh, nested, taproot] = &all[..] else { panic!("seven scripts") };
        let of_hash = [p2pkh_long, p2pkh, p2wpkh, nested, taproot].map(Clone::clone);
        assert_eq!((blind_scripts(p2pk), blind_scripts(p2pk_long)), (of_hash.to_vec(), of_hash.to_vec()));
        assert_eq!((blind_scripts(p2pkh), blind_scripts(p2wpkh)), (vec![nested.clone()], vec![nested.clone()]));
        assert_eq!((blind_scripts(nested), blind_scripts(taproot)), (Vec::new(), Vec::new()));
        // Whichever of a key's scripts is listed, and whichever is asked about: one of the two ways finds it, where either can.
        for (listed, asked) in all.iter().flat_map(|listed| all.iter().map(move |asked| (listed, asked))) {
            let known = other_scripts(listed).contains(asked) || other_scripts(asked).contains(listed);
            let found = blind_scripts(listed).contains(asked) || other_scripts(asked).contains(listed);
            assert_eq!(found, known);
        }
    }

    #[test]
    fn an_input_of_a_signature_and_a_key_shows_the_key() {
        let (signature, long, short) = ([DER_SEQUENCE; 71], key(HAL).to_bytes(), key(BIP84.0).to_bytes());
        let legacy = |parts: &[&[u8]]| {
            let parts = parts.iter().map(|part| PushBytesBuf::try_from(part.to_vec()).unwrap());
            let script_sig = parts.fold(script::Builder::new(), script::Builder::push_slice).into_script();
            TxIn { script_sig, ..TxIn::default() }
        };
        let witness = |parts: &[&[u8]]| TxIn { witness: Witness::from_slice(parts), ..TxIn::default() };
        assert_eq!(key_of_input(&legacy(&[&signature, &long])), Some(key(HAL)));
        assert_eq!(key_of_input(&legacy(&[&signature, &short])), Some(key(BIP84.0)));
        assert_eq!(key_of_input(&witness(&[&signature, &short])), Some(key(BIP84.0)));
        for other in [
            TxIn::default(),
            legacy(&[&signature]),
            legacy(&[&signature, &signature]),
            legacy(&[&[], &signature, &short]),
            legacy(&[&[1; 71], &short]),
            witness(&[&signature]),
            witness(&[&signature, &long]),
            witness(&[&[], &short]),
            witness(&[&signature, &short, &short]),
        ] {
            assert_eq!(key_of_input(&other), None, "{other:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_point_of_the_curve_show_nothing() {
        let script = ScriptBuf::from_hex(&format!("2102{}ac", "ff".repeat(32))).unwrap();
        assert!(script.is_p2pk() && other_scripts(&script).is_empty());
        for hex in ["", "51", "6a", "76a91488ac"] {
            assert!(other_scripts(&ScriptBuf::from_hex(hex).unwrap()).is_empty(), "{hex}");
        }
    }
}
