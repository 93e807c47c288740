//! A made-up theft in the shape of the FBI's notice: 1,580 BTC on six P2SH addresses, and what thieves do with them; a valid chain of
//! some thousand signed transactions, one branch of which was left.

use bitcoin::{Address, Network, OutPoint, ScriptBuf, Transaction};
use coinhound::trace::Rule;

use crate::oracle::taint::ListedScript;
use crate::support::chain::{RegtestChain, outputs};
use crate::support::random::Rng;
use crate::support::scripts::Shape;

/// Satoshis.
pub const BTC: u64 = 100_000_000;
/// What was stolen.
pub const STOLEN: u64 = 1_580 * BTC;
/// What the list says of the six addresses.
pub const LABEL: &str = "Made-up theft, February";
/// The services, by name.
pub const EXCHANGES: [&str; 4] = ["Exchange One", "Exchange Two", "Exchange Three", "Exchange Four"];
/// Coins with less aren't followed: the default.
pub const MIN_TAINT: u64 = 100_000;

/// What lies on each of the six, in BTC.
const HOLDINGS: [u64; 6] = [400, 350, 300, 250, 180, 100];
/// How long the peel chain is.
const PEELS: u64 = 300;
/// What each of its hops pays out.
const PEEL: u64 = 40_000_000;
/// What every transaction leaves to the miner, at least.
const FEE: u64 = 1_000;
/// Coins of too little taint, and what each holds.
const DUST: (usize, u64) = (1_000, 50_000);
/// Transactions of the wander that a block holds.
const IN_BLOCK: usize = 100;

/// A coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purse {
    /// Where it is.
    pub at: OutPoint,
    /// Satoshis.
    pub value: u64,
}

/// What a service got for certain.
#[derive(Clone, Copy, Debug)]
pub struct ServiceReceipt {
    /// Its place in [`EXCHANGES`].
    pub exchange: usize,
    /// Under which rule; every one but `poison`, where none is named.
    pub rule: Option<Rule>,
    /// Satoshis.
    pub taint: u64,
}

/// The chain, the lists, and what is known of them by their making.
pub struct Theft {
    /// The chain in the end.
    pub chain: RegtestChain,
    /// The branch that was left.
    pub stale: RegtestChain,
    /// The last block that both have.
    pub fork: u32,
    /// Height of the first block of which the thefts' coins are on the six addresses.
    pub stolen_at: u32,
    /// The lists.
    pub listed: Vec<ListedScript>,
    /// What services got.
    pub got: Vec<ServiceReceipt>,
    /// The first coin that Exchange One got, and its hops.
    pub deposit: (Purse, u32),
    /// What Exchange Two got on the branch that was left.
    pub lost: Purse,
    /// A payment that is in both branches, in different blocks.
    pub again: Transaction,
    /// An unspent coin that never met any of it.
    pub clean: Purse,
    /// An unspent coin of a hundred coins of dust.
    pub dust: Purse,
}

