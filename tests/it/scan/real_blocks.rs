//! Scans of real blocks: each listed script is found, and no other; ids and merkle branches equal rust-bitcoin's; a damaged block is
//! refused or, if only unproven bytes changed, gives the same result.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::consensus::{deserialize, serialize};
use bitcoin::hashes::Hash;
use bitcoin::{Amount, Block, OutPoint, Script, ScriptBuf, TxMerkleNode, TxOut, Txid};
use coinhound::chain::merkle::root_from_branch;
use coinhound::scan::{BlockScan, CoinSet, Fingerprints, OutPointHasher, ScanError, ScriptMap, scan};

use crate::support::random::Rng;

const BLOCKS: [(&str, &[u8]); 4] = [
    ("mainnet 367891", include_bytes!("../../data/blocks/mainnet-367891.bin")),
    ("mainnet 702861", include_bytes!("../../data/blocks/mainnet-702861.bin")),
    ("mainnet 866342", include_bytes!("../../data/blocks/mainnet-866342.bin")),
    ("testnet3 1414221", include_bytes!("../../data/blocks/testnet3-1414221.bin")),
];

/// A block as rust-bitcoin reads it, and the transactions that pay each script.
struct Real {
    name: &'static str,
    raw: &'static [u8],
    block: Block,
    by_script: BTreeMap<ScriptBuf, BTreeSet<u32>>,
}

impl Real {
    fn all() -> Vec<Self> {
        BLOCKS.into_iter().map(|(name, raw)| Self::new(name, raw)).collect()
    }

    fn new(name: &'static str, raw: &'static [u8]) -> Self {
        let block: Block = deserialize(raw).expect("a real block");
        let mut by_script: BTreeMap<_, BTreeSet<u32>> = BTreeMap::new();
        for (tx_index, transaction) in (0..).zip(&block.txdata) {
            for output in &transaction.output {
                by_script.entry(output.script_pubkey.clone()).or_default().insert(tx_index);
            }
        }
        Self { name, raw, block, by_script }
    }

    fn scan_for<'a>(&self, scripts: impl IntoIterator<Item = &'a Script>) -> BlockScan {
        self.scan_raw(self.raw.to_vec(), scripts).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    fn scan_raw<'a>(
        &self,
        raw: Vec<u8>,
        scripts: impl IntoIterator<Item = &'a Script>,
    ) -> Result<BlockScan, ScanError> {
        let (live, hasher) = (CoinSet::default(), OutPointHasher::default());
        scan(raw, &self.block.header, None, &scripts.into_iter().collect::<ScriptMap<_>>(), &live, &hasher)
    }

    fn txids(&self) -> Vec<Txid> {
        self.block.txdata.iter().map(|transaction| transaction.compute_txid()).collect()
    }
}

#[test]
fn the_blocks_are_what_the_readme_says() {
    // Transactions, inputs without the coinbase's, spends of outputs of the same block, OP_RETURNs.
    let expected =
        [(420, Some(20_817), None, None), (2_500, None, None, None), (4_864, None, Some(4_036), Some(3_971))];
    for (real, (transactions, inputs, within, data)) in Real::all().into_iter().zip(expected) {
        let ids: BTreeSet<_> = real.txids().into_iter().collect();
        let spends = || real.block.txdata[1..].iter().flat_map(|transaction| &transaction.input);
        assert_eq!(real.block.txdata.len(), transactions, "{}", real.name);
        assert_eq!(inputs.unwrap_or(spends().count()), spends().count(), "{}", real.name);
        let counted = spends().filter(|input| ids.contains(&input.previous_output.txid)).count();
        assert_eq!(within.unwrap_or(counted), counted, "{}", real.name);
        let outputs = real.block.txdata.iter().flat_map(|transaction| &transaction.output);
        let counted = outputs.filter(|output| output.script_pubkey.is_op_return()).count();
        assert_eq!(data.unwrap_or(counted), counted, "{}", real.name);
    }
}

