//! The generated chain, block by block: a hundred empty blocks, some that split the first coins, then the full ones that
//! cost a scanner about as much as the main chain's recent blocks.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context, Result, bail, ensure};
use bitcoin::absolute::LockTime;
use bitcoin::{
    Amount, Block, BlockHash, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Weight, Witness,
    constants, transaction,
};

use crate::assemble::{assemble, subsidy_sat};
use crate::coins::{Coin, Coins};
use crate::lock::{Kind, Lock};
use crate::rng::Rng;
use crate::watch::{Order, SHAPES, Shape, Touch, Watch};

/// A coinbase can be spent in the hundredth block after its own.
const MATURITY: u32 = 100;
/// Scripts that are paid often, like those of exchanges.
const BUSY_SCRIPTS: usize = 300;
/// A fan-out block splits one coinbase: the number of transactions, and of outputs in each.
const FAN_OUT: (usize, usize) = (10, 2_000);

/// The composition of full blocks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Transactions: least and most.
    pub transactions: (usize, usize),
    /// Inputs with an inscription, in a thousand that can carry one.
    pub inscriptions_per_mille: usize,
    /// Most bytes of inscriptions in a block; keeps the largest block below the weight limit.
    pub inscribed_bytes: usize,
}

impl Look {
    /// Like recent blocks of the main chain: some 1.4 MB.
    pub const RECENT: Self = Self { transactions: (2_200, 2_900), inscriptions_per_mille: 9, inscribed_bytes: 350_000 };
    /// With many inscriptions: some 2 MB.
    pub const LARGE: Self =
        Self { transactions: (2_000, 2_100), inscriptions_per_mille: 100, inscribed_bytes: 1_150_000 };
}

/// Sums over the full blocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Transactions, coinbases included.
    pub transactions: u64,
    /// Inputs, coinbases left out.
    pub inputs: u64,
    /// Outputs, coinbases left out.
    pub outputs: u64,
}

/// Makes the chain of one seed; each call of [`Generator::next_block`] gives the next block.
#[derive(Debug)]
pub struct Generator {
    /// The watchlists, with their touches so far.
    pub watches: Vec<Watch>,
    /// Sums so far.
    pub totals: Totals,
    /// Height of the first full block.
    pub first_full: u32,
    /// Height of the last block.
    pub last: u32,
    look: Look,
    rng: Rng,
    height: u32,
    previous: BlockHash,
    coins: Coins,
    rewards: VecDeque<Coin>,
    busy: Vec<Lock>,
    inscribed: usize,
}

impl Generator {
    /// The chain of `seed` with `full` full blocks.
    pub fn new(seed: u64, full: u32) -> Self {
        Self::with(seed, full, Look::RECENT, &SHAPES)
    }

    /// A chain with another composition of full blocks and other watchlists.
    pub fn with(seed: u64, full: u32, look: Look, shapes: &[Shape]) -> Self {
        let mut rng = Rng::new(seed);
        // A full block spends some 600 spendable coins more than it makes; two blocks' worth is kept in reserve.
        let first_full = MATURITY + 1 + 2 + full / 30;
        let busy = (0..BUSY_SCRIPTS).map(|_| Lock::new(Kind::alive(&mut rng), &mut rng)).collect();
        let watches = shapes.iter().map(|shape| Watch::new(*shape, first_full, full, &mut rng)).collect();
        Self {
            watches,
            totals: Totals::default(),
            first_full,
            last: first_full + full - 1,
            look,
            rng,
            height: 0,
            previous: constants::genesis_block(Network::Regtest).block_hash(),
            coins: Coins::default(),
            rewards: VecDeque::new(),
            busy,
            inscribed: 0,
        }
    }

