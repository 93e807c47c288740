//! The rows of the answer, rule by rule, from the trail of a pass.

use std::collections::HashMap;

use bitcoin::Script;

use super::answer::{Frontier, MoveRow, PaymentRow, RuleAnswer, ServiceRow, TaintedInputRow, TraceSum, TracedCoinRow};
use super::coin::{TaintHeld, TracedCoin, Trail};
use crate::chain::Chain;
use crate::query::facts::CoinState;
use crate::trace::Rule;

/// The indices of the coins in the order of answers: first the sources that only their spend made sources, by those spends; then the
/// other sources; then the other coins, both in chain order.
pub fn order(trail: &Trail) -> Vec<usize> {
    let mut order: Vec<usize> = (0..trail.coins.len()).collect();
    order.sort_by_key(|number| {
        let coin = &trail.coins[*number];
        (!coin.source, coin.by_spend.is_none(), coin.by_spend, coin.made, coin.outpoint.vout)
    });
    order
}

/// The answer under one rule, the `number`th of the question.
pub fn of_rule(chain: Chain, trail: &Trail, order: &[usize], number: usize, rule: Rule) -> RuleAnswer {
    let mut answer = RuleAnswer {
        rule,
        coins: Vec::new(),
        sum: TraceSum::default(),
        frontier: Frontier::default(),
        services: Vec::new(),
        transactions: Vec::new(),
    };
    let mut services: HashMap<&Script, usize> = HashMap::new();
    for coin in order.iter().map(|index| &trail.coins[*index]) {
        let Some(held) = coin.holds[number].as_ref().filter(|held| held.taint.amount > 0) else { continue };
        add(&mut answer, coin, held);
        let row = coin_row(chain, coin, held);
        if held.state == CoinState::Service {
            let services_row = services.entry(&coin.listing.script).or_insert_with(|| {
                answer.services.push(ServiceRow { info: row.info.clone(), taint_sat: 0, payments: Vec::new() });
                answer.services.len() - 1
            });
            let service = &mut answer.services[*services_row];
            service.taint_sat += row.taint_sat;
            let TracedCoinRow { outpoint, height, time, taint_sat, hops, .. } = row;
            service.payments.push(PaymentRow { outpoint, height, time, taint_sat, hops });
        }
        answer.coins.push(row);
    }
    // Stable: of equal sums, the first reached.
    answer.services.sort_by_key(|service| std::cmp::Reverse(service.taint_sat));
    answer.transactions = moves(trail, number);
    answer.sum.fees_sat = trail.moves.iter().map(|spend| spend.fees[number]).fold(0, u64::saturating_add);
    answer
}

/// Adds a coin to the sums.
fn add(answer: &mut RuleAnswer, coin: &TracedCoin, held: &TaintHeld) {
    let (sum, frontier, taint) = (&mut answer.sum, &mut answer.frontier, held.taint.amount);
    if coin.source {
        sum.source_sat = sum.source_sat.saturating_add(coin.value.saturating_sub(held.carried));
    }
    let parts: [Option<&mut u64>; 2] = match held.state {
        CoinState::Spent => [None, None],
        CoinState::Unspent => [Some(&mut sum.unspent_sat), None],
        CoinState::Unspendable => [Some(&mut sum.unspendable_sat), None],
        CoinState::Service => [Some(&mut sum.service_sat), None],
        CoinState::Flagged => [Some(&mut sum.flagged_sat), None],
        CoinState::AnyoneCanSpend => [Some(&mut sum.frontier_sat), Some(&mut frontier.anyone_can_spend_sat)],
        CoinState::MaxHops => [Some(&mut sum.frontier_sat), Some(&mut frontier.max_hops_sat)],
        CoinState::BelowMinTaint => [Some(&mut sum.frontier_sat), Some(&mut frontier.below_min_taint_sat)],
        CoinState::TooFragmented => [Some(&mut sum.frontier_sat), Some(&mut frontier.too_fragmented_sat)],
        CoinState::NotFollowed => [Some(&mut sum.frontier_sat), Some(&mut frontier.not_followed_sat)],
    };
    for part in parts.into_iter().flatten() {
        *part = part.saturating_add(taint);
    }
}

fn coin_row(chain: Chain, coin: &TracedCoin, held: &TaintHeld) -> TracedCoinRow {
    TracedCoinRow {
        outpoint: coin.outpoint,
        height: coin.made.filter(|_| held.since_made).map(|made| made.height),
        time: coin.time.filter(|_| held.since_made),
        value_sat: coin.value,
        taint_sat: held.taint.amount,
        carried_sat: held.carried,
        hops: held.taint.hops,
        info: coin.listing.info(chain),
        state: held.state,
        spent_by: coin.spent_by.clone().filter(|_| held.state == CoinState::Spent),
    }
}

/// The transactions that spent taint under one rule.
fn moves(trail: &Trail, number: usize) -> Vec<MoveRow> {
    let rows = trail.moves.iter().map(|spend| {
        let inputs = spend.inputs.iter().map(|(vin, outpoint, taints)| TaintedInputRow {
            outpoint: *outpoint,
            vin: *vin,
            taint_sat: taints[number],
        });
        MoveRow {
            txid: spend.txid,
            height: spend.at.height,
            tx_index: spend.at.tx_index,
            time: spend.time,
            inputs: inputs.filter(|input| input.taint_sat > 0).collect(),
            fees_sat: spend.fees[number],
        }
    });
    rows.filter(|row| !row.inputs.is_empty()).collect()
}
