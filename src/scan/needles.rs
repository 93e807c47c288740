//! Scripts prepared for matching against BIP158 filters, each of which hashes them with a key of its own.
//!
//! A script is stored as the 64-bit words that SipHash reads, padding and length included, next to other scripts of as many words:
//! so hashing all of them is a loop over words with no branch for a script's end.

use bitcoin::hashes::Hash;
use bitcoin::opcodes::all::OP_RETURN;
use bitcoin::{BlockHash, Script};
use fearless_simd::{Level, dispatch};

/// Hashes computed at a time.
const CHUNK: usize = 512;

/// Whether BIP158 leaves `script` out of its filters: it does if the script is empty or begins with OP_RETURN. Such a script can only
/// be found by reading every block.
pub fn is_left_out(script: &Script) -> bool {
    script.as_bytes().first().is_none_or(|first| *first == OP_RETURN.to_u8())
}

/// The scripts to match against filters.
pub struct Needles {
    groups: Vec<WordGroup>,
    len: usize,
    left_out: usize,
    /// The SIMD instructions that this processor has.
    pub(super) level: Level,
}

/// The scripts of `words` words each, one after the other.
struct WordGroup {
    words: usize,
    data: Vec<u64>,
}

impl Needles {
    /// Prepares `scripts`; those that filters leave out are only counted.
    pub fn new<'a>(scripts: impl IntoIterator<Item = &'a Script>) -> Self {
        let mut needles = Self { groups: Vec::new(), len: 0, left_out: 0, level: Level::new() };
        for script in scripts {
            needles.insert(script);
        }
        needles
    }

    /// Adds a script. To add it twice costs time, but changes no answer.
    pub fn insert(&mut self, script: &Script) {
        if is_left_out(script) {
            self.left_out += 1;
            return;
        }
        let words = script.len() / 8 + 1;
        let at = match self.groups.binary_search_by_key(&words, |group| group.words) {
            Ok(at) => at,
            Err(at) => {
                self.groups.insert(at, WordGroup { words, data: Vec::new() });
                at
            }
        };
        push_words(&mut self.groups[at].data, script.as_bytes());
        self.len += 1;
    }

    /// The number of scripts that filters can be matched against.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no script that filters can be matched against.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of given scripts that filters leave out. Unless it is 0, no filter rules out its block.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Hashes each script as the filter of `block` does, to `0..range`. Passes the hashes to `each` a few at a time, in no order,
    /// until it returns true; returns whether it did.
    pub(super) fn hash_to_range(&self, block: BlockHash, range: u64, mut each: impl FnMut(&[u64]) -> bool) -> bool {
        let key = SipKey::of(block);
        let mut hashes = [0; CHUNK];
        self.groups.iter().any(|group| {
            group.data.chunks(CHUNK * group.words).any(|some| {
                let hashes = &mut hashes[..some.len() / group.words];
                // Scripts of the common lengths (22 and 23, 25, 34 and 35, 67 bytes) have an unrolled loop each.
                match group.words {
                    3 => dispatch!(self.level, _ => key.hash_all::<3>(some, range, hashes)),
                    4 => dispatch!(self.level, _ => key.hash_all::<4>(some, range, hashes)),
                    5 => dispatch!(self.level, _ => key.hash_all::<5>(some, range, hashes)),
                    9 => dispatch!(self.level, _ => key.hash_all::<9>(some, range, hashes)),
                    words => {
                        for (script, hash) in some.chunks_exact(words).zip(hashes.iter_mut()) {
                            *hash = reduce(key.hash(script), range);
                        }
                    }
                }
                each(hashes)
            })
        })
    }
}

/// Maps a hash evenly onto `0..range` (BIP158's `hash_to_range`).
#[inline(always)]
fn reduce(hash: u64, range: u64) -> u64 {
    ((u128::from(hash) * u128::from(range)) >> 64) as u64
}

/// Appends the words that SipHash reads for `bytes`: eight bytes each; the last word is the bytes that are left, zeros, and the low
/// byte of the length.
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
struct SipKey(u64, u64);

impl SipKey {
    /// The key of a block's filter: the first 16 bytes of its hash (BIP158).
    #[expect(clippy::little_endian_bytes, reason = "SipHash reads its key so")]
    fn of(block: BlockHash) -> Self {
        let words = block.as_byte_array().as_chunks::<8>().0;
        Self(u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]))
    }

    /// Hashes scripts of `WORDS` words each. Inlined, so that it is compiled for the instructions that `dispatch!` chooses.
    #[inline(always)]
    fn hash_all<const WORDS: usize>(self, scripts: &[u64], range: u64, hashes: &mut [u64]) {
        for (script, hash) in scripts.as_chunks::<WORDS>().0.iter().zip(hashes) {
            *hash = reduce(self.hash(script), range);
        }
    }

    /// SipHash-2-4 of a message in words, as [`push_words`] writes them.
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
    fn scripts_of_every_length_have_their_siphash() {
        let block = BlockHash::hash(b"any");
        let SipKey(k0, k1) = SipKey::of(block);
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
                assert!(!needles.hash_to_range(block, range, |some| {
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
        assert!(needles.hash_to_range(BlockHash::hash(b""), u64::MAX, |some| {
            parts.push(some.len());
            parts.len() == 2
        }));
        assert_eq!(parts, [CHUNK, CHUNK]);
        needles.hash_to_range(BlockHash::hash(b""), u64::MAX, |some| {
            parts.push(some.len());
            false
        });
        assert_eq!(parts[2..].iter().sum::<usize>(), 1300);
    }

    #[test]
    fn scripts_that_filters_leave_out_are_only_counted() {
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
