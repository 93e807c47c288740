//! The node's own set of unspent outputs, asked by outpoint (`gettxout`) or by script (`scantxoutset`); each answer says at which tip.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use bitcoin::{BlockHash, OutPoint, ScriptBuf, TxOut, Txid};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Node;
use super::answers::{Bitcoins, ChainInfo, ScriptPubKey};
use super::error::{NodeError, Problem, Trouble};
use super::link::Patience;
use super::rpc::{Rpc, code};
use crate::chain::{BlockId, Height};

/// A scan takes minutes, on a slow disk some tens of them; it holds no lock, and is given up when somebody asks to stop.
const SCAN: Duration = Duration::from_secs(6 * 3600);
/// Between two looks whether somebody asked to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the node may take to hear that a scan is to end.
const ABORT: Duration = Duration::from_millis(1500);

/// What was found, and the tip of the node's set then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtTip<T> {
    /// The node's best block.
    pub tip: BlockId,
    /// What was found.
    pub found: T,
}

/// A coin that the node holds for unspent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unspent {
    /// Where it was made.
    pub outpoint: OutPoint,
    /// Value and script.
    pub output: TxOut,
    /// Height of the block that made it.
    pub height: Height,
    /// Whether a coinbase made it; a scan by a node before version 25 doesn't tell.
    pub coinbase: Option<bool>,
}

/// Of `gettxout`.
#[derive(Deserialize)]
struct Found {
    bestblock: BlockHash,
    confirmations: Height,
    value: Bitcoins,
    #[serde(rename = "scriptPubKey")]
    script_pubkey: ScriptPubKey,
    coinbase: bool,
}

/// Of `scantxoutset`.
#[derive(Deserialize)]
struct Scan {
    success: bool,
    height: Option<Height>,
    bestblock: Option<BlockHash>,
    #[serde(default)]
    unspents: Vec<Scanned>,
}

#[derive(Deserialize)]
struct Scanned {
    txid: Txid,
    vout: u32,
    #[serde(rename = "scriptPubKey")]
    script_pubkey: ScriptBuf,
    amount: Bitcoins,
    height: Height,
    coinbase: Option<bool>,
}

impl Node {
    /// Which of these outputs (some hundreds at most) are unspent in the node's chain, whatever waits in its mempool; in their order,
    /// all as of one tip.
    ///
    /// # Errors
    /// As [`Self::info`].
    pub fn unspent(&self, outpoints: &[OutPoint]) -> Result<AtTip<Vec<Option<Unspent>>>, NodeError> {
        let rpc = Rpc::new(&self.link, Patience::ENDLESS);
        let args: Vec<_> = outpoints.iter().map(|at| vec![json!(at.txid), json!(at.vout), json!(false)]).collect();
        self.link.persist(
            Patience::ENDLESS,
            || "gettxout".into(),
            || {
                let info: ChainInfo = rpc.call("getblockchaininfo", &[])?;
                let tip = BlockId { height: info.blocks, hash: info.bestblockhash };
                let mut found = Vec::with_capacity(outpoints.len());
                for (outpoint, answer) in outpoints.iter().zip(rpc.batch::<Option<Found>>("gettxout", &args)?) {
                    found.push(answer?.map(|answer| answer.into_unspent(*outpoint, tip)).transpose()?);
                }
                // What isn't there doesn't say at which tip.
                let after: BlockHash = rpc.call("getbestblockhash", &[])?;
                if after == tip.hash { Ok(AtTip { tip, found }) } else { Err(Problem::Wait(Trouble::Moved)) }
            },
        )
    }

