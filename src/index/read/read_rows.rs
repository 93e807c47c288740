//! Reading rows by their types, in the same way from an open index and from a step with pending changes.

use std::collections::BTreeMap;

use bitcoin::block::Header;
use bitcoin::{OutPoint, TxOut, Txid};

use crate::chain::{Height, ScriptHash};
use crate::index::error::{IndexError, Result};
use crate::index::raw::RawRows;
use crate::index::rows::entries::EntryRow;
use crate::index::rows::keys::{CoinKey, TxPosition, TxidKey};
use crate::index::rows::row::{IndexKey, IndexRow, PrefixOf, checked, corrupt, typed, typed_key};
use crate::index::rows::sweeps::{MAIN_SWEEP, Sweep, Sweeps};
use crate::index::rows::values::{Coin, Record, Recorded, Spender};

/// Reads rows by their types. All reads report [`IndexError::Damaged`] where the disk does not give back what was written, and
/// [`IndexError::Corrupt`] where a row is not laid out as the schema says.
pub trait ReadRows: RawRows {
    /// One row.
    ///
    /// # Errors
    /// As all reads.
    fn get<R: IndexRow>(&self, key: &R::Key) -> Result<Option<R>> {
        let key = key.key();
        let Some(value) = self.raw_get(R::FAMILY, key.as_ref())? else { return Ok(None) };
        checked(R::FAMILY, key.as_ref(), R::from_value(&value)).map(Some)
    }

    /// Whether there is a row, whatever its value.
    ///
    /// # Errors
    /// As all reads.
    fn has<R: IndexRow>(&self, key: &R::Key) -> Result<bool> {
        Ok(self.raw_get(R::FAMILY, key.key().as_ref())?.is_some())
    }

    /// A row that must exist, since another one speaks of it.
    ///
    /// # Errors
    /// [`IndexError::Corrupt`] where there is none; as all reads.
    fn known<R: IndexRow>(&self, key: &R::Key) -> Result<R> {
        self.get(key)?.ok_or_else(|| IndexError::corrupt::<R>(key))
    }

    /// The rows whose keys begin with `prefix`, in key order.
    fn prefix<R: IndexRow>(&self, prefix: impl PrefixOf<R::Key>) -> impl Iterator<Item = Result<(R::Key, R)>> {
        self.raw_prefix(R::FAMILY, prefix.prefix().as_ref()).map(|row| typed::<R>(row?))
    }

    /// The keys that begin with `prefix`, in order.
    fn keys<R: IndexRow>(&self, prefix: impl PrefixOf<R::Key>) -> impl Iterator<Item = Result<R::Key>> {
        self.raw_prefix(R::FAMILY, prefix.prefix().as_ref()).map(|row| typed_key::<R>(&row?.0))
    }

    /// The header at a height.
    ///
    /// # Errors
    /// As all reads.
    fn header(&self, height: Height) -> Result<Option<Header>> {
        self.get(&height)
    }

    /// The header at a height that must have one.
    ///
    /// # Errors
    /// [`IndexError::Corrupt`] where there is none; as all reads.
    fn known_header(&self, height: Height) -> Result<Header> {
        self.known(&height)
    }

    /// How far each sweep got. Every index has a row of the main sweep from its first step on.
    ///
    /// # Errors
    /// [`IndexError::Corrupt`] where there is no main sweep; as all reads.
    fn sweeps(&self) -> Result<Sweeps> {
        let rows = self.raw_prefix(Sweep::FAMILY, &[]).map(|row| typed::<Sweep>(row?));
        let sweeps: Sweeps = rows.collect::<Result<_>>()?;
        match sweeps.get(MAIN_SWEEP) {
            Some(Sweep::Main { .. }) => Ok(sweeps),
            _ => Err(IndexError::corrupt::<Sweep>(&MAIN_SWEEP)),
        }
    }

    /// The record at a position.
    ///
    /// # Errors
    /// As all reads.
    fn record(&self, at: TxPosition) -> Result<Option<Record>> {
        self.get(&at)
    }

