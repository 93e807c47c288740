//! RocksDB's options, and typed reads over an open database: what the writer and the readers share.

use std::fs;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};

use bitcoin::Txid;
use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DEFAULT_COLUMN_FAMILY_NAME,
    Direction, InfoLogger, IteratorMode, LogLevel, Options, ReadOptions, SliceTransform, statistics,
};

use super::bytes::Malformed;
use super::entries::EntryRow;
use super::keys::{CoinKey, TxPosition, outpoint_key, txid_from_key};
use super::read::{RawRow, RawRows};
use super::rows::{IndexRow, byte_range, typed, typed_key};
use super::schema::Family;
use super::sweeps::{Sweep, Sweeps};
use super::values::{Coin, Record, Spender, header_from_value};
use super::{IndexError, Result};
use crate::chain::{BlockId, Height, ScriptHash};

/// Memtables in all: an open must stay quick, since it reads back what they hold.
const MEMTABLE_BYTES: usize = 32 << 20;
/// The write-ahead log in all.
const WAL_BYTES: u64 = 64 << 20;
const BLOCK_CACHE_BYTES: usize = 64 << 20;
/// The writer's open tables; readers keep all open, so that a table the writer deletes stays readable.
const WRITER_OPEN_FILES: i32 = 256;

/// Options of the whole database; `open_files` is -1 for all.
fn database_options(open_files: i32) -> Options {
    let mut options = Options::default();
    options.set_max_open_files(open_files);
    // Sixteen for each family and open otherwise: an index has few tables to open at once.
    options.set_max_file_opening_threads(1);
    options.set_db_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_total_wal_size(WAL_BYTES);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_statistics_level(statistics::StatsLevel::DisableAll);
    // RocksDB's own LOG file would be rolled by every reader; its warnings go where ours go.
    options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Warn, |level, message| {
        // Every open also tells all its options, under a level of their own.
        if matches!(level, LogLevel::Warn | LogLevel::Error | LogLevel::Fatal) {
            tracing::debug!(target: "coinhound::rocksdb", "{}", message.trim_end());
        }
    }));
    options
}

fn descriptors() -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
    let default = ColumnFamilyDescriptor::new(DEFAULT_COLUMN_FAMILY_NAME, Options::default());
    let family = |family: &Family| {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&cache);
        blocks.set_bloom_filter(10.0, false);
        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_bottommost_compression_type(DBCompressionType::Zstd);
        if let Some(length) = prefix_length(*family) {
            options.set_prefix_extractor(SliceTransform::create_fixed_prefix(length));
        }
        ColumnFamilyDescriptor::new(family.name(), options)
    };
    std::iter::once(default).chain(Family::ALL.iter().map(family)).collect()
}

/// The part of a family's key by which rows are looked up one by one, mostly in vain: its bloom filter answers for that.
fn prefix_length(family: Family) -> Option<usize> {
    match family {
        Family::Txids => Some(32),
        Family::Coins => Some(36),
        _ => None,
    }
}

/// An open index, read-only or not, as typed rows.
pub struct View {
    database: DB,
    path: PathBuf,
}

impl View {
    /// Opens an existing index for writing, or with `create` a new one in an empty folder.
    pub(super) fn open_writable(path: &Path, create: bool) -> Result<Self> {
        let mut options = database_options(WRITER_OPEN_FILES);
        options.create_if_missing(create);
        options.create_missing_column_families(create);
        let database =
            DB::open_cf_descriptors(&options, path, descriptors()).map_err(|error| Self::error(path, error))?;
        Ok(Self { database, path: path.to_owned() })
    }

    /// Opens an index without touching it. Not proven to be whole: see `reader`.
    pub(super) fn open_read_only(path: &Path) -> Result<Self> {
        let options = database_options(-1);
        let database = DB::open_cf_descriptors_read_only(&options, path, descriptors(), false)
            .map_err(|error| Self::error(path, error))?;
        Ok(Self { database, path: path.to_owned() })
    }

