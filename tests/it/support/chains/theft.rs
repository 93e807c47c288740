//! A made-up theft in the shape of the FBI's notice: 1,580 BTC on six P2SH addresses, moved as thieves do. It is a valid chain of some
//! thousand signed transactions, with a stale branch.

use bitcoin::{Address, Network, OutPoint, ScriptBuf, Transaction};
use coinhound::trace::Rule;

use crate::oracle::taint::ListedScript;
use crate::support::chain::{Purse, RegtestChain, purses};
use crate::support::random::Rng;
use crate::support::scripts::Shape;

/// Satoshis in a bitcoin.
pub const BTC: u64 = 100_000_000;
/// The stolen amount, in satoshis.
pub const STOLEN: u64 = 1_580 * BTC;
/// The label of the six addresses.
pub const LABEL: &str = "Made-up theft, February";
/// The labels of the services.
pub const EXCHANGES: [&str; 4] = ["Exchange One", "Exchange Two", "Exchange Three", "Exchange Four"];
/// Coins with less taint (satoshis) aren't followed: coinhound's default.
pub const MIN_TAINT: u64 = 100_000;

/// The amount on each of the six addresses, in BTC.
const HOLDINGS: [u64; 6] = [400, 350, 300, 250, 180, 100];
/// Length of the peel chain.
const PEELS: u64 = 300;
/// Satoshis that each of its hops pays out.
const PEEL: u64 = 40_000_000;
/// Least fee of a transaction, in satoshis.
const FEE: u64 = 1_000;
/// Number of coins with too little taint, and the satoshis in each.
const DUST: (usize, u64) = (1_000, 50_000);
/// Random transactions in a block.
const IN_BLOCK: usize = 100;

/// The taint that a service is known to have got.
#[derive(Clone, Copy, Debug)]
pub struct ServiceReceipt {
    /// Index in [`EXCHANGES`].
    pub exchange: usize,
    /// The rule; `None` for every rule but `poison`.
    pub rule: Option<Rule>,
    /// Taint in satoshis.
    pub taint: u64,
}

/// The chain, the lists, and the facts that are known from how they were made.
pub struct Theft {
    /// The active chain.
    pub chain: RegtestChain,
    /// The stale branch.
    pub stale: RegtestChain,
    /// Height of the last block that both branches have.
    pub fork: u32,
    /// Height of the block that pays the stolen coins to the six addresses.
    pub stolen_at: u32,
    /// The lists.
    pub listed: Vec<ListedScript>,
    /// The taint that services got.
    pub got: Vec<ServiceReceipt>,
    /// The first coin that Exchange One got, and its number of hops.
    pub deposit: (Purse, u32),
    /// The coin that Exchange Two got on the stale branch.
    pub lost: Purse,
    /// A payment that both branches have, in different blocks.
    pub again: Transaction,
    /// An unspent coin without taint.
    pub clean: Purse,
    /// An unspent coin that merges a hundred coins of dust.
    pub dust: Purse,
}

impl Theft {
    /// A theft whose chain has this number of transactions, some 500 at least, without coinbases.
    pub fn new(transactions: usize) -> Self {
        let mut builder = TheftBuilder::new();
        let six: Vec<ScriptBuf> = (0..6).map(|n| builder.chain.script(Shape::P2shMultisig, 1 + n)).collect();
        let exchanges: Vec<ScriptBuf> = (0..4).map(|n| builder.chain.script(Shape::P2wpkh, 11 + n)).collect();
        let listed = lists(&six, &exchanges);
        let stolen = builder.steal(&six);
        let stolen_at = builder.mine();
        let back = builder.send_some_back(stolen[5], &six[0]);
        builder.split_up(&[stolen[0], back.0]);
        let deposit = builder.peel(stolen[1], &exchanges[0]);
        builder.coinjoin(stolen[2], &exchanges[2]);
        builder.pay_out(stolen[3]);
        let dust = builder.burn_and_sweep_dust(back.1);

        // Two branches: on one Exchange Two gets 40 BTC of the fifth coin, on the other 25.
        let fork = builder.chain.height();
        let coin = builder.take();
        let pays = [(builder.fresh(), coin.value - FEE)];
        let paid = builder.pay(&[coin], &pays);
        let again = builder.waiting.pop().expect("just paid");
        let mut stale = builder.clone();
        stale.chain = builder.chain.fork_at(fork);
        // Both branches begin with a block of random transactions.
        stale.wander_blocks(1, &exchanges[3], 20);
        stale.waiting.push(again.clone());
        let lost = stale.cash_out(stolen[4], &exchanges[1], 40 * BTC)[0];
        stale.wander_blocks(3, &exchanges[3], 20);
        builder.wander_blocks(2, &exchanges[3], 20);
        builder.waiting.push(again.clone());
        let rest = builder.cash_out(stolen[4], &exchanges[1], 25 * BTC)[1];
        builder.pool.extend(paid);
        builder.split_up(&[rest]);
        builder.wander_blocks(3, &exchanges[3], 20);

        while builder.transactions() < transactions {
            let count = IN_BLOCK.min(transactions - builder.transactions());
            builder.wander_blocks(1, &exchanges[3], count);
        }
        let got = |exchange, rule, taint| ServiceReceipt { exchange, rule, taint };
        let got = vec![
            got(0, None, PEELS / 10 * PEEL),
            got(1, None, 25 * BTC),
            // A fifth of the coinjoin's inputs are tainted; under FIFO its first output is.
            got(2, Some(Rule::Haircut), JOINED / 5),
            got(2, Some(Rule::Fifo), JOINED),
        ];
        let clean = builder.coinbase();
        Self {
            chain: builder.chain,
            stale: stale.chain,
            fork,
            stolen_at,
            listed,
            got,
            deposit,
            lost,
            again,
            clean,
            dust,
        }
    }