    /// The record at a position that must have one.
    ///
    /// # Errors
    /// [`IndexError::Corrupt`] where there is none; as all reads.
    fn known_record(&self, at: TxPosition) -> Result<Record> {
        self.known(&at)
    }

    /// The records of a block, by the index of their transaction in the block.
    ///
    /// # Errors
    /// As all reads.
    fn records(&self, height: Height) -> Result<BTreeMap<u32, Record>> {
        self.prefix::<Record>(height).map(|row| row.map(|(at, record)| (at.tx_index, record))).collect()
    }

    /// Where a transaction is recorded, lowest height first: BIP30's twins are at two.
    ///
    /// # Errors
    /// As all reads.
    fn positions(&self, txid: Txid) -> Result<Vec<TxPosition>> {
        self.keys::<Recorded>(txid).map(|key| key.map(|key| key.at)).collect()
    }

    /// An output, where a record holds its transaction. Of that record no other output is read: a payout can have thousands.
    ///
    /// # Errors
    /// As all reads.
    fn output(&self, outpoint: &OutPoint) -> Result<Option<TxOut>> {
        // BIP30's twins have the same outputs: any will do.
        let Some(at) = self.positions(outpoint.txid)?.first().copied() else { return Ok(None) };
        let key = at.key();
        let Some(value) = self.raw_get(Record::FAMILY, &key)? else { return Ok(None) };
        checked(Record::FAMILY, &key, Record::output(&value, outpoint.vout))
    }

    /// An output whose transaction must be recorded.
    ///
    /// # Errors
    /// [`IndexError::Corrupt`] where it is not; as all reads.
    fn known_output(&self, outpoint: &OutPoint) -> Result<TxOut> {
        self.output(outpoint)?
            .ok_or_else(|| corrupt(Recorded::FAMILY, PrefixOf::<TxidKey>::prefix(&outpoint.txid).as_ref()))
    }

    /// The coin with this key.
    ///
    /// # Errors
    /// As all reads.
    fn coin(&self, key: &CoinKey) -> Result<Option<Coin>> {
        self.get(key)
    }

    /// The coin that a transaction at `height` spends by this outpoint: of BIP30's twins the last one made by then.
    ///
    /// # Errors
    /// As all reads.
    fn coin_at(&self, outpoint: &OutPoint, height: Height) -> Result<Option<(CoinKey, Coin)>> {
        let mut last = None;
        for row in self.raw_prefix(Coin::FAMILY, outpoint.prefix().as_ref()) {
            let (key, value) = row?;
            if typed_key::<Coin>(&key)?.height <= height {
                last = Some((key, value));
            }
        }
        last.map(typed::<Coin>).transpose()
    }

    /// The heights at which coins of an outpoint were made, lowest first; more than one for BIP30's twins.
    ///
    /// # Errors
    /// As all reads.
    fn coin_heights(&self, outpoint: &OutPoint) -> Result<Vec<Height>> {
        self.keys::<Coin>(*outpoint).map(|key| key.map(|key| key.height)).collect()
    }

    /// The input that spent an output last, where a record holds it.
    ///
    /// # Errors
    /// As all reads.
    fn spender(&self, outpoint: &OutPoint) -> Result<Option<Spender>> {
        self.get(outpoint)
    }

    /// The input that spent a coin. A spend below the height of the coin was of its BIP30 twin.
    ///
    /// # Errors
    /// As all reads.
    fn spender_of(&self, coin: &CoinKey) -> Result<Option<Spender>> {
        Ok(self.spender(&coin.outpoint)?.filter(|spender| spender.at.height >= coin.height))
    }

    /// The entry of a script, its intervals joined where they have met.
    ///
    /// # Errors
    /// As all reads.
    fn entry(&self, script: ScriptHash) -> Result<Option<EntryRow>> {
        match self.get::<EntryRow>(&script)? {
            Some(entry) if entry.lowered.is_some() => Ok(Some(entry.joined(&self.sweeps()?))),
            entry => Ok(entry),
        }
    }
}

