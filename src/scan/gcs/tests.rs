//! Filters against BIP158's vectors, against the `bitcoin` crate as the oracle, and against bytes that are no filters.

use std::collections::BTreeSet;

use bitcoin::bip158::{BitStreamWriter, BlockFilter, FilterHeader, GcsFilterWriter};
use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::hashes::{Hash, siphash24};
use bitcoin::{Block, ScriptBuf};
use proptest::prelude::*;
use serde_json::Value;

use super::super::needles::is_left_out;
use super::*;

/// A filter as the `bitcoin` crate writes it.
fn written(scripts: &[ScriptBuf], block: BlockHash) -> Vec<u8> {
    let (k0, k1) = key(block);
    let mut bytes = Vec::new();
    let mut writer = GcsFilterWriter::new(&mut bytes, k0, k1, M, 19);
    scripts.iter().for_each(|script| writer.add_element(script.as_bytes()));
    writer.finish().unwrap();
    bytes
}

#[expect(clippy::little_endian_bytes, reason = "SipHash reads its key so")]
fn key(block: BlockHash) -> (u64, u64) {
    let bytes = block.to_byte_array();
    (u64::from_le_bytes(bytes[..8].try_into().unwrap()), u64::from_le_bytes(bytes[8..16].try_into().unwrap()))
}

/// Matches both ways, with and without SIMD, and panics if the answers differ.
fn match_every_way(bytes: &[u8], block: BlockHash, scripts: &[ScriptBuf]) -> Result<bool, GcsError> {
    let mut answers = Vec::new();
    for level in [Level::new(), Level::baseline()] {
        let mut needles = Needles::new(scripts.iter().map(ScriptBuf::as_script));
        needles.level = level;
        let mut matcher = Matcher { level, ..Matcher::default() };
        answers.push(matcher.matches(bytes, block, &needles));
        let filter = Filter::parse(bytes)?;
        if !filter.is_empty() && !needles.is_empty() {
            answers.push(matcher.by_order(filter, block, &needles));
            answers.push(matcher.by_map(filter, block, &needles));
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    answers[0]
}

/// All values of a filter, decoded without a matcher.
fn values(bytes: &[u8]) -> Result<Vec<u64>, GcsError> {
    let mut values = Vec::new();
    Filter::parse(bytes)?.visit(|value| {
        values.push(value);
        false
    })?;
    Ok(values)
}

fn random_script() -> impl Strategy<Value = ScriptBuf> {
    let length = prop_oneof![8 => prop::sample::select(vec![22_usize, 23, 25, 34, 35, 67]), 1 => 0..200_usize];
    length.prop_flat_map(|length| prop::collection::vec(any::<u8>(), length)).prop_map(ScriptBuf::from_bytes)
}

fn random_block() -> impl Strategy<Value = BlockHash> {
    any::<[u8; 32]>().prop_map(BlockHash::from_byte_array)
}

#[test]
fn the_vectors_of_bip158_are_read_and_matched() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/bip158-testnet-19.json")).unwrap();
    let rows: Vec<Vec<Value>> = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.len(), 11);
    let mut sizes = Vec::new();
    for row in &rows[1..] {
        let block: Block = deserialize_hex(row[2].as_str().unwrap()).unwrap();
        let hash: BlockHash = row[1].as_str().unwrap().parse().unwrap();
        assert_eq!(block.block_hash(), hash);
        let previous = row[3].as_array().unwrap().iter().map(|hex| ScriptBuf::from_hex(hex.as_str().unwrap()).unwrap());
        let made = block.txdata.iter().flat_map(|tx| &tx.output).map(|output| output.script_pubkey.clone());
        let (left_out, inside): (Vec<_>, Vec<_>) = previous.chain(made).partition(|script| is_left_out(script));
        let bytes = const_hex::decode(row[5].as_str().unwrap()).unwrap();
        let distinct: BTreeSet<_> = inside.iter().collect();
        assert_eq!(Filter::parse(&bytes).unwrap().len(), distinct.len(), "{hash}");
        assert_eq!(written(&inside, hash), bytes, "{hash}");

        let noise: Vec<_> =
            (0..300_u32).map(|n| ScriptBuf::from_bytes([&[0x51][..], &n.to_be_bytes()].concat())).collect();
        assert_eq!(match_every_way(&bytes, hash, &noise), Ok(false), "{hash}");
        assert_eq!(match_every_way(&bytes, hash, &left_out), Ok(false), "{hash}");
        for script in &inside {
            assert_eq!(match_every_way(&bytes, hash, std::slice::from_ref(script)), Ok(true), "{hash} {script}");
            assert_eq!(
                match_every_way(&bytes, hash, &[&noise[..], std::slice::from_ref(script)].concat()),
                Ok(true),
                "{hash}"
            );
        }
        // The filter header, from the one before.
        let header: FilterHeader = row[4].as_str().unwrap().parse().unwrap();
        assert_eq!(BlockFilter::new(&bytes).filter_header(&header).to_string(), row[6].as_str().unwrap());
        sizes.push(distinct.len());
    }
    assert_eq!(sizes, [1, 1, 1, 1, 10, 13, 9, 1, 3, 0], "N = 0 and one value are among them");
}