#[test]
fn listed_scripts_are_found_in_the_transactions_that_pay_them_alone() {
    for real in Real::all() {
        let scripts: Vec<&ScriptBuf> = real.by_script.keys().collect();
        let all = real.scan_for(scripts.iter().map(|script| script.as_script()));
        assert_eq!(all.transactions(), real.block.txdata.len(), "{}", real.name);
        let everything: Vec<u32> = (0..).take(real.block.txdata.len()).collect();
        assert_eq!(all.candidates(), everything, "{}: a transaction without outputs", real.name);
        // Parts of the list: every second script, every third, …
        for step in [2, 3, 7, 50] {
            let part: Vec<&Script> = scripts.iter().step_by(step).map(|script| script.as_script()).collect();
            let expected: BTreeSet<u32> = part.iter().flat_map(|script| &real.by_script[*script]).copied().collect();
            let expected: Vec<u32> = expected.into_iter().collect();
            assert_eq!(real.scan_for(part).candidates(), expected, "{}: every {step}th script", real.name);
        }
    }
}

#[test]
fn a_script_listed_alone_is_found_alone() {
    for real in Real::all() {
        let scripts: Vec<&ScriptBuf> = real.by_script.keys().collect();
        let by = |key: fn(&ScriptBuf) -> usize| scripts.iter().copied().max_by_key(|script| key(script));
        let most = scripts.iter().copied().max_by_key(|script| real.by_script[*script].len());
        // The longest, an OP_RETURN, the most frequent, the first, the last, scripts without an address; the rest spread evenly.
        let odd = [by(|script| script.len()), by(|script| usize::from(script.is_op_return())), most];
        let odd = odd.into_iter().flatten().chain([scripts[0], scripts[scripts.len() - 1]]);
        let nameless = |script: &&ScriptBuf| {
            !script.is_p2pkh() && !script.is_p2sh() && !script.is_witness_program() && !script.is_op_return()
        };
        let odd = odd.chain(scripts.iter().copied().filter(nameless).take(20));
        let spread = scripts.iter().copied().step_by(scripts.len().div_ceil(150));
        for script in odd.chain(spread) {
            let expected: Vec<u32> = real.by_script[script].iter().copied().collect();
            let found = real.scan_for([script.as_script()]);
            assert_eq!(found.candidates(), expected, "{}: {script}", real.name);
        }
        // One byte more, one less, the last one changed: other scripts.
        let near = |script: &&ScriptBuf| {
            let bytes = script.as_bytes();
            let (mut more, mut other) = (bytes.to_vec(), bytes.to_vec());
            more.push(0);
            if let Some(last) = other.last_mut() {
                *last ^= 1;
            }
            [more, bytes[..bytes.len().saturating_sub(1)].to_vec(), other].map(ScriptBuf::from_bytes)
        };
        let near: Vec<ScriptBuf> = scripts.iter().flat_map(near).collect();
        let near = near.iter().filter(|script| !real.by_script.contains_key(*script)).map(|script| script.as_script());
        assert_eq!(real.scan_for(near).candidates(), [] as [u32; 0], "{}", real.name);
        assert_eq!(real.scan_for([]).candidates(), [] as [u32; 0], "{}: nothing listed", real.name);
    }
}

#[test]
fn an_empty_script_is_found_like_any_other() {
    let real = Real::new(BLOCKS[3].0, BLOCKS[3].1);
    let empty = real.by_script.get(Script::new()).expect("that is why this block is here");
    assert_eq!(real.scan_for([Script::new()]).candidates(), empty.iter().copied().collect::<Vec<_>>());
}

#[test]
fn the_spender_of_a_coin_is_found() {
    for real in Real::all() {
        let hasher = OutPointHasher::default();
        let spends = (0..).zip(&real.block.txdata).skip(1);
        let spends: Vec<(u32, OutPoint)> = spends
            .flat_map(|(at, transaction)| transaction.input.iter().map(move |input| (at, input.previous_output)))
            .collect();
        let unlisted = ScriptMap::<()>::default();
        for step in [1, 3, 100, 1000] {
            let wanted: Vec<_> = spends.iter().step_by(step).collect();
            let mut live: Fingerprints = wanted.iter().map(|(_, coin)| hasher.of(coin)).collect();
            // Coins that no input spends.
            live.extend((0..100).map(|vout| hasher.of(&OutPoint { txid: real.txids()[0], vout: vout + 10_000 })));
            let expected: BTreeSet<u32> = wanted.iter().map(|(at, _)| *at).collect();
            let expected: Vec<u32> = expected.into_iter().collect();
            let header = &real.block.header;
            let published = CoinSet::new(live.iter().copied().collect());
            let found = scan(real.raw.to_vec(), header, None, &unlisted, &published, &hasher).expect("a real block");
            assert_eq!(found.candidates(), expected, "{}", real.name);
            let none = Fingerprints::default();
            let later =
                scan(real.raw.to_vec(), header, None, &unlisted, &CoinSet::default(), &hasher).expect("a real block");
            assert_eq!(later.candidates(), [] as [u32; 0]);
            assert_eq!(later.spending(&live), expected, "{}: coins that are published later", real.name);
            assert_eq!(later.spending(&none), [] as [u32; 0]);
            let inputs: Vec<_> = later.inputs().collect();
            let same: Vec<_> = spends.iter().map(|(at, coin)| (hasher.of(coin), *at)).collect();
            assert_eq!(inputs, same, "{}", real.name);
        }
    }
}

