//! The node's own files of filters, `fltr?????.dat`: a heap of records, each a block's hash, a CompactSize and so many bytes.
//!
//! Where a block's record lies is known only to the node's database, which it keeps locked. So files are walked, record by record:
//! none before a block is asked for that isn't in those walked so far, since records lie in order of height, nearly, and a walk
//! through all files of the main chain reads 13 GB. What is found is a hint: stale and repeated records are among it, and after a
//! crash the remains of records that were overwritten. A record is checked when it is read: it must begin with the hash and the
//! length that are expected. Whether its filter is the right one only its filter header tells (`proof`).
//!
//! Core (`index/blockfilterindex.cpp`) appends to the last file until 16 MiB are full, and sets aside zeros 1 MiB at a time; after a
//! crash it goes on from where it last took note, in an older file perhaps.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use rayon::prelude::*;

use crate::chain::BlockId;

/// Bytes read at a time while a file is walked: one piece after the other, since a disk likes that best, and the records are read
/// soon after.
const STEP: usize = 1 << 18;
/// Files walked at a time, in search of a block: some 6,000 blocks of these days.
const FILES: usize = 8;
/// The hash, and the longest length.
const HEAD: usize = 32 + 5;

/// What can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read ({source})", .path.display())]
pub struct FlatError {
    path: PathBuf,
    source: io::Error,
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The first bytes of its hash: those that proof of work leaves to chance.
    key: u64,
    file: u32,
    at: u32,
    /// Of the filter, without the head.
    length: u32,
}

/// The files of filters, and what is known to lie in them.
#[derive(Debug)]
pub struct Flat {
    folder: PathBuf,
    /// In order of key.
    places: Vec<Place>,
    /// In order of number.
    walked: Vec<Walked>,
}

/// A file as it was when it was walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Walked {
    file: u32,
    length: u64,
    modified: Option<SystemTime>,
}

/// Where to begin in search of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In the oldest file.
    Oldest,
    /// In the newest one.
    Newest,
}

impl Flat {
    /// Walks the newest file in `folder`, which also shows whether they can be read.
    ///
    /// # Errors
    /// [`FlatError`].
    pub fn open(folder: PathBuf) -> Result<Self, FlatError> {
        let mut flat = Self { folder, places: Vec::new(), walked: Vec::new() };
        let found = flat.list()?;
        flat.walk(found.last().copied().as_slice())?;
        Ok(flat)
    }

    /// Walks files until all of `blocks` are found, no file is left, or `stop` says so: first those that have changed since they
    /// were walked.
    ///
    /// # Errors
    /// [`FlatError`].
    pub fn search(&mut self, blocks: &[BlockId], from: End, stop: impl Fn() -> bool) -> Result<(), FlatError> {
        let found = self.list()?;
        let there = |file: u32| found.binary_search_by_key(&file, |found| found.file).is_ok();
        if self.walked.iter().any(|old| !there(old.file)) {
            self.places.retain(|place| there(place.file));
            self.walked.retain(|old| there(old.file));
        }
        let (known, mut new): (Vec<_>, Vec<_>) = found.iter().partition(|file| self.known(file.file).is_some());
        // A change within one tick of the file system's clock doesn't show: the file that is written to is walked always.
        let last = found.last().map(|file| file.file);
        let changed = |file: &Walked| Some(file.file) == last || self.known(file.file) != Some(file);
        let changed: Vec<_> = known.into_iter().filter(changed).collect();
        self.walk(&changed)?;
        if from == End::Newest {
            new.reverse();
        }
        let mut new = new.chunks(FILES);
        while !stop()
            && !blocks.iter().all(|block| !self.places(block.hash).is_empty())
            && let Some(next) = new.next()
        {
            self.walk(next)?;
        }
        Ok(())
    }

    /// The file of this number as it was when it was walked.
    fn known(&self, file: u32) -> Option<&Walked> {
        self.walked.binary_search_by_key(&file, |walked| walked.file).ok().map(|at| &self.walked[at])
    }

    fn walk(&mut self, files: &[Walked]) -> Result<(), FlatError> {
        let walk = |file: &Walked| {
            let path = self.path(file.file);
            walk(file.file, &path).map_err(|source| FlatError { path, source })
        };
        let places: Vec<_> = files.par_iter().map(walk).collect::<Result<_, _>>()?;
        self.places.extend(places.into_iter().flatten());
        // Two runs in order, nearly: this sort is quick on such.
        self.places.sort();
        self.places.dedup();
        self.walked.retain(|old| files.iter().all(|file| file.file != old.file));
        self.walked.extend(files);
        self.walked.sort_by_key(|file| file.file);
        Ok(())
    }

