//! The index compared with a real node: unspent coins with the node's UTXO set, records with its blocks. Whichever row is changed, the
//! first difference names it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bitcoin::ScriptBuf;
use coinhound::audit::AuditError;
use coinhound::audit::node::{Comparison, Difference, Why, sample, unspent};
use coinhound::chain::{Height, ScriptHash};
use coinhound::index::keys::{CoinKey, TxPosition, TxidKey};
use coinhound::index::raw::{Family, RawChanges, RawRows};
use coinhound::index::rows::row::{IndexKey, IndexRow};
use coinhound::index::values::{Coin, Record, Recorded};
use coinhound::index::{ReadRows, View};
use coinhound::trace::{Fate, Rule, RuleTaint, Taint};

use crate::support::bitcoind::Bitcoind;
use crate::support::chain::{RegtestChain, outputs};
use crate::support::lists::List;
use crate::support::random::{self, Rng};
use crate::support::source::Branch;
use crate::support::swept::SweptIndex;

const HEIGHT: u32 = 150;

/// A chain on a node, and an index of it.
struct IndexedChain {
    chain: RegtestChain,
    rng: Rng,
    list: List,
    index: SweptIndex,
    node: Bitcoind,
}

impl IndexedChain {
    fn new(seed: u64) -> Self {
        let (chain, mut rng) = (random::chain(seed, HEIGHT), Rng::new(seed));
        let list = random::watchlist(&chain, &mut rng, 40);
        let node = Bitcoind::regtest_with(&["-acceptnonstdtxn=1"]);
        chain.submit_to(&node);
        let index = SweptIndex::fresh(&Branch::new(chain.blocks()), &list);
        Self { chain, rng, list, index, node }
    }

    fn view(&self) -> &View {
        self.index.writer()
    }

    /// The first difference between the index's unspent coins and the node, one by one.
    fn coins(&self) -> Result<Option<Difference>, AuditError> {
        let handle = self.node.handle();
        Comparison::new(self.view(), &handle)?.unwrap().coins(unspent(self.view()))
    }

    /// The first difference between the node's coins on the listed scripts and the index.
    fn scripts(&self) -> Result<Option<Difference>, AuditError> {
        let handle = self.node.handle();
        let scripts = self.list.iter().map(|(script, from)| Ok((ScriptHash::of(script), script.clone(), *from)));
        Comparison::new(self.view(), &handle)?.unwrap().scripts(scripts)
    }

    /// The first difference between the records of a block and the node's block.
    fn block(&self, height: Height) -> Option<Difference> {
        let handle = self.node.handle();
        Comparison::new(self.view(), &handle).unwrap().unwrap().block(height).unwrap()
    }

    /// Runs `part` while a row has another value, or is missing.
    fn with_row<T>(&self, family: Family, key: &[u8], value: Option<&[u8]>, part: impl FnOnce() -> T) -> T {
        let put = |value: Option<&[u8]>| {
            let mut step = self.index.writer().step();
            match value {
                Some(value) => step.raw_put(family, key, value),
                None => step.raw_delete(family, key),
            }
            step.commit(false).unwrap();
        };
        let before = self.view().raw_get(family, key).unwrap();
        assert_ne!(before.as_deref(), value, "the row is unchanged");
        put(value);
        let result = part();
        put(before.as_deref());
        result
    }

    fn unspent(&self) -> Vec<(CoinKey, Coin)> {
        unspent(self.view()).map(Result::unwrap).collect()
    }

    /// An unspent coin with a script that isn't empty, which the node can search for.
    fn an_unspent(&self) -> (CoinKey, Coin) {
        let is_plain = |coin: &Coin| !self.view().entry(coin.script).unwrap().unwrap().script.is_empty();
        self.unspent().into_iter().find(|(_, coin)| is_plain(coin)).unwrap()
    }

    fn records(&self) -> Vec<(TxPosition, Record)> {
        self.view().range::<Record>(..).map(Result::unwrap).collect()
    }
}

