//! Chains of traffic on one flagged script: a wallet that pays and is paid all day, payouts of many inputs and outputs, one sweep of
//! thousands of inputs.

use bitcoin::{OutPoint, ScriptBuf};

use crate::support::chain::{RegtestChain, outputs};
use crate::support::scripts::Shape;

/// One kind of traffic: in each block one transaction, whose outputs pay in turn elsewhere and to the flagged script.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    pub name: &'static str,
    /// Inputs of a transaction, each on the flagged script.
    pub inputs: usize,
    /// Its outputs.
    pub paid: usize,
    /// The number of transactions.
    pub blocks: usize,
}

impl Traffic {
    /// The three kinds, with `blocks` transactions and `inputs` inputs in the last.
    pub fn kinds(blocks: usize, inputs: usize) -> [Self; 3] {
        [
            Self { name: "a hot wallet's traffic", inputs: 1, paid: 2, blocks },
            Self { name: "20 in, 10 out", inputs: 20, paid: 10, blocks: blocks / 3 },
            Self { name: "one of thousands of inputs", inputs, paid: 1, blocks: 1 },
        ]
    }

    /// The chain, and the flagged script. Anyone can spend its coins: signing so many inputs would take minutes.
    pub fn chain(self) -> (RegtestChain, ScriptBuf) {
        const VALUE: u64 = 200_000;
        let Self { inputs, paid, blocks, .. } = self;
        let mut chain = RegtestChain::regtest(6);
        let (flagged, elsewhere) = (chain.script(Shape::Drop, 1), chain.script(Shape::Drop, 2));
        let coinbase =
            chain.mine_paying(Vec::new(), &vec![(flagged.clone(), VALUE); inputs * blocks]).txdata[0].clone();
        chain.mine_empty(100);
        let coins: Vec<OutPoint> = outputs(&coinbase).map(|(at, _)| at).take(inputs * blocks).collect();
        for coins in coins.chunks(inputs) {
            let value = VALUE * inputs as u64 / paid as u64;
            let to = |number: usize| if number.is_multiple_of(2) { elsewhere.clone() } else { flagged.clone() };
            let paid: Vec<_> = (0..paid).map(|number| (to(number), value)).collect();
            let transaction = chain.spend(coins, &paid);
            chain.mine(vec![transaction]);
        }
        (chain, flagged)
    }
}