#[test]
fn a_listed_script_is_found_where_it_is_spent() {
    // The outputs that the block spends: its own as they are, all others with one script.
    let real = Real::new(BLOCKS[2].0, BLOCKS[2].1);
    let elsewhere = ScriptBuf::from_bytes(vec![0x51]);
    let ids: BTreeMap<Txid, usize> = real.txids().into_iter().zip(0..).collect();
    let output = |coin: &OutPoint| match ids.get(&coin.txid) {
        Some(parent) => real.block.txdata[*parent].output[coin.vout as usize].clone(),
        None => TxOut { value: Amount::ZERO, script_pubkey: elsewhere.clone() },
    };
    let mut spent: Vec<Vec<TxOut>> = vec![Vec::new()];
    for transaction in &real.block.txdata[1..] {
        spent.push(transaction.input.iter().map(|input| output(&input.previous_output)).collect());
    }
    let (live, hasher) = (CoinSet::default(), OutPointHasher::default());
    let look = |scripts: &ScriptMap<()>, spent: &[Vec<TxOut>]| {
        scan(real.raw.to_vec(), &real.block.header, Some(spent), scripts, &live, &hasher)
    };
    let within: BTreeSet<&ScriptBuf> =
        spent.iter().flatten().map(|output| &output.script_pubkey).filter(|script| **script != elsewhere).collect();
    assert!(within.len() > 100);
    let sample = within.iter().copied().step_by(within.len() / 40).chain([&elsewhere]);
    for script in sample {
        let pays = real.by_script.get(script).into_iter().flatten().copied();
        let spends = (0..).zip(&spent).filter(|(_, of)| of.iter().any(|output| output.script_pubkey == *script));
        let expected: BTreeSet<u32> = pays.chain(spends.map(|(at, _)| at)).collect();
        let expected: Vec<u32> = expected.into_iter().collect();
        let found = look(&ScriptMap::from_iter([script.as_script()]), &spent).expect("a real block");
        assert_eq!(found.candidates(), expected, "{script}");
    }
    // Lists that don't fit the inputs are refused.
    let mut broken = vec![spent.clone(), spent.clone(), spent.clone()];
    broken[0].pop();
    broken[1][7].pop();
    broken[2].swap(1, 2);
    broken[2][0].push(TxOut { value: Amount::ZERO, script_pubkey: elsewhere });
    for spent in broken {
        assert_eq!(look(&ScriptMap::default(), &spent).err(), Some(ScanError::SpentOutputs));
    }
}

/// The root of a branch, by the definition: at each level a bit of the index gives the sibling's side.
fn root(txid: Txid, mut index: usize, branch: &[[u8; 32]]) -> TxMerkleNode {
    let mut node = txid.to_byte_array();
    for sibling in branch {
        let pair = if index.is_multiple_of(2) { [node, *sibling] } else { [*sibling, node] };
        node = bitcoin::hashes::sha256d::Hash::hash(&pair.concat()).to_byte_array();
        index /= 2;
    }
    TxMerkleNode::from_byte_array(node)
}

#[test]
fn ids_branches_and_transactions_equal_rust_bitcoins() {
    for real in Real::all() {
        let scanned = real.scan_for([]);
        let proof = scanned.prove(&real.block.header).expect("a real block proves itself");
        assert_eq!(Some(real.block.header.merkle_root), real.block.compute_merkle_root(), "{}", real.name);
        for (at, txid) in real.txids().into_iter().enumerate() {
            let index = u32::try_from(at).expect("a small number");
            assert_eq!(proof.txid(index), txid, "{}: {at}", real.name);
            let branch = proof.branch(index);
            assert_eq!(root(txid, at, &branch), real.block.header.merkle_root, "{}: {at}", real.name);
            assert_eq!(root_from_branch(txid, index, &branch), real.block.header.merkle_root, "{}: {at}", real.name);
            let mut expected = real.block.txdata[at].clone();
            expected.input.iter_mut().for_each(|input| input.witness.clear());
            assert_eq!(scanned.transaction(index), Ok(expected), "{}: {at}", real.name);
        }
        let beyond = u32::try_from(real.block.txdata.len()).expect("a small number");
        assert!(scanned.transaction(beyond).is_err(), "{}", real.name);
    }
}