#[test]
fn an_index_and_its_node_agree_on_every_coin_and_every_block() {
    for seed in [1, 2] {
        let indexed = IndexedChain::new(seed);
        let handle = indexed.node.handle();
        let mut comparison = Comparison::new(indexed.view(), &handle).unwrap().unwrap();
        assert_eq!(comparison.coins(unspent(indexed.view())).unwrap(), None);
        let coins = comparison.compared().coins;
        assert_eq!(coins, indexed.unspent().len() as u64);
        assert!(coins > 20, "{coins}");
        let scripts = indexed.list.iter().map(|(script, from)| Ok((ScriptHash::of(script), script.clone(), *from)));
        assert_eq!(comparison.scripts(scripts).unwrap(), None);
        assert!(comparison.compared().scripts > 20 && comparison.compared().coins == 2 * coins);
        for height in 0..=HEIGHT {
            assert_eq!(comparison.block(height).unwrap(), None, "{height}");
        }
        let compared = comparison.compared();
        assert_eq!((compared.blocks, compared.records), (u64::from(HEIGHT) + 1, indexed.records().len() as u64));
    }
}

#[test]
fn a_node_on_another_branch_or_behind_is_not_compared_with() {
    let mut indexed = IndexedChain::new(3);
    let (mut chain, mut rng) = (indexed.chain.clone(), indexed.rng.clone());
    random::grow(&mut chain, &mut rng, 5);
    let spent_since = chain.blocks()[HEIGHT as usize + 1..].iter().flat_map(|block| &block.txdata).any(|transaction| {
        let spends = |key: &CoinKey| transaction.input.iter().any(|input| input.previous_output == key.outpoint);
        indexed.unspent().iter().any(|(key, _)| spends(key))
    });
    assert!(spent_since, "the blocks above spend no coin of the index");
    chain.submit_to(&indexed.node);
    assert_eq!(indexed.node.height(), HEIGHT + 5);
    assert_eq!((indexed.coins().unwrap(), indexed.scripts().unwrap()), (None, None));

    let is_other = |result: Result<_, AuditError>| matches!(result, Err(AuditError::OtherChain { .. }));
    let fork = random::fork(&mut indexed.chain, &mut rng, 4, 12);
    fork.submit_to(&indexed.node);
    assert_eq!(indexed.node.height(), HEIGHT + 12);
    assert!(is_other(indexed.coins()) && is_other(indexed.scripts()), "another branch");
    let handle = indexed.node.handle();
    assert!(is_other(Comparison::new(indexed.view(), &handle).unwrap().unwrap().block(HEIGHT)));
    for block in [&fork, &chain].map(|chain| chain.blocks()[HEIGHT as usize - 3].block_hash()) {
        indexed.node.invalidate(block);
    }
    assert!(indexed.node.height() < HEIGHT);
    assert!(is_other(indexed.coins()) && is_other(indexed.scripts()), "a node that is behind");
}

