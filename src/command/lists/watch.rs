//! Watches the files of the configured lists, for a program that runs for months: a changed one is read again once it lies still, and
//! one that can't be used keeps its last good state. What a change means for an index is for others.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use bitcoin::hashes::{Hash, sha256};

use super::stamp::Stamp;
use super::taken;
use crate::chain::{Chain, Height};
use crate::config::WatchFile;
use crate::error::Error;
use crate::index::meta::{TakenList, TakenLists};
use crate::sync::plan::change::Entries;
use crate::watchlist::entries::merge;
use crate::watchlist::{self, List};

/// So long a changed file must lie still before it is read: whoever writes it may not be done.
const QUIET: Duration = Duration::from_secs(1);
/// The same for one that breaks off within its last line, which the last good one didn't.
const QUIET_IF_CUT: Duration = Duration::from_secs(30);
/// So long after a change the content is compared at every look: a second change within the same tick of the file system's clock (a
/// second or two on some) leaves no other trace.
const DOUBT: Duration = Duration::from_secs(5);
/// A file that doesn't lie still for so long is not up to date.
const RESTLESS: Duration = Duration::from_secs(30);

/// What all lists say, each as it was when it was last good.
#[derive(Clone, Debug)]
pub struct Lists {
    /// One for each script.
    pub entries: Entries,
    /// What an index remembers of the files.
    pub taken: TakenLists,
}

/// A list that is not up to date.
#[cfg(test)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Its file.
    pub path: std::path::PathBuf,
    /// Why the file as it is now can't be used.
    pub why: String,
}

/// How lists are taken in.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The chain of their addresses.
    pub chain: Chain,
    /// Where entries begin that their list gives no height.
    pub from: Height,
    /// Whether rows that could not be read are accepted.
    pub accept_quarantined: bool,
    /// Whether a list may lose more than a tenth of its rows.
    pub accept_shrink: bool,
}

/// The configured lists, watched.
pub struct ListWatch {
    terms: Terms,
    files: Vec<Watched>,
    /// The version that rows which could not be read are accepted of: whoever accepted them has not seen another.
    accepted: Option<String>,
}

/// One file.
struct Watched {
    file: WatchFile,
    good: Good,
    /// The stamp as last seen, or why there is none; since when it has been so.
    seen: (Result<Stamp, String>, Instant),
    /// When it last lay still.
    still: Instant,
    /// The stamp and the hash of what was last read, good or not.
    read: (Result<Stamp, String>, String),
    /// Why the file isn't up to date.
    stale: Option<String>,
    /// Whether it can be read once only, as a pipe.
    once: bool,
}

/// A file as it was when it could last be used. Its bytes take a sixth of the memory of what is read from them.
struct Good {
    name: String,
    bytes: Vec<u8>,
    taken: TakenList,
}

impl ListWatch {
    /// Reads all lists, and watches them from then on.
    ///
    /// # Errors
    /// [`Error::ListFile`], [`Error::List`]: at the start there is no good state yet.
    pub fn new(files: &[WatchFile], terms: Terms, now: Instant) -> Result<Self, Error> {
        let files = files.iter().map(|file| Watched::new(file, terms.chain, now)).collect::<Result<_, _>>()?;
        let mut watch = Self { terms, files, accepted: None };
        watch.accepted = terms.accept_quarantined.then(|| watch.taken().version());
        Ok(watch)
    }

    /// What the lists say: all of them as they were when they were last good.
    ///
    /// # Errors
    /// [`Error::List`], if what was read before could not be read any more.
    pub fn lists(&self) -> Result<Lists, Error> {
        let mut read = Vec::with_capacity(self.files.len());
        for file in &self.files {
            read.push(parse(&file.good.bytes, &file.good.name, &file.file, self.terms.chain)?);
        }
        let mut taken = self.taken();
        taken.quarantine_accepted = self.accepted.as_ref().is_some_and(|accepted| *accepted == taken.version());
        Ok(Lists { entries: merge(read, self.terms.from), taken })
    }

    fn taken(&self) -> TakenLists {
        let files = self.files.iter().map(|file| file.good.taken.clone()).collect();
        TakenLists { files, quarantine_accepted: false }
    }

    /// Looks at all files; gives what the lists say now, if one of them has come to say something else. To be called every second
    /// or so: a look at a file that hasn't changed is one system call.
    ///
    /// # Errors
    /// As [`Self::lists`].
    pub fn poll(&mut self, now: Instant) -> Result<Option<Lists>, Error> {
        let mut changed = false;
        for file in &mut self.files {
            changed |= file.look(&self.terms, now);
        }
        if changed { self.lists().map(Some) } else { Ok(None) }
    }

    /// The lists that are not up to date.
    #[cfg(test)]
    pub fn stale(&self) -> Vec<Stale> {
        let stale = |file: &Watched| {
            let why = file.stale.clone()?;
            Some(Stale { path: file.file.path.clone(), why })
        };
        self.files.iter().filter_map(stale).collect()
    }
}