#[test]
fn a_filter_matches_its_own_scripts_and_not_others() {
    let scripts: Vec<_> =
        (0..6000_u32).map(|n| ScriptBuf::from_bytes([&[0; 2][..], &[9; 16], &n.to_be_bytes()].concat())).collect();
    let block = BlockHash::hash(b"full");
    let bytes = written(&scripts[..3000], block);
    let mut matcher = Matcher::default();
    let mut matches = |scripts: &[ScriptBuf]| {
        matcher.matches(&bytes, block, &Needles::new(scripts.iter().map(ScriptBuf::as_script))).unwrap()
    };
    for at in (0..3000).step_by(7) {
        assert!(matches(&scripts[at..=at]));
        assert!(matches(&scripts[at..at + 3000]));
    }
    assert!(!matches(&scripts[3000..]), "there is no false positive for these scripts and this block");
}

#[test]
fn bytes_that_are_no_filter_are_an_error() {
    let block = BlockHash::hash(b"");
    let script = ScriptBuf::from_bytes(vec![0x51]);
    let cases: [(&str, GcsError); 10] = [
        ("", GcsError::NoCount),
        ("fd", GcsError::NoCount),
        ("fe000000", GcsError::NoCount),
        ("ff0000000001000000", GcsError::NoCount),
        ("ffffffffffffffffff", GcsError::NoCount),
        ("01", GcsError::Short { claimed: 1, bytes: 0 }),
        ("010000", GcsError::Short { claimed: 1, bytes: 2 }),
        ("feffffffff00", GcsError::Short { claimed: 0xffff_ffff, bytes: 1 }),
        ("01ffffff", GcsError::Short { claimed: 1, bytes: 3 }),
        ("0000", GcsError::Long(1)),
    ];
    for (hex, expected) in cases {
        let bytes = const_hex::decode(hex).unwrap();
        assert_eq!(match_every_way(&bytes, block, std::slice::from_ref(&script)), Err(expected), "{hex}");
    }
    // One value of 20 bits: four more are padding, eight more are not.
    assert_eq!(values(&[1, 0, 0, 0]), Ok(vec![0]));
    assert_eq!(values(&[1, 0, 0, 0, 0]), Err(GcsError::Long(1)));
    // A value of 2 × 2^19 in a range of 784,931: seen where all values are read.
    let needles = Needles::new([script.as_script()]);
    let filter = Filter::parse(&[1, 0xc0, 0, 0]).unwrap();
    assert_eq!(Matcher::default().by_map(filter, block, &needles), Err(GcsError::Range));
}