    /// The six addresses.
    pub fn addresses(&self) -> Vec<String> {
        let address = |listed: &ListedScript| {
            Address::from_script(&listed.script, Network::Regtest).expect("P2SH has an address").to_string()
        };
        self.listed.iter().filter(|listed| listed.flagged.is_some()).map(address).collect()
    }

    /// The services' scripts with their names.
    pub fn services(&self) -> Vec<(ScriptBuf, &str)> {
        let services = self.listed.iter().filter(|listed| listed.service);
        services.map(|listed| (listed.script.clone(), listed.label.as_str())).collect()
    }

    /// Number of transactions of the chain, without coinbases.
    pub fn transactions(&self) -> usize {
        self.chain.blocks().iter().map(|block| block.txdata.len() - 1).sum()
    }
}

/// The lists: the six addresses are flagged, the exchanges are services.
fn lists(six: &[ScriptBuf], exchanges: &[ScriptBuf]) -> Vec<ListedScript> {
    let listed = |script: &ScriptBuf, flagged: Option<u32>, label: &str| ListedScript {
        script: script.clone(),
        flagged,
        service: flagged.is_none(),
        label: label.into(),
    };
    let flagged = six.iter().map(|script| listed(script, Some(0), LABEL));
    flagged.chain(exchanges.iter().zip(EXCHANGES).map(|(script, label)| listed(script, None, label))).collect()
}

/// Satoshis in each output of the coinjoin.
const JOINED: u64 = 10 * BTC - 10_000;

/// A theft in the making.
#[derive(Clone)]
struct TheftBuilder {
    chain: RegtestChain,
    rng: Rng,
    next_key: u32,
    next_coinbase: usize,
    waiting: Vec<Transaction>,
    /// Coins of the theft that are still to be moved.
    pool: Vec<Purse>,
    /// Clean coins, to be mixed with them.
    clean: Vec<Purse>,
    /// Coins of people who have nothing to do with the theft.
    bystanders: Vec<Purse>,
}

impl TheftBuilder {
    fn new() -> Self {
        let mut chain = RegtestChain::regtest(1_580);
        chain.mine_empty(250);
        let (waiting, pool, clean, bystanders) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let rng = Rng::new(1_580);
        let mut builder = Self { chain, rng, next_key: 1_000, next_coinbase: 1, waiting, pool, clean, bystanders };
        for _ in 0..30 {
            let coin = builder.coinbase();
            let parts = builder.split(coin, 20);
            builder.clean.extend(parts);
        }
        builder.bystanders = (0..10).map(|_| builder.coinbase()).collect();
        builder.mine();
        builder
    }

    /// A clean coin of 50 BTC.
    fn coinbase(&mut self) -> Purse {
        let transaction = &self.chain.blocks()[self.next_coinbase].txdata[0];
        self.next_coinbase += 1;
        assert_eq!(transaction.output[0].value.to_sat(), 50 * BTC, "before the first halving");
        Purse { at: OutPoint { txid: transaction.compute_txid(), vout: 0 }, value: 50 * BTC }
    }