    /// Looks at the families of a database before it is opened as one of ours: another format may have others.
    ///
    /// # Errors
    /// [`IndexError::NotAnIndex`], [`IndexError::OtherFormat`], [`IndexError::Damaged`].
    pub(super) fn check_families(path: &Path) -> Result<()> {
        let found = DB::list_cf(&database_options(-1), path).map_err(|error| Self::error(path, error))?;
        if !found.iter().any(|name| name == Family::Meta.name()) {
            let path = path.to_owned();
            // A MANIFEST cut short names too few; the file that every index of ours has tells it from a stranger's database.
            return Err(match path.join(super::writer::HOLDER_FILE).exists() {
                true => IndexError::Damaged { path, detail: "its MANIFEST names no column family of its own".into() },
                false => IndexError::NotAnIndex { path },
            });
        }
        let is_ours = |name: &String| {
            Family::ALL.iter().any(|family| family.name() == name) || name == DEFAULT_COLUMN_FAMILY_NAME
        };
        if found.len() == Family::ALL.len() + 1 && found.iter().all(is_ours) {
            return Ok(());
        }
        Self::check_format_row(path)?;
        Err(IndexError::Damaged {
            path: path.to_owned(),
            detail: "its column families are not those of its format".into(),
        })
    }

    /// Looks at families and format without changing a file.
    ///
    /// # Errors
    /// As [`Self::check_families`].
    pub(super) fn check_format(path: &Path) -> Result<()> {
        Self::check_families(path)?;
        Self::check_format_row(path)
    }

    fn check_format_row(path: &Path) -> Result<()> {
        let names = [DEFAULT_COLUMN_FAMILY_NAME, Family::Meta.name()];
        let opened = DB::open_cf_for_read_only(&database_options(-1), path, names, false);
        let database = opened.map_err(|error| Self::error(path, error))?;
        let meta = database.cf_handle(Family::Meta.name()).expect("it was opened");
        let format = database.get_cf(meta, super::meta::FORMAT_KEY).map_err(|error| Self::error(path, error))?;
        match format.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes) {
            Some(format) if format != super::FORMAT => {
                Err(IndexError::OtherFormat { path: path.to_owned(), found: format.to_string() })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn error(path: &Path, error: rocksdb::Error) -> IndexError {
        let path = path.to_owned();
        let detail = error.to_string();
        if detail.contains("No space left") {
            return IndexError::Full { path };
        }
        if detail.contains("/LOCK:") || detail.contains("lock hold by") {
            let holder = fs::read_to_string(path.join(super::writer::HOLDER_FILE)).unwrap_or_default();
            let holder = if holder.trim().is_empty() { "another process".to_owned() } else { holder.trim().to_owned() };
            return IndexError::InUse { path, holder };
        }
        match error.kind() {
            rocksdb::ErrorKind::Corruption => IndexError::Damaged { path, detail },
            rocksdb::ErrorKind::InvalidArgument if detail.contains("olumn famil") => {
                IndexError::Damaged { path, detail }
            }
            rocksdb::ErrorKind::IOError if detail.contains("No such file") => IndexError::Damaged { path, detail },
            _ => IndexError::Storage { path, detail },
        }
    }

    /// The error for a row that does not read.
    pub fn corrupt(family: Family, key: &[u8]) -> IndexError {
        super::rows::corrupt(family, key)
    }

    /// The index's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn database(&self) -> &DB {
        &self.database
    }

    pub(super) fn handle(&self, family: Family) -> &ColumnFamily {
        self.database.cf_handle(family.name()).expect("every family was opened")
    }

    /// One row's value.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] where the disk doesn't give back what was written, as in all reads.
    pub fn raw_get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.database.get_cf(self.handle(family), key).map_err(|error| Self::error(&self.path, error))
    }