impl Watched {
    fn new(file: &WatchFile, chain: Chain, now: Instant) -> Result<Self, Error> {
        let failed = |source| Error::ListFile { path: file.path.display().to_string(), source };
        let name = file.path.canonicalize().map_err(failed)?.display().to_string();
        let mut input = File::open(&file.path).map_err(failed)?;
        let once = !input.metadata().map_err(failed)?.is_file();
        let stamp = Stamp::of_open(&input).map_err(failed)?;
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(failed)?;
        let list = parse(&bytes, &name, file, chain)?;
        let taken = taken(&list, file);
        let read = (Ok(stamp), taken.sha256.clone());
        let good = Good { name, bytes, taken };
        Ok(Self { file: file.clone(), good, seen: (Ok(stamp), now), still: now, read, stale: None, once })
    }

    /// Whether the file has come to say something else.
    fn look(&mut self, terms: &Terms, now: Instant) -> bool {
        if self.once {
            return false;
        }
        let found = Stamp::of(&self.file.path).map_err(|error| error.to_string());
        if found != self.seen.0 {
            self.seen = (found.clone(), now);
        }
        let quiet = now.saturating_duration_since(self.seen.1);
        if quiet < QUIET && found != self.read.0 {
            if now.saturating_duration_since(self.still) > RESTLESS {
                self.tell(Some("it keeps changing".into()));
            }
            return false;
        }
        self.still = now;
        if found == self.read.0 && quiet >= DOUBT {
            return false;
        }
        let stamp = match found {
            Ok(stamp) => stamp,
            Err(why) => {
                self.tell(Some(why.clone()));
                // Once it is back, its content decides.
                self.read = (Err(why), String::new());
                return false;
            }
        };
        match read_still(&self.file.path, stamp) {
            Ok(Some(bytes)) => self.weigh(bytes, stamp, quiet, terms),
            Ok(None) => {
                self.seen.1 = now;
                false
            }
            Err(error) => {
                self.tell(Some(error.to_string()));
                false
            }
        }
    }

    /// Whether content that lay still for so long takes the place of the last good one.
    fn weigh(&mut self, bytes: Vec<u8>, stamp: Stamp, quiet: Duration, terms: &Terms) -> bool {
        let hash = sha256::Hash::hash(&bytes).to_string();
        if hash == self.good.taken.sha256 {
            self.read = (Ok(stamp), hash);
            self.tell(None);
            return false;
        }
        if is_cut(&bytes) && !is_cut(&self.good.bytes) && quiet < QUIET_IF_CUT {
            self.tell(Some("it breaks off within its last line".into()));
            return false;
        }
        if self.read == (Ok(stamp), hash.clone()) {
            // Weighed before, and found wanting.
            return false;
        }
        self.read = (Ok(stamp), hash);
        let name =
            self.file.path.canonicalize().map_or_else(|_| self.good.name.clone(), |path| path.display().to_string());
        let list = match parse(&bytes, &name, &self.file, terms.chain) {
            Ok(list) => list,
            Err(error) => {
                self.tell(Some(error.to_string()));
                return false;
            }
        };
        let (before, now) = (self.good.taken.accepted, list.report.accepted);
        if !terms.accept_shrink && now.saturating_mul(10) < before.saturating_mul(9) {
            self.tell(Some(format!(
                "it has lost more than a tenth of its rows ({now} are left of {before}); if that is meant, stop this and run `coinhound \
                 backfill --accept-shrink`"
            )));
            return false;
        }
        tracing::info!("{name}: read again: {now} rows taken in, {} quarantined", list.report.quarantined.len());
        self.good = Good { taken: taken(&list, &self.file), name, bytes };
        self.stale = None;
        true
    }

    /// Notes whether the file is up to date, and says so where that is new.
    fn tell(&mut self, why: Option<String>) {
        if self.stale == why {
            return;
        }
        let path = self.file.path.display();
        match &why {
            Some(why) => tracing::warn!("the list {path} stays as it was when it could last be used: {why}"),
            None => tracing::info!("the list {path} is up to date again"),
        }
        self.stale = why;
    }
}

/// The content of a file that has this stamp before and after; `None` where it changed meanwhile.
fn read_still(path: &std::path::Path, stamp: Stamp) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    if Stamp::of_open(&file)? != stamp {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let still = Stamp::of_open(&file)? == stamp && Stamp::of(path)? == stamp;
    Ok(still.then_some(bytes))
}

fn parse(bytes: &[u8], name: &str, file: &WatchFile, chain: Chain) -> Result<List, Error> {
    Ok(watchlist::read(&mut &bytes[..], name, chain, &file.options)?)
}

fn is_cut(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(|last| *last != b'\n')
}

#[cfg(test)]
mod tests;
