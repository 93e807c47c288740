//! The values of all families: typed parts to bytes and back. Layouts: `schema`.

use bitcoin::block::Header;
use bitcoin::{Amount, ScriptBuf, Transaction, TxOut, Txid, consensus};

use super::bytes::{Cursor, Malformed, push_sized};
use super::keys::TxPosition;
use crate::chain::{Height, ScriptHash};
use crate::trace::{Column, Fate, Rule, Segment, Taint};
use crate::watchlist::Label;

/// A touched transaction, with what proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Without its witness, which the merkle branch does not prove.
    pub transaction: Transaction,
    /// The output each input consumes, in input order; empty for a coinbase.
    pub spent: Vec<TxOut>,
    /// From the transaction to its block's merkle root, lowest sibling first.
    pub branch: Vec<[u8; 32]>,
}

impl Record {
    /// Its bytes.
    pub fn value(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(512);
        push_sized(&mut row, &consensus::serialize(&self.transaction));
        for output in &self.spent {
            row.extend_from_slice(&output.value.to_sat().to_be_bytes());
            push_sized(&mut row, output.script_pubkey.as_bytes());
        }
        row.extend(self.branch.iter().flatten());
        row
    }

    /// Reads such a value.
    ///
    /// # Errors
    /// [`Malformed`], as in all that follow, where the bytes are not such a value.
    pub fn from_value(value: &[u8]) -> Result<Self, Malformed> {
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

    /// What its inputs bring less what its outputs take, in satoshis; `None` for a coinbase.
    pub fn fee(&self) -> Option<u64> {
        let sum =
            |outputs: &[TxOut]| outputs.iter().fold(0u64, |sum, output| sum.saturating_add(output.value.to_sat()));
        (!self.transaction.is_coinbase()).then(|| sum(&self.spent).saturating_sub(sum(&self.transaction.output)))
    }

    /// Its transaction's id.
    pub fn txid(&self) -> Txid {
        self.transaction.compute_txid()
    }
}

/// An output that is flagged or tainted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coin {
    /// Satoshis.
    pub value: u64,
    /// The script that holds it.
    pub script: ScriptHash,
    /// Whether that transaction is the coinbase.
    pub coinbase: bool,
    /// One for each tracked rule under which it holds taint, in the order of the rules' bytes; of a source, all of them.
    pub columns: Vec<Column>,
}

impl Coin {
    /// Its bytes.
    pub fn value(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(64);
        row.extend_from_slice(&self.value.to_be_bytes());
        row.extend_from_slice(&self.script.0);
        row.push(u8::from(self.coinbase));
        for column in &self.columns {
            row.push(column.rule.byte());
            row.extend_from_slice(&column.taint.amount.to_be_bytes());
            row.extend_from_slice(&column.taint.hops.to_be_bytes());
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

    /// Reads such a value.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(value);
        let value = cursor.u64()?;
        let script = cursor.script_hash()?;
        let coinbase = flag(cursor.u8()?)?;
        let mut columns = Vec::new();
        let mut cursor = Cursor::new(cursor.rest());
        loop {
            let rest = cursor.rest();
            if rest.is_empty() {
                return Ok(Self { value, script, coinbase, columns });
            }
            cursor = Cursor::new(rest);
            let rule = Rule::from_byte(cursor.u8()?).ok_or(Malformed)?;
            let amount = cursor.u64()?;
            let hops = cursor.u32()?;
            let fate = *Fate::ALL.get(usize::from(cursor.u8()?)).ok_or(Malformed)?;
            let mut segments = Vec::new();
            for _ in 0..cursor.u32()? {
                segments.push(Segment { tainted: flag(cursor.u8()?)?, length: cursor.u64()? });
            }
            columns.push(Column { rule, taint: Taint { amount, hops, segments }, fate });
        }
    }
}

fn flag(byte: u8) -> Result<bool, Malformed> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

/// The input that spent an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spender {
    /// The spending transaction.
    pub at: TxPosition,
    /// Its input.
    pub vin: u32,
}

impl Spender {
    /// height\[4\] tx_index\[4\] vin\[4\].
    pub fn value(self) -> [u8; 12] {
        let mut row = [0; 12];
        row[..8].copy_from_slice(&self.at.key());
        row[8..].copy_from_slice(&self.vin.to_be_bytes());
        row
    }

    /// Reads such a value.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(value);
        let at = TxPosition::take(&mut cursor)?;
        let vin = cursor.u32()?;
        cursor.end(Self { at, vin })
    }
}

/// A script on the lists, as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// The script itself.
    pub script: ScriptBuf,
    /// Money to find.
    pub flagged: bool,
    /// A place where tracing stops.
    pub service: bool,
    /// The first height it is complete from.
    pub from: Height,
    /// The sweep whose progress is its own.
    pub sweep: u32,
    /// Who says what about it.
    pub labels: Vec<Label>,
}

impl EntryRow {
    /// Its bytes.
    pub fn value(&self) -> Vec<u8> {
        let mut row = self.identity();
        row.extend(serde_json::to_vec(&self.labels).expect("labels are strings and numbers"));
        row
    }

    /// All but the labels, which say nothing of the chain.
    fn identity(&self) -> Vec<u8> {
        let mut row = vec![self.roles_byte()];
        row.extend_from_slice(&self.from.to_be_bytes());
        row.extend_from_slice(&self.sweep.to_be_bytes());
        push_sized(&mut row, self.script.as_bytes());
        row
    }

