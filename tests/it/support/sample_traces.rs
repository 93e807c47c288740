//! Made-up answers of `trace`: a theft over six addresses, split, peeled, merged, mixed, paid to services.
//!
//! The transactions are made up, but taint passes through them by coinhound's own rules, so every sum adds up.

use coinhound::trace::flow::PassedTaint;
use coinhound::trace::{Fate, Gates, OutputKind, Rule, RuleTaint, Taint, TracedInput, TracedOutput, pass};
use serde_json::{Value, json};

const RULES: [Rule; 2] = [Rule::Haircut, Rule::Fifo];
const SERVICES: [&str; 9] = [
    "Exchange A",
    "Exchange B",
    "Exchange C",
    "Mixer M",
    "Exchange D",
    "Casino",
    "Gift cards",
    "Exchange E",
    "Swap service",
];

struct SampleCoin {
    outpoint: String,
    height: u32,
    value: u64,
    holder: u64,
    labels: Vec<String>,
    kind: OutputKind,
    taints: Vec<Option<RuleTaint>>,
    carried: Vec<u64>,
    spent: Option<(String, u32, u32)>,
}

struct SampleTransaction {
    txid: String,
    height: u32,
    index: u32,
    fees: Vec<Option<u64>>,
}

/// A made-up theft.
pub struct SampleTheft {
    coins: Vec<SampleCoin>,
    moves: Vec<SampleTransaction>,
    live: Vec<usize>,
    height: u32,
    index: u32,
    dice: u64,
    label: String,
}

impl SampleTheft {
    /// 1,580 BTC over six addresses, moved until about `size` coins hold some of it. The same seed makes the same theft.
    pub fn new(size: usize, seed: u64, label: &str) -> Self {
        let (coins, moves, live) = (Vec::new(), Vec::new(), Vec::new());
        let mut theft = Self {
            coins,
            moves,
            live,
            height: 800_000,
            index: 1,
            dice: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            label: label.to_owned(),
        };
        for (number, value) in
            [70_000_000_000, 35_000_000_000, 22_000_000_000, 16_000_000_000, 10_000_000_000, 5_000_000_000]
                .into_iter()
                .enumerate()
        {
            let output = (value, OutputKind::Source, number as u64, vec![theft.label.clone()]);
            theft.spend(&[], 0, &[output]);
        }
        while theft.coins.len() < size && !theft.live.is_empty() {
            theft.step();
        }
        theft
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides
    }

    /// A random index below `length`.
    fn pick(&mut self, length: usize) -> usize {
        usize::try_from(self.roll(length as u64)).expect("less than a length")
    }

    fn plain(&mut self, value: u64) -> (u64, OutputKind, u64, Vec<String>) {
        let holder = 1_000 + self.roll(1 << 40);
        (value, OutputKind::Plain, holder, Vec::new())
    }

    fn service(&mut self, value: u64) -> (u64, OutputKind, u64, Vec<String>) {
        let which = self.pick(SERVICES.len()).min(self.pick(SERVICES.len()));
        (value, OutputKind::Service, 100 + which as u64, vec![SERVICES[which].to_owned()])
    }

    /// Makes one more transaction, or a few, of a kind that thieves make.
    fn step(&mut self) {
        // Larger coins are moved sooner.
        let tries: Vec<_> = (0..3).map(|_| self.pick(self.live.len())).collect();
        let best = tries.into_iter().max_by_key(|at| self.coins[self.live[*at]].value).unwrap_or_default();
        let coin = self.live.swap_remove(best);
        let value = self.coins[coin].value;
        let fee = 2_000 + self.roll(8_000);
        if value < 400_000 {
            return;
        }
        match self.roll(100) {
            // Split into a few.
            0..=24 => {
                let parts = 2 + self.roll(4);
                self.split(coin, value - fee, parts);
            }
            // A peel chain: many small payments, each from the change of the one before.
            25..=59 => self.peel(coin, fee),
            // Merged with others.
            60..=74 => {
                let mut inputs = vec![coin];
                for _ in 0..1 + self.roll(4) {
                    if !self.live.is_empty() {
                        let other = self.pick(self.live.len());
                        inputs.push(self.live.swap_remove(other));
                    }
                }
                let value: u64 = inputs.iter().map(|coin| self.coins[*coin].value).sum();
                let outputs = [self.plain((value - fee) / 3 * 2), self.plain((value - fee) / 3)];
                self.spend(&inputs, 0, &outputs);
            }
            // A coinjoin: clean inputs, and equal outputs.
            75..=84 => {
                let clean = value * 4;
                let outputs: Vec<_> = (0..10).map(|_| self.plain((value + clean - fee) / 10)).collect();
                self.spend(&[coin], clean, &outputs);
            }
            // All of it to a service.
            85..=89 => {
                let outputs = [self.service(value - fee)];
                self.spend(&[coin], 0, &outputs);
            }
            // To another flagged script, with an unspendable output.
            90..=91 => {
                let holder = self.roll(3);
                let outputs = [
                    (value - fee - 500, OutputKind::Plain, 50 + holder, vec![format!("Ransomware {holder}")]),
                    (500, OutputKind::Unspendable, 0, Vec::new()),
                ];
                self.spend(&[coin], 0, &outputs);
            }
            // A payout to many scripts.
            92..=94 => {
                let parts = 20 + self.roll(30);
                self.split(coin, value - fee, parts);
            }
            // Left unspent.
            _ => {}
        }
    }