    /// Every unspent output on one of these scripts, by a pass over the node's whole set: minutes on the main chain. The node takes a
    /// request of 32 MB: twice the scripts' bytes, and 8 for each. An empty script can't be asked for. A request to stop ends the
    /// pass in the node too.
    ///
    /// # Errors
    /// As [`Self::info`].
    pub fn scan_unspent(&self, scripts: &[ScriptBuf]) -> Result<AtTip<Vec<Unspent>>, NodeError> {
        let raw: Vec<Value> = scripts.iter().map(|script| json!(format!("raw({script:x})"))).collect();
        let args = Arc::new([json!("start"), Value::Array(raw)]);
        self.link.persist(
            Patience::ENDLESS,
            || "scantxoutset".into(),
            || {
                let scan = self.scan_once(&args)?;
                let (true, Some(height), Some(hash)) = (scan.success, scan.height, scan.bestblock) else {
                    return Err(Problem::Wait(Trouble::NotYet("somebody ended its scan for coins".into())));
                };
                let tip = BlockId { height, hash };
                Ok(AtTip { tip, found: scan.unspents.into_iter().map(Scanned::into_unspent).collect() })
            },
        )
    }

    /// One pass, on a thread of its own: this one looks for a request to stop.
    fn scan_once(&self, args: &Arc<[Value; 2]>) -> Result<Scan, Problem> {
        let (done, answer) = channel();
        let (link, args) = (Arc::clone(&self.link), Arc::clone(args));
        let scan = move || {
            let rpc = Rpc::new(&link, Patience::calls_of(SCAN));
            // Nobody listens any more where somebody asked to stop.
            let _ = done.send(rpc.call::<Scan>("scantxoutset", args.as_ref()));
        };
        let thread = std::thread::Builder::new().name("scan-coins".into());
        thread
            .spawn(scan)
            .map_err(|error| Problem::bad("scantxoutset", format!("no thread can be started: {error}")))?;
        loop {
            match answer.recv_timeout(LOOK_EVERY) {
                Ok(Err(Problem::Said { code: code::OUT_OF_RANGE, message })) if message.contains("in progress") => {
                    return Err(Problem::Wait(Trouble::NotYet("it is scanning for coins already".into())));
                }
                Ok(answer) if !self.link.stop.requested() => return answer,
                Err(RecvTimeoutError::Timeout) if !self.link.stop.requested() => {}
                _ => break,
            }
        }
        if self.link.stop.requested() {
            self.abort_scan();
            return Err(NodeError::Stopped.into());
        }
        Err(Problem::bad("scantxoutset", "the thread that asked for it panicked"))
    }

    /// Tells the node that its scan is of no use any more, over a connection of its own: the others may have been hung up. A request for
    /// a scan may still be on its way, so it is told until there was something to end.
    fn abort_scan(&self) {
        let end = Instant::now() + ABORT;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if self
                .link
                .aside(r#"{"jsonrpc":"2.0","id":0,"method":"scantxoutset","params":["abort"]}"#, left)
                .is_some_and(|body| body.windows(4).any(|window| window == b"true"))
            {
                return;
            }
            std::thread::sleep(LOOK_EVERY.min(left));
        }
    }
}

impl Found {
    fn into_unspent(self, outpoint: OutPoint, tip: BlockId) -> Result<Unspent, Problem> {
        if self.bestblock != tip.hash {
            return Err(Problem::Wait(Trouble::Moved));
        }
        let height = (tip.height + 1).checked_sub(self.confirmations);
        let height = height.filter(|_| self.confirmations > 0).ok_or_else(|| {
            Problem::bad("gettxout", format!("{outpoint} has {} confirmations at {tip}", self.confirmations))
        })?;
        let output = TxOut { value: self.value.0, script_pubkey: self.script_pubkey.into() };
        Ok(Unspent { outpoint, output, height, coinbase: Some(self.coinbase) })
    }
}

impl Scanned {
    fn into_unspent(self) -> Unspent {
        let outpoint = OutPoint { txid: self.txid, vout: self.vout };
        let output = TxOut { value: self.amount.0, script_pubkey: self.script_pubkey };
        Unspent { outpoint, output, height: self.height, coinbase: self.coinbase }
    }
}