    /// Reads such a value.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(value);
        let head = Self::take_head(&mut cursor)?;
        let labels = serde_json::from_slice(cursor.rest()).map_err(|_| Malformed)?;
        Ok(Self { labels, ..head })
    }

    /// Reads all but the labels, which take most of the time and say nothing of the chain.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn head(value: &[u8]) -> Result<Self, Malformed> {
        Self::take_head(&mut Cursor::new(value))
    }

    fn take_head(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let roles = cursor.u8()?;
        if roles > 3 {
            return Err(Malformed);
        }
        let from = cursor.u32()?;
        let sweep = cursor.u32()?;
        let script = cursor.script()?;
        Ok(Self { script, flagged: roles & 1 != 0, service: roles & 2 != 0, from, sweep, labels: Vec::new() })
    }

    /// Its roles as the one byte the row starts with.
    pub fn roles_byte(&self) -> u8 {
        u8::from(self.flagged) | u8::from(self.service) << 1
    }
}

/// How far a sweep got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The next height it will look at.
    pub next: Height,
}

/// The id of the main sweep.
pub const MAIN_SWEEP: u32 = 0;

impl Sweep {
    /// next height\[4\] kind\[1\].
    pub fn value(self) -> [u8; 5] {
        let mut row = [0; 5];
        row[..4].copy_from_slice(&self.next.to_be_bytes());
        row
    }

    /// Reads such a value.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(value);
        let next = cursor.u32()?;
        if cursor.u8()? != 0 {
            return Err(Malformed);
        }
        cursor.end(Self { next })
    }
}

/// Reads a value of `headers`.
///
/// # Errors
/// [`Malformed`].
pub fn header_from_value(value: &[u8]) -> Result<Header, Malformed> {
    consensus::deserialize(value).map_err(|_| Malformed)
}

/// Reads a value of `touches`: satoshis.
///
/// # Errors
/// [`Malformed`].
pub fn amount_from_value(value: &[u8]) -> Result<u64, Malformed> {
    let mut cursor = Cursor::new(value);
    let amount = cursor.u64()?;
    cursor.end(amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::absolute::LockTime;
    use bitcoin::hashes::Hash;
    use bitcoin::{OutPoint, Sequence, TxIn, Witness, transaction};
    use proptest::collection::vec;
    use proptest::prelude::*;

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
        let column = Column { rule: Rule::Fifo, taint, fate: Fate::BelowMinTaint };
        let coin = Coin { value: 7, script: ScriptHash([0xab; 32]), coinbase: true, columns: vec![column] };
        let coin_hex = format!(
            "0000000000000007{}01{}{}{}",
            "ab".repeat(32),
            "0200000000000000030000000205",
            "00000002010000000000000003",
            "000000000000000004"
        );
        let label = crate::watchlist::Label {
            list: "/l".into(),
            label: Some("x".into()),
            source: None,
            category: None,
            role: crate::watchlist::Role::Flagged,
            from: None,
            line: 1,
            extra: std::collections::BTreeMap::new(),
        };
        let entry = EntryRow {
            script: ScriptBuf::from_bytes(vec![0x51]),
            flagged: true,
            service: true,
            from: 9,
            sweep: MAIN_SWEEP,
            labels: vec![label],
        };
        let labels = const_hex::encode(r#"[{"list":"/l","label":"x","role":"flagged","line":1}]"#);
        let spender = Spender { at: TxPosition { height: 1, tx_index: 2 }, vin: 3 };
        let cases = [
            (record.value(), record_hex),
            (coin.value(), coin_hex),
            (entry.value(), format!("0300000009000000000151{labels}")),
            (spender.value().to_vec(), "000000010000000200000003".to_owned()),
            (Sweep { next: 600 }.value().to_vec(), "0000025800".to_owned()),
        ];
        for (value, expected) in cases {
            assert_eq!(const_hex::encode(value), expected);
        }
    }

    fn fate() -> impl Strategy<Value = Fate> {
        proptest::sample::select(Fate::ALL.to_vec())
    }

    fn column() -> impl Strategy<Value = Column> {
        let segments = vec(any::<(bool, u64)>().prop_map(|(tainted, length)| Segment { tainted, length }), 0..4);
        let rule = proptest::sample::select(Rule::ALL.to_vec());
        (rule, any::<(u64, u32)>(), fate(), segments).prop_map(|(rule, (amount, hops), fate, segments)| Column {
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
            let record = Record { transaction: transaction(inputs), spent: scripts.iter().take(inputs).map(output).collect(), branch };
            prop_assert_eq!(Record::from_value(&record.value()), Ok(record));
            let coin = Coin { value, script: ScriptHash(id), coinbase, columns };
            prop_assert_eq!(Coin::from_value(&coin.value()), Ok(coin));
            let spender = Spender { at: TxPosition { height: numbers.0, tx_index: numbers.1 }, vin: numbers.2 };
            prop_assert_eq!(Spender::from_value(&spender.value()), Ok(spender));
            let sweep = Sweep { next: numbers.0 };
            prop_assert_eq!(Sweep::from_value(&sweep.value()), Ok(sweep));
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
            let _ = (EntryRow::from_value(&bytes), Spender::from_value(&bytes), header_from_value(&bytes));
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
