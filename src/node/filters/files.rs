//! The node's filter files, `fltr?????.dat`: records of a block's hash, the filter's length in compact size encoding, and the filter.
//!
//! The location of a block's record is in the node's database, which the node keeps locked. So files are walked record by record, and
//! only when a block is requested that isn't in those walked before: records are nearly in order of height, and the files of the main
//! chain have 13 GB. A location found that way is a hint, as there are stale and repeated records, and after a crash the remains of
//! overwritten ones. When a record is read, it must begin with the expected hash and length. Whether its filter is the right one is
//! proven by its filter header (`proof`).
//!
//! Core (`src/index/blockfilterindex.cpp`) appends to the last file up to 16 MiB, and preallocates zeros 1 MiB at a time. After a crash
//! it continues from the position that it last stored, which may be in an older file.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use rayon::prelude::*;

use crate::chain::BlockId;

/// Bytes read at a time while a file is walked, in order, which disks do fastest; the records are soon read from the page cache.
const STEP: usize = 1 << 18;
/// Files walked before the search checks again whether it has all blocks: some 6,000 recent blocks.
const FILES_PER_STEP: usize = 8;
/// The longest record head: hash and length; bytes.
const HEAD: usize = 32 + 5;

/// A file or folder that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read ({source})", .path.display())]
pub struct FilterFileError {
    path: PathBuf,
    source: io::Error,
}

impl FilterFileError {
    fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), source }
    }
}

/// Where a block's record may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordLocation {
    /// The first eight bytes of the block's hash, in which proof of work puts no zeros.
    key: u64,
    /// Number in the file's name.
    file: u32,
    /// Offset of the record's head.
    offset: u32,
    /// Bytes of the filter, without the head.
    length: u32,
}

/// The filter files of a node, and the records found in them so far.
#[derive(Debug)]
pub struct FilterFiles {
    folder: PathBuf,
    /// Sorted by key.
    locations: Vec<RecordLocation>,
    /// Sorted by number.
    walked: Vec<WalkedFile>,
}

/// A file as it was when it was last walked, or as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WalkedFile {
    file: u32,
    length: u64,
    modified: Option<SystemTime>,
}

/// The file with which a search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchFrom {
    /// The one with the lowest number.
    Oldest,
    /// The one with the highest number.
    Newest,
}

impl FilterFiles {
    /// Walks the newest file in `folder`, which shows whether the files can be read.
    ///
    /// # Errors
    /// [`FilterFileError`].
    pub fn open(folder: PathBuf) -> Result<Self, FilterFileError> {
        let mut flat = Self { folder, locations: Vec::new(), walked: Vec::new() };
        let found = flat.list()?;
        flat.walk(found.last().copied().as_slice())?;
        Ok(flat)
    }

    /// Walks files until all of `blocks` are found, no file is left, or `stopped` returns true. Files that have changed since they were
    /// walked come first.
    ///
    /// # Errors
    /// [`FilterFileError`].
    pub fn search(
        &mut self,
        blocks: &[BlockId],
        from: SearchFrom,
        stopped: impl Fn() -> bool,
    ) -> Result<(), FilterFileError> {
        let found = self.list()?;
        if self.walked.iter().any(|old| !is_among(&found, old.file)) {
            self.locations.retain(|location| is_among(&found, location.file));
            self.walked.retain(|old| is_among(&found, old.file));
        }
        let (known, mut new): (Vec<_>, Vec<_>) = found.iter().partition(|file| self.known(file.file).is_some());
        // Two changes within one tick of the file system's clock look like one, so the file that the node writes to is always walked.
        let last = found.last().map(|file| file.file);
        let changed = known
            .into_iter()
            .filter(|file: &WalkedFile| Some(file.file) == last || self.known(file.file) != Some(file));
        let changed: Vec<_> = changed.collect();
        self.walk(&changed)?;
        if from == SearchFrom::Newest {
            new.reverse();
        }
        let mut new = new.chunks(FILES_PER_STEP);
        while !stopped()
            && blocks.iter().any(|block| self.locations(block.hash).is_empty())
            && let Some(next) = new.next()
        {
            self.walk(next)?;
        }
        Ok(())
    }

    /// The file with this number as it was when it was last walked.
    fn known(&self, file: u32) -> Option<&WalkedFile> {
        self.walked.binary_search_by_key(&file, |walked| walked.file).ok().map(|at| &self.walked[at])
    }

    fn walk(&mut self, files: &[WalkedFile]) -> Result<(), FilterFileError> {
        let walks = files.par_iter().map(|file| {
            let path = self.path(file.file);
            walk_records(file.file, &path).map_err(|source| FilterFileError::new(&path, source))
        });
        let locations: Vec<_> = walks.collect::<Result<_, _>>()?;
        self.locations.extend(locations.into_iter().flatten());
        // The stable sort is fast on runs that are sorted already.
        self.locations.sort();
        self.locations.dedup();
        self.walked.retain(|old| files.iter().all(|file| file.file != old.file));
        self.walked.extend(files);
        self.walked.sort_by_key(|file| file.file);
        Ok(())
    }

