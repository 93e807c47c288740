//! A trace as one graph: coins and transactions are its nodes, spends and payments its edges, each with its taint under each rule.

use std::collections::HashMap;

use super::input::{Coin, Move, State, Trace};

/// The graph; rules by their place in the answer.
pub struct Graph<'a> {
    /// The rules' names.
    pub rules: Vec<&'a str>,
    /// Each coin once, in the order the answer first names them.
    pub coins: Vec<CoinNode<'a>>,
    /// Each transaction once.
    pub transactions: Vec<TxNode<'a>>,
    /// Transaction to coin.
    pub payments: Vec<Edge>,
    /// Coin to transaction.
    pub spends: Vec<Edge>,
}

/// A coin, and what each rule says of it: nothing where it holds no taint under that rule.
pub struct CoinNode<'a> {
    /// Unique: the outpoint, and for the second of two twins (BIP30) its height.
    pub id: String,
    /// What all rules agree on, and what the first says.
    pub coin: &'a Coin,
    /// Taint, hops and state by rule.
    pub taints: Vec<Option<(u64, u32, State)>>,
}

/// A transaction that spent tainted coins.
pub struct TxNode<'a> {
    /// Its block and time.
    pub row: &'a Move,
    /// Its tainted fee, by rule; `None` where it moved no taint under that rule.
    pub fees: Vec<Option<u64>>,
}

/// Taint that passes between a coin and a transaction.
pub struct Edge {
    /// Which of the coins.
    pub coin: usize,
    /// Which of the transactions.
    pub transaction: usize,
    /// The input, where the transaction spends the coin.
    pub vin: Option<u32>,
    /// Satoshis by rule.
    pub taints: Vec<Option<u64>>,
}

impl<'a> Graph<'a> {
    /// The graph of all rules of a trace.
    pub fn new(trace: &'a Trace) -> Self {
        let rules: Vec<_> = trace.rules.iter().map(|answer| answer.rule.as_str()).collect();
        let mut graph =
            Self { rules, coins: Vec::new(), transactions: Vec::new(), payments: Vec::new(), spends: Vec::new() };
        let (mut coins, mut transactions, mut edges) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (rule, answer) in trace.rules.iter().enumerate() {
            for row in &answer.transactions {
                let number = *transactions.entry(row.txid.as_str()).or_insert_with(|| {
                    graph.transactions.push(TxNode { row, fees: vec![None; trace.rules.len()] });
                    graph.transactions.len() - 1
                });
                graph.transactions[number].fees[rule] = Some(row.fees_sat);
            }
            for coin in &answer.coins {
                let number = graph.coin(&mut coins, coin, trace.rules.len());
                graph.coins[number].taints[rule] = Some((coin.taint_sat, coin.hops, coin.state));
                if let Some(transaction) = transactions.get(coin.parts().0).filter(|_| coin.carried() > 0) {
                    let edge = Edge {
                        coin: number,
                        transaction: *transaction,
                        vin: None,
                        taints: vec![None; trace.rules.len()],
                    };
                    let at = keep(&mut graph.payments, &mut edges, (false, number), edge);
                    graph.payments[at].taints[rule] = Some(coin.carried());
                }
                let spend = coin.taken_by().and_then(|by| Some((by.vin, *transactions.get(by.txid.as_str())?)));
                if let Some((vin, transaction)) = spend {
                    let edge =
                        Edge { coin: number, transaction, vin: Some(vin), taints: vec![None; trace.rules.len()] };
                    let at = keep(&mut graph.spends, &mut edges, (true, number), edge);
                    graph.spends[at].taints[rule] = Some(coin.taint_sat);
                }
            }
        }
        graph
    }

    fn coin(&mut self, known: &mut HashMap<(&'a str, Option<u32>), usize>, coin: &'a Coin, rules: usize) -> usize {
        let twin = known.get(&(coin.outpoint.as_str(), None)).copied();
        let first = |number: usize| self.coins[number].coin.height == coin.height;
        let key = match twin {
            Some(number) if !first(number) => (coin.outpoint.as_str(), coin.height),
            _ => (coin.outpoint.as_str(), None),
        };
        *known.entry(key).or_insert_with(|| {
            let id = match key.1 {
                Some(height) => format!("{}@{height}", coin.outpoint),
                None => coin.outpoint.clone(),
            };
            self.coins.push(CoinNode { id, coin, taints: vec![None; rules] });
            self.coins.len() - 1
        })
    }

    /// The largest taint of any coin: what the thickest edge stands for; at least 1.
    pub fn most(&self) -> u64 {
        let taints = self.coins.iter().flat_map(|coin| coin.taints.iter().flatten());
        taints.map(|(taint, ..)| *taint).max().unwrap_or_default().max(1)
    }
}

fn keep(list: &mut Vec<Edge>, known: &mut HashMap<(bool, usize), usize>, key: (bool, usize), edge: Edge) -> usize {
    *known.entry(key).or_insert_with(|| {
        list.push(edge);
        list.len() - 1
    })
}
