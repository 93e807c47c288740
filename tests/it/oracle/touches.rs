//! The naive model (P8) of touches, coins and balances: slow and obvious code that shares nothing with coinhound.
//!
//! A funding touch is one output paying a flagged script at a height of at least its `from`. A spending touch is one input
//! consuming a coin of a flagged script at a height of at least its `from`, however old the coin. Scripts match exactly.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bitcoin::{Block, OutPoint, ScriptBuf, TxOut, Txid};

/// The side of a transaction that touches. Within a transaction spending comes before funding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TouchKind {
    /// An input consumes a coin of a flagged script.
    Spending,
    /// An output pays a flagged script.
    Funding,
}

/// One output paying, or one input consuming a coin of, a flagged script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Height of the block.
    pub height: u32,
    /// Index of the transaction in its block.
    pub tx_index: u32,
    /// Spending or funding.
    pub kind: TouchKind,
    /// Index of the input (spending) or the output (funding).
    pub io_index: u32,
    /// The touching transaction.
    pub txid: Txid,
    /// The coin: made by this output, or consumed by this input.
    pub outpoint: OutPoint,
    /// Value of the coin.
    pub value_sat: u64,
    /// The flagged script.
    pub script: ScriptBuf,
}

/// The input that spent a coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spender {
    /// The spending transaction.
    pub txid: Txid,
    /// Index of its input.
    pub vin: u32,
    /// Height of its block.
    pub height: u32,
    /// Index of the transaction in that block.
    pub tx_index: u32,
}

/// The state of a coin after the last block that the model was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpendState {
    /// An input consumed it.
    Spent,
    /// No input consumed it.
    Unspent,
    /// No input can: OP_RETURN, over 10,000 bytes, the genesis coinbase, or overwritten by its BIP30 twin.
    Unspendable,
}

/// An output that paid a flagged script at a height of at least its `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCoin {
    /// The output. Two coins share one if BIP30 was violated.
    pub outpoint: OutPoint,
    /// Height of the block that made it.
    pub height: u32,
    /// Index, in that block, of the transaction that made it.
    pub tx_index: u32,
    /// Value in satoshis.
    pub value_sat: u64,
    /// The flagged script.
    pub script: ScriptBuf,
    /// Whether a coinbase made it.
    pub coinbase: bool,
    /// The input that consumed it.
    pub spent_by: Option<Spender>,
    /// Spent, unspent or unspendable.
    pub state: SpendState,
}

/// The sums of one flagged script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The flagged script.
    pub script: ScriptBuf,
    /// Sum of its funding touches.
    pub received_sat: u64,
    /// Sum of its spending touches.
    pub sent_sat: u64,
    /// Received less sent; `None` if `from` isn't 0, since older coins may exist then.
    pub balance_sat: Option<u64>,
    /// Number of coins of every state.
    pub coins: usize,
    /// Number of unspent coins.
    pub unspent: usize,
    /// Value of the unspent coins: less than the balance if a coin is unspendable.
    pub unspent_sat: u64,
    /// Height of its first touch.
    pub first_height: Option<u32>,
    /// Height of its last touch.
    pub last_height: Option<u32>,
}

/// A transaction that touches, with the outputs that its inputs spend (none for a coinbase).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRecord {
    /// Height of the block.
    pub height: u32,
    /// Index of the transaction in its block.
    pub tx_index: u32,
    /// The transaction.
    pub txid: Txid,
    /// The spent outputs, in the order of the inputs; flagged or not.
    pub spent: Vec<TxOut>,
}

/// Everything the model says about a chain and its flagged scripts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// The flagged scripts with the height each is flagged from: the least, if a list names several.
    pub flagged: BTreeMap<ScriptBuf, u32>,
    /// All touches, in chain order: height, transaction, spending before funding, index.
    pub touches: Vec<Touch>,
    /// All coins, in chain order: height, transaction, output.
    pub coins: Vec<ModelCoin>,
    /// All touching transactions, in chain order.
    pub records: Vec<ModelRecord>,
}

/// An output of the chain, flagged or not, until it is spent.
struct Live {
    output: TxOut,
    /// Its index in `Model::coins`, if it pays a flagged script.
    coin: Option<usize>,
}

impl Model {
    /// Reads a whole chain; `blocks[0]` is the genesis block.
    pub fn new(blocks: &[Block], flagged: &[(ScriptBuf, u32)]) -> Self {
        let mut model = Self::default();
        for (script, from) in flagged {
            let least = model.flagged.get(script).map_or(*from, |known| *from.min(known));
            model.flagged.insert(script.clone(), least);
        }
        let mut live: HashMap<OutPoint, Live> = HashMap::new();
        for (height, block) in (0..).zip(blocks) {
            for (tx_index, transaction) in (0..).zip(&block.txdata) {
                let txid = transaction.compute_txid();
                let coinbase = tx_index == 0;
                let touches_before = model.touches.len();
                let mut spent = Vec::new();
                if !coinbase {
                    for (vin, input) in (0..).zip(&transaction.input) {
                        let outpoint = input.previous_output;
                        let consumed = live.remove(&outpoint).expect("a coin of the test's chain");
                        let spender = Spender { txid, vin, height, tx_index };
                        model.spend(&consumed, outpoint, spender);
                        spent.push(consumed.output);
                    }
                }
                for (vout, output) in (0..).zip(&transaction.output) {
                    let outpoint = OutPoint { txid, vout };
                    let coin = model.fund(output, outpoint, height, tx_index);
                    let twin = live.insert(outpoint, Live { output: output.clone(), coin });
                    if let Some(overwritten) = twin.and_then(|twin| twin.coin) {
                        model.coins[overwritten].state = SpendState::Unspendable;
                    }
                }
                if model.touches.len() > touches_before {
                    model.records.push(ModelRecord { height, tx_index, txid, spent });
                }
            }
        }
        model
    }

