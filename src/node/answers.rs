//! The answers of Bitcoin Core's RPC, as far as they are used; versions 23 to 31. Unknown fields are ignored.

use std::collections::HashMap;

use bitcoin::{Amount, BlockHash, Denomination, ScriptBuf, TxOut, Txid};
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::chain::Height;

/// Of `getblockchaininfo`.
#[derive(Debug, Deserialize)]
pub(super) struct ChainInfo {
    pub(super) chain: String,
    pub(super) blocks: Height,
    pub(super) headers: Height,
    pub(super) bestblockhash: BlockHash,
    pub(super) initialblockdownload: bool,
    #[serde(default)]
    pub(super) size_on_disk: u64,
    pub(super) pruned: bool,
    pub(super) pruneheight: Option<Height>,
    #[serde(default)]
    pub(super) warnings: Warnings,
    /// Since 28, on signet.
    pub(super) signet_challenge: Option<String>,
}

/// A string up to version 27, an array since 28.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
pub(super) enum Warnings {
    One(String),
    Many(Vec<String>),
    #[default]
    None,
    Other(IgnoredAny),
}

impl Warnings {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) if !text.is_empty() => vec![text],
            Self::Many(texts) => texts,
            Self::One(_) | Self::None | Self::Other(_) => Vec::new(),
        }
    }
}

/// Of `getchainstates` (version 26): the chainstate with the most work last.
#[derive(Debug, Deserialize)]
pub(super) struct Chainstates {
    pub(super) chainstates: Vec<Chainstate>,
}

/// One chainstate.
#[derive(Debug, Deserialize)]
pub(super) struct Chainstate {
    pub(super) blocks: Height,
    /// The base of the UTXO snapshot that it was loaded from.
    pub(super) snapshot_blockhash: Option<BlockHash>,
}

/// Of `getnetworkinfo`.
#[derive(Debug, Deserialize)]
pub(super) struct NetworkInfo {
    pub(super) version: u64,
    #[serde(default)]
    pub(super) subversion: String,
}

/// Of `getindexinfo`: the node's indexes by name.
pub(super) type Indexes = HashMap<String, IndexAnswer>;

/// How far one of the node's indexes is.
#[derive(Debug, Deserialize)]
pub(super) struct IndexAnswer {
    pub(super) synced: bool,
    #[serde(default)]
    pub(super) best_block_height: Height,
}

/// Of `getblockheader` verbose.
#[derive(Debug, Deserialize)]
pub(super) struct HeaderInfo {
    /// -1 if the block is not on the active chain.
    pub(super) confirmations: i64,
    pub(super) height: Height,
}

/// Of `getblock` verbosity 3, as far as its inputs' prevouts.
#[derive(Debug, Deserialize)]
pub(super) struct BlockPrevouts {
    pub(super) hash: BlockHash,
    pub(super) tx: Vec<TxPrevouts>,
}

/// Of `getrawtransaction` verbosity 2, and of each transaction in `getblock` verbosity 3.
#[derive(Debug, Deserialize)]
pub(super) struct TxPrevouts {
    pub(super) txid: Txid,
    vin: Vec<Vin>,
}

#[derive(Debug, Deserialize)]
struct Vin {
    coinbase: Option<IgnoredAny>,
    prevout: Option<Prevout>,
}

#[derive(Debug, Deserialize)]
struct Prevout {
    value: Bitcoins,
    #[serde(rename = "scriptPubKey")]
    script_pubkey: ScriptPubKey,
}

/// Only the bytes: the type that Core gives is not needed, and new versions add types (`anchor` in 28).
#[derive(Debug, Deserialize)]
pub(super) struct ScriptPubKey {
    hex: ScriptBuf,
}

impl From<ScriptPubKey> for ScriptBuf {
    fn from(script: ScriptPubKey) -> Self {
        script.hex
    }
}

impl TxPrevouts {
    /// The outputs that its inputs spend, in order; none for a coinbase. `None` if the node left one out, as it does if it lacks the
    /// block's undo data.
    pub(super) fn into_spent(self) -> Option<Vec<TxOut>> {
        if self.vin.iter().any(|input| input.coinbase.is_some()) {
            return Some(Vec::new());
        }
        let prevouts = self.vin.into_iter().map(|input| input.prevout);
        prevouts
            .map(|prevout| prevout.map(|out| TxOut { value: out.value.0, script_pubkey: out.script_pubkey.hex }))
            .collect()
    }
}

/// Of `gettxout`.
#[derive(Debug, Deserialize)]
pub(super) struct TxOutAnswer {
    pub(super) bestblock: BlockHash,
    pub(super) confirmations: Height,
    value: Bitcoins,
    #[serde(rename = "scriptPubKey")]
    script_pubkey: ScriptPubKey,
    pub(super) coinbase: bool,
}

impl TxOutAnswer {
    pub(super) fn into_output(self) -> TxOut {
        TxOut { value: self.value.0, script_pubkey: self.script_pubkey.hex }
    }
}

/// An amount in BTC with eight decimals, read from the node's text, as a float would lose satoshis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bitcoins(pub(super) Amount);

