//! Scripts made ready to be looked up in BIP158 filters, each of which hashes them with a key of its own.
//!
//! A script is kept as the words that SipHash takes in, its length and padding among them, beside others of as many words: one
//! pass hashes them all without a look at a single byte.

use bitcoin::hashes::Hash;
use bitcoin::opcodes::all::OP_RETURN;
use bitcoin::{BlockHash, Script};
use fearless_simd::{Level, dispatch};

/// Places computed at a time.
const CHUNK: usize = 512;

/// Whether BIP158 leaves this script out of its filters: an empty one, or one that begins with OP_RETURN. A filter says nothing
/// about such a script; only a look at every block does.
pub fn is_left_out(script: &Script) -> bool {
    script.as_bytes().first().is_none_or(|first| *first == OP_RETURN.to_u8())
}

/// Scripts to look for in filters.
pub struct Needles {
    groups: Vec<Group>,
    len: usize,
    left_out: usize,
    /// What this processor can do.
    pub(super) level: Level,
}

/// Scripts of as many words, one after the other.
struct Group {
    words: usize,
    data: Vec<u64>,
}

impl Needles {
    /// `scripts`, less those that filters leave out.
    pub fn new<'a>(scripts: impl IntoIterator<Item = &'a Script>) -> Self {
        let mut needles = Self { groups: Vec::new(), len: 0, left_out: 0, level: Level::new() };
        for script in scripts {
            needles.insert(script);
        }
        needles
    }

    /// Adds a script. One that is there already is hashed twice, and changes no answer.
    pub fn insert(&mut self, script: &Script) {
        if is_left_out(script) {
            self.left_out += 1;
            return;
        }
        let words = script.len() / 8 + 1;
        let at = match self.groups.binary_search_by_key(&words, |group| group.words) {
            Ok(at) => at,
            Err(at) => {
                self.groups.insert(at, Group { words, data: Vec::new() });
                at
            }
        };
        push_words(&mut self.groups[at].data, script.as_bytes());
        self.len += 1;
    }

    /// How many scripts filters can be asked for.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none that filters can be asked for.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many of the scripts given filters leave out. Unless this is 0, filters can't rule out any block.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Each script's place in the filter of `block` that spreads its values over `0..range`: a few at a time, in no order, until
    /// `each` says to stop; returns whether it did.
    pub(super) fn places(&self, block: BlockHash, range: u64, mut each: impl FnMut(&[u64]) -> bool) -> bool {
        let key = Key::of(block);
        let mut places = [0; CHUNK];
        self.groups.iter().any(|group| {
            group.data.chunks(CHUNK * group.words).any(|some| {
                let places = &mut places[..some.len() / group.words];
                // A loop of its own for the common lengths: of 22 and 23, of 25, of 34 and 35, of 67 bytes.
                match group.words {
                    3 => dispatch!(self.level, _ => key.places::<3>(some, range, places)),
                    4 => dispatch!(self.level, _ => key.places::<4>(some, range, places)),
                    5 => dispatch!(self.level, _ => key.places::<5>(some, range, places)),
                    9 => dispatch!(self.level, _ => key.places::<9>(some, range, places)),
                    words => {
                        for (script, place) in some.chunks_exact(words).zip(places.iter_mut()) {
                            *place = spread(key.hash(script), range);
                        }
                    }
                }
                each(places)
            })
        })
    }
}

/// Maps a hash onto `0..range`, evenly, as BIP158 has it.
#[inline(always)]
fn spread(hash: u64, range: u64) -> u64 {
    ((u128::from(hash) * u128::from(range)) >> 64) as u64
}