    /// The files that are there, by number.
    fn list(&self) -> Result<Vec<Walked>, FlatError> {
        let here = |source| FlatError { path: self.folder.clone(), source };
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(here)? {
            let entry = entry.map_err(here)?;
            let Some(file) = entry.file_name().to_str().and_then(number) else { continue };
            let about = entry.metadata().map_err(|source| FlatError { path: entry.path(), source })?;
            found.push(Walked { file, length: about.len(), modified: about.modified().ok() });
        }
        found.sort_by_key(|file| file.file);
        Ok(found)
    }

    fn path(&self, file: u32) -> PathBuf {
        self.folder.join(format!("fltr{file:05}.dat"))
    }

    /// Where records of this block may lie, in order of files.
    pub fn places(&self, block: BlockHash) -> &[Place] {
        let key = key(block.as_byte_array());
        let first = self.places.partition_point(|place| place.key < key);
        let count = self.places[first..].iter().take_while(|place| place.key == key).count();
        &self.places[first..first + count]
    }
}

/// Reads records; keeps the file that it read from last. One for each thread.
#[derive(Default)]
pub struct Reader {
    open: Option<(u32, File)>,
    record: Vec<u8>,
}

impl Reader {
    /// The filter of `block` at `place`; `None` where something else lies there by now.
    ///
    /// # Errors
    /// [`FlatError`].
    pub fn read(&mut self, flat: &Flat, block: BlockHash, place: Place) -> Result<Option<&[u8]>, FlatError> {
        let said = |source| FlatError { path: flat.path(place.file), source };
        let file = match self.open.take() {
            Some((number, file)) if number == place.file => file,
            _ => File::open(flat.path(place.file)).map_err(said)?,
        };
        let (_, file) = self.open.insert((place.file, file));
        let head = 32 + size_of_length(place.length);
        self.record.resize(head + place.length as usize, 0);
        let read = file.seek(SeekFrom::Start(place.at.into())).and_then(|_| file.read_exact(&mut self.record));
        match read {
            Ok(()) => {}
            // The node has cut the file since.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(said(error)),
        }
        let right = Head::parse(&self.record).is_some_and(|found| {
            found.hash == block.to_byte_array() && (found.size, found.length) == (head, place.length)
        });
        Ok(right.then(|| &self.record[head..]))
    }
}

/// `7` of `fltr00007.dat`.
fn number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("fltr")?.strip_suffix(".dat")?;
    (digits.len() >= 5 && digits.bytes().all(|digit| digit.is_ascii_digit())).then(|| digits.parse().ok())?
}

fn key(hash: &[u8; 32]) -> u64 {
    hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// How many bytes a CompactSize of this value has.
fn size_of_length(length: u32) -> usize {
    match length {
        0..0xfd => 1,
        0xfd..0x1_0000 => 3,
        _ => 5,
    }
}

/// What comes before a filter.
struct Head {
    hash: [u8; 32],
    /// Of the filter.
    length: u32,
    /// Of the head itself.
    size: usize,
}

impl Head {
    /// `None` where the bytes can't be a record's head: too few, zeros, a length of 0 or one that isn't written the shortest way.
    #[expect(clippy::little_endian_bytes, reason = "the node's order")]
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

/// The records of one file, up to what can't be one: the zeros that were set aside, or the file's end in the middle of a record.
fn walk(number: u32, path: &Path) -> io::Result<Vec<Place>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let mut places = Vec::new();
    let mut buffer = Vec::with_capacity(STEP + HEAD);
    // Where in the file the buffer begins, and the next record.
    let (mut start, mut at) = (0_u64, 0_u64);
    loop {
        let mut skip = usize::try_from(at - start).unwrap_or(usize::MAX);
        while buffer.len() < skip.saturating_add(HEAD) {
            let kept = buffer.len().saturating_sub(skip);
            start += (buffer.len() - kept) as u64;
            buffer.drain(..buffer.len() - kept);
            skip = usize::try_from(at - start).unwrap_or(usize::MAX);
            if (&mut file).take(STEP as u64).read_to_end(&mut buffer)? == 0 {
                break;
            }
        }
        let Some(head) = buffer.get(skip..).and_then(Head::parse) else { break };
        let next = at + head.size as u64 + u64::from(head.length);
        let Some(here) = u32::try_from(at).ok().filter(|_| next <= end) else { break };
        places.push(Place { key: key(&head.hash), file: number, at: here, length: head.length });
        at = next;
    }
    Ok(places)
}

#[cfg(test)]
mod tests;
