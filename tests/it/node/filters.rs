//! The node's filters: its files and REST give the same ones, and each is proven before it is used. If a filter is damaged or missing,
//! its block has to be read, and that is all.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use bitcoin::hashes::Hash;
use bitcoin::{Block, BlockHash, OutPoint, ScriptBuf};
use coinhound::chain::BlockId;
use coinhound::node::{Filters, Given, LaneChoice, NodeError, NodeSettings, Origin};
use coinhound::scan::{Matcher, Needles};
use coinhound::stop::Stop;
use serde_json::json;
use tempfile::TempDir;

use crate::support::bitcoind::Bitcoind;
use crate::support::chain::{RegtestChain, outputs};
use crate::support::random::Rng;

/// The filters of a node, as a handle finds them that takes `folder` for the node's.
fn filters_in(node: &Bitcoind, folder: &Path) -> Result<Filters, NodeError> {
    let settings = NodeSettings {
        datadir: Some(Given::new(folder.to_owned(), Origin::Flag)),
        rpc_cookie_file: Some(Given::new(node.cookie_file(), Origin::Flag)),
        lane: Given::new(LaneChoice::Auto, Origin::Flag),
        ..node.settings()
    };
    let handle = node.handle_with(settings, Stop::default());
    handle.filters(&handle.capabilities(&handle.info()?)?)
}

/// The blocks of the active chain.
fn active_chain(node: &Bitcoind) -> Vec<BlockId> {
    (0..=node.height()).map(|height| BlockId { height, hash: node.hash_at(height).unwrap() }).collect()
}

/// The filter of each block, as `getblockfilter` returns it.
fn filters_by_rpc(node: &Bitcoind, blocks: &[BlockId]) -> Vec<Option<Vec<u8>>> {
    let one = |id: &BlockId| node.rpc("getblockfilter", json!([id.hash]))["filter"].as_str().map(str::to_owned);
    blocks.iter().map(|id| one(id).map(|hex| const_hex::decode(hex).unwrap())).collect()
}

/// The filter of each block, as coinhound reads it, in calls for `a_call` blocks.
fn read_filters(filters: &Filters, blocks: &[BlockId], a_call: usize) -> Vec<Option<Vec<u8>>> {
    let mut previous = BlockHash::all_zeros();
    let mut found = Vec::new();
    for part in blocks.chunks(a_call) {
        found.extend(filters.inspect(previous, part, || (), |(), _, filter| filter.to_vec()).unwrap());
        previous = part.last().unwrap().hash;
    }
    found
}

/// The file with all filters of a short chain, and a folder for other versions of it.
struct MadeFilters {
    dir: TempDir,
    file: Vec<u8>,
    /// Offset of each block's record, by height, and of the end of the last one.
    at: Vec<usize>,
}

impl MadeFilters {
    fn of(node: &Bitcoind, blocks: &[BlockId]) -> Self {
        let file = std::fs::read(node.chain_dir().join("indexes/blockfilter/basic/fltr00000.dat")).unwrap();
        let find = |id: &BlockId| file.windows(32).position(|window| window == id.hash.to_byte_array()).unwrap();
        let mut at: Vec<_> = blocks.iter().map(find).collect();
        let last = *at.last().unwrap();
        at.push(last + 33 + usize::from(file[last + 32]));
        assert!(at.is_sorted());
        Self { dir: tempfile::tempdir().unwrap(), file, at }
    }

    fn record(&self, height: usize) -> &[u8] {
        &self.file[self.at[height]..self.at[height + 1]]
    }

    /// The filters of the node with these files in place of its own.
    fn filters(&self, node: &Bitcoind, files: &[Vec<u8>]) -> Filters {
        let folder = self.dir.path().join("regtest/indexes/blockfilter/basic");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, bytes) in files.iter().enumerate() {
            std::fs::write(folder.join(format!("fltr{number:05}.dat")), bytes).unwrap();
        }
        let filters = filters_in(node, self.dir.path()).unwrap();
        assert_eq!(filters.source(), "files");
        filters
    }
}

fn byte(rng: &mut Rng) -> u8 {
    u8::try_from(rng.below(256)).unwrap()
}

