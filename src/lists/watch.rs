//! Watches the files of the configured lists, for a program that runs for months: a changed file is read again once its writer has
//! finished, and a list whose file can't be used keeps its last usable content. What a change means for an index is decided elsewhere.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant, SystemTime};

use bitcoin::hashes::{Hash, sha256};

use super::stamp::FileStamp;
use super::{is_read_once, log_read, name, taken, unreadable};
use crate::chain::{Chain, Height};
use crate::config::WatchFile;
use crate::error::Error;
use crate::index::meta::{TakenList, TakenLists};
use crate::sync::plan::wanted::Lists;
use crate::watchlist::entries::merge;
use crate::watchlist::{self, List};

/// How long a changed file must be left alone before it is read: its writer may not have finished.
const QUIET: Duration = Duration::from_secs(1);
/// The same for a file that ends within a line, if its last usable content didn't.
const QUIET_IF_CUT: Duration = Duration::from_secs(30);
/// How long after a change the content is compared at every look: a second change within the same tick of the file system's clock (up
/// to two seconds on some) leaves the file's times as they are.
const DOUBT: Duration = Duration::from_secs(5);
/// A file that keeps changing for so long is reported as not up to date.
const RESTLESS: Duration = Duration::from_secs(30);

/// The terms on which lists are taken in.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The chain that their addresses must be of.
    pub chain: Chain,
    /// The height to scan from for entries whose list gives none.
    pub from: Height,
    /// Whether to go ahead although rows could not be read.
    pub accept_quarantined: bool,
    /// Whether a list may lose more than a tenth of its rows.
    pub accept_shrink: bool,
}

/// The configured lists, watched.
pub struct ListWatch {
    terms: Terms,
    files: Vec<WatchedFile>,
    /// The version of the lists whose unreadable rows were accepted: the user has seen no other.
    accepted: Option<String>,
}

/// One file.
struct WatchedFile {
    file: WatchFile,
    good: Good,
    /// The stamp at the last look, or why there was none; since when it has been the same.
    seen: (Result<FileStamp, String>, Instant),
    /// When it was last found unchanged for long enough to be read.
    still: Instant,
    /// The stamp and the hash of what was last read, usable or not.
    read: (Result<FileStamp, String>, String),
    /// Why the last usable content isn't the file's present one.
    stale: Option<String>,
    /// Whether it is a pipe or the like, which can be read only once.
    once: bool,
    /// Whether the next look is to read it in any case.
    hurry: bool,
}

/// The last usable content of a file, as bytes: entries would take six times the memory.
struct Good {
    name: String,
    bytes: Vec<u8>,
    taken: TakenList,
}

impl ListWatch {
    /// Reads all lists, and watches their files from then on.
    ///
    /// # Errors
    /// [`Error::ListFile`], [`Error::List`]: at the start there is no usable content to fall back to.
    pub fn new(files: &[WatchFile], terms: Terms, now: Instant) -> Result<(Self, Lists), Error> {
        let mut watch = Self { terms, files: Vec::with_capacity(files.len()), accepted: None };
        let mut read = Vec::with_capacity(files.len());
        for file in files {
            let (watched, list) = WatchedFile::new(file, terms.chain, now)?;
            log_read(&list);
            watch.files.push(watched);
            read.push(list);
        }
        watch.accepted = terms.accept_quarantined.then(|| watch.taken().version());
        let lists = watch.merged(read);
        Ok((watch, lists))
    }

    /// The content of the lists, each as it was when it was last usable.
    ///
    /// # Errors
    /// [`Error::List`], if content that was parsed before can't be parsed again.
    pub fn lists(&self) -> Result<Lists, Error> {
        let mut read = Vec::with_capacity(self.files.len());
        for file in &self.files {
            read.push(parse(&file.good.bytes, &file.good.name, &file.file, self.terms.chain)?);
        }
        Ok(self.merged(read))
    }

    fn merged(&self, read: Vec<List>) -> Lists {
        let mut taken = self.taken();
        taken.quarantine_accepted = self.accepted.as_ref().is_some_and(|accepted| *accepted == taken.version());
        Lists { entries: merge(read, self.terms.from), taken }
    }

    fn taken(&self) -> TakenLists {
        let files = self.files.iter().map(|file| file.good.taken.clone()).collect();
        TakenLists { files, quarantine_accepted: false }
    }

    /// Has the next look read every file, whether or not it has changed, and judge it anew.
    pub fn reread(&mut self) {
        self.files.iter_mut().for_each(|file| file.hurry = !file.once);
    }

    /// Looks at all files, and returns the lists if the content of one has changed. To be called every second or so: a look at a file
    /// that hasn't changed is one system call.
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
}

