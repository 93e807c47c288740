//! As many coins to follow as a test wants: a flagged coin is paid out to a crowd, half of which has spent it, partly together with
//! clean coins.

use bitcoin::{OutPoint, ScriptBuf, Transaction};

use crate::support::chain::{Purse, RegtestChain, purses};
use crate::support::scripts::Shape;

/// Number of outputs of a payout.
const PAYOUT: usize = 500;
const BTC: u64 = 100_000_000;
const FEE: u64 = 1_000;

/// A chain with a crowd on it.
pub struct Crowd {
    /// The chain.
    pub chain: RegtestChain,
    /// The flagged script.
    pub flagged: ScriptBuf,
    /// Every coin that descends from the flagged one, that first.
    pub coins: Vec<OutPoint>,
    /// Number of unspent coins among these.
    pub live: usize,
}

impl Crowd {
    /// A crowd with about `coins` coins, which need no signature. Each holds enough taint to be followed.
    pub fn new(coins: usize) -> Self {
        let mut chain = RegtestChain::regtest(100_000);
        chain.mine_empty(220);
        let mut coinbases = chain.blocks()[1..=110].iter().map(|block| purses(&block.txdata[0])[0]).collect::<Vec<_>>();
        let mut keys = 0;
        let mut script = |chain: &RegtestChain| {
            keys += 1;
            chain.script(Shape::WitnessV1Odd, keys)
        };
        let flagged = script(&chain);
        let victims: Vec<Purse> = coinbases.drain(..32).collect();
        let stolen = chain.pay(&victims, &[(flagged.clone(), 1_580 * BTC)]);
        let source = purses(&stolen)[0];
        chain.mine(vec![stolen]);
        let mut all = vec![source.at];

        let mut fan = |chain: &mut RegtestChain, from: &[Purse], parts: usize| {
            let mut made = Vec::new();
            for some in from.chunks(50) {
                let split = |coin: &Purse| {
                    let pays: Vec<_> = (0..parts).map(|_| (script(chain), (coin.value - FEE) / parts as u64)).collect();
                    chain.pay(&[*coin], &pays)
                };
                let transactions: Vec<Transaction> = some.iter().map(split).collect();
                made.extend(transactions.iter().flat_map(purses));
                chain.mine(transactions);
            }
            made
        };
        let roots = fan(&mut chain, &[source], (coins / 2).div_ceil(PAYOUT));
        let paid = fan(&mut chain, &roots, PAYOUT);
        // A clean coin for every second pair.
        let wanted = paid.len().div_ceil(4 * PAYOUT);
        let clean = fan(&mut chain, &coinbases[..wanted], PAYOUT);
        all.extend(roots.iter().chain(&paid).map(|purse| purse.at));

        let pairs: Vec<&[Purse]> = paid.chunks(2).collect();
        let mut clean = clean.into_iter();
        let mut moved = 0;
        for some in pairs.chunks(2_000) {
            let mut transactions = Vec::new();
            for (number, pair) in some.iter().enumerate() {
                let mixed = if number % 2 == 0 { clean.next() } else { None };
                let inputs: Vec<Purse> = pair.iter().copied().chain(mixed).collect();
                let value = inputs.iter().map(|purse| purse.value).sum::<u64>() - FEE;
                let pays = [(script(&chain), value / 3), (script(&chain), value - value / 3)];
                transactions.push(chain.pay(&inputs, &pays));
            }
            moved += transactions.len();
            all.extend(transactions.iter().flat_map(purses).map(|purse| purse.at));
            chain.mine(transactions);
        }
        Self { chain, flagged, coins: all, live: 2 * moved }
    }
}