/// A regtest node whose filters have more than one value.
fn regtest(arguments: &[&str], height: u32) -> (Bitcoind, RegtestChain) {
    let node = Bitcoind::regtest_with(&[&["-blockfilterindex=1", "-acceptnonstdtxn=1"], arguments].concat());
    let mut chain = RegtestChain::regtest(5);
    let mut rng = Rng::new(5);
    for _ in 0..height {
        let coinbase: Vec<_> = (0..rng.below(12))
            .map(|_| (ScriptBuf::from_bytes((0..rng.below(40)).map(|_| byte(&mut rng)).collect()), 1))
            .collect();
        chain.mine_paying(Vec::new(), &coinbase);
    }
    chain.submit_to(&node);
    node.await_filters();
    (node, chain)
}

/// The heights of the blocks that have each script in an output or a spent output: the slow, obvious way.
fn heights_by_script(node: &Bitcoind, blocks: &[BlockId]) -> HashMap<ScriptBuf, BTreeSet<usize>> {
    let mut made: HashMap<OutPoint, ScriptBuf> = HashMap::new();
    let mut heights: HashMap<ScriptBuf, BTreeSet<usize>> = HashMap::new();
    for (height, id) in blocks.iter().enumerate() {
        let block: Block = if height == 0 {
            bitcoin::constants::genesis_block(bitcoin::Network::Bitcoin)
        } else {
            node.block(id.hash)
        };
        for tx in &block.txdata {
            for input in tx.input.iter().filter(|_| !tx.is_coinbase()) {
                heights.entry(made[&input.previous_output].clone()).or_default().insert(height);
            }
            for (at, output) in outputs(tx) {
                made.insert(at, output.script_pubkey.clone());
                heights.entry(output.script_pubkey.clone()).or_default().insert(height);
            }
        }
    }
    heights
}

#[test]
fn filters_of_the_real_chain_select_the_blocks_of_its_scripts() {
    let node = Bitcoind::mainnet_offline_with(&["-blockfilterindex=1", "-maxtipage=10000000000"]);
    node.feed_mainnet(599);
    node.await_filters();
    let blocks = active_chain(&node);
    let expected = filters_by_rpc(&node, &blocks);
    assert!(expected.iter().all(Option::is_some));
    let holds = heights_by_script(&node, &blocks);
    let mut scripts: Vec<_> = holds.iter().collect();
    scripts.sort();
    assert!(scripts.iter().any(|(_, heights)| heights.len() > 5));

    let empty = tempfile::tempdir().unwrap();
    for (folder, source) in [(node.datadir(), "files"), (empty.path(), "rest")] {
        let filters = filters_in(&node, folder).unwrap();
        assert_eq!(filters.source(), source);
        assert_eq!(filters.through().unwrap(), Some(599));
        for a_call in [1000, 97, 1] {
            assert_eq!(read_filters(&filters, &blocks, a_call), expected, "{source} {a_call}");
        }
        for some in [1, 6, 150] {
            for part in scripts.chunks(some).step_by(600 / some / 3 + 1) {
                let needles = Needles::new(part.iter().map(|(script, _)| script.as_script()));
                let select = |matcher: &mut Matcher, id: BlockId, filter: &[u8]| {
                    matcher.matches(filter, id.hash, &needles).unwrap()
                };
                let selected = filters.inspect(BlockHash::all_zeros(), &blocks, Matcher::default, select).unwrap();
                let expected: BTreeSet<_> = part.iter().flat_map(|(_, heights)| *heights).copied().collect();
                let selected: BTreeSet<_> = (0..600).filter(|height| selected[*height].unwrap()).collect();
                // With these scripts no filter of this chain has a false positive.
                assert_eq!(selected, expected, "{source} {some}");
            }
        }
    }
}

