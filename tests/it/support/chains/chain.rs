//! Assembles valid regtest blocks from transactions, without a node, and submits them to one.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::constants::genesis_block;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::script::Builder;
use bitcoin::{
    Amount, Block, BlockHash, Network, OutPoint, ScriptBuf, Sequence, Target, Transaction, TxIn, TxMerkleNode, TxOut,
    Witness, transaction,
};

use crate::support::bitcoind::Bitcoind;
use crate::support::scripts::{MAX_SCRIPT_SIZE, Shape, Wallet, push};

/// Blocks that must pass before a coinbase is spent (`COINBASE_MATURITY` in Core's `consensus.h`).
pub const MATURITY: u32 = 100;
/// Blocks between two halvings on regtest (Core's `chainparams.cpp`).
const HALVING: u32 = 150;

/// A coin of the chain's UTXO set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utxo {
    /// Its value and script.
    pub output: TxOut,
    /// Height of the block that made it.
    pub height: u32,
    /// Whether a coinbase made it.
    pub coinbase: bool,
}

/// The content of the next block.
#[derive(Clone, Debug)]
pub struct Template {
    /// All transactions but the coinbase, parents before children.
    pub transactions: Vec<Transaction>,
    /// The coinbase's outputs: script and satoshis.
    pub coinbase: Vec<(ScriptBuf, u64)>,
    /// Whether the coinbase pays the rest of subsidy and fees to the miner, in its last output before the commitment.
    pub claim_rest: bool,
    /// Whether the block has a witness commitment even if no transaction has a witness.
    pub commitment: bool,
    /// The header's time; if `None`, ten minutes after the previous header's.
    pub time: Option<u32>,
    /// An earlier coinbase, to be repeated as this block's (BIP30). A node refuses such a block since BIP34; the four on the main chain
    /// are at 91722 and 91880, 91812 and 91842.
    pub twin: Option<Transaction>,
}

impl Default for Template {
    fn default() -> Self {
        Self {
            transactions: Vec::new(),
            coinbase: Vec::new(),
            claim_rest: true,
            commitment: true,
            time: None,
            twin: None,
        }
    }
}

/// A regtest chain from genesis on, its UTXO set, and the wallet that owns its coins.
#[derive(Clone, Debug)]
pub struct RegtestChain {
    /// Keys, scripts and signatures.
    pub wallet: Wallet,
    blocks: Vec<Block>,
    coins: BTreeMap<OutPoint, Utxo>,
    /// Every output ever made here, also on other branches and in transactions that aren't mined yet.
    made: RefCell<HashMap<OutPoint, TxOut>>,
    /// Goes into each coinbase, so that no two branches have the same block.
    branch: [u8; 8],
    forks: u32,
    mined: u32,
}

impl RegtestChain {
    /// The genesis block alone. The same seed and the same calls give the same chain.
    pub fn regtest(seed: u64) -> Self {
        Self {
            wallet: Wallet::new(seed),
            blocks: vec![genesis_block(Network::Regtest)],
            coins: BTreeMap::new(),
            made: RefCell::default(),
            branch: seed.to_be_bytes(),
            forks: 0,
            mined: 0,
        }
    }

    /// Height of the tip.
    pub fn height(&self) -> u32 {
        u32::try_from(self.blocks.len() - 1).expect("a test's chain is short")
    }

    /// Hash of the tip.
    pub fn tip(&self) -> BlockHash {
        self.blocks[self.blocks.len() - 1].block_hash()
    }

    /// All blocks, by height.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The UTXO set, as the node has it: no genesis coinbase, nothing unspendable.
    pub fn coins(&self) -> &BTreeMap<OutPoint, Utxo> {
        &self.coins
    }

    /// The coins that a transaction of the next block may spend, and that the wallet knows how to.
    pub fn spendable(&self) -> BTreeMap<OutPoint, Utxo> {
        let own =
            |coin: &Utxo| self.wallet.recall(&coin.output.script_pubkey).is_some_and(|(shape, _)| shape.is_spendable());
        let ready = |coin: &Utxo| !coin.coinbase || coin.height + MATURITY <= self.height() + 1;
        self.coins.iter().filter(|(_, coin)| ready(coin) && own(coin)).map(|(at, coin)| (*at, coin.clone())).collect()
    }