    /// The next block, or `None` when the chain is complete. Errors: the coins ran out, or a block is too heavy; both mean that the
    /// constants above don't fit together.
    pub fn next_block(&mut self) -> Result<Option<Block>> {
        if self.height == self.last {
            return Ok(None);
        }
        self.height += 1;
        let (transactions, fees_sat) = match self.height {
            ..=MATURITY => (Vec::new(), 0),
            height if height < self.first_full => self.fan_out()?,
            _ => self.full()?,
        };
        let early = self.height < self.first_full - MATURITY;
        let kind = if early { Kind::alive(&mut self.rng) } else { Kind::Wpkh };
        let lock = Lock::new(kind, &mut self.rng);
        let block = assemble(self.height, self.previous, transactions, fees_sat, lock.script_pubkey());
        ensure!(
            block.weight() <= Weight::MAX_BLOCK,
            "block {} weighs {}, more than the chain allows",
            self.height,
            block.weight()
        );
        if early {
            let outpoint = OutPoint { txid: block.txdata[0].compute_txid(), vout: 0 };
            self.rewards.push_back(Coin { outpoint, value_sat: subsidy_sat(self.height), lock });
        }
        self.coins.end_block();
        self.previous = block.block_hash();
        Ok(Some(block))
    }

    /// Coins older than the recent blocks that are left to spend. At 0 the mix of ages is no longer that of the main chain.
    pub fn old_coins(&self) -> usize {
        self.coins.old()
    }

    /// Splits the oldest reward: one transaction, then one more behind each of its outputs.
    fn fan_out(&mut self) -> Result<(Vec<Transaction>, u64)> {
        let reward = self.rewards.pop_front().context("no reward left to split")?;
        let (first, mut fees_sat, branches) = self.split(reward, FAN_OUT.0);
        let mut transactions = vec![first];
        for branch in branches {
            let (transaction, fee, leaves) = self.split(branch, FAN_OUT.1);
            fees_sat += fee;
            transactions.push(transaction);
            leaves.into_iter().for_each(|coin| self.coins.add(coin));
        }
        Ok((transactions, fees_sat))
    }

    fn split(&mut self, coin: Coin, outputs: usize) -> (Transaction, u64, Vec<Coin>) {
        let locks = (0..outputs)
            .map(|_| (Lock::new(Kind::alive(&mut self.rng), &mut self.rng), 1 + self.rng.below(400)))
            .collect();
        self.pay(&[coin], locks)
    }

    fn full(&mut self) -> Result<(Vec<Transaction>, u64)> {
        let count = self.rng.between(self.look.transactions.0, self.look.transactions.1);
        let mut orders: BTreeMap<usize, Vec<Order>> = BTreeMap::new();
        for (list, watch) in self.watches.iter().enumerate() {
            for (place, order) in watch.orders(list, self.height, count, &mut self.rng) {
                orders.entry(place).or_default().push(order);
            }
        }
        self.inscribed = 0;
        let mut fees_sat = 0;
        let mut transactions = Vec::with_capacity(count);
        for place in 0..count {
            let (transaction, fee) = self.transaction(orders.get(&place).map_or(&[], Vec::as_slice))?;
            fees_sat += fee;
            self.totals.inputs += transaction.input.len() as u64;
            self.totals.outputs += transaction.output.len() as u64;
            transactions.push(transaction);
        }
        self.totals.transactions += count as u64 + 1;
        Ok((transactions, fees_sat))
    }