/// A name, the files, and the heights of the blocks without a usable filter.
type FilterRecords = (&'static str, Vec<Vec<u8>>, Vec<usize>);

/// Files that are whole, damaged, incomplete, or in another order.
fn cases(made: &MadeFilters) -> Vec<FilterRecords> {
    let all =
        |range: std::ops::Range<usize>| range.flat_map(|height| made.record(height).to_vec()).collect::<Vec<u8>>();
    let flipped = |height: usize, at: usize| {
        let mut record = made.record(height).to_vec();
        record[at] ^= 0x10;
        record
    };
    let last = made.record(120).len() - 1;
    let torn = |kept: usize| [&made.record(120)[..kept], &vec![0; 4000][..]].concat();
    let mut rng = Rng::new(1);
    let stale: Vec<u8> = (0..200).map(|_| byte(&mut rng)).collect();

    vec![
        ("whole, followed by zeros", vec![made.file.clone()], vec![]),
        ("cut between two records", vec![all(0..50), all(50..51), all(51..121)], vec![]),
        ("backwards", (0..121).rev().map(|height| made.record(height).to_vec()).collect(), vec![]),
        ("twice", vec![all(0..121), all(0..121)], vec![]),
        ("a byte of a filter is changed", vec![all(0..30), flipped(30, 35), all(31..121)], vec![30]),
        ("the same in the first and the last", vec![flipped(0, 34), all(1..120), flipped(120, last)], vec![0, 120]),
        (
            "in three blocks in a row, and one more",
            vec![
                all(0..60),
                flipped(60, 34),
                flipped(61, 34),
                flipped(62, 36),
                all(63..90),
                flipped(90, 33),
                all(91..121),
            ],
            vec![60, 61, 62, 90],
        ),
        ("a damaged record comes again, whole", vec![flipped(7, 36), all(0..121)], vec![]),
        ("a whole record comes again, damaged", vec![all(0..121), flipped(7, 36)], vec![]),
        ("a record is missing", vec![all(0..30), all(31..121)], vec![30]),
        ("all but some are missing", vec![all(40..44)], (0..40).chain(44..121).collect()),
        ("all are missing", vec![], (0..121).collect()),
        ("the hash of one is changed", vec![all(0..30), flipped(30, 3), all(31..121)], vec![30]),
        ("half of the last is written", vec![all(0..120), torn(40)], vec![120]),
        ("only the hash of the last is written", vec![all(0..120), torn(32)], vec![120]),
        ("the last ends with the file", vec![all(0..120), made.record(120)[..40].to_vec()], vec![120]),
        (
            "records of other blocks in between",
            vec![[all(0..40), made.record(7).to_vec(), stale_record(&stale), all(40..121)].concat()],
            vec![],
        ),
        (
            "remains of overwritten records",
            vec![[all(0..60), stale.clone(), all(70..80)].concat(), all(60..121)],
            vec![],
        ),
    ]
}

#[test]
fn a_damaged_file_costs_the_reading_of_those_blocks_and_no_more() {
    let (node, _) = regtest(&[], 120);
    let blocks = active_chain(&node);
    let right = filters_by_rpc(&node, &blocks);
    let made = MadeFilters::of(&node, &blocks);
    for (what, files, lost) in cases(&made) {
        let filters = made.filters(&node, &files);
        for a_call in [121, 20] {
            let found = read_filters(&filters, &blocks, a_call);
            let missing: Vec<_> = (0..121).filter(|height| found[*height].is_none()).collect();
            assert_eq!(missing, lost, "{what}, {a_call} a call");
            let same = found.iter().zip(&right).all(|(found, right)| found.is_none() || found == right);
            assert!(same, "{what}, {a_call} a call");
        }
    }

    // Removed while they are in use.
    let filters = made.filters(&node, std::slice::from_ref(&made.file));
    std::fs::remove_dir_all(made.dir.path().join("regtest/indexes")).unwrap();
    assert_eq!(read_filters(&filters, &blocks, 121), vec![None; 121]);
}

/// A record of an unknown block, whose filter is `bytes`.
fn stale_record(bytes: &[u8]) -> Vec<u8> {
    [&BlockHash::hash(bytes).to_byte_array()[..], &[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

#[test]
fn every_filter_is_found_after_new_blocks_reorgs_and_crashes() {
    for (arguments, source) in [(&["-rest=1"][..], "files"), (&["-rest=0"], "files"), (&["-rest=1"], "rest")] {
        let (mut node, mut first) = regtest(arguments, 30);
        let empty = tempfile::tempdir().unwrap();
        let folder = if source == "files" { node.datadir().to_owned() } else { empty.path().to_owned() };
        let filters = filters_in(&node, &folder).unwrap();
        assert_eq!(filters.source(), source);
        let check = |node: &Bitcoind, when: &str| {
            node.await_filters();
            let blocks = active_chain(node);
            assert_eq!(
                read_filters(&filters, &blocks, 1000),
                filters_by_rpc(node, &blocks),
                "{when}, {source}, {arguments:?}"
            );
            blocks
        };
        check(&node, "at first");
        let mut second = first.fork_at(20);
        first.mine_empty(5);
        first.submit_to(&node);
        let old = check(&node, "with new blocks");
        second.mine_empty(20);
        second.submit_to(&node);
        let new = check(&node, "after a reorg");
        assert_eq!((new.len(), new[20] == old[20], new[21] == old[21]), (41, true, false));
        node.invalidate(new[21].hash);
        node.reconsider(old[21].hash);
        let back = check(&node, "and back");
        assert_eq!(back, old);
        node.reconsider(new[21].hash);
        check(&node, "and there again");

        // For stale blocks, unknown blocks and heights above the tip: never a wrong filter.
        let stale = filters.inspect(old[30].hash, &old[31..], || (), |(), _, filter| filter.to_vec()).unwrap();
        let stale_right = filters_by_rpc(&node, &old[31..]);
        assert!(stale.iter().zip(&stale_right).all(|(found, right)| found.is_none() || found == right));
        let beyond: Vec<_> = (39..45)
            .map(|height| new.get(height as usize).copied().unwrap_or(BlockId { height, hash: old[3].hash }))
            .collect();
        let found = filters.inspect(new[38].hash, &beyond, || (), |(), _, _| ()).unwrap();
        assert_eq!(found, [Some(()), Some(()), None, None, None, None]);
        let nowhere = filters.inspect(BlockHash::hash(b"none"), &new[30..], || (), |(), _, _| ()).unwrap();
        assert_eq!(nowhere, vec![None; 11], "without the previous filter header no filter is proven");
        let other = filters.inspect(new[5].hash, &new[30..], || (), |(), _, _| ()).unwrap();
        let proven = (None, &vec![Some(()); 10][..]);
        assert_eq!((other[0], &other[1..]), proven, "all but the first are proven by the others");

        if source == "files" {
            node.kill();
            node.start();
            second.mine_empty(3);
            second.submit_to(&node);
            check(&node, "after a crash");
        }
    }
}

#[test]
fn a_node_without_filters_or_access_to_them_is_refused_with_advice() {
    let (mut node, _) = regtest(&["-rest=0"], 3);
    let empty = tempfile::tempdir().unwrap();
    let refused = |node: &Bitcoind| match filters_in(node, empty.path()).map(|_| ()) {
        Err(error @ NodeError::LaneCannotServe { lane: "filters", .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let error = refused(&node);
    assert!(error.contains("cannot be read") && error.contains("rest=1"), "{error}");
    let filters = filters_in(&node, node.datadir()).unwrap();
    let blocks = active_chain(&node);
    node.restart_with(&["-blockfilterindex=0"]);
    let error = refused(&node);
    assert!(error.contains("blockfilterindex=1"), "{error}");
    // A handle that was open before.
    assert_eq!(filters.through().unwrap(), None);
    assert_eq!(read_filters(&filters, &blocks, 10), vec![None; 4]);
}

#[test]
fn filters_that_a_node_no_longer_has_leave_every_block_to_be_read() {
    for source in ["files", "rest"] {
        let (mut node, _) = regtest(&["-rest=1"], 12);
        let empty = tempfile::tempdir().unwrap();
        let filters = filters_in(&node, if source == "files" { node.datadir() } else { empty.path() }).unwrap();
        assert_eq!(filters.source(), source);
        let blocks = active_chain(&node);
        assert!(read_filters(&filters, &blocks, 5).iter().all(Option::is_some));
        node.restart_with(&["-blockfilterindex=0", "-rest=1"]);
        for at_once in [1, 5, 100] {
            assert_eq!(read_filters(&filters, &blocks, at_once), vec![None; 13], "{source}, {at_once} at once");
        }
    }
}