/// The words that SipHash takes in for `bytes`: eight bytes each; the last has what is left, zeros, and the length's low byte.
#[expect(clippy::little_endian_bytes, reason = "SipHash reads its message so")]
fn push_words(words: &mut Vec<u64>, bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<8>();
    words.extend(whole.iter().map(|word| u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    last[7] = u8::try_from(bytes.len() % 256).expect("a remainder of 256 is a byte");
    words.push(u64::from_le_bytes(last));
}

/// A key of SipHash-2-4.
#[derive(Clone, Copy)]
struct Key(u64, u64);

impl Key {
    /// The key of a block's filter: the first half of its hash.
    #[expect(clippy::little_endian_bytes, reason = "SipHash reads its key so")]
    fn of(block: BlockHash) -> Self {
        let words = block.as_byte_array().as_chunks::<8>().0;
        Self(u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]))
    }

    /// The places of scripts of as many words each. What calls it says for which processors it is compiled.
    #[inline(always)]
    fn places<const WORDS: usize>(self, scripts: &[u64], range: u64, places: &mut [u64]) {
        for (script, place) in scripts.as_chunks::<WORDS>().0.iter().zip(places) {
            *place = spread(self.hash(script), range);
        }
    }

    /// The hash of a message in words, as [`push_words`] makes them.
    #[inline(always)]
    fn hash(self, words: &[u64]) -> u64 {
        let Self(k0, k1) = self;
        let mut v = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        for word in words {
            v[3] ^= word;
            v = round(round(v));
            v[0] ^= word;
        }
        v[2] ^= 0xff;
        v = round(round(round(round(v))));
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }
}

#[inline(always)]
fn round([v0, v1, v2, v3]: [u64; 4]) -> [u64; 4] {
    let (v0, v2) = (v0.wrapping_add(v1), v2.wrapping_add(v3));
    let (v1, v3) = (v1.rotate_left(13) ^ v0, v3.rotate_left(16) ^ v2);
    let (v0, v2) = (v0.rotate_left(32).wrapping_add(v3), v2.wrapping_add(v1));
    [v0, v1.rotate_left(17) ^ v2, v2.rotate_left(32), v3.rotate_left(21) ^ v0]
}

#[cfg(test)]
mod tests {
    use bitcoin::ScriptBuf;
    use bitcoin::hashes::siphash24;

    use super::*;

    #[test]
    fn scripts_of_every_length_are_hashed_as_siphash_has_them() {
        let block = BlockHash::hash(b"any");
        let Key(k0, k1) = Key::of(block);
        let scripts: Vec<_> = (1..=600_usize)
            .map(|length| {
                ScriptBuf::from_bytes(
                    (0..length).map(|at| u8::try_from((at * 7 + length) % 128).unwrap() | 0x80).collect(),
                )
            })
            .collect();
        for level in [Level::new(), Level::baseline()] {
            let mut needles = Needles::new(scripts.iter().map(ScriptBuf::as_script));
            needles.level = level;
            assert_eq!((needles.len(), needles.left_out(), needles.is_empty()), (600, 0, false));
            for range in [1, 784_931, 784_931 << 32] {
                let mut expected: Vec<_> = scripts
                    .iter()
                    .map(|script| siphash24::Hash::hash_to_u64_with_keys(k0, k1, script.as_bytes()))
                    .map(|hash| u64::try_from((u128::from(hash) * u128::from(range)) >> 64).unwrap())
                    .collect();
                let mut found = Vec::new();
                assert!(!needles.places(block, range, |some| {
                    found.extend_from_slice(some);
                    false
                }));
                expected.sort_unstable();
                found.sort_unstable();
                assert_eq!(found, expected, "{range}");
            }
        }
    }

    #[test]
    fn many_scripts_of_one_length_come_in_parts_and_none_after_a_stop() {
        let scripts: Vec<_> =
            (0..1300_u32).map(|n| ScriptBuf::from_bytes([&[0x51; 18][..], &n.to_be_bytes()].concat())).collect();
        let needles = Needles::new(scripts.iter().map(ScriptBuf::as_script));
        let mut parts = Vec::new();
        assert!(needles.places(BlockHash::hash(b""), u64::MAX, |some| {
            parts.push(some.len());
            parts.len() == 2
        }));
        assert_eq!(parts, [CHUNK, CHUNK]);
        needles.places(BlockHash::hash(b""), u64::MAX, |some| {
            parts.push(some.len());
            false
        });
        assert_eq!(parts[2..].iter().sum::<usize>(), 1300);
    }

    #[test]
    fn what_filters_leave_out_is_counted_and_not_asked_for() {
        let cases: [(&[u8], bool); 6] = [
            (b"", true),
            (b"\x6a", true),
            (b"\x6a\x01\x00", true),
            (b"\x51", false),
            (b"\x00", false),
            (b"\x51\x6a", false),
        ];
        let needles = Needles::new(cases.iter().map(|(script, _)| Script::from_bytes(script)));
        assert_eq!((needles.len(), needles.left_out()), (3, 3));
        for (script, left_out) in cases {
            assert_eq!(is_left_out(Script::from_bytes(script)), left_out, "{script:x?}");
        }
    }
}