    /// One transaction of a full block that makes the touches in `orders`, and its fee in satoshis.
    fn transaction(&mut self, orders: &[Order]) -> Result<(Transaction, u64)> {
        let mut inputs = Vec::new();
        let mut flagged = Vec::new();
        for order in orders {
            let watch = &mut self.watches[order.list];
            let weight = 1 + self.rng.below(400);
            match order.touch {
                Touch::Pay { twice } => {
                    let lock = *self.rng.pick(&watch.active);
                    flagged.extend(std::iter::repeat_n((order.list, lock, weight), 1 + usize::from(twice)));
                }
                Touch::Spend { back } => {
                    if let Some(coin) = self.rng.take(&mut watch.coins) {
                        watch.count_spending(self.height);
                        inputs.push(coin);
                        flagged.extend(back.then_some((order.list, coin.lock, weight)));
                    }
                }
            }
        }
        // The outputs of a transaction that spends flagged coins can't be spent: so a trace from a list is one hop long, and the
        // blocks that matter to a list stay known.
        let ends_here = !inputs.is_empty();
        let enough = 2 + usize::from(self.rng.chance(15));
        while inputs.len() < enough {
            match self.coins.take(&mut self.rng) {
                Some(coin) => inputs.push(coin),
                None => bail!("no coin left to spend at height {}", self.height),
            }
        }
        let mut locks: Vec<(Lock, usize)> = flagged.iter().map(|(_, lock, weight)| (*lock, *weight)).collect();
        let enough = 2 + usize::from(self.rng.chance(45));
        while locks.len() < enough {
            let last = locks.len() + 1 == enough;
            locks.push((self.other_lock(ends_here, last), 1 + self.rng.below(400)));
        }
        let (transaction, fee_sat, coins) = self.pay(&inputs, locks);
        for (place, coin) in coins.into_iter().enumerate() {
            match flagged.get(place) {
                Some((list, ..)) => {
                    self.watches[*list].count_funding(self.height);
                    if coin.lock.is_spendable() {
                        self.watches[*list].coins.push(coin);
                    }
                }
                None if coin.lock.is_spendable() => self.coins.add(coin),
                None => {}
            }
        }
        Ok((transaction, fee_sat))
    }

    /// The lock of an output that is on no list.
    fn other_lock(&mut self, ends_here: bool, last: bool) -> Lock {
        let rng = &mut self.rng;
        if last && rng.chance(14) {
            return Lock::new(Kind::Data, rng);
        }
        if ends_here || rng.chance(17) {
            return Lock::new(Kind::dead(rng), rng);
        }
        if rng.chance(42) {
            return *rng.pick(&self.busy);
        }
        Lock::new(Kind::alive(rng), rng)
    }