impl<T: RawRows> ReadRows for T {}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash;

    use super::*;
    use crate::index::{Step, View};

    fn coin(value: u64) -> Coin {
        Coin { value, script: ScriptHash([1; 32]), coinbase: false, columns: Vec::new() }
    }

    fn outpoint(vout: u32) -> OutPoint {
        OutPoint { txid: Txid::from_byte_array([7; 32]), vout }
    }

    fn key(vout: u32, height: Height) -> CoinKey {
        CoinKey { outpoint: outpoint(vout), height }
    }

    /// The value of the coin that an outpoint names at each of these heights.
    fn values(rows: &impl ReadRows, vout: u32, heights: [Height; 4]) -> [Option<u64>; 4] {
        heights.map(|height| rows.coin_at(&outpoint(vout), height).unwrap().map(|(_, coin)| coin.value))
    }

    #[test]
    fn a_step_reads_what_the_index_will_hold() {
        let folder = tempfile::tempdir().unwrap();
        let view = View::open_writable(folder.path(), true).unwrap();
        let mut step = Step::of(&view);
        for (vout, height, value) in [(0, 3, 30), (0, 9, 90), (1, 3, 31)] {
            step.put(&key(vout, height), &coin(value));
        }
        step.commit(false).unwrap();
        // Of BIP30's twins, the one made last by then.
        assert_eq!(values(&view, 0, [2, 3, 8, 9]), [None, Some(30), Some(30), Some(90)]);

        let mut step = Step::of(&view);
        step.delete::<Coin>(&key(0, 9));
        step.put(&key(0, 5), &coin(50));
        step.keep();
        step.delete::<Coin>(&key(0, 3));
        step.put(&key(1, 3), &coin(0));
        assert_eq!(values(&step, 0, [2, 3, 8, 9]), [None, None, Some(50), Some(50)]);
        assert_eq!(step.coin_heights(&outpoint(0)).unwrap(), [5]);
        assert_eq!(step.coin(&key(1, 3)).unwrap(), Some(coin(0)));
        assert_eq!(values(&view, 0, [2, 3, 8, 9]), [None, Some(30), Some(30), Some(90)], "nothing is written yet");

        step.discard();
        assert_eq!(step.coin_heights(&outpoint(0)).unwrap(), [3, 5]);
        assert!(step.has::<Coin>(&key(1, 3)).unwrap() && !step.has::<Coin>(&key(0, 9)).unwrap());
        step.commit(false).unwrap();
        assert_eq!(view.coin_heights(&outpoint(0)).unwrap(), [3, 5]);
        assert_eq!(view.coin(&key(1, 3)).unwrap(), Some(coin(31)));
    }

    #[test]
    fn a_row_that_does_not_read_and_one_that_is_missing_name_family_and_key() {
        use crate::index::raw::RawChanges;

        let folder = tempfile::tempdir().unwrap();
        let view = View::open_writable(folder.path(), true).unwrap();
        let mut step = Step::of(&view);
        step.raw_put(Coin::FAMILY, &key(0, 3).key(), b"cut");
        step.raw_put(Sweep::FAMILY, b"id", b"");
        step.commit(false).unwrap();
        let coins = format!("{}0000000000000003", "07".repeat(32));
        let errors = [
            (view.coin(&key(0, 3)).map(drop), "coins", coins.as_str()),
            (view.coin_at(&outpoint(0), 3).map(drop), "coins", &coins),
            (view.prefix::<Coin>(outpoint(0)).collect::<Result<Vec<_>>>().map(drop), "coins", &coins),
            (view.range::<Coin>(..).collect::<Result<Vec<_>>>().map(drop), "coins", &coins),
            (view.known_header(8).map(drop), "headers", "00000008"),
            (view.sweeps().map(drop), "sweeps", "6964"),
        ];
        for (read, family, key) in errors {
            match read {
                Err(IndexError::Corrupt { family: named, key: found }) => assert_eq!((named, &*found), (family, key)),
                other => panic!("{family}: {other:?}"),
            }
        }
        assert_eq!(view.coin_heights(&outpoint(0)).unwrap(), [3], "the key alone reads");
    }
}