#[test]
fn every_changed_coin_is_named() {
    let indexed = IndexedChain::new(4);
    let (key, coin) = indexed.an_unspent();
    let coin_key = key.key();
    let missed = indexed.with_row(Family::Coins, &coin_key, None, || indexed.scripts().unwrap().unwrap());
    assert!(matches!(&missed, Difference::Missed(found) if found.outpoint == key.outpoint), "{missed}");
    assert!(missed.to_string().contains(&key.outpoint.to_string()), "{missed}");

    type CoinChange = fn(&mut Coin);
    let changes: [(CoinChange, &str); 3] = [
        (|coin| coin.value += 1, "value"),
        (|coin| coin.coinbase = !coin.coinbase, "coinbase"),
        (|coin| coin.script.0[0] ^= 1, "script"),
    ];
    for (change, what) in changes {
        let mut other = coin.clone();
        change(&mut other);
        let found = indexed.with_row(Family::Coins, &coin_key, Some(&other.value()), || {
            // The index has no say about a coin whose script isn't flagged.
            let one_by_one = if what == "script" { None } else { indexed.coins().unwrap() };
            (indexed.scripts().unwrap().unwrap(), one_by_one)
        });
        for difference in [Some(found.0), found.1].into_iter().flatten() {
            let named = matches!(&difference, Difference::Coin { outpoint, what: named, .. }
                if *outpoint == key.outpoint && named.contains(what));
            assert!(named, "{what}: {difference}");
        }
    }

    // A spend that is removed from the index, of any coin that the chain has spent.
    let coins: Vec<_> = indexed.view().range::<Coin>(..).map(Result::unwrap).collect();
    let (spent, _) = coins.into_iter().find(|(key, _)| indexed.view().spender_of(key).unwrap().is_some()).unwrap();
    let row = spent.outpoint.key();
    let spend = indexed.view().raw_get(Family::Spends, &row).unwrap().unwrap();
    let found = indexed.with_row(Family::Spends, &row, None, || (indexed.scripts(), indexed.coins()));
    for difference in [found.0.unwrap().unwrap(), found.1.unwrap().unwrap()] {
        assert!(matches!(&difference, Difference::Lacking { coin, .. } if *coin == spent), "{difference}");
    }
    // A spend that is made up.
    let mut late = spend;
    late[..4].copy_from_slice(&HEIGHT.to_be_bytes());
    let made_up = indexed.with_row(Family::Spends, &key.outpoint.key(), Some(&late), || indexed.scripts());
    let made_up = made_up.unwrap().unwrap();
    assert!(matches!(&made_up, Difference::Spent { coin, by, .. } if *coin == key && by.height == HEIGHT), "{made_up}");
}

#[test]
fn every_changed_record_is_named() {
    let indexed = IndexedChain::new(5);
    let records = indexed.records();
    let is_flagged =
        |script: &ScriptBuf, height: u32| indexed.list.iter().any(|(own, from)| own == script && *from <= height);
    let (mut pays, mut spends) = (0, 0);
    for (at, record) in &records {
        let found = indexed.with_row(Family::Records, &at.key(), None, || indexed.block(at.height).unwrap());
        let Difference::NoRecord { at: place, txid, why } = &found else { panic!("{found}") };
        assert_eq!((place, *txid), (at, record.txid()));
        match why {
            Why::Pays(script) => {
                assert!(is_flagged(script, at.height));
                pays += 1;
            }
            Why::SpendsFrom(script) => {
                assert!(
                    is_flagged(script, at.height) && record.spent.iter().any(|spent| spent.script_pubkey == *script)
                );
                spends += 1;
            }
            Why::Spends(_) => panic!("{found}"),
        }
    }
    assert!(pays > 10 && spends > 10, "{pays} {spends}");

    let (at, record) = records.iter().rev().find(|(_, record)| record.spent.len() > 1).unwrap();
    type RecordChange = fn(&mut Record);
    let changes: [RecordChange; 2] = [
        |record| record.spent[1].value += bitcoin::Amount::ONE_SAT,
        |record| record.spent[1].script_pubkey = vec![0x52, 0x51].into(),
    ];
    for change in changes {
        let mut other = record.clone();
        change(&mut other);
        let found =
            indexed.with_row(Family::Records, &at.key(), Some(&other.value()), || indexed.block(at.height).unwrap());
        assert!(matches!(&found, Difference::SpentOutput { vin: 1, at: place, .. } if place == at), "{found}");
    }
    let mut other = record.clone();
    other.transaction.output[0].value += bitcoin::Amount::ONE_SAT;
    let found =
        indexed.with_row(Family::Records, &at.key(), Some(&other.value()), || indexed.block(at.height).unwrap());
    let named = matches!(&found, Difference::Transaction { node: Some(node), index, .. }
        if *node == record.txid() && *index == other.txid());
    assert!(named, "{found}");
    let beyond = TxPosition { height: at.height, tx_index: u32::MAX };
    let found =
        indexed.with_row(Family::Records, &beyond.key(), Some(&record.value()), || indexed.block(at.height).unwrap());
    assert!(matches!(&found, Difference::Transaction { node: None, at: place, .. } if *place == beyond), "{found}");
}