    /// Splits the value of `inputs` among `outputs` by their weights; gives the transaction, its fee in satoshis and its outputs, in order.
    fn pay(&mut self, inputs: &[Coin], outputs: Vec<(Lock, usize)>) -> (Transaction, u64, Vec<Coin>) {
        let total: u64 = inputs.iter().map(|coin| coin.value_sat).sum();
        let to_split = total - (total / 10).min(self.rng.between(400, 4_000) as u64);
        let weights: u64 =
            outputs.iter().filter(|(lock, _)| lock.kind != Kind::Data).map(|(_, weight)| *weight as u64).sum();
        let values = outputs.iter().map(|(lock, weight)| match lock.kind {
            Kind::Data => 0,
            _ => to_split * *weight as u64 / weights,
        });
        let values: Vec<u64> = values.collect();
        let input = inputs.iter().map(|coin| {
            let (script_sig, witness) = self.unlock(coin.lock);
            TxIn { previous_output: coin.outpoint, script_sig, sequence: Sequence::ENABLE_RBF_NO_LOCKTIME, witness }
        });
        let transaction = Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: input.collect(),
            output: outputs
                .iter()
                .zip(&values)
                .map(|((lock, _), value)| TxOut {
                    value: Amount::from_sat(*value),
                    script_pubkey: lock.script_pubkey(),
                })
                .collect(),
        };
        let txid = transaction.compute_txid();
        let coins = (0..).zip(outputs.iter().zip(&values)).map(|(vout, ((lock, _), value))| Coin {
            outpoint: OutPoint { txid, vout },
            value_sat: *value,
            lock: *lock,
        });
        let coins = coins.collect();
        (transaction, total - values.iter().sum::<u64>(), coins)
    }

    fn unlock(&mut self, lock: Lock) -> (ScriptBuf, Witness) {
        if self.height >= self.first_full && self.rng.below(1_000) < self.look.inscriptions_per_mille {
            let length = self.rng.between(1_000, 30_000);
            if self.inscribed + length <= self.look.inscribed_bytes
                && let Some(unlocked) = lock.inscribe(length, &mut self.rng)
            {
                self.inscribed += length;
                return unlocked;
            }
        }
        lock.unlock(&mut self.rng)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn chain(seed: u64, full: u32) -> (Generator, Vec<Block>) {
        let mut generator = Generator::new(seed, full);
        let mut blocks = Vec::new();
        while let Some(block) = generator.next_block().unwrap() {
            blocks.push(block);
        }
        (generator, blocks)
    }

    #[test]
    fn one_seed_gives_one_chain() {
        let (_, a) = chain(7, 2);
        let (_, b) = chain(7, 2);
        let (_, c) = chain(8, 2);
        assert_eq!(a.last().unwrap().block_hash(), b.last().unwrap().block_hash());
        assert_ne!(a.last().unwrap().block_hash(), c.last().unwrap().block_hash());
    }

    #[test]
    fn large_blocks_have_two_megabytes_and_touch_the_list_in_each() {
        let shape = Shape { entries: 6, active: 6, one_block_in: 1, payments: 3, spends: 2 };
        let mut generator = Generator::with(7, 6, Look::LARGE, &[shape]);
        while let Some(block) = generator.next_block().unwrap() {
            let height = generator.height;
            if height >= generator.first_full {
                assert!((1_900_000..2_200_000).contains(&block.total_size()), "{}", block.total_size());
                assert!(generator.watches[0].touches[&height].fundings > 0);
            }
        }
    }

    #[test]
    fn the_counted_touches_are_those_that_a_plain_search_of_every_block_finds() {
        let (generator, blocks) = chain(7, 12);
        for watch in &generator.watches {
            let listed: HashSet<ScriptBuf> = watch.entries.iter().map(|lock| lock.script_pubkey()).collect();
            assert_eq!(listed.len(), watch.shape.entries, "scripts are distinct");
            let mut found: HashSet<OutPoint> = HashSet::new();
            for (height, block) in (1..).zip(&blocks) {
                let (mut fundings, mut spendings) = (0, 0);
                for transaction in &block.txdata {
                    spendings +=
                        transaction.input.iter().filter(|input| found.contains(&input.previous_output)).count() as u64;
                    let txid = transaction.compute_txid();
                    for (vout, output) in (0..).zip(&transaction.output) {
                        if listed.contains(&output.script_pubkey) {
                            fundings += 1;
                            found.insert(OutPoint { txid, vout });
                        }
                    }
                }
                let counted = watch.touches.get(&height).copied().unwrap_or_default();
                assert_eq!((fundings, spendings), (counted.fundings, counted.spendings), "at {height}");
            }
            assert!(watch.touches.values().any(|touches| touches.fundings > 0));
            assert!(watch.touches.values().any(|touches| touches.spendings > 0));
        }
    }

    #[test]
    fn no_coin_is_spent_twice_or_before_it_exists_and_no_value_is_made() {
        let (_, blocks) = chain(7, 4);
        let mut coins: HashMap<OutPoint, u64> = HashMap::new();
        for (height, block) in (1..).zip(&blocks) {
            assert!(block.check_merkle_root() && block.check_witness_commitment());
            let mut fees = 0;
            for transaction in &block.txdata {
                let paid: u64 = transaction.output.iter().map(|output| output.value.to_sat()).sum();
                if !transaction.is_coinbase() {
                    let spent: u64 =
                        transaction.input.iter().map(|input| coins.remove(&input.previous_output).unwrap()).sum();
                    fees += spent.checked_sub(paid).unwrap();
                }
                let txid = transaction.compute_txid();
                for (vout, output) in (0..).zip(&transaction.output) {
                    coins.insert(OutPoint { txid, vout }, output.value.to_sat());
                }
            }
            let reward = block.txdata[0].output[0].value.to_sat();
            assert_eq!(reward, subsidy_sat(height) + fees, "at {height}");
        }
    }
}