/// Scans a changed block. Panics unless it is refused, or has the proof and the transactions of the real one; returns whether it is
/// refused.
fn is_refused(real: &Real, raw: Vec<u8>, txids: &[Txid], what: &str) -> bool {
    let Ok(scanned) = real.scan_raw(raw, []) else { return true };
    let Ok(proof) = scanned.prove(&real.block.header) else { return true };
    assert_eq!(scanned.transactions(), txids.len(), "{}: {what}", real.name);
    for (index, txid) in (0..).zip(txids) {
        assert_eq!(proof.txid(index), *txid, "{}: {what}", real.name);
    }
    // The other parser may refuse a transaction, but never returns another one.
    for (index, txid) in (0..).zip(txids).step_by(txids.len().div_ceil(64)) {
        if let Ok(transaction) = scanned.transaction(index) {
            assert_eq!(transaction.compute_txid(), *txid, "{}: {what}", real.name);
        }
    }
    false
}

#[test]
fn a_changed_byte_is_refused_unless_it_is_a_witness() {
    for real in Real::all() {
        let txids = real.txids();
        let stripped: usize = real.block.txdata.iter().map(|transaction| transaction.base_size()).sum();
        let witness = real.raw.len() - stripped;
        let mut rng = Rng::new(real.raw.len() as u64);
        // All bytes of a small block; of a large one the beginning, with counts and lengths, and random bytes.
        let places: BTreeSet<usize> = if real.raw.len() < 2_000 {
            (0..real.raw.len()).collect()
        } else {
            (0..85).step_by(7).chain((0..150).map(|_| rng.index(real.raw.len()))).collect()
        };
        let mut kept = 0;
        for place in &places {
            let mut raw = real.raw.to_vec();
            raw[*place] ^= 1 << rng.below(8);
            let refused = is_refused(&real, raw, &txids, &format!("byte {place}"));
            assert!(refused || *place > 80, "{}: byte {place} is of the header", real.name);
            kept += usize::from(!refused);
        }
        assert!(kept == 0 || witness > 85, "{}: {kept} changes went unnoticed in a block without witnesses", real.name);
        assert!(kept < places.len(), "{}", real.name);
    }
}

#[test]
fn a_block_cut_short_or_grown_is_refused() {
    for real in Real::all() {
        let length = real.raw.len();
        let mut rng = Rng::new(7);
        let ends = [0, 1, 79, 80, 81, 82, length / 2, length - 1].into_iter();
        for end in ends.chain((0..40).map(|_| rng.index(length))) {
            let cut = real.scan_raw(real.raw[..end].to_vec(), []);
            assert!(cut.is_err(), "{}: cut at {end}", real.name);
        }
        for tail in [vec![0], vec![0; 1000], serialize(&real.block.txdata[0])] {
            let grown = real.scan_raw([real.raw, &tail].concat(), []);
            assert!(matches!(grown.err(), Some(ScanError::Malformed(_))), "{}: {} more bytes", real.name, tail.len());
        }
    }
}

#[test]
fn another_header_or_order_of_transactions_is_refused() {
    for real in Real::all().into_iter().filter(|real| real.block.txdata.len() > 2) {
        let mut other = real.block.header;
        other.nonce ^= 1;
        let scanned = scan(
            real.raw.to_vec(),
            &other,
            None,
            &ScriptMap::<()>::default(),
            &CoinSet::default(),
            &OutPointHasher::default(),
        );
        assert_eq!(scanned.err(), Some(ScanError::OtherHeader), "{}", real.name);
        let mut swapped = real.block.clone();
        swapped.txdata.swap(1, 2);
        let mut missing = real.block.clone();
        missing.txdata.pop();
        let mut doubled = real.block.clone();
        doubled.txdata.extend(real.block.txdata.last().cloned());
        for (what, block) in [("swapped", swapped), ("missing", missing), ("doubled", doubled)] {
            let scanned = real.scan_raw(serialize(&block), []).expect("it parses");
            assert!(scanned.prove(&real.block.header).is_err(), "{}: {what}", real.name);
        }
    }
}