#[test]
fn a_needless_record_and_an_unrecorded_spend_are_named() {
    let indexed = IndexedChain::new(6);
    let branch = Arc::clone(&Branch::new(indexed.chain.blocks()));
    // A transaction without a record.
    let positions = branch.blocks.iter().enumerate().flat_map(|(height, block)| {
        block.txdata.iter().enumerate().skip(1).map(move |(index, transaction)| (height, index, transaction))
    });
    let unrecorded = positions.map(|(height, index, transaction)| {
        let at = TxPosition { height: u32::try_from(height).unwrap(), tx_index: u32::try_from(index).unwrap() };
        (at, transaction)
    });
    let (at, transaction) =
        unrecorded.into_iter().find(|(at, _)| indexed.view().record(*at).unwrap().is_none()).unwrap();
    let outputs = branch.blocks.iter().flat_map(|block| &block.txdata).flat_map(outputs);
    let outputs: HashMap<_, _> = outputs.collect();
    let spent = transaction.input.iter().map(|input| outputs[&input.previous_output].clone()).collect();
    let mut bare = transaction.clone();
    bare.input.iter_mut().for_each(|input| input.witness = bitcoin::Witness::new());
    let record = Record { transaction: bare, spent, branch: Vec::new() };
    let found =
        indexed.with_row(Family::Records, &at.key(), Some(&record.value()), || indexed.block(at.height).unwrap());
    assert_eq!(found, Difference::Needless { at, txid: record.txid() });

    let outpoint = transaction.input[0].previous_output;
    let made = indexed
        .chain
        .blocks()
        .iter()
        .position(|block| block.txdata.iter().any(|transaction| transaction.compute_txid() == outpoint.txid));
    let key = CoinKey { outpoint, height: u32::try_from(made.unwrap()).unwrap() };
    let column = |fate| {
        let taint = Taint { amount: 1, hops: 1, segments: Vec::new() };
        RuleTaint { rule: Rule::Haircut, taint, fate }
    };
    for (fate, expected) in [(Fate::Followed, Some(Why::Spends(outpoint))), (Fate::BelowMinTaint, None)] {
        let script = ScriptHash::of(&record.spent[0].script_pubkey);
        let value = record.spent[0].value.to_sat();
        let coin = Coin { value, script, coinbase: false, columns: vec![column(fate)] };
        let found = indexed.with_row(Family::Coins, &key.key(), Some(&coin.value()), || indexed.block(at.height));
        let expected = expected.map(|why| Difference::NoRecord { at, txid: record.txid(), why });
        assert_eq!(found, expected);
    }
    assert_eq!(indexed.view().positions(record.txid()).unwrap(), []);
    assert!(!indexed.view().has::<Recorded>(&TxidKey { txid: record.txid(), at }).unwrap());
}

#[test]
fn samples_come_from_all_heights_and_from_those_with_records() {
    let indexed = IndexedChain::new(7);
    let heights =
        |range: std::ops::RangeInclusive<u32>, count, seed| sample(indexed.view(), range, count, seed).unwrap();
    let drawn = heights(10..=HEIGHT, 20, 1);
    assert_eq!(drawn.len(), 20);
    assert!(drawn.iter().all(|height| (10..=HEIGHT).contains(height)));
    assert_eq!(drawn, heights(10..=HEIGHT, 20, 1));
    assert_ne!(drawn, heights(10..=HEIGHT, 20, 2));
    assert_eq!(heights(3..=3, 5, 1).into_iter().collect::<Vec<_>>(), [3]);
    assert!(heights(0..=HEIGHT, 0, 1).is_empty());
    let recorded: BTreeSet<_> = indexed.records().iter().map(|(at, _)| at.height).collect();
    assert!(drawn.iter().filter(|height| recorded.contains(height)).count() >= 10);
}
