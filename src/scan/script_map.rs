//! An immutable map from scripts to values: exact, compact for ten million scripts, and quick to say no.
//!
//! Scripts of one length lie side by side, sorted, behind a Bloom filter that settles nearly every lookup of a script that isn't in
//! the map. The filter's hash is keyed and the search behind it is binary, so scripts can't be ground to be slow to look up. A script
//! takes its own bytes, two more for filter and search, and its value.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use bitcoin::Script;
use foldhash::quality::RandomState;
use rayon::prelude::*;

use super::bloom::Bloom;

/// Leading bytes that are the same in most scripts of one length, as they belong to a template (such as `76 a9 14` of P2PKH); scripts
/// are ordered by the bytes behind them.
const COMMON: usize = 3;
/// Scripts in one slot of [`LengthGroup::starts`], on average, which are left to the binary search.
const TOGETHER: usize = 16;

/// Gathers the scripts of a [`ScriptMap`].
pub struct ScriptMapBuilder<V> {
    by_length: BTreeMap<usize, (Vec<u8>, Vec<V>)>,
}

impl<V> Default for ScriptMapBuilder<V> {
    fn default() -> Self {
        Self { by_length: BTreeMap::new() }
    }
}

impl<V: Copy> ScriptMapBuilder<V> {
    /// Adds a script. If it was added before, its first value stays.
    pub fn push(&mut self, script: &Script, value: V) {
        let (bytes, values) = self.by_length.entry(script.len()).or_insert_with(|| (Vec::new(), Vec::new()));
        bytes.extend_from_slice(script.as_bytes());
        values.push(value);
    }

    /// Builds the map; sorts on the threads of the rayon pool that it is called in.
    pub fn build(self) -> ScriptMap<V> {
        let mut map = ScriptMap::default();
        let pushed = self.by_length.values().map(|(_, values)| values.len()).sum();
        map.values.reserve_exact(pushed);
        map.bloom = Bloom::new(pushed);
        for (length, (bytes, values)) in self.by_length {
            let first = map.values.len();
            let group = LengthGroup::sorted(length, first, &bytes, |at| map.values.push(values[at]), values.len());
            for script in group.scripts() {
                map.bloom.insert(hash(&map.hasher, script));
            }
            map.groups.insert(length, group);
        }
        map
    }
}

/// A map from scripts to values; scripts are numbered by length, then by `compare`.
pub struct ScriptMap<V> {
    /// Keyed by the scripts' length.
    groups: BTreeMap<usize, LengthGroup>,
    /// Indexed by the scripts' number.
    values: Vec<V>,
    bloom: Bloom,
    hasher: RandomState,
}

impl<V> Default for ScriptMap<V> {
    fn default() -> Self {
        Self { groups: BTreeMap::new(), values: Vec::new(), bloom: Bloom::default(), hasher: RandomState::default() }
    }
}

impl<V: Copy> ScriptMap<V> {
    /// The value of a script, if it is in the map.
    pub fn find(&self, script: &[u8]) -> Option<V> {
        if self.may_hold(self.hash(script)) { self.find_exactly(script) } else { None }
    }

    /// The same without asking the Bloom filter, for a caller that has done so by [`ScriptMap::may_hold`].
    pub fn find_exactly(&self, script: &[u8]) -> Option<V> {
        let group = self.groups.get(&script.len())?;
        group.position(script).map(|at| self.values[group.first + at])
    }

    /// All scripts with their values, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&Script, V)> {
        let scripts = self.groups.values().flat_map(LengthGroup::scripts).map(Script::from_bytes);
        scripts.zip(self.values.iter().copied())
    }

    /// Memory held, in bytes.
    #[cfg(feature = "testing")]
    pub fn bytes(&self) -> usize {
        let groups =
            self.groups.values().map(|group| group.bytes.capacity() + group.starts.capacity() * size_of::<u32>());
        groups.sum::<usize>() + self.values.capacity() * size_of::<V>() + self.bloom.bytes()
    }
}

impl<'a> FromIterator<&'a Script> for ScriptMap<()> {
    fn from_iter<I: IntoIterator<Item = &'a Script>>(scripts: I) -> Self {
        let mut builder = ScriptMapBuilder::default();
        scripts.into_iter().for_each(|script| builder.push(script, ()));
        builder.build()
    }
}