/// A reader can meet a record of the node that is half written: hash and length, then a part of the filter, then zeros. It may decode
/// and yet lack a script, so a filter that decodes is no proof.
#[test]
fn a_filter_without_its_last_bytes_can_decode_and_lack_a_script() {
    let block = BlockHash::hash(b"torn");
    let scripts: Vec<_> = (0..2000_u32).map(|n| ScriptBuf::from_bytes(n.to_be_bytes().to_vec())).collect();
    let mut bytes = written(&scripts, block);
    let end = bytes.len();
    bytes[end - 3..].fill(0);
    assert_eq!(values(&bytes).unwrap().len(), 2000);
    let lost = |script: &&ScriptBuf| match_every_way(&bytes, block, std::slice::from_ref(*script)) == Ok(false);
    assert!((1..3).contains(&scripts.iter().filter(lost).count()));
    // With half of it zeroed, bytes are left over.
    bytes[end / 2..].fill(0);
    assert!(matches!(values(&bytes), Err(GcsError::Long(_))));
}

proptest! {
    #[test]
    fn the_answer_is_that_of_the_bitcoin_crate(
        inside in prop::collection::vec(random_script(), 0..300),
        outside in prop::collection::vec(random_script(), 0..160),
        shared in any::<prop::sample::Index>(),
        share in any::<bool>(),
        block in random_block(),
    ) {
        // BIP158 knows no empty script, and the crate leaves it out.
        let inside: Vec<_> = inside.into_iter().filter(|script| !script.is_empty()).collect();
        let bytes = written(&inside, block);
        let (k0, k1) = key(block);
        let scripts: BTreeSet<&[u8]> = inside.iter().map(|script| script.as_bytes()).collect();
        let range = u128::from(scripts.len() as u64 * M);
        let mut expected: Vec<_> = scripts
            .iter()
            .map(|script| u128::from(siphash24::Hash::hash_to_u64_with_keys(k0, k1, script)))
            .map(|hash| u64::try_from((hash * range) >> 64).unwrap())
            .collect();
        expected.sort_unstable();
        prop_assert_eq!(values(&bytes), Ok(expected));

        let mut asked = outside;
        if share && !inside.is_empty() {
            asked.push(inside[shared.index(inside.len())].clone());
        }
        asked.retain(|script| !is_left_out(script));
        let answer = match_every_way(&bytes, block, &asked);
        let query = || asked.iter().map(|script| script.as_bytes());
        let oracle = !asked.is_empty() && BlockFilter::new(&bytes).match_any(&block, query()).unwrap();
        prop_assert_eq!(answer, Ok(oracle));
    }

    #[test]
    fn distances_of_any_length_are_read(
        distances in prop::collection::vec(prop_oneof![
            8 => 0..2_000_000_u64,
            1 => 0..40_000_000_u64,
            1 => (0..6_u64).prop_map(|at| (56 * at + 55) << 19),
            1 => 0..400_000_000_u64,
        ], 1..60),
    ) {
        let mut bytes = vec![u8::try_from(distances.len()).unwrap()];
        let mut writer = BitStreamWriter::new(&mut bytes);
        for distance in &distances {
            (0..distance >> 19).for_each(|_| { writer.write(1, 1).unwrap(); });
            writer.write(0, 1).unwrap();
            writer.write(*distance, 19).unwrap();
        }
        writer.flush().unwrap();
        let sums: Vec<_> = distances.iter().scan(0, |sum, distance| { *sum += distance; Some(*sum) }).collect();
        prop_assert_eq!(values(&bytes), Ok(sums));
        // Cut anywhere, a value is missing.
        for end in 1..bytes.len() {
            prop_assert!(matches!(values(&bytes[..end]), Err(GcsError::Short { .. })), "{}", end);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        count in prop_oneof![Just(vec![0xfd, 0x2c, 0x01]), (0..60_u8).prop_map(|count| vec![count]), prop::collection::vec(any::<u8>(), 0..9)],
        rest in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..1200),
            prop::collection::vec(prop::sample::select(vec![0_u8, 0xff, 0xfe, 0x80]), 0..300),
        ],
        scripts in prop::collection::vec(random_script(), 1..120),
        block in random_block(),
    ) {
        let bytes = [count, rest].concat();
        let needles = Needles::new(scripts.iter().map(ScriptBuf::as_script));
        let mut matcher = Matcher::default();
        let _ = matcher.matches(&bytes, block, &needles);
        if let Ok(filter) = Filter::parse(&bytes) {
            let _ = matcher.by_order(filter, block, &needles);
            let _ = matcher.by_map(filter, block, &needles);
        }
    }
}