    /// The median time of the last eleven blocks: the next header's time must be greater.
    pub fn median_time(&self) -> u32 {
        let mut times: Vec<u32> = self.blocks.iter().rev().take(11).map(|block| block.header.time).collect();
        times.sort_unstable();
        times[times.len() / 2]
    }

    /// The script of this shape for key `n`.
    pub fn script(&self, shape: Shape, n: u32) -> ScriptBuf {
        self.wallet.script(shape, n)
    }

    /// The script that gets the rest of subsidy and fees.
    pub fn miner(&self) -> ScriptBuf {
        self.wallet.script(Shape::P2wpkh, u32::MAX >> 2)
    }

    /// A signed transaction from these coins to these scripts (satoshis); the rest is the fee.
    ///
    /// The coins may be unmined outputs of earlier calls, so one block can hold a chain of them.
    pub fn spend(&self, inputs: &[OutPoint], outputs: &[(ScriptBuf, u64)]) -> Transaction {
        let input = |at: &OutPoint| TxIn { previous_output: *at, sequence: Sequence::MAX, ..TxIn::default() };
        let mut transaction = Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: inputs.iter().map(input).collect(),
            output: outputs.iter().map(output).collect(),
        };
        self.sign(&mut transaction);
        transaction
    }

    /// The same, from these coins.
    pub fn pay(&self, inputs: &[Purse], outputs: &[(ScriptBuf, u64)]) -> Transaction {
        self.spend(&inputs.iter().map(|purse| purse.at).collect::<Vec<_>>(), outputs)
    }

    /// Signs a transaction of the test's own, and remembers its outputs for `spend`.
    pub fn sign(&self, transaction: &mut Transaction) {
        let spent = |input: &TxIn| {
            let made = self.made.borrow();
            let output = made.get(&input.previous_output).cloned();
            output.unwrap_or_else(|| panic!("no transaction here ever made {}", input.previous_output))
        };
        let prevouts: Vec<TxOut> = transaction.input.iter().map(spent).collect();
        self.wallet.sign(transaction, &prevouts);
        self.remember(transaction);
    }

    fn remember(&self, transaction: &Transaction) {
        self.made.borrow_mut().extend(outputs(transaction).map(|(at, output)| (at, output.clone())));
    }

    /// Mines a block of these transactions; the coinbase pays the miner.
    pub fn mine(&mut self, transactions: Vec<Transaction>) -> &Block {
        self.mine_template(Template { transactions, ..Template::default() })
    }

    /// Mines a block whose coinbase has these outputs first, and pays the rest to the miner.
    pub fn mine_paying(&mut self, transactions: Vec<Transaction>, coinbase: &[(ScriptBuf, u64)]) -> &Block {
        self.mine_template(Template { transactions, coinbase: coinbase.to_vec(), ..Template::default() })
    }

    /// Mines `count` blocks without transactions.
    pub fn mine_empty(&mut self, count: u32) {
        for _ in 0..count {
            self.mine(Vec::new());
        }
    }

    /// The `count` oldest coins of coinbases that belong to the miner and that the next block may spend; mines as many blocks as that
    /// takes. Returns the same coins again until a block spends them.
    pub fn mature(&mut self, count: usize) -> Vec<OutPoint> {
        loop {
            let spendable = self.spendable();
            let miners = |coin: &Utxo| coin.coinbase && coin.output.script_pubkey == self.miner();
            let ready = spendable.iter().filter(|(_, coin)| miners(coin) && coin.output.value > Amount::ZERO);
            let mut ready: Vec<_> = ready.map(|(at, coin)| (coin.height, *at)).collect();
            if ready.len() >= count {
                ready.sort_unstable();
                return ready[..count].iter().map(|(_, at)| *at).collect();
            }
            self.mine_empty(1);
        }
    }

    /// Mines a block.
    ///
    /// Panics if its coins or amounts are invalid; scripts aren't checked.
    pub fn mine_template(&mut self, template: Template) -> &Block {
        let height = self.height() + 1;
        let previous = self.blocks[self.blocks.len() - 1].header;
        let reward = subsidy(height) + self.fees(&template.transactions);
        let coinbase = template.twin.clone().unwrap_or_else(|| self.coinbase(height, reward, &template));
        let mut block = Block {
            header: Header {
                version: Version::from_consensus(0x2000_0000),
                prev_blockhash: previous.block_hash(),
                merkle_root: TxMerkleNode::all_zeros(),
                time: template.time.unwrap_or(previous.time + 600),
                bits: Target::MAX_ATTAINABLE_REGTEST.to_compact_lossy(),
                nonce: 0,
            },
            txdata: [vec![coinbase], template.transactions].concat(),
        };
        if template.twin.is_none() {
            commit_to_witnesses(&mut block, template.commitment);
        }
        block.header.merkle_root = block.compute_merkle_root().expect("there is a coinbase");
        while block.header.validate_pow(block.header.target()).is_err() {
            block.header.nonce += 1;
        }
        self.mined += 1;
        self.connect(block);
        &self.blocks[self.blocks.len() - 1]
    }

    /// The coinbase, without its commitment.
    fn coinbase(&self, height: u32, reward: u64, template: &Template) -> Transaction {
        let paid: u64 = template.coinbase.iter().map(|(_, value)| value).sum();
        let rest = reward.checked_sub(paid).unwrap_or_else(|| panic!("the coinbase pays {paid} of {reward} sat"));
        let mut pays = template.coinbase.clone();
        if (template.claim_rest && rest > 0) || pays.is_empty() {
            pays.push((self.miner(), if template.claim_rest { rest } else { 0 }));
        }
        let extra = [&self.branch[..], &self.mined.to_be_bytes()].concat();
        let input = TxIn {
            previous_output: OutPoint::null(),
            // BIP34.
            script_sig: push(Builder::new().push_int(i64::from(height)), &extra).into_script(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        };
        Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![input],
            output: pays.iter().map(output).collect(),
        }
    }

    /// Fees of these transactions, in satoshis.
    fn fees(&self, transactions: &[Transaction]) -> u64 {
        let mut within = HashMap::new();
        let mut fees = 0;
        for transaction in transactions {
            let value = |input: &TxIn| {
                let at = input.previous_output;
                let here = within.get(&at).copied().or_else(|| self.coins.get(&at).map(|coin| coin.output.value));
                here.unwrap_or_else(|| {
                    panic!("{} spends {at}, which isn't a coin of the chain", transaction.compute_txid())
                })
            };
            let paid: Amount = transaction.input.iter().map(value).sum();
            let kept: Amount = transaction.output.iter().map(|output| output.value).sum();
            let fee = paid.checked_sub(kept);
            fees += fee.unwrap_or_else(|| panic!("{} makes value", transaction.compute_txid())).to_sat();
            within.extend(outputs(transaction).map(|(at, output)| (at, output.value)));
        }
        fees
    }

    /// Applies a block to the UTXO set and appends it.
    fn connect(&mut self, block: Block) {
        let height = self.height() + 1;
        for (tx_index, transaction) in block.txdata.iter().enumerate() {
            let coinbase = tx_index == 0;
            for input in transaction.input.iter().filter(|_| !coinbase) {
                let at = input.previous_output;
                let coin = self.coins.remove(&at).unwrap_or_else(|| panic!("{at} is no coin at height {height}"));
                assert!(!coin.coinbase || coin.height + MATURITY <= height, "{at} isn't mature at height {height}");
            }
            let kept = outputs(transaction).filter(|(_, output)| is_kept(&output.script_pubkey));
            self.coins.extend(kept.map(|(at, output)| (at, Utxo { output: output.clone(), height, coinbase })));
            self.remember(transaction);
        }
        self.blocks.push(block);
    }

    /// Removes the blocks above `height`; returns their transactions without coinbases, in chain order.
    pub fn rewind(&mut self, height: u32) -> Vec<Transaction> {
        let kept = height as usize + 1;
        assert!(kept <= self.blocks.len(), "the chain ends below height {height}");
        let dropped = self.blocks.split_off(kept);
        self.coins.clear();
        for block in self.blocks.split_off(1) {
            self.connect(block);
        }
        dropped.into_iter().flat_map(|block| block.txdata.into_iter().skip(1)).collect()
    }

    /// A new branch from the block at `height` on, with the same wallet and coins. It never gets the same blocks again.
    pub fn fork_at(&mut self, height: u32) -> Self {
        self.forks += 1;
        let mut fork = self.clone();
        let digest = sha256::Hash::hash(&[&self.branch[..], &self.forks.to_be_bytes()].concat()).to_byte_array();
        fork.branch.copy_from_slice(&digest[..8]);
        fork.forks = 0;
        fork.rewind(height);
        fork
    }

    /// Submits all blocks that the node's active chain lacks. If this chain is longer, it becomes the active chain.
    pub fn submit_to(&self, node: &Bitcoind) {
        let before = node.height();
        let ours = |height: &u32| node.hash_at(*height) == Some(self.blocks[*height as usize].block_hash());
        let shared = (0..=before.min(self.height())).rev().find(ours).expect("a common block at least at genesis");
        for block in &self.blocks[shared as usize + 1..] {
            node.submit(block);
        }
        if self.height() > before {
            assert_eq!(node.best(), self.tip(), "the node accepted all blocks, but another tip is active");
        }
    }
}