impl<V> ScriptMap<V> {
    /// The hash of a script for [`ScriptMap::may_hold`].
    #[inline]
    pub fn hash(&self, script: &[u8]) -> u64 {
        hash(&self.hasher, script)
    }

    /// Whether a script with this hash may be in the map; `false` is certain.
    #[inline]
    pub fn may_hold(&self, hash: u64) -> bool {
        self.bloom.may_hold(hash)
    }

    /// The number of scripts.
    #[cfg(feature = "testing")]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether the map is empty.
    #[cfg(feature = "testing")]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

#[inline]
fn hash(hasher: &RandomState, script: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(script);
    hasher.finish()
}

/// Scripts of one length.
struct LengthGroup {
    length: usize,
    count: usize,
    /// The number of its first script in the map.
    first: usize,
    /// The scripts one behind the other, in the order of [`compare`].
    bytes: Vec<u8>,
    /// For each value of a key's leading bits, the position of the first script that has it or a higher one; then `count`.
    starts: Vec<u32>,
    /// By how many bits a key is shifted to the right to leave its leading bits.
    shift: u32,
}

impl LengthGroup {
    /// Sorts `count` scripts of `length` bytes each and drops repeated ones. Calls `keep` with the position in `bytes` of each script
    /// that stays, in order.
    fn sorted(length: usize, first: usize, bytes: &[u8], mut keep: impl FnMut(usize), count: usize) -> Self {
        let script = |at: u32| &bytes[at as usize * length..][..length];
        let numbers = 0..u32::try_from(count).expect("fewer than 2^32 scripts fit in memory");
        let mut order: Vec<(u64, u32)> = numbers.map(|at| (key(script(at)), at)).collect();
        order.par_sort_unstable_by(|(one, at), (other, before)| {
            // Equal keys are rare, unless scripts are made for it.
            one.cmp(other).then_with(|| compare(script(*at), script(*before))).then_with(|| at.cmp(before))
        });
        order.dedup_by(|(one, at), (other, before)| one == other && script(*at) == script(*before));
        let leading = (order.len() / TOGETHER).checked_ilog2().unwrap_or(0);
        let shift = u64::BITS - leading;
        let mut group = Self { length, count: order.len(), first, bytes: Vec::new(), starts: Vec::new(), shift };
        group.bytes.reserve_exact(order.len() * length);
        group.starts.reserve_exact((1 << leading) + 1);
        for (number, (key, at)) in (0..).zip(&order) {
            while group.starts.len() <= group.slot(*key) {
                group.starts.push(number);
            }
            group.bytes.extend_from_slice(script(*at));
            keep(*at as usize);
        }
        let end = u32::try_from(order.len()).expect("no more than were given");
        group.starts.resize((1 << leading) + 1, end);
        group
    }

    fn slot(&self, key: u64) -> usize {
        usize::try_from(key.checked_shr(self.shift).unwrap_or(0)).expect("fewer leading bits than a number has")
    }

    fn scripts(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.count).map(|at| self.script(at))
    }

    fn script(&self, at: usize) -> &[u8] {
        &self.bytes[at * self.length..][..self.length]
    }

    fn position(&self, script: &[u8]) -> Option<usize> {
        let slot = self.slot(key(script));
        let Range { mut start, mut end } = self.starts[slot] as usize..self.starts[slot + 1] as usize;
        while start < end {
            let middle = usize::midpoint(start, end);
            match compare(self.script(middle), script) {
                Ordering::Equal => return Some(middle),
                Ordering::Less => start = middle + 1,
                Ordering::Greater => end = middle,
            }
        }
        None
    }
}

/// Orders scripts of one length: first by the bytes behind the [`COMMON`] ones, then by those.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let common = COMMON.min(one.len());
    one[common..].cmp(&other[common..]).then_with(|| one[..common].cmp(&other[..common]))
}

