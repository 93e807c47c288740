//! Chains in which coins are merged so that one holds many runs of tainted and clean satoshis.

use bitcoin::{OutPoint, ScriptBuf};

use crate::support::chain::{RegtestChain, outputs};
use crate::support::scripts::Shape;

/// A script that anyone can spend, so that thousands of inputs need no signature; each number is another script.
pub fn free(number: u8) -> ScriptBuf {
    chain().script(Shape::Drop, number.into())
}

fn chain() -> RegtestChain {
    RegtestChain::regtest(9)
}

/// A chain in which the coins of these scripts, by number, were merged in this order into one coin, which then moved `moves` times.
pub fn merged(order: &[u8], moves: usize) -> RegtestChain {
    const VALUE: u64 = 100_000;
    let mut chain = chain();
    // The wallet signs for the scripts that it made.
    (1..10).for_each(|number| drop(chain.script(Shape::Drop, number)));
    let paid: Vec<_> = order.iter().map(|number| (free(*number), VALUE)).collect();
    let coinbase = chain.mine_paying(Vec::new(), &paid).txdata[0].clone();
    chain.mine_empty(100);
    let coins: Vec<OutPoint> = outputs(&coinbase).map(|(at, _)| at).take(order.len()).collect();
    let mut value = VALUE * order.len() as u64;
    let mut last = chain.spend(&coins, &[(free(9), value)]);
    let mut block = vec![last.clone()];
    for _ in 0..moves {
        value -= 1;
        last = chain.spend(&[OutPoint { txid: last.compute_txid(), vout: 0 }], &[(free(9), value)]);
        block.push(last.clone());
    }
    chain.mine(block);
    chain.mine_empty(2);
    chain
}