    /// Empties the victim's wallet into the six scripts; returns their coins.
    fn steal(&mut self, six: &[ScriptBuf]) -> Vec<Purse> {
        let wallet: Vec<Purse> = (0..32).map(|_| self.coinbase()).collect();
        let mut stolen: Vec<_> = six.iter().cloned().zip(HOLDINGS.map(|holding| holding * BTC)).collect();
        stolen.push((self.fresh(), 20 * BTC - FEE));
        self.pay(&wallet, &stolen)
    }

    /// A new script: most are P2WPKH, as on the main chain.
    fn fresh(&mut self) -> ScriptBuf {
        self.next_key += 1;
        let shape = match self.next_key % 24 {
            0 => Shape::P2pkh,
            1 => Shape::P2trKey,
            2 => Shape::P2shP2wpkh,
            3 => Shape::P2wsh,
            4 => Shape::P2trScript,
            5 => Shape::P2pk,
            6 => Shape::Multisig1of2,
            7 => Shape::HashLock,
            8 => Shape::P2shMultisig,
            _ => Shape::P2wpkh,
        };
        self.chain.script(shape, self.next_key)
    }

    fn transactions(&self) -> usize {
        self.chain.blocks().iter().map(|block| block.txdata.len() - 1).sum::<usize>() + self.waiting.len()
    }

    fn mine(&mut self) -> u32 {
        self.chain.mine(std::mem::take(&mut self.waiting));
        self.chain.height()
    }

    fn pay(&mut self, inputs: &[Purse], pays: &[(ScriptBuf, u64)]) -> Vec<Purse> {
        let transaction = self.chain.pay(inputs, pays);
        let made = purses(&transaction);
        self.waiting.push(transaction);
        made
    }

    /// Splits a coin into equal parts; the rest is the fee.
    fn split(&mut self, coin: Purse, parts: u64) -> Vec<Purse> {
        let pays: Vec<_> = (0..parts).map(|_| (self.fresh(), (coin.value - FEE) / parts)).collect();
        self.pay(&[coin], &pays)
    }

    /// Sends 10 BTC back to a flagged address, which must not count as another theft. Returns that coin and the rest.
    fn send_some_back(&mut self, coin: Purse, flagged: &ScriptBuf) -> (Purse, Purse) {
        let pays = [(flagged.clone(), 10 * BTC), (self.fresh(), coin.value - 10 * BTC - FEE)];
        let made = self.pay(&[coin], &pays);
        self.mine();
        (made[0], made[1])
    }

    /// Splits coins into twenty parts, and each of those into twenty again, within one block.
    fn split_up(&mut self, coins: &[Purse]) {
        for coin in coins {
            for part in self.split(*coin, 20) {
                let parts = self.split(part, 20);
                self.pool.extend(parts);
            }
            self.mine();
        }
    }

    /// A peel chain: each hop pays out a little, every tenth one to the service. Returns the first coin of the service, with its hops.
    fn peel(&mut self, coin: Purse, service: &ScriptBuf) -> (Purse, u32) {
        let (mut coin, mut first) = (coin, None);
        for (hops, number) in (1..).zip(1..=PEELS) {
            let deposit = number % 10 == 0;
            let to = if deposit { service.clone() } else { self.fresh() };
            let pays = [(to, PEEL), (self.fresh(), coin.value - PEEL - FEE)];
            let made = self.pay(&[coin], &pays);
            coin = made[1];
            if deposit {
                first.get_or_insert((made[0], hops));
            } else if number % 3 == 0 {
                self.pool.push(made[0]);
            }
            if number % 25 == 0 {
                self.mine();
            }
        }
        self.pool.push(coin);
        first.expect("some of the peels are deposits")
    }

    /// A coinjoin of five tainted coins, then twenty clean ones, into equal outputs, the first of which goes to the service.
    fn coinjoin(&mut self, coin: Purse, service: &ScriptBuf) {
        let mut pays: Vec<_> = (0..5).map(|_| (self.fresh(), 10 * BTC)).collect();
        pays.push((self.fresh(), coin.value - 50 * BTC - FEE));
        let mut joined = self.pay(&[coin], &pays);
        self.pool.extend(joined.pop());
        for _ in 0..5 {
            let clean = self.coinbase();
            let mut pays: Vec<_> = (0..4).map(|_| (self.fresh(), 10 * BTC)).collect();
            pays.push((self.fresh(), 10 * BTC - FEE));
            joined.extend(self.pay(&[clean], &pays).into_iter().take(4));
        }
        let mut pays = vec![(service.clone(), JOINED)];
        pays.extend((1..joined.len()).map(|_| (self.fresh(), JOINED)));
        let made = self.pay(&joined, &pays);
        self.pool.extend(&made[1..]);
        self.mine();
    }

