//! The values of the families that come from the chain, as types. Their layouts stand in `schema`.

use std::ops::ControlFlow;

use bitcoin::block::Header;
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, TxOut, Txid, consensus};
use bitcoin_slices::{Visit, Visitor, bsl};

use super::bytes::{Cursor, Malformed, push_sized, push_taint};
use super::keys::{CoinKey, ScriptKey, TouchKey, TxPosition, TxidKey};
use super::layout::{KeyPart, row_without_value};
use super::row::{IndexKey, IndexRow};
use crate::chain::{Height, ScriptHash};
use crate::index::schema::Family;
use crate::trace::{Rule, RuleTaint, Segment, Taint};

/// A transaction that touches a flagged script or spends a followed coin, with what proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Without its witness, which the merkle branch of its txid does not prove.
    pub transaction: Transaction,
    /// The output that each input spends, in input order; empty for a coinbase.
    pub spent: Vec<TxOut>,
    /// From the transaction to its block's merkle root, lowest sibling first.
    pub branch: Vec<[u8; 32]>,
}

impl IndexRow for Record {
    const FAMILY: Family = Family::Records;
    type Key = TxPosition;

    fn value(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(512);
        push_sized(&mut row, &consensus::serialize(&self.transaction));
        for output in &self.spent {
            row.extend_from_slice(&output.value.to_sat().to_be_bytes());
            push_sized(&mut row, output.script_pubkey.as_bytes());
        }
        row.extend(self.branch.iter().flatten());
        row
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(value);
        let transaction: Transaction = consensus::deserialize(cursor.sized()?).map_err(|_| Malformed)?;
        let inputs = if transaction.is_coinbase() { 0 } else { transaction.input.len() };
        let mut spent = Vec::with_capacity(inputs);
        for _ in 0..inputs {
            let value = Amount::from_sat(cursor.u64()?);
            spent.push(TxOut { value, script_pubkey: cursor.script()? });
        }
        let branch = cursor.rest();
        let (hashes, []) = branch.as_chunks::<32>() else { return Err(Malformed) };
        Ok(Self { transaction, spent, branch: hashes.to_vec() })
    }
}

impl Record {
    /// Reads one output of such a value's transaction and skips the others: a payout can have thousands. `None` where it has fewer.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes are not such a value.
    pub fn output(value: &[u8], vout: u32) -> Result<Option<TxOut>, Malformed> {
        let mut wanted = OutputVisitor { vout: vout as usize, found: None };
        match bsl::Transaction::visit(Cursor::new(value).sized()?, &mut wanted) {
            Ok(_) | Err(bitcoin_slices::Error::VisitBreak) => Ok(wanted.found),
            Err(_) => Err(Malformed),
        }
    }

    /// The value of its inputs less that of its outputs, in satoshis; `None` for a coinbase.
    pub fn fee(&self) -> Option<u64> {
        (!self.transaction.is_coinbase()).then(|| total(&self.spent).saturating_sub(total(&self.transaction.output)))
    }

    /// Its transaction's id.
    pub fn txid(&self) -> Txid {
        self.transaction.compute_txid()
    }
}

/// Satoshis; as many as there can be where a damaged row has more.
fn total(outputs: &[TxOut]) -> u64 {
    outputs.iter().fold(0, |sum, output| sum.saturating_add(output.value.to_sat()))
}

/// Visits a transaction for one of its outputs.
struct OutputVisitor {
    vout: usize,
    found: Option<TxOut>,
}

impl Visitor for OutputVisitor {
    fn visit_tx_out(&mut self, vout: usize, output: &bsl::TxOut<'_>) -> ControlFlow<()> {
        if vout != self.vout {
            return ControlFlow::Continue(());
        }
        let script_pubkey = ScriptBuf::from_bytes(output.script_pubkey().to_vec());
        self.found = Some(TxOut { value: Amount::from_sat(output.value()), script_pubkey });
        ControlFlow::Break(())
    }
}

/// An output that is flagged or tainted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coin {
    /// Satoshis.
    pub value: u64,
    /// The script that holds it.
    pub script: ScriptHash,
    /// Whether a coinbase transaction made it.
    pub coinbase: bool,
    /// One for each tracked rule under which it holds taint, in the order of the rules' bytes; of a source, all of them.
    pub columns: Vec<RuleTaint>,
}

impl Coin {
    /// Whether the index looks for its spend. Where no rule is tracked, rows have no columns, and only flagged coins have rows.
    pub fn is_followed(&self) -> bool {
        self.columns.is_empty() || self.columns.iter().any(RuleTaint::is_followed)
    }
}

impl IndexRow for Coin {
    const FAMILY: Family = Family::Coins;
    type Key = CoinKey;