    /// The model after the block at `height`.
    pub fn at(blocks: &[Block], flagged: &[(ScriptBuf, u32)], height: u32) -> Self {
        Self::new(&blocks[..=height as usize], flagged)
    }

    fn is_flagged(&self, script: &ScriptBuf, height: u32) -> bool {
        self.flagged.get(script).is_some_and(|from| *from <= height)
    }

    fn spend(&mut self, consumed: &Live, outpoint: OutPoint, by: Spender) {
        if let Some(coin) = consumed.coin {
            self.coins[coin].spent_by = Some(by);
            self.coins[coin].state = SpendState::Spent;
        }
        let Spender { txid, vin, height, tx_index } = by;
        let script = consumed.output.script_pubkey.clone();
        if self.is_flagged(&script, height) {
            let value_sat = consumed.output.value.to_sat();
            let kind = TouchKind::Spending;
            self.touches.push(Touch { height, tx_index, kind, io_index: vin, txid, outpoint, value_sat, script });
        }
    }

    fn fund(&mut self, output: &TxOut, outpoint: OutPoint, height: u32, tx_index: u32) -> Option<usize> {
        let script = output.script_pubkey.clone();
        if !self.is_flagged(&script, height) {
            return None;
        }
        let value_sat = output.value.to_sat();
        let OutPoint { txid, vout } = outpoint;
        let kind = TouchKind::Funding;
        let unspendable = height == 0 || is_unspendable(&script);
        let state = if unspendable { SpendState::Unspendable } else { SpendState::Unspent };
        let coinbase = tx_index == 0;
        let coin = ModelCoin {
            outpoint,
            height,
            tx_index,
            value_sat,
            script: script.clone(),
            coinbase,
            spent_by: None,
            state,
        };
        self.coins.push(coin);
        self.touches.push(Touch { height, tx_index, kind, io_index: vout, txid, outpoint, value_sat, script });
        Some(self.coins.len() - 1)
    }

    /// The sums of one flagged script.
    pub fn balance(&self, script: &ScriptBuf) -> Balance {
        let from = self.flagged.get(script).expect("only flagged scripts have a balance");
        let touches: Vec<&Touch> = self.touches.iter().filter(|touch| touch.script == *script).collect();
        let coins: Vec<&ModelCoin> = self.coins.iter().filter(|coin| coin.script == *script).collect();
        let unspent: Vec<&ModelCoin> = coins.iter().copied().filter(|coin| coin.state == SpendState::Unspent).collect();
        let sum = |kind| touches.iter().filter(|touch| touch.kind == kind).map(|touch| touch.value_sat).sum::<u64>();
        let (received_sat, sent_sat) = (sum(TouchKind::Funding), sum(TouchKind::Spending));
        Balance {
            script: script.clone(),
            received_sat,
            sent_sat,
            balance_sat: (*from == 0).then(|| received_sat - sent_sat),
            coins: coins.len(),
            unspent: unspent.len(),
            unspent_sat: unspent.iter().map(|coin| coin.value_sat).sum(),
            first_height: touches.first().map(|touch| touch.height),
            last_height: touches.last().map(|touch| touch.height),
        }
    }

    /// The sums of every flagged script, in the order of their bytes.
    pub fn balances(&self) -> Vec<Balance> {
        self.flagged.keys().map(|script| self.balance(script)).collect()
    }

    /// The touches of these scripts, each with their common balance after it; no balances if a script's `from` isn't 0.
    pub fn history(&self, scripts: &[ScriptBuf]) -> Vec<(Touch, Option<u64>)> {
        let scripts: BTreeSet<&ScriptBuf> = scripts.iter().collect();
        let known = scripts.iter().all(|script| self.flagged.get(*script) == Some(&0));
        let mut balance = 0;
        let mut rows = Vec::new();
        for touch in self.touches.iter().filter(|touch| scripts.contains(&touch.script)) {
            if known {
                match touch.kind {
                    TouchKind::Funding => balance += touch.value_sat,
                    TouchKind::Spending => balance -= touch.value_sat,
                }
            }
            rows.push((touch.clone(), known.then_some(balance)));
        }
        rows
    }
}

/// Whether no input can ever spend an output with this script: OP_RETURN, or more than 10,000 bytes.
pub fn is_unspendable(script: &ScriptBuf) -> bool {
    script.as_bytes().first() == Some(&0x6a) || script.len() > 10_000
}