impl Theft {
    /// A theft whose chain has so many transactions, coinbases not counted; some 500 at least.
    pub fn new(transactions: usize) -> Self {
        let mut scene = Scene::new();
        let six: Vec<ScriptBuf> = (0..6).map(|n| scene.chain.script(Shape::P2shMultisig, 1 + n)).collect();
        let exchanges: Vec<ScriptBuf> = (0..4).map(|n| scene.chain.script(Shape::P2wpkh, 11 + n)).collect();
        let listed = |script: &ScriptBuf, flagged: Option<u32>, label: &str| ListedScript {
            script: script.clone(),
            flagged,
            service: flagged.is_none(),
            label: label.into(),
        };
        let flagged = six.iter().map(|script| listed(script, Some(0), LABEL));
        let services = exchanges.iter().zip(EXCHANGES).map(|(script, label)| listed(script, None, label));
        let listed = flagged.chain(services).collect();

        // The victim's wallet, emptied.
        let wallet: Vec<Purse> = (0..32).map(|_| scene.coinbase()).collect();
        let mut stolen: Vec<_> = six.iter().cloned().zip(HOLDINGS.map(|holding| holding * BTC)).collect();
        stolen.push((scene.fresh(), 20 * BTC - FEE));
        let stolen = scene.pay(&wallet, &stolen);
        let stolen_at = scene.mine();

        let back = scene.send_some_back(stolen[5], &six[0]);
        scene.split_up(&[stolen[0], back.0]);
        let deposit = scene.peel(stolen[1], &exchanges[0]);
        scene.coinjoin(stolen[2], &exchanges[2]);
        scene.pay_out(stolen[3]);
        let dust = scene.burn_and_sweep_dust(back.1);

        // Two branches: in one Exchange Two gets 40 BTC of the fifth coin, in the other 25.
        let fork = scene.chain.height();
        let coin = scene.take();
        let pays = [(scene.fresh(), coin.value - FEE)];
        let paid = scene.pay(&[coin], &pays);
        let again = scene.waiting.pop().expect("just paid");
        let mut left = scene.clone();
        left.chain = scene.chain.fork_at(fork);
        // The same block's worth of transactions comes on both; then they part.
        left.wander_blocks(1, &exchanges[3], 20);
        left.waiting.push(again.clone());
        let lost = left.cash_out(stolen[4], &exchanges[1], 40 * BTC)[0];
        left.wander_blocks(3, &exchanges[3], 20);
        scene.wander_blocks(2, &exchanges[3], 20);
        scene.waiting.push(again.clone());
        let rest = scene.cash_out(stolen[4], &exchanges[1], 25 * BTC)[1];
        scene.pool.extend(paid);
        scene.split_up(&[rest]);
        scene.wander_blocks(3, &exchanges[3], 20);

        while scene.transactions() < transactions {
            let count = IN_BLOCK.min(transactions - scene.transactions());
            scene.wander_blocks(1, &exchanges[3], count);
        }
        let got = |exchange, rule, taint| ServiceReceipt { exchange, rule, taint };
        let got = vec![
            got(0, None, PEELS / 10 * PEEL),
            got(1, None, 25 * BTC),
            // A fifth of it, and the first that went in.
            got(2, Some(Rule::Haircut), JOINED / 5),
            got(2, Some(Rule::Fifo), JOINED),
        ];
        let clean = scene.coinbase();
        Self { chain: scene.chain, stale: left.chain, fork, stolen_at, listed, got, deposit, lost, again, clean, dust }
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

    /// How many transactions the chain has, coinbases not counted.
    pub fn transactions(&self) -> usize {
        self.chain.blocks().iter().map(|block| block.txdata.len() - 1).sum()
    }
}

/// What each part of the coinjoin comes out as.
const JOINED: u64 = 10 * BTC - 10_000;

/// A chain while the thieves are at it.
#[derive(Clone)]
struct Scene {
    chain: RegtestChain,
    rng: Rng,
    next_key: u32,
    next_coinbase: usize,
    waiting: Vec<Transaction>,
    /// Coins that came of the theft and go on.
    pool: Vec<Purse>,
    /// Coins that didn't, to be mixed with them.
    clean: Vec<Purse>,
    /// Coins of people who have nothing to do with it.
    bystanders: Vec<Purse>,
}

impl Scene {
    fn new() -> Self {
        let mut chain = RegtestChain::regtest(1_580);
        chain.mine_empty(250);
        let (waiting, pool, clean, bystanders) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let rng = Rng::new(1_580);
        let mut scene = Self { chain, rng, next_key: 1_000, next_coinbase: 1, waiting, pool, clean, bystanders };
        for _ in 0..30 {
            let coin = scene.coinbase();
            let parts = scene.split(coin, 20);
            scene.clean.extend(parts);
        }
        scene.bystanders = (0..10).map(|_| scene.coinbase()).collect();
        scene.mine();
        scene
    }

    /// A clean coin of 50 BTC.
    fn coinbase(&mut self) -> Purse {
        let transaction = &self.chain.blocks()[self.next_coinbase].txdata[0];
        self.next_coinbase += 1;
        assert_eq!(transaction.output[0].value.to_sat(), 50 * BTC, "before the first halving");
        Purse { at: OutPoint { txid: transaction.compute_txid(), vout: 0 }, value: 50 * BTC }
    }

    /// A script that nobody used yet: most are P2WPKH, as on the main chain.
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
        let at: Vec<OutPoint> = inputs.iter().map(|purse| purse.at).collect();
        let transaction = self.chain.spend(&at, pays);
        let made = outputs(&transaction).map(|(at, output)| Purse { at, value: output.value.to_sat() }).collect();
        self.waiting.push(transaction);
        made
    }

    /// Into so many equal parts; what is left over is the fee.
    fn split(&mut self, coin: Purse, parts: u64) -> Vec<Purse> {
        let pays: Vec<_> = (0..parts).map(|_| (self.fresh(), (coin.value - FEE) / parts)).collect();
        self.pay(&[coin], &pays)
    }

    /// 10 BTC go back to a flagged address, which is no second theft; the rest comes out second.
    fn send_some_back(&mut self, coin: Purse, flagged: &ScriptBuf) -> (Purse, Purse) {
        let pays = [(flagged.clone(), 10 * BTC), (self.fresh(), coin.value - 10 * BTC - FEE)];
        let made = self.pay(&[coin], &pays);
        self.mine();
        (made[0], made[1])
    }

    /// By twenty, and by twenty again, partly in the block that made them.
    fn split_up(&mut self, coins: &[Purse]) {
        for coin in coins {
            for part in self.split(*coin, 20) {
                let parts = self.split(part, 20);
                self.pool.extend(parts);
            }
            self.mine();
        }
    }

    /// A chain that pays a little at each hop, every tenth time to the service. Gives the first of these, with its hops.
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

    /// Five coins of the theft and twenty clean ones go in first to last; all that comes out looks the same. The service gets the first.
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

    /// A payout to a thousand, half of whom merge what they got by ten.
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

    /// Dust, a burnt coin, and one that anyone can take. A hundred coins of dust are merged: that coin.
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

    /// So much to the service, first; the rest to a script of one's own.
    fn cash_out(&mut self, coin: Purse, service: &ScriptBuf, value: u64) -> Vec<Purse> {
        let pays = [(service.clone(), value), (self.fresh(), coin.value - value - FEE)];
        let made = self.pay(&[coin], &pays);
        self.mine();
        made
    }

    /// Blocks of splits, merges, mixes and deposits, and of what others do meanwhile; so many transactions in each.
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
        // What is too little to go on with stays where it is.
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