    /// A payout to a thousand scripts; half of the coins are merged by ten.
    fn pay_out(&mut self, coin: Purse) {
        let mut pays: Vec<_> = (0..999).map(|_| (self.fresh(), BTC / 5)).collect();
        pays.push((self.fresh(), coin.value - 999 * (BTC / 5) - 50_000));
        let mut made = self.pay(&[coin], &pays);
        self.pool.extend(made.pop());
        self.mine();
        for ten in made.chunks(10).take(50) {
            let pays = [(self.fresh(), ten.iter().map(|coin| coin.value).sum::<u64>() - FEE)];
            let merged = self.pay(ten, &pays);
            self.pool.extend(merged);
        }
        self.mine();
    }

    /// Dust, a burnt coin, and one that anyone can spend. Merges a hundred coins of dust, and returns that coin.
    fn burn_and_sweep_dust(&mut self, coin: Purse) -> Purse {
        let mut pays: Vec<_> = (0..DUST.0).map(|_| (self.fresh(), DUST.1)).collect();
        pays.push((self.chain.script(Shape::OpReturn, 21), BTC / 100));
        pays.push((self.chain.script(Shape::Empty, 0), BTC / 50));
        let paid: u64 = pays.iter().map(|(_, value)| value).sum();
        pays.push((self.fresh(), coin.value - paid - 50_000));
        let mut made = self.pay(&[coin], &pays);
        self.pool.extend(made.pop());
        let pays = [(self.fresh(), 100 * DUST.1 - FEE)];
        let merged = self.pay(&made[..100], &pays)[0];
        self.mine();
        merged
    }

    /// Pays `value` to the service, first, and the rest to a new script.
    fn cash_out(&mut self, coin: Purse, service: &ScriptBuf, value: u64) -> Vec<Purse> {
        let pays = [(service.clone(), value), (self.fresh(), coin.value - value - FEE)];
        let made = self.pay(&[coin], &pays);
        self.mine();
        made
    }

    /// Blocks of random splits, merges, mixes and deposits, and of transactions of bystanders; `count` in each.
    fn wander_blocks(&mut self, blocks: usize, service: &ScriptBuf, count: usize) {
        for _ in 0..blocks {
            for _ in 0..count {
                if self.rng.once_in(10) {
                    self.stand_by();
                } else {
                    self.wander(service);
                }
            }
            self.mine();
        }
    }

    fn take(&mut self) -> Purse {
        let at = self.rng.index(self.pool.len());
        self.pool.swap_remove(at)
    }

    fn wander(&mut self, service: &ScriptBuf) {
        let crowded = self.pool.len() > 900;
        let mut inputs = vec![self.take()];
        for _ in 0..self.rng.index(if crowded { 4 } else { 2 }) {
            inputs.push(self.take());
        }
        if self.rng.once_in(16)
            && let Some(clean) = self.clean.pop()
        {
            let at = self.rng.index(inputs.len() + 1);
            inputs.insert(at, clean);
        }
        let mut left = inputs.iter().map(|coin| coin.value).sum::<u64>() - FEE;
        let mut pays = Vec::new();
        if self.rng.once_in(40) {
            let value = left / 4;
            pays.push((service.clone(), value));
            left -= value;
        }
        if self.rng.once_in(80) {
            pays.push((self.chain.script(Shape::OpReturn, self.next_key), 1_000));
            left -= 1_000;
        }
        let kept = pays.len();
        for _ in 0..self.rng.index(if crowded { 2 } else { 4 }) {
            let value = self.rng.below(left / 2);
            pays.push((self.fresh(), value));
            left -= value;
        }
        pays.push((self.fresh(), left));
        let made = self.pay(&inputs, &pays);
        // Small coins stay where they are.
        self.pool.extend(made.into_iter().skip(kept).filter(|coin| coin.value > BTC / 50));
    }

    fn stand_by(&mut self) {
        let at = self.rng.index(self.bystanders.len());
        let coin = self.bystanders.swap_remove(at);
        let pays = [(self.fresh(), coin.value / 2), (self.fresh(), coin.value - coin.value / 2 - FEE)];
        let made = self.pay(&[coin], &pays);
        self.bystanders.extend(made.into_iter().filter(|coin| coin.value > BTC / 50));
    }
}