    /// Splits a coin into equal parts, which are worth `value` together.
    fn split(&mut self, coin: usize, value: u64, parts: u64) {
        let outputs: Vec<_> = (0..parts).map(|_| self.plain(value / parts)).collect();
        self.spend(&[coin], 0, &outputs);
    }

    /// Makes a peel chain.
    fn peel(&mut self, mut coin: usize, fee: u64) {
        for _ in 0..1 + self.roll(14) {
            let value = self.coins[coin].value;
            if value < 2_000_000 {
                break;
            }
            let peel = value / (12 + self.roll(60));
            let paid = if self.roll(3) == 0 { self.service(peel) } else { self.plain(peel) };
            let change = self.plain(value - peel - fee);
            let made = self.spend(&[coin], 0, &[paid, change]);
            self.live.pop_if(|live| *live == made + 1);
            coin = made + 1;
        }
        self.live.push(coin);
    }

    /// Makes a transaction; returns the index of its first output among all coins.
    fn spend(&mut self, inputs: &[usize], clean: u64, outputs: &[(u64, OutputKind, u64, Vec<String>)]) -> usize {
        if self.roll(3) == 0 {
            self.height += 1 + u32::try_from(self.roll(40)).expect("small");
            self.index = 1;
        }
        self.index += 1;
        let (high, low) = (self.roll(u64::MAX), self.roll(u64::MAX));
        let txid = format!("{high:016x}{low:016x}{:016x}{:016x}", high ^ low, self.coins.len());
        let passed: Vec<_> = (0..RULES.len()).map(|rule| self.pass(rule, inputs, clean, outputs)).collect();
        for (vin, coin) in (0..).zip(inputs) {
            self.coins[*coin].spent = Some((txid.clone(), vin, self.height));
        }
        if !inputs.is_empty() {
            let fees = passed.iter().map(|(moved, passed)| moved.then_some(passed.fee)).collect();
            self.moves.push(SampleTransaction { txid: txid.clone(), height: self.height, index: self.index, fees });
        }
        let first = self.coins.len();
        for (vout, (value, kind, holder, labels)) in outputs.iter().enumerate() {
            let taints: Vec<_> = passed.iter().map(|(_, passed)| passed.outputs[vout].clone()).collect();
            if taints.iter().flatten().any(|taint| taint.fate == Fate::Followed) {
                self.live.push(self.coins.len());
            }
            self.coins.push(SampleCoin {
                outpoint: format!("{txid}:{vout}"),
                height: self.height,
                value: *value,
                holder: *holder,
                labels: labels.clone(),
                kind: *kind,
                taints,
                carried: passed.iter().map(|(_, passed)| passed.received[vout]).collect(),
                spent: None,
            });
        }
        first
    }

    /// Passes taint through a transaction under a rule; also returns whether its inputs bring any.
    fn pass(
        &self,
        rule: usize,
        inputs: &[usize],
        clean: u64,
        outputs: &[(u64, OutputKind, u64, Vec<String>)],
    ) -> (bool, PassedTaint) {
        let held = |coin: &usize| {
            let coin = &self.coins[*coin];
            let taint = coin.taints[rule].as_ref().and_then(RuleTaint::carried).cloned();
            (coin.value, coin.kind == OutputKind::Source, taint)
        };
        let held: Vec<(u64, bool, Option<Taint>)> =
            inputs.iter().map(held).chain((clean > 0).then_some((clean, false, None))).collect();
        let parts: Vec<_> = held
            .iter()
            .map(|(value, whole, taint)| TracedInput { value: *value, whole: *whole, taint: taint.as_ref() })
            .collect();
        let values = outputs.iter().map(|(value, kind, ..)| TracedOutput { value: *value, kind: *kind });
        let gates = Gates { min_taint: 100_000, max_hops: None };
        let passed = pass(RULES[rule], gates, &parts, &values.collect::<Vec<_>>());
        (held.iter().any(|(_, whole, taint)| *whole || taint.is_some()), passed)
    }