    fn value(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(64);
        row.extend_from_slice(&self.value.to_be_bytes());
        row.extend_from_slice(&self.script.0);
        row.push(u8::from(self.coinbase));
        for column in &self.columns {
            push_taint(&mut row, column.rule, column.taint.amount, column.taint.hops);
            row.push(column.fate as u8);
            let count = u32::try_from(column.taint.segments.len()).expect("a transaction has fewer inputs than that");
            row.extend_from_slice(&count.to_be_bytes());
            for segment in &column.taint.segments {
                row.push(u8::from(segment.tainted));
                row.extend_from_slice(&segment.length.to_be_bytes());
            }
        }
        row
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(value);
        let value = cursor.u64()?;
        let script = cursor.script_hash()?;
        let coinbase = cursor.flag()?;
        let mut columns = Vec::new();
        let mut cursor = Cursor::new(cursor.rest());
        loop {
            let rest = cursor.rest();
            if rest.is_empty() {
                return Ok(Self { value, script, coinbase, columns });
            }
            cursor = Cursor::new(rest);
            let (rule, amount, hops) = cursor.taint()?;
            let fate = cursor.fate()?;
            let mut segments = Vec::new();
            for _ in 0..cursor.u32()? {
                segments.push(Segment { tainted: cursor.flag()?, length: cursor.u64()? });
            }
            columns.push(RuleTaint { rule, taint: Taint { amount, hops, segments }, fate });
        }
    }
}

/// The taint of an input, under one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputTaint {
    /// The rule.
    pub rule: Rule,
    /// Satoshis.
    pub taint: u64,
    /// Number of spends since the source; 0 where the coin was a source itself.
    pub hops: u32,
}

/// The input that spent an output, and its taint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spender {
    /// The spending transaction.
    pub at: TxPosition,
    /// Its input.
    pub vin: u32,
    /// One for each tracked rule under which the input is tainted, in the order of the rules' bytes.
    pub taint: Vec<InputTaint>,
}

impl IndexRow for Spender {
    const FAMILY: Family = Family::Spends;
    type Key = OutPoint;

    fn value(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(12 + 13 * self.taint.len());
        row.extend_from_slice(&self.at.key());
        row.extend_from_slice(&self.vin.to_be_bytes());
        for input in &self.taint {
            push_taint(&mut row, input.rule, input.taint, input.hops);
        }
        row
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(value);
        let at = TxPosition::take(&mut cursor)?;
        let vin = cursor.u32()?;
        let (parts, []) = cursor.rest().as_chunks::<13>() else { return Err(Malformed) };
        let taint = parts.iter().map(|part| {
            let (rule, taint, hops) = Cursor::new(part).taint()?;
            Ok(InputTaint { rule, taint, hops })
        });
        Ok(Self { at, vin, taint: taint.collect::<Result<_, _>>()? })
    }
}

impl IndexRow for Header {
    const FAMILY: Family = Family::Headers;
    type Key = Height;

    fn value(&self) -> Vec<u8> {
        consensus::serialize(self)
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        consensus::deserialize(value).map_err(|_| Malformed)
    }
}

/// A flagged script was paid or spent from; the key says by which input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Satoshis.
    pub value: u64,
}

impl IndexRow for Touch {
    const FAMILY: Family = Family::Touches;
    type Key = TouchKey;

    fn value(&self) -> Vec<u8> {
        self.value.to_be_bytes().to_vec()
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(value);
        let value = cursor.u64()?;
        cursor.end(Self { value })
    }
}

/// A transaction is recorded; the key says where. The row has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded;

row_without_value!(Recorded, Txids, TxidKey);

/// A script holds a coin; the key says which. The row has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptCoin;