    /// The files that exist, sorted by number.
    fn list(&self) -> Result<Vec<WalkedFile>, FilterFileError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(|source| FilterFileError::new(&self.folder, source))? {
            let entry = entry.map_err(|source| FilterFileError::new(&self.folder, source))?;
            let Some(file) = entry.file_name().to_str().and_then(file_number) else { continue };
            let metadata = entry.metadata().map_err(|source| FilterFileError::new(&entry.path(), source))?;
            found.push(WalkedFile { file, length: metadata.len(), modified: metadata.modified().ok() });
        }
        found.sort_by_key(|file| file.file);
        Ok(found)
    }

    fn path(&self, file: u32) -> PathBuf {
        self.folder.join(format!("fltr{file:05}.dat"))
    }

    /// Where records of a block may be, in order of files.
    pub fn locations(&self, block: BlockHash) -> &[RecordLocation] {
        let key = sort_key(block.as_byte_array());
        let first = self.locations.partition_point(|location| location.key < key);
        let count = self.locations[first..].iter().take_while(|location| location.key == key).count();
        &self.locations[first..first + count]
    }
}

/// Reads records, and keeps open the file that it last read from. Each thread has its own.
#[derive(Default)]
pub struct RecordReader {
    open: Option<(u32, File)>,
    record: Vec<u8>,
}

impl RecordReader {
    /// The filter of `block` at `location`; `None` if that has been overwritten.
    ///
    /// # Errors
    /// [`FilterFileError`].
    pub fn read(
        &mut self,
        files: &FilterFiles,
        block: BlockHash,
        location: RecordLocation,
    ) -> Result<Option<&[u8]>, FilterFileError> {
        let path = files.path(location.file);
        let file = match self.open.take() {
            Some((number, file)) if number == location.file => file,
            _ => File::open(&path).map_err(|source| FilterFileError::new(&path, source))?,
        };
        let (_, file) = self.open.insert((location.file, file));
        let head = 32 + size_of_length(location.length);
        self.record.resize(head + location.length as usize, 0);
        let read = file.seek(SeekFrom::Start(location.offset.into())).and_then(|_| file.read_exact(&mut self.record));
        match read {
            Ok(()) => {}
            // The node has truncated the file since.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(source) => return Err(FilterFileError::new(&path, source)),
        }
        let right = RecordHead::parse(&self.record).is_some_and(|found| {
            found.hash == block.to_byte_array() && (found.size, found.length) == (head, location.length)
        });
        Ok(right.then(|| &self.record[head..]))
    }
}

/// Whether a file is among these, which are sorted by number.
fn is_among(files: &[WalkedFile], number: u32) -> bool {
    files.binary_search_by_key(&number, |file| file.file).is_ok()
}

/// The number in a file's name: 7 for `fltr00007.dat`.
fn file_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("fltr")?.strip_suffix(".dat")?;
    (digits.len() >= 5 && digits.bytes().all(|digit| digit.is_ascii_digit())).then(|| digits.parse().ok())?
}

fn sort_key(hash: &[u8; 32]) -> u64 {
    hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// Bytes that a number takes in compact size encoding.
fn size_of_length(length: u32) -> usize {
    match length {
        0..0xfd => 1,
        0xfd..0x1_0000 => 3,
        _ => 5,
    }
}

/// What precedes a filter in its record.
struct RecordHead {
    hash: [u8; 32],
    /// Bytes of the filter.
    length: u32,
    /// Bytes of the head itself.
    size: usize,
}

impl RecordHead {
    /// `None` if the bytes can't be a record's head: too few, zeros, a length of 0, or one that isn't in its shortest encoding.
    #[expect(clippy::little_endian_bytes, reason = "the order of the node's files")]
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (hash, rest) = bytes.split_first_chunk::<32>()?;
        let (first, rest) = rest.split_first()?;
        let length = match first {
            0xff => return None,
            0xfe => u32::from_le_bytes(*rest.first_chunk()?),
            0xfd => u16::from_le_bytes(*rest.first_chunk()?).into(),
            small => (*small).into(),
        };
        let size = 32
            + match first {
                0xfe => 5,
                0xfd => 3,
                _ => 1,
            };
        let plausible = *hash != [0; 32] && length > 0 && size == 32 + size_of_length(length);
        plausible.then_some(Self { hash: *hash, length, size })
    }
}

/// Finds the records of one file, up to the first bytes that can't be one: preallocated zeros, or a record that the file's end cuts off.
fn walk_records(number: u32, path: &Path) -> io::Result<Vec<RecordLocation>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let mut locations = Vec::new();
    let mut buffer = Vec::with_capacity(STEP + HEAD);
    // Offsets in the file: of the buffer, and of the next record.
    let (mut start, mut offset) = (0_u64, 0_u64);
    loop {
        let mut skip = usize::try_from(offset - start).unwrap_or(usize::MAX);
        while buffer.len() < skip.saturating_add(HEAD) {
            let kept = buffer.len().saturating_sub(skip);
            start += (buffer.len() - kept) as u64;
            buffer.drain(..buffer.len() - kept);
            skip = usize::try_from(offset - start).unwrap_or(usize::MAX);
            if (&mut file).take(STEP as u64).read_to_end(&mut buffer)? == 0 {
                break;
            }
        }
        let Some(head) = buffer.get(skip..).and_then(RecordHead::parse) else { break };
        let next = offset + head.size as u64 + u64::from(head.length);
        let Some(at) = u32::try_from(offset).ok().filter(|_| next <= end) else { break };
        locations.push(RecordLocation { key: sort_key(&head.hash), file: number, offset: at, length: head.length });
        offset = next;
    }
    Ok(locations)
}

#[cfg(test)]
mod tests;