    fn time(height: u32) -> i64 {
        1_690_000_000 + i64::from(height - 800_000) * 597
    }

    /// The answer of `trace`.
    pub fn answer(&self) -> Value {
        let rules: Vec<_> = (0..RULES.len()).map(|number| self.rule(number)).collect();
        let sources = || self.coins.iter().filter(|coin| coin.kind == OutputKind::Source);
        json!({
            "coverage": {
                "chain": "main", "from": 0, "through": self.height, "tip": "00000000000000000002a7c4c1e48d76c5a37902165a270156b7a8d72728a054",
                "tip_time": 1_700_000_000, "age_s": 5, "node": null, "lag": null, "complete": true, "why": [], "lists": "5f0ad4b3e1f7ad0e9d5c4fe2a3b0f4d2a4f6f5ab0a3d0e1c6d1c5a9f2c3b7e11", "lists_changed": false, "quarantined": 0,
                "trace": {"rules": ["haircut", "fifo"], "min_taint_sat": 100_000, "max_hops": null, "settled": self.height}, "gaps": [],
            },
            "source": {
                "target": format!("label:{}", self.label), "coins": sources().map(|coin| coin.outpoint.clone()).collect::<Vec<_>>(),
                "coins_sat": sources().map(|coin| coin.value).sum::<u64>(),
            },
            "at": {"height": self.height, "hash": null, "time": null}, "gates": {"min_taint_sat": 100_000, "max_hops": null, "stop_flagged": false}, "unknown": [], "rules": rules,
        })
    }

    fn rule(&self, number: usize) -> Value {
        let (mut rows, mut late) = (Vec::new(), Vec::new());
        let (mut unspent, mut unspendable, mut service, mut frontier, mut source) = (0, 0, 0, 0, 0);
        for coin in &self.coins {
            let Some(column) = &coin.taints[number] else { continue };
            let state = match column.fate {
                Fate::Followed | Fate::FlaggedService if coin.spent.is_some() => "spent",
                Fate::Followed | Fate::FlaggedService => "unspent",
                Fate::Service => "service",
                Fate::Unspendable => "unspendable",
                Fate::AnyoneCanSpend => "anyone_can_spend",
                Fate::MaxHops => "max_hops",
                Fate::BelowMinTaint => "below_min_taint",
                Fate::TooFragmented => "too_fragmented",
            };
            let taint = column.taint.amount;
            match state {
                "spent" => {}
                "unspent" => unspent += taint,
                "unspendable" => unspendable += taint,
                "service" => service += taint,
                _ => frontier += taint,
            }
            if coin.kind == OutputKind::Source {
                source += taint - coin.carried[number];
            }
            let by = coin
                .spent
                .as_ref()
                .filter(|_| state == "spent")
                .map(|(txid, vin, height)| json!({"txid": txid, "vin": vin, "height": height}));
            let row = json!({
                "outpoint": coin.outpoint, "height": coin.height, "time": Self::time(coin.height), "value_sat": coin.value, "taint_sat": taint,
                "carried_sat": if coin.kind == OutputKind::Source { coin.carried[number] } else { taint }, "hops": column.taint.hops,
                "script": format!("0014{:040x}", coin.holder), "address": format!("bc1q{}", word(coin.holder)), "labels": coin.labels,
                "state": state, "spent_by": by,
            });
            if coin.kind == OutputKind::Source { rows.push(row) } else { late.push(row) }
        }
        rows.append(&mut late);
        let moved = self.moves.iter().filter_map(|row| row.fees[number].map(|fee| (row, fee)));
        let fees: u64 = moved.clone().map(|(_, fee)| fee).sum();
        let moves: Vec<_> = moved.map(|(row, fee)| json!({
            "txid": row.txid, "height": row.height, "tx_index": row.index, "time": Self::time(row.height), "inputs": [], "fees_sat": fee,
        })).collect();
        assert_eq!(source, unspent + unspendable + fees + service + frontier, "the made-up trace adds up");
        json!({
            "rule": RULES[number].name(), "coins": rows, "transactions": moves, "services": [],
            "frontier": {"anyone_can_spend_sat": 0, "max_hops_sat": 0, "below_min_taint_sat": frontier, "too_fragmented_sat": 0, "not_followed_sat": 0},
            "sum": {"source_sat": source, "unspent_sat": unspent, "unspendable_sat": unspendable, "fees_sat": fees, "service_sat": service, "flagged_sat": 0, "frontier_sat": frontier},
        })
    }
}

/// Letters and digits as an address has, the same for the same number.
fn word(number: u64) -> String {
    let mut state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let letter = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"[(state >> 59) as usize])
    };
    (0..38).map(letter).collect()
}