/// The block subsidy at a height of regtest, in satoshis.
pub fn subsidy(height: u32) -> u64 {
    (50 * Amount::ONE_BTC.to_sat()).checked_shr(height / HALVING).unwrap_or(0)
}

/// Whether the node keeps a coin on this script.
pub fn is_kept(script: &ScriptBuf) -> bool {
    !script.is_op_return() && script.len() <= MAX_SCRIPT_SIZE
}

fn output((script_pubkey, value): &(ScriptBuf, u64)) -> TxOut {
    TxOut { value: Amount::from_sat(*value), script_pubkey: script_pubkey.clone() }
}

/// A transaction's outputs with their outpoints.
pub fn outputs(transaction: &Transaction) -> impl Iterator<Item = (OutPoint, &TxOut)> {
    let txid = transaction.compute_txid();
    transaction.output.iter().zip(0..).map(move |(output, vout)| (OutPoint { txid, vout }, output))
}

/// All outputs of a chain.
pub fn all_outputs(blocks: &[Block]) -> impl Iterator<Item = (OutPoint, TxOut)> + '_ {
    let transactions = blocks.iter().flat_map(|block| &block.txdata);
    transactions.flat_map(|transaction| outputs(transaction).map(|(at, output)| (at, output.clone())))
}

/// A coin as a payer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purse {
    /// The output.
    pub at: OutPoint,
    /// Value in satoshis.
    pub value: u64,
}