row_without_value!(ScriptCoin, Scripts, ScriptKey);

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::absolute::LockTime;
    use bitcoin::hashes::Hash;
    use bitcoin::{ScriptBuf, Sequence, TxIn, Witness, transaction};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use crate::trace::Fate;

    fn transaction(inputs: usize) -> Transaction {
        let input = |n: usize| TxIn {
            previous_output: OutPoint { txid: Txid::from_byte_array([7; 32]), vout: u32::try_from(n).unwrap() },
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        };
        let output = TxOut { value: Amount::from_sat(1), script_pubkey: ScriptBuf::from_bytes(vec![0x51]) };
        Transaction {
            version: transaction::Version::ONE,
            lock_time: LockTime::ZERO,
            input: (0..inputs).map(input).collect(),
            output: vec![output],
        }
    }

    #[test]
    fn values_are_laid_out_as_the_schema_says() {
        let spent =
            vec![TxOut { value: Amount::from_sat(0x0102), script_pubkey: ScriptBuf::from_bytes(vec![0xac, 0xad]) }];
        let record = Record { transaction: transaction(1), spent, branch: vec![[0xcc; 32], [0xdd; 32]] };
        let input = format!("{}0000000000ffffffff", "07".repeat(32));
        let transaction = format!("0100000001{input}0101000000000000000151{}", "00000000");
        let record_hex = format!("3d{transaction}000000000000010202acad{}{}", "cc".repeat(32), "dd".repeat(32));
        let segments = vec![Segment { tainted: true, length: 3 }, Segment { tainted: false, length: 4 }];
        let taint = Taint { amount: 3, hops: 2, segments };
        let column = RuleTaint { rule: Rule::Fifo, taint, fate: Fate::BelowMinTaint };
        let coin = Coin { value: 7, script: ScriptHash([0xab; 32]), coinbase: true, columns: vec![column] };
        let coin_hex = format!(
            "0000000000000007{}01{}{}{}",
            "ab".repeat(32),
            "0200000000000000030000000205",
            "00000002010000000000000003",
            "000000000000000004"
        );
        let taint = vec![InputTaint { rule: Rule::Haircut, taint: 5, hops: 4 }];
        let spender = Spender { at: TxPosition { height: 1, tx_index: 2 }, vin: 3, taint };
        let cases = [
            (record.value(), record_hex),
            (coin.value(), coin_hex),
            (spender.value(), "00000001000000020000000301000000000000000500000004".to_owned()),
        ];
        for (value, expected) in cases {
            assert_eq!(const_hex::encode(value), expected);
        }
    }

    fn fate() -> impl Strategy<Value = Fate> {
        proptest::sample::select(Fate::ALL.to_vec())
    }

    fn column() -> impl Strategy<Value = RuleTaint> {
        let segments = vec(any::<(bool, u64)>().prop_map(|(tainted, length)| Segment { tainted, length }), 0..4);
        let rule = proptest::sample::select(Rule::ALL.to_vec());
        (rule, any::<(u64, u32)>(), fate(), segments).prop_map(|(rule, (amount, hops), fate, segments)| RuleTaint {
            rule,
            taint: Taint { amount, hops, segments },
            fate,
        })
    }

    proptest! {
        #[test]
        fn values_read_back_as_written(
            inputs in 1..4usize, scripts in vec(vec(any::<u8>(), 0..300), 3), branch in vec(any::<[u8; 32]>(), 0..14),
            value in any::<u64>(), id in any::<[u8; 32]>(), coinbase in any::<bool>(), columns in vec(column(), 0..4),
            numbers in any::<(u32, u32, u32)>()
        ) {
            let output = |script: &Vec<u8>| {
                TxOut { value: Amount::from_sat(value), script_pubkey: ScriptBuf::from_bytes(script.clone()) }
            };
            let mut transaction = transaction(inputs);
            transaction.output = scripts.iter().map(output).collect();
            let record = Record { transaction, spent: scripts.iter().take(inputs).map(output).collect(), branch };
            prop_assert_eq!(Record::from_value(&record.value()), Ok(record.clone()));
            for vout in 0..5 {
                let output = record.transaction.output.get(vout as usize).cloned();
                prop_assert_eq!(Record::output(&record.value(), vout), Ok(output));
            }
            let coin = Coin { value, script: ScriptHash(id), coinbase, columns };
            prop_assert_eq!(Coin::from_value(&coin.value()), Ok(coin));
            let taint = vec![InputTaint { rule: Rule::Fifo, taint: value, hops: numbers.0 }; inputs - 1];
            let spender = Spender { at: TxPosition { height: numbers.0, tx_index: numbers.1 }, vin: numbers.2, taint };
            prop_assert_eq!(Spender::from_value(&spender.value()), Ok(spender));
        }

        #[test]
        fn no_bytes_make_a_value_reader_panic(bytes in vec(any::<u8>(), 0..400)) {
            // Whatever reads as a value is the value that writes those bytes: no row has two readings.
            if let Ok(coin) = Coin::from_value(&bytes) {
                prop_assert_eq!(coin.value(), bytes.clone());
            }
            if let Ok(record) = Record::from_value(&bytes) {
                prop_assert_eq!(record.value(), bytes.clone());
            }
            let _ = (Spender::from_value(&bytes), Header::from_value(&bytes), Record::output(&bytes, 0));
        }
    }

    #[test]
    fn a_record_cut_short_anywhere_is_malformed() {
        let spent = vec![TxOut { value: Amount::from_sat(5), script_pubkey: ScriptBuf::new() }];
        let value = Record { transaction: transaction(1), spent, branch: vec![[1; 32]] }.value();
        for end in 0..value.len() {
            let whole_branch = value.len() - end == 32;
            assert_eq!(Record::from_value(&value[..end]).is_ok(), whole_branch, "{end} bytes");
        }
    }
}