impl WatchedFile {
    fn new(file: &WatchFile, chain: Chain, now: Instant) -> Result<(Self, List), Error> {
        let name = name(file).map_err(|error| unreadable(file, error))?;
        let once = is_read_once(&file.path);
        let mut input = File::open(&file.path).map_err(|error| unreadable(file, error))?;
        if once {
            tracing::warn!("the list {name} is no file, so changes of it can't be watched: it is read once, now");
        }
        let (stamp, began) = (FileStamp::of_open(&input).map_err(|error| unreadable(file, error))?, SystemTime::now());
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(|error| unreadable(file, error))?;
        let list = parse(&bytes, &name, file, chain)?;
        let taken = taken(&list, file, stamp.is_settled(began).then_some(stamp));
        let read = (Ok(stamp), taken.sha256.clone());
        let good = Good { name, bytes, taken };
        let watched = Self {
            file: file.clone(),
            good,
            seen: (Ok(stamp), now),
            still: now,
            read,
            stale: None,
            once,
            hurry: false,
        };
        Ok((watched, list))
    }

    /// Looks at the file; returns whether it has new content that is usable.
    fn look(&mut self, terms: &Terms, now: Instant) -> bool {
        if self.once {
            return false;
        }
        let found = FileStamp::of(&self.file.path).map_err(|error| error.to_string());
        if found != self.seen.0 {
            self.seen = (found.clone(), now);
        }
        if std::mem::take(&mut self.hurry) {
            return self.read_now(found, now, terms);
        }
        let quiet = now.saturating_duration_since(self.seen.1);
        if quiet < QUIET && found != self.read.0 {
            if now.saturating_duration_since(self.still) > RESTLESS {
                self.note(Some("it keeps changing".into()));
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
                self.note(Some(why.clone()));
                // Once it is back, its content is compared.
                self.read = (Err(why), String::new());
                return false;
            }
        };
        match read_still(&self.file.path, stamp) {
            Ok(Some(bytes)) => self.judge(bytes, stamp, quiet, terms),
            Ok(None) => {
                self.seen.1 = now;
                false
            }
            Err(error) => {
                self.note(Some(error.to_string()));
                false
            }
        }
    }

    /// Reads the file although its writer may not have finished: the user says that it has.
    fn read_now(&mut self, found: Result<FileStamp, String>, now: Instant, terms: &Terms) -> bool {
        self.still = now;
        self.read = (Err("it is to be read again".into()), String::new());
        match found
            .and_then(|stamp| Ok((stamp, read_still(&self.file.path, stamp).map_err(|error| error.to_string())?)))
        {
            Ok((stamp, Some(bytes))) => self.judge(bytes, stamp, QUIET_IF_CUT, terms),
            // It is being written right now, and read as any other that changes.
            Ok((_, None)) => false,
            Err(why) => {
                self.note(Some(why));
                false
            }
        }
    }

    /// Takes new content if it can be used; returns whether it did. `quiet` is how long the file has been left alone.
    fn judge(&mut self, bytes: Vec<u8>, stamp: FileStamp, quiet: Duration, terms: &Terms) -> bool {
        let hash = sha256::Hash::hash(&bytes).to_string();
        if hash == self.good.taken.sha256 {
            self.read = (Ok(stamp), hash);
            self.note(None);
            return false;
        }
        if is_cut(&bytes) && !is_cut(&self.good.bytes) && quiet < QUIET_IF_CUT {
            self.note(Some("it ends within a line".into()));
            return false;
        }
        if self.read == (Ok(stamp), hash.clone()) {
            // Refused before, for a reason that was logged.
            return false;
        }
        self.read = (Ok(stamp), hash);
        let name =
            self.file.path.canonicalize().map_or_else(|_| self.good.name.clone(), |path| path.display().to_string());
        let list = match parse(&bytes, &name, &self.file, terms.chain) {
            Ok(list) => list,
            Err(error) => {
                self.note(Some(error.to_string()));
                return false;
            }
        };
        let (before, now) = (self.good.taken.accepted, list.report.accepted);
        if !terms.accept_shrink && now.saturating_mul(10) < before.saturating_mul(9) {
            self.note(Some(format!(
                "it has lost more than a tenth of its rows ({now} of {before} are left); if that is intended, stop this run and start \
                 `coinhound backfill --accept-shrink`"
            )));
            return false;
        }
        tracing::info!("{name} has changed: {now} rows accepted, {} quarantined", list.report.quarantined.len());
        let settled = quiet >= QUIET && stamp.is_settled(SystemTime::now());
        self.good = Good { taken: taken(&list, &self.file, settled.then_some(stamp)), name, bytes };
        self.stale = None;
        true
    }

    /// Notes why the file can't be used, or that it can; logs a change of that.
    fn note(&mut self, why: Option<String>) {
        if self.stale == why {
            return;
        }
        let path = self.file.path.display();
        match &why {
            Some(why) => tracing::warn!("keeping the last usable content of the list {path}: {why}"),
            None => tracing::info!("the list {path} is up to date again"),
        }
        self.stale = why;
    }
}

/// The content of a file; `None` if its stamp isn't this one both before and after reading.
fn read_still(path: &std::path::Path, stamp: FileStamp) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    if FileStamp::of_open(&file)? != stamp {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let still = FileStamp::of_open(&file)? == stamp && FileStamp::of(path)? == stamp;
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
