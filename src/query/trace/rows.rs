//! From what the pass found to what is answered, rule by rule.

use std::collections::HashMap;

use bitcoin::Script;

use super::answer::{BroughtRow, CoinRow, CoinState, Frontier, MoveRow, PaymentRow, RuleAnswer, ServiceRow, Sum};
use super::coin::{Coin, Held, Walk};
use crate::query::Snapshot;
use crate::trace::Rule;

/// The numbers of the coins in the order of answers: the sources that only their spends made so, in the order of these; then the
/// other sources, then all else, in chain order.
pub fn order(walk: &Walk) -> Vec<usize> {
    let mut order: Vec<usize> = (0..walk.coins.len()).collect();
    order.sort_by_key(|number| {
        let coin = &walk.coins[*number];
        (!coin.source, coin.by_spend.is_none(), coin.by_spend, coin.made, coin.outpoint.vout)
    });
    order
}

/// The answer under the rule of this number.
pub fn of_rule(snapshot: &Snapshot, walk: &Walk, order: &[usize], number: usize, rule: Rule) -> RuleAnswer {
    let held = |at: &usize| walk.coins[*at].holds[number].as_ref().map(|held| (&walk.coins[*at], held));
    let mut answer = RuleAnswer {
        rule,
        coins: Vec::new(),
        sum: Sum::default(),
        frontier: Frontier::default(),
        services: Vec::new(),
        transactions: Vec::new(),
    };
    let mut services: HashMap<&Script, usize> = HashMap::new();
    for (coin, held) in order.iter().filter_map(held).filter(|(_, held)| held.taint.amount > 0) {
        add(&mut answer, coin, held);
        let row = coin_row(snapshot, coin, held);
        if held.state == CoinState::Service {
            let services_row = services.entry(&coin.place.script).or_insert_with(|| {
                answer.services.push(ServiceRow {
                    script: row.script.clone(),
                    address: row.address.clone(),
                    labels: row.labels.clone(),
                    taint_sat: 0,
                    payments: Vec::new(),
                });
                answer.services.len() - 1
            });
            let service = &mut answer.services[*services_row];
            service.taint_sat += row.taint_sat;
            let CoinRow { outpoint, height, time, taint_sat, hops, .. } = row;
            service.payments.push(PaymentRow { outpoint, height, time, taint_sat, hops });
        }
        answer.coins.push(row);
    }
    // Stable: of equal sums, the first that was reached.
    answer.services.sort_by_key(|service| std::cmp::Reverse(service.taint_sat));
    answer.transactions = moves(walk, number);
    answer.sum.fees_sat = walk.moves.iter().map(|spend| spend.fees[number]).fold(0, u64::saturating_add);
    answer
}

/// Adds a coin to the sums.
fn add(answer: &mut RuleAnswer, coin: &Coin, held: &Held) {
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
        CoinState::NotFollowed => [Some(&mut sum.frontier_sat), Some(&mut frontier.not_followed_sat)],
    };
    for part in parts.into_iter().flatten() {
        *part = part.saturating_add(taint);
    }
}

fn coin_row(snapshot: &Snapshot, coin: &Coin, held: &Held) -> CoinRow {
    let place = &coin.place;
    CoinRow {
        outpoint: coin.outpoint,
        height: coin.made.filter(|_| held.since_made).map(|made| made.height),
        time: coin.time.filter(|_| held.since_made),
        value_sat: coin.value,
        taint_sat: held.taint.amount,
        carried_sat: held.carried,
        hops: held.taint.hops,
        script: place.script.to_hex_string(),
        address: snapshot.address(&place.script),
        labels: place.labels.clone(),
        state: held.state,
        spent_by: coin.spent_by.clone().filter(|_| held.state == CoinState::Spent),
    }
}

/// The transactions that spent taint under one rule.
fn moves(walk: &Walk, number: usize) -> Vec<MoveRow> {
    let rows = walk.moves.iter().map(|spend| {
        let brought = spend.brought.iter().map(|(vin, outpoint, taints)| BroughtRow {
            outpoint: *outpoint,
            vin: *vin,
            taint_sat: taints[number],
        });
        MoveRow {
            txid: spend.txid,
            height: spend.at.height,
            tx_index: spend.at.tx_index,
            time: spend.time,
            inputs: brought.filter(|input| input.taint_sat > 0).collect(),
            fees_sat: spend.fees[number],
        }
    });
    rows.filter(|row| !row.inputs.is_empty()).collect()
}
