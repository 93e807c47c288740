//! The node's set of unspent outputs, by outpoint (`gettxout`) or by script (`scantxoutset`), each answer with the tip it holds at.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin::{BlockHash, OutPoint, ScriptBuf, TxOut, Txid};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Node;
use super::answers::{Bitcoins, ChainInfo, TxOutAnswer};
use super::error::{CallError, NodeError, Transient};
use super::transport::link::{Caller, Patience};
use super::transport::rpc::{Rpc, code};
use crate::chain::{BlockId, Height};

/// The deadline of a scan, which takes minutes, and on a slow disk up to an hour. It holds no lock in the node and ends when a stop is
/// requested.
const SCAN_LIMIT: Duration = Duration::from_secs(6 * 3600);
/// Between two checks for a stop request.
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// The time in which the node has to confirm that it aborts a scan.
const ABORT_LIMIT: Duration = Duration::from_millis(1500);

/// An answer from the set of unspent outputs, and the tip at which it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtTip<T> {
    /// The node's best block at that moment.
    pub tip: BlockId,
    /// The answer.
    pub found: T,
}

/// A coin that is unspent according to the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unspent {
    /// The output that created it.
    pub outpoint: OutPoint,
    /// Value and script.
    pub output: TxOut,
    /// Height of its block.
    pub height: Height,
    /// Whether it was created by a coinbase; unknown from a scan before version 25.
    pub coinbase: Option<bool>,
}

/// Of `scantxoutset`.
#[derive(Deserialize)]
struct ScanAnswer {
    success: bool,
    height: Option<Height>,
    bestblock: Option<BlockHash>,
    #[serde(default)]
    unspents: Vec<ScannedCoin>,
}

#[derive(Deserialize)]
struct ScannedCoin {
    txid: Txid,
    vout: u32,
    #[serde(rename = "scriptPubKey")]
    script_pubkey: ScriptBuf,
    amount: Bitcoins,
    height: Height,
    coinbase: Option<bool>,
}

impl Node {
    /// Which of these outputs (some hundreds at most) are unspent in the active chain, in the order of `outpoints` and all at one tip.
    /// Spends in the mempool don't count.
    ///
    /// # Errors
    /// As [`Self::info`].
    pub fn unspent(&self, outpoints: &[OutPoint]) -> Result<AtTip<Vec<Option<Unspent>>>, NodeError> {
        let rpc = self.rpc(self.link.patience);
        let args: Vec<_> = outpoints.iter().map(|at| vec![json!(at.txid), json!(at.vout), json!(false)]).collect();
        rpc.caller.persist("gettxout", || {
            let info: ChainInfo = rpc.call("getblockchaininfo", &[])?;
            let tip = BlockId { height: info.blocks, hash: info.bestblockhash };
            let mut found = Vec::with_capacity(outpoints.len());
            for (outpoint, answer) in outpoints.iter().zip(rpc.batch::<Option<TxOutAnswer>>("gettxout", &args)?) {
                found.push(answer?.map(|answer| unspent_at(answer, *outpoint, tip)).transpose()?);
            }
            // The answer for a spent output, null, doesn't say at which tip.
            let after: BlockHash = rpc.call("getbestblockhash", &[])?;
            if after == tip.hash { Ok(AtTip { tip, found }) } else { Err(CallError::Retry(Transient::Moved)) }
        })
    }

    /// Every unspent output on one of these scripts, by a scan of the node's whole set, which takes minutes on the main chain. The node
    /// accepts a request of 32 MB: twice the scripts' bytes, and 8 for each. The script can't be empty. A stop request ends the scan in
    /// the node too.
    ///
    /// # Errors
    /// As [`Self::info`].
    pub fn scan_unspent(&self, scripts: &[ScriptBuf]) -> Result<AtTip<Vec<Unspent>>, NodeError> {
        let raw: Vec<Value> = scripts.iter().map(|script| json!(format!("raw({script:x})"))).collect();
        let args = Arc::new([json!("start"), Value::Array(raw)]);
        Caller::new(&self.link, Patience::ENDLESS).persist("scantxoutset", || {
            let scan = self.scan_once(&args)?;
            let (true, Some(height), Some(hash)) = (scan.success, scan.height, scan.bestblock) else {
                return Err(CallError::Retry(Transient::NotYet("its scan for coins was aborted".into())));
            };
            let tip = BlockId { height, hash };
            Ok(AtTip { tip, found: scan.unspents.into_iter().map(ScannedCoin::into_unspent).collect() })
        })
    }

    /// One scan, called on a thread of its own, while this one checks for a stop request.
    fn scan_once(&self, args: &Arc<[Value; 2]>) -> Result<ScanAnswer, CallError> {
        let (sender, receiver) = channel();
        let caller = Caller::new(&self.link, Patience::with_calls_of(SCAN_LIMIT));
        let args = Arc::clone(args);
        let thread = thread::Builder::new().name("scan-coins".into()).spawn(move || {
            // After a stop request there is no receiver any longer.
            let _ = sender.send(Rpc::new(caller).call::<ScanAnswer>("scantxoutset", args.as_ref()));
        });
        let thread = thread.map_err(NodeError::Thread)?;
        loop {
            match receiver.recv_timeout(CHECK_EVERY) {
                Ok(Err(CallError::Rpc { code: code::OUT_OF_RANGE, message })) if message.contains("in progress") => {
                    return Err(CallError::Retry(Transient::NotYet("it is scanning for coins already".into())));
                }
                _ if self.link.stop.requested() => {
                    self.abort_scan();
                    return Err(NodeError::Stopped.into());
                }
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    // Only a panic, which is a bug of ours, ends the thread without an answer.
                    return match thread.join() {
                        Err(panic) => resume_unwind(panic),
                        Ok(()) => Err(CallError::bad("scantxoutset", "the call ended without an answer")),
                    };
                }
            }
        }
    }

    /// Aborts the node's scan, over a connection of its own, as the others may have been hung up. The request for the scan may still be on
    /// its way, so the call is repeated until there was a scan to abort.
    fn abort_scan(&self) {
        let end = Instant::now() + ABORT_LIMIT;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if self
                .link
                .call_aside(r#"{"jsonrpc":"2.0","id":0,"method":"scantxoutset","params":["abort"]}"#, left)
                .is_some_and(|body| body.windows(4).any(|window| window == b"true"))
            {
                return;
            }
            thread::sleep(CHECK_EVERY.min(left));
        }
    }
}

/// The coin in an answer of `gettxout`, if that holds at `tip`.
fn unspent_at(answer: TxOutAnswer, outpoint: OutPoint, tip: BlockId) -> Result<Unspent, CallError> {
    if answer.bestblock != tip.hash {
        return Err(CallError::Retry(Transient::Moved));
    }
    let height = (tip.height + 1).checked_sub(answer.confirmations).filter(|_| answer.confirmations > 0);
    let height = height.ok_or_else(|| {
        CallError::bad("gettxout", format!("{outpoint} has {} confirmations at {tip}", answer.confirmations))
    })?;
    let coinbase = Some(answer.coinbase);
    Ok(Unspent { outpoint, output: answer.into_output(), height, coinbase })
}

impl ScannedCoin {
    fn into_unspent(self) -> Unspent {
        let outpoint = OutPoint { txid: self.txid, vout: self.vout };
        let output = TxOut { value: self.amount.0, script_pubkey: self.script_pubkey };
        Unspent { outpoint, output, height: self.height, coinbase: self.coinbase }
    }
}