/// A transaction's outputs as coins to spend.
pub fn purses(transaction: &Transaction) -> Vec<Purse> {
    outputs(transaction).map(|(at, output)| Purse { at, value: output.value.to_sat() }).collect()
}

/// The outpoints of a transaction's first outputs, as many as the caller binds.
pub fn outpoints<const N: usize>(transaction: &Transaction) -> [OutPoint; N] {
    assert!(N <= transaction.output.len(), "the transaction has {} outputs", transaction.output.len());
    let txid = transaction.compute_txid();
    std::array::from_fn(|vout| OutPoint { txid, vout: u32::try_from(vout).expect("few outputs") })
}

/// Adds BIP141's commitment to the coinbase if a transaction has a witness, or if it is wanted anyway.
fn commit_to_witnesses(block: &mut Block, wanted: bool) {
    let has_witness = |transaction: &Transaction| transaction.input.iter().any(|input| !input.witness.is_empty());
    if !wanted && !block.txdata.iter().any(has_witness) {
        return;
    }
    let reserved = [0; 32];
    let root = block.witness_root().expect("there is a coinbase");
    let commitment = Block::compute_witness_commitment(&root, &reserved).to_byte_array();
    let script = [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed][..], &commitment].concat();
    block.txdata[0].output.push(TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::from_bytes(script) });
    block.txdata[0].input[0].witness = Witness::from_slice(&[reserved]);
}
