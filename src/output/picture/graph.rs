//! A trace as one graph: coins and transactions are its nodes, spends and payments its edges, each with its taint under each rule.

use std::collections::HashMap;

use bitcoin::OutPoint;

use crate::query::facts::CoinState;
use crate::query::trace::answer::MoveRow;
use crate::query::trace::{TraceAnswer, TracedCoinRow};

/// The graph; rules by their place in the answer.
pub struct Graph<'a> {
    /// The rules' names.
    pub rules: Vec<&'static str>,
    /// Each coin once, in the order the answer first names them.
    pub coins: Vec<CoinNode<'a>>,
    /// Each transaction once.
    pub transactions: Vec<TxNode<'a>>,
    /// Transaction to coin.
    pub payments: Vec<Edge>,
    /// Coin to transaction.
    pub spends: Vec<Edge>,
}

/// A coin, with its taint under each rule.
pub struct CoinNode<'a> {
    /// Unique: the outpoint, and for the second of two twins (BIP30) its height.
    pub id: String,
    /// Its row under the first rule that has it.
    pub coin: &'a TracedCoinRow,
    /// Taint, hops and state by rule; `None` where it holds no taint under that rule.
    pub taints: Vec<Option<(u64, u32, CoinState)>>,
}

/// A transaction that spent tainted coins.
pub struct TxNode<'a> {
    /// Unique: its transaction's id.
    pub id: String,
    /// Its block and time.
    pub row: &'a MoveRow,
    /// Its tainted fee, by rule; `None` where it moved no taint under that rule.
    pub fees: Vec<Option<u64>>,
}

/// Taint that passes between a coin and a transaction.
pub struct Edge {
    /// Index in the graph's coins.
    pub coin: usize,
    /// Index in the graph's transactions.
    pub transaction: usize,
    /// The input, where the transaction spends the coin.
    pub vin: Option<u32>,
    /// Satoshis by rule.
    pub taints: Vec<Option<u64>>,
}

impl<'a> Graph<'a> {
    /// The graph of all rules of a trace.
    pub fn new(trace: &'a TraceAnswer) -> Self {
        let mut graph = Self {
            rules: trace.rules.iter().map(|answer| answer.rule.name()).collect(),
            coins: Vec::new(),
            transactions: Vec::new(),
            payments: Vec::new(),
            spends: Vec::new(),
        };
        let (mut coins, mut transactions, mut edges) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (rule, answer) in trace.rules.iter().enumerate() {
            for row in &answer.transactions {
                let number = *transactions.entry(row.txid).or_insert_with(|| {
                    let fees = vec![None; trace.rules.len()];
                    graph.transactions.push(TxNode { id: row.txid.to_string(), row, fees });
                    graph.transactions.len() - 1
                });
                graph.transactions[number].fees[rule] = Some(row.fees_sat);
            }
            for coin in &answer.coins {
                let number = graph.coin(&mut coins, coin);
                graph.coins[number].taints[rule] = Some((coin.taint_sat, coin.hops, coin.state));
                if let Some(made_by) = transactions.get(&coin.outpoint.txid).filter(|_| coin.carried_sat > 0) {
                    let payment = graph.edge(number, *made_by, None);
                    let at = keep(&mut graph.payments, &mut edges, (false, number), payment);
                    graph.payments[at].taints[rule] = Some(coin.carried_sat);
                }
                let spent_by = coin.spent_by.as_ref();
                if let Some((by, transaction)) = spent_by.and_then(|by| Some((by, transactions.get(&by.txid)?))) {
                    let spend = graph.edge(number, *transaction, Some(by.vin));
                    let at = keep(&mut graph.spends, &mut edges, (true, number), spend);
                    graph.spends[at].taints[rule] = Some(coin.taint_sat);
                }
            }
        }
        graph
    }

    fn edge(&self, coin: usize, transaction: usize, vin: Option<u32>) -> Edge {
        Edge { coin, transaction, vin, taints: vec![None; self.rules.len()] }
    }

    fn coin(&mut self, known: &mut HashMap<(OutPoint, Option<u32>), usize>, coin: &'a TracedCoinRow) -> usize {
        let twin = known.get(&(coin.outpoint, None)).copied();
        let key = match twin {
            Some(number) if self.coins[number].coin.height != coin.height => (coin.outpoint, coin.height),
            _ => (coin.outpoint, None),
        };
        *known.entry(key).or_insert_with(|| {
            let id = match key.1 {
                Some(height) => format!("{}@{height}", coin.outpoint),
                None => coin.outpoint.to_string(),
            };
            self.coins.push(CoinNode { id, coin, taints: vec![None; self.rules.len()] });
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