/// The first eight bytes that [`compare`] looks at, as a number of the same order.
fn key(script: &[u8]) -> u64 {
    let mut first = [0; 8];
    let rest = &script[COMMON.min(script.len())..];
    let length = rest.len().min(first.len());
    first[..length].copy_from_slice(&rest[..length]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bitcoin::ScriptBuf;

    use super::*;

    fn map(scripts: &[ScriptBuf]) -> ScriptMap<u32> {
        let mut builder = ScriptMapBuilder::default();
        for (number, script) in (0..).zip(scripts) {
            builder.push(script, number);
        }
        builder.build()
    }

    /// Scripts of many lengths, whose bytes differ here in the first places, there in the last.
    fn scripts(count: u32) -> Vec<ScriptBuf> {
        let script = |n: u32| {
            let mut bytes = vec![0x51; [22, 23, 25, 34, 35, 67, 4, 105, 22][n as usize % 9]];
            let at = (n as usize / 9 % 2) * (bytes.len() - 4);
            bytes[at..at + 4].copy_from_slice(&n.wrapping_mul(0x9e37_79b9).to_be_bytes());
            ScriptBuf::from_bytes(bytes)
        };
        (0..count).map(script).collect()
    }

    #[test]
    fn finds_what_was_given_and_nothing_else() {
        for count in [0, 1, 2, 16, 17, 33, 1000, 20_000] {
            let given = scripts(count);
            let map = map(&given);
            let mut expected = HashMap::new();
            for (number, script) in (0..).zip(&given) {
                expected.entry(script.as_bytes()).or_insert(number);
            }
            assert_eq!((map.len(), map.is_empty()), (expected.len(), expected.is_empty()));
            for script in scripts(count + 5000) {
                assert_eq!(
                    map.find(script.as_bytes()),
                    expected.get(script.as_bytes()).copied(),
                    "{count}: {script:x}"
                );
                assert_eq!(map.find_exactly(script.as_bytes()), expected.get(script.as_bytes()).copied());
            }
            let all: HashMap<_, _> = map.iter().map(|(script, value)| (script.as_bytes(), value)).collect();
            assert_eq!(all, expected);
        }
    }

    #[test]
    fn short_scripts_and_the_empty_one_are_scripts() {
        let given: Vec<_> =
            [&b""[..], b"\x00", b"\x51", b"\x51\x00", b"\x51\x00\x00", b"\x00\x51\x00", b"\x51\x00\x00\x00"]
                .map(|bytes| ScriptBuf::from_bytes(bytes.to_vec()))
                .to_vec();
        for present in 0..given.len() {
            let map = map(&given[present..]);
            for (number, script) in given.iter().enumerate() {
                let expected = number.checked_sub(present).map(|value| u32::try_from(value).unwrap());
                assert_eq!(map.find(script.as_bytes()), expected, "{script:x} of those from {present}");
            }
        }
    }

    #[test]
    fn scripts_made_to_share_their_first_bytes_are_found_all_the_same() {
        let script = |n: u32| ScriptBuf::from_bytes([&[0x51, 32][..], &[7; 28], &n.to_be_bytes()].concat());
        let map = map(&(0..5000).map(|n| script(n * 2)).collect::<Vec<_>>());
        assert!((0..10_000).all(|n| map.find_exactly(script(n).as_bytes()) == (n % 2 == 0).then_some(n / 2)));
    }

    #[test]
    fn of_the_same_script_the_first_value_counts() {
        let script = |byte| ScriptBuf::from_bytes(vec![byte; 22]);
        let map = map(&[script(2), script(1), script(2), script(1), script(1)]);
        assert_eq!((map.len(), map.find(&[2; 22]), map.find(&[1; 22])), (2, Some(0), Some(1)));
    }

    #[test]
    fn forty_bytes_hold_a_script_of_the_usual_lengths() {
        for length in [22, 23, 25, 34] {
            let count = 100_000_u32;
            let given = (0..count).map(|n| {
                let mut bytes = vec![0x51; length];
                bytes[4..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9).to_be_bytes());
                ScriptBuf::from_bytes(bytes)
            });
            let map = map(&given.collect::<Vec<_>>());
            let each = map.bytes() as f64 / f64::from(count);
            assert!(each <= 40.0, "{each} bytes for a script of {length}");
        }
    }
}