impl<'de> Deserialize<'de> for Bitcoins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Amount::from_str_in(text.get(), Denomination::Bitcoin)
            .map(Self)
            .map_err(|error| D::Error::custom(format_args!("{} is not an amount in BTC: {error}", text.get())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_to_the_satoshi() {
        let cases = [
            ("0.00000001", Some(1)),
            ("0.00000000", Some(0)),
            ("50.00000000", Some(5_000_000_000)),
            ("20999999.97690000", Some(2_099_999_997_690_000)),
            ("0.1", Some(10_000_000)),
            ("0.29", Some(29_000_000)),
            ("90071992.54740993", Some(9_007_199_254_740_993)),
            ("3", Some(300_000_000)),
            ("-1.00000000", None),
            ("1e-8", None),
            ("0.000000001", None),
            ("999999999999999999999", None),
            ("\"1.0\"", None),
            ("null", None),
        ];
        for (text, sat) in cases {
            let amount = serde_json::from_str::<Bitcoins>(text).ok().map(|amount| amount.0.to_sat());
            assert_eq!(amount, sat, "{text}");
        }
    }

    #[test]
    fn chain_info_is_read_in_every_versions_form() {
        let hash = "00".repeat(32);
        let cases = [
            // 23: warnings is a string, softforks went to getdeploymentinfo.
            (r#""size_on_disk":9,"pruned":false,"warnings":"""#, None, 0, None),
            (r#""size_on_disk":9,"pruned":false,"warnings":"unknown new rules activated""#, None, 1, None),
            (
                r#""size_on_disk":9,"pruned":true,"pruneheight":7,"automatic_pruning":true,"prune_target_size":1,"warnings":"""#,
                Some(7),
                0,
                None,
            ),
            // 28: an array; bits and target since 29; signet_challenge.
            (r#""bits":"1d00ffff","target":"00","size_on_disk":9,"pruned":false,"warnings":["a","b"]"#, None, 2, None),
            (r#""pruned":false,"signet_challenge":"51","warnings":[]"#, None, 0, Some("51")),
            // Fields and forms that no version has yet.
            (r#""pruned":false,"warnings":{"a":1},"background_validation":{"x":[1.5]}"#, None, 0, None),
            (r#""pruned":false"#, None, 0, None),
        ];
        for (rest, prune_height, warnings, challenge) in cases {
            let json = format!(
                r#"{{"chain":"signet","blocks":5,"headers":6,"bestblockhash":"{hash}","difficulty":4.6e-10,"time":1,
                "mediantime":1,"verificationprogress":1,"initialblockdownload":true,"chainwork":"02",{rest}}}"#
            );
            let info: ChainInfo = serde_json::from_str(&json).unwrap();
            assert_eq!((info.blocks, info.headers, info.pruneheight), (5, 6, prune_height), "{rest}");
            assert_eq!(info.warnings.into_vec().len(), warnings, "{rest}");
            assert_eq!(info.signet_challenge.as_deref(), challenge, "{rest}");
        }
    }

    #[test]
    fn spent_outputs_are_read_whatever_the_type_of_their_scripts() {
        let txid = "11".repeat(32);
        let prevout = |value: &str, kind: &str| {
            format!(
                r#"{{"txid":"{txid}","vout":1,"prevout":{{"generated":false,"height":3,"value":{value},"scriptPubKey":
                {{"asm":"1 20","hex":"51024e73","type":"{kind}"}}}},"sequence":1}}"#
            )
        };
        let json = format!(
            r#"{{"txid":"{txid}","vin":[{},{}],"vout":[],"fee":0.1}}"#,
            prevout("0.00000240", "anchor"),
            prevout("0.30000000", "of_the_future")
        );
        let tx: TxPrevouts = serde_json::from_str(&json).unwrap();
        let spent = tx.into_spent().unwrap();
        assert_eq!(spent.iter().map(|output| output.value.to_sat()).collect::<Vec<_>>(), [240, 30_000_000]);
        assert_eq!(spent[0].script_pubkey.as_bytes(), [0x51, 0x02, 0x4e, 0x73]);

        let coinbase = format!(r#"{{"txid":"{txid}","vin":[{{"coinbase":"00","sequence":1}}]}}"#);
        assert_eq!(serde_json::from_str::<TxPrevouts>(&coinbase).unwrap().into_spent(), Some(vec![]));
        let without = format!(r#"{{"txid":"{txid}","vin":[{{"txid":"{txid}","vout":0}}]}}"#);
        assert_eq!(serde_json::from_str::<TxPrevouts>(&without).unwrap().into_spent(), None);
    }

    #[test]
    fn indexes_are_read_with_and_without_the_filter_index() {
        let none: Indexes = serde_json::from_str("{}").unwrap();
        assert!(none.is_empty());
        let json = r#"{"basic block filter index":{"synced":true,"best_block_height":7},"txindex":{"synced":false}}"#;
        let some: Indexes = serde_json::from_str(json).unwrap();
        assert!(some["basic block filter index"].synced && !some["txindex"].synced);
    }
}