    fn typed<T>(&self, family: Family, key: &[u8], read: impl Fn(&[u8]) -> Result<T, Malformed>) -> Result<Option<T>> {
        let Some(value) = self.raw_get(family, key)? else { return Ok(None) };
        read(&value).map(Some).map_err(|_| Self::corrupt(family, key))
    }

    /// The rows of a family from `start` on, in key order, up to but without `end`.
    pub fn raw_range<'a>(
        &'a self,
        family: Family,
        start: &[u8],
        end: Option<Vec<u8>>,
    ) -> impl Iterator<Item = Result<RawRow>> + use<'a> {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        self.rows(family, start, end, options)
    }

    fn rows<'a>(
        &'a self,
        family: Family,
        start: &[u8],
        end: Option<Vec<u8>>,
        mut options: ReadOptions,
    ) -> impl Iterator<Item = Result<RawRow>> + use<'a> {
        if let Some(end) = end {
            options.set_iterate_upper_bound(end);
        }
        let rows =
            self.database.iterator_cf_opt(self.handle(family), options, IteratorMode::From(start, Direction::Forward));
        rows.map(|row| row.map_err(|error| Self::error(&self.path, error)))
    }

    /// All rows of a family whose keys begin with `prefix`.
    pub fn raw_prefix<'a>(&'a self, family: Family, prefix: &[u8]) -> impl Iterator<Item = Result<RawRow>> + use<'a> {
        let mut options = ReadOptions::default();
        if prefix_length(family) == Some(prefix.len()) {
            options.set_prefix_same_as_start(true);
        } else {
            options.set_total_order_seek(true);
        }
        self.rows(family, prefix, after_prefix(prefix), options)
    }

    /// The last row of a family.
    pub fn raw_last(&self, family: Family) -> Result<Option<RawRow>> {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        let mut rows = self.database.iterator_cf_opt(self.handle(family), options, IteratorMode::End);
        rows.next().transpose().map_err(|error| Self::error(&self.path, error))
    }

    /// How many rows a family has.
    pub fn raw_count(&self, family: Family) -> Result<u64> {
        self.raw_range(family, &[], None).try_fold(0, |count, row| row.map(|_| count + 1))
    }

    /// The rows whose keys lie in `range`, in key order.
    pub fn range<R: IndexRow>(&self, range: impl RangeBounds<R::Key>) -> impl Iterator<Item = Result<(R::Key, R)>> {
        let (start, end) = byte_range(&range);
        self.raw_range(R::FAMILY, &start, end).map(|row| typed::<R>(row?))
    }

    /// The first key in a range.
    ///
    /// # Errors
    /// As all reads.
    pub fn first_key<R: IndexRow>(&self, range: impl RangeBounds<R::Key>) -> Result<Option<R::Key>> {
        let (start, end) = byte_range(&range);
        let first = self.raw_range(R::FAMILY, &start, end).next();
        first.map(|row| typed_key::<R>(&row?.0)).transpose()
    }

    /// The last row of a family.
    ///
    /// # Errors
    /// As all reads.
    pub fn last<R: IndexRow>(&self) -> Result<Option<(R::Key, R)>> {
        self.raw_last(R::FAMILY)?.map(typed::<R>).transpose()
    }

    /// The last key of a family.
    ///
    /// # Errors
    /// As all reads.
    pub fn last_key<R: IndexRow>(&self) -> Result<Option<R::Key>> {
        self.raw_last(R::FAMILY)?.map(|(key, _)| typed_key::<R>(&key)).transpose()
    }

    /// How many rows of a kind there are.
    ///
    /// # Errors
    /// As all reads.
    pub fn count<R: IndexRow>(&self) -> Result<u64> {
        self.raw_count(R::FAMILY)
    }

    /// The header at `height`.
    pub fn header(&self, height: Height) -> Result<Option<Header>> {
        self.typed(Family::Headers, &height.to_be_bytes(), header_from_value)
    }

    /// The header at a height that must have one, since a row or the position speaks of it.
    pub fn known_header(&self, height: Height) -> Result<Header> {
        self.header(height)?.ok_or_else(|| Self::corrupt(Family::Headers, &height.to_be_bytes()))
    }

    /// The last block whose header is here.
    pub fn tip(&self) -> Result<Option<BlockId>> {
        let last = self.last::<Header>()?;
        Ok(last.map(|(height, header)| BlockId { height, hash: header.block_hash() }))
    }

    /// How far each sweep got. An index without a row of the main sweep is none that a first step was committed to.
    pub fn sweeps(&self) -> Result<Sweeps> {
        let read = |row: Result<RawRow>| {
            let (key, value) = row?;
            let corrupt = || Self::corrupt(Family::Sweeps, &key);
            let id = <[u8; 4]>::try_from(&*key).map(u32::from_be_bytes).map_err(|_| corrupt())?;
            let sweep = Sweep::from_value(&value).map_err(|_| corrupt())?;
            Ok((id, sweep))
        };
        let sweeps: Sweeps = self.raw_range(Family::Sweeps, &[], None).map(read).collect::<Result<_>>()?;
        match sweeps.get(super::sweeps::MAIN_SWEEP) {
            Some(Sweep::Main { .. }) => Ok(sweeps),
            _ => Err(Self::corrupt(Family::Sweeps, &super::sweeps::MAIN_SWEEP.to_be_bytes())),
        }
    }

    /// The record at a position.
    pub fn record(&self, at: TxPosition) -> Result<Option<Record>> {
        self.typed(Family::Records, &at.key(), Record::from_value)
    }

    /// Where a transaction is recorded, lowest height first: BIP30's twins are at two.
    pub fn positions(&self, txid: Txid) -> Result<Vec<TxPosition>> {
        let read = |row: Result<RawRow>| {
            let (key, _) = row?;
            txid_from_key(&key).map(|(_, at)| at).map_err(|_| Self::corrupt(Family::Txids, &key))
        };
        self.raw_prefix(Family::Txids, txid.as_byte_array()).map(read).collect()
    }

    /// The entry of a script.
    pub fn entry(&self, script: ScriptHash) -> Result<Option<EntryRow>> {
        match self.typed(Family::Entries, &script.0, EntryRow::from_value)? {
            Some(entry) if entry.lowered.is_some() => Ok(Some(entry.joined(&self.sweeps()?))),
            entry => Ok(entry),
        }
    }

    /// All entries, by script hash.
    pub fn entries(&self) -> impl Iterator<Item = Result<(ScriptHash, EntryRow)>> + '_ {
        self.entry_rows(EntryRow::from_value)
    }

    /// All entries without their labels, which take most of the time to read; by script hash.
    pub fn entry_heads(&self) -> impl Iterator<Item = Result<(ScriptHash, EntryRow)>> + '_ {
        self.entry_rows(EntryRow::head)
    }

    fn entry_rows(
        &self,
        read: fn(&[u8]) -> Result<EntryRow, Malformed>,
    ) -> impl Iterator<Item = Result<(ScriptHash, EntryRow)>> + '_ {
        let mut sweeps = None;
        self.raw_range(Family::Entries, &[], None).map(move |row| {
            let (key, value) = row?;
            let corrupt = || Self::corrupt(Family::Entries, &key);
            let script = <[u8; 32]>::try_from(&*key).map_err(|_| corrupt())?;
            let mut entry = read(&value).map_err(|_| corrupt())?;
            if entry.lowered.is_some() {
                let known = match sweeps.take() {
                    Some(known) => known,
                    None => self.sweeps()?,
                };
                entry = entry.joined(sweeps.insert(known));
            }
            Ok((ScriptHash(script), entry))
        })
    }

    /// A coin.
    pub fn coin(&self, key: &CoinKey) -> Result<Option<Coin>> {
        self.typed(Family::Coins, &key.key(), Coin::from_value)
    }

    /// All coins, by outpoint; twins lowest height first.
    pub fn coins(&self) -> impl Iterator<Item = Result<(CoinKey, Coin)>> + '_ {
        self.raw_range(Family::Coins, &[], None).map(|row| {
            let (key, value) = row?;
            let corrupt = |_| Self::corrupt(Family::Coins, &key);
            Ok((CoinKey::from_key(&key).map_err(corrupt)?, Coin::from_value(&value).map_err(corrupt)?))
        })
    }

    /// An output, where a record holds its transaction.
    pub fn output(&self, outpoint: &bitcoin::OutPoint) -> Result<Option<bitcoin::TxOut>> {
        // Twins have the same outputs: any will do.
        let Some(at) = self.positions(outpoint.txid)?.first().copied() else { return Ok(None) };
        Ok(self.typed(Family::Records, &at.key(), |value| Record::output(value, outpoint.vout))?.flatten())
    }

    /// The heights at which an outpoint's coin was made, lowest first; more than one for BIP30's twins.
    pub fn coin_heights(&self, outpoint: &bitcoin::OutPoint) -> Result<Vec<Height>> {
        let read = |row: Result<RawRow>| {
            let (key, _) = row?;
            CoinKey::from_key(&key).map(|key| key.height).map_err(|_| Self::corrupt(Family::Coins, &key))
        };
        self.raw_prefix(Family::Coins, &outpoint_key(outpoint)).map(read).collect()
    }

    /// The input that spent an output, if a record holds it.
    pub fn spender(&self, outpoint: &bitcoin::OutPoint) -> Result<Option<Spender>> {
        self.typed(Family::Spends, &outpoint_key(outpoint), Spender::from_value)
    }

    /// The input that spent a coin. A spend below the coin's height was of its BIP30 twin.
    pub fn spender_of(&self, coin: &CoinKey) -> Result<Option<Spender>> {
        Ok(self.spender(&coin.outpoint)?.filter(|spender| spender.at.height >= coin.height))
    }

    /// How many writes the database has taken in, ever.
    pub(super) fn sequence(&self) -> u64 {
        self.database.latest_sequence_number()
    }

    /// Whether it has all writes that are known to have reached the disk; `synced` of them, as read before it was opened. RocksDB takes
    /// a damaged log for one that ends there.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub(super) fn check_synced(&self, synced: u64) -> Result<()> {
        let found = self.sequence();
        if found >= synced {
            return Ok(());
        }
        let detail = format!("its log breaks off at write {found}, and {synced} had reached the disk");
        Err(IndexError::Damaged { path: self.path.clone(), detail })
    }

    /// Bytes of its files on disk.
    pub fn bytes_on_disk(&self) -> Result<u64> {
        let io = |source| IndexError::Io { path: self.path.clone(), source };
        let mut bytes = 0;
        for file in fs::read_dir(&self.path).map_err(io)? {
            // A file that went away meanwhile takes no space.
            bytes += file.and_then(|file| file.metadata()).map_or(0, |file| file.len());
        }
        Ok(bytes)
    }
}

/// The first key above all that begin with `prefix`; `None` where there is no such key.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=keep].to_vec();
    end[keep] += 1;
    Some(end)
}

impl RawRows for View {
    fn raw_get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Self::raw_get(self, family, key)
    }

    fn raw_prefix<'a>(&'a self, family: Family, prefix: &[u8]) -> impl Iterator<Item = Result<RawRow>> + use<'a> {
        Self::raw_prefix(self, family, prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::after_prefix;

    #[test]
    fn the_end_of_a_prefix_is_the_next_key_of_its_length_or_shorter() {
        assert_eq!(after_prefix(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(after_prefix(&[1, 0xff]), Some(vec![2]));
        assert_eq!(after_prefix(&[0xff, 0xff]), None);
        assert_eq!(after_prefix(&[]), None);
    }
}
