//! The configured lists: opens and reads their files, and compares them with those that an index took in. Opens files of targets too.

mod stamp;
pub mod targets;
pub mod watch;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bitcoin::hashes::{Hash, HashEngine, sha256};

use crate::chain::Chain;
use crate::config::WatchFile;
use crate::error::Error;
use crate::index::meta::{TakenList, TakenLists};
use crate::watchlist::{self, List};

/// Reads one list. Reports and labels call it by its absolute path, wherever it was named from.
///
/// # Errors
/// [`Error::ListFile`], [`Error::List`].
pub fn read(file: &WatchFile, chain: Chain) -> Result<List, Error> {
    let name = name(file).map_err(|error| unreadable(file, error))?;
    let mut input = File::open(&file.path).map_err(|error| unreadable(file, error))?;
    Ok(watchlist::read(&mut input, &name, chain, &file.options)?)
}

/// The name of a list: its absolute path. A pipe has no other path than the one it was named by.
fn name(file: &WatchFile) -> io::Result<String> {
    let path = if is_read_once(&file.path) { std::path::absolute(&file.path)? } else { file.path.canonicalize()? };
    Ok(path.display().to_string())
}

/// Whether a path leads to a pipe, a terminal or the like: what it gives is gone once it was read, and reading it again may never end.
fn is_read_once(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir())
}

fn unreadable(file: &WatchFile, source: io::Error) -> Error {
    Error::ListFile { path: file.path.display().to_string(), source }
}

/// Logs what was read of a list.
pub fn log_read(list: &List) {
    let report = &list.report;
    tracing::info!("{}: {} rows accepted, {} of other chains", report.path, report.accepted, report.other_chain);
    if !report.quarantined.is_empty() {
        tracing::warn!(
            "{}: {} rows could not be read and are not searched for; `coinhound watch check` shows them",
            report.path,
            report.quarantined.len()
        );
    }
}

/// What an index remembers of a list that was read.
pub fn taken(list: &List, file: &WatchFile) -> TakenList {
    TakenList {
        path: list.report.path.clone(),
        sha256: list.report.sha256.clone(),
        format: list.report.format.to_string(),
        role: file.options.role,
        label: file.options.label.clone(),
        from: file.options.from,
        accepted: list.report.accepted,
        quarantined: list.report.quarantined.len() as u64,
        other_chain: list.report.other_chain,
        searched: None,
    }
}

/// Whether the configured lists differ from those that an index took in. If none is configured: whether a file that was taken in
/// has changed since; one that has been removed doesn't count.
pub fn changed(configured: &[WatchFile], taken: &TakenLists) -> bool {
    if configured.is_empty() {
        return taken.files.iter().any(has_changed);
    }
    let mut left: Vec<_> = taken.files.iter().collect();
    for file in configured {
        let at = if is_read_once(&file.path) {
            let Ok(name) = name(file) else { return true };
            left.iter().position(|list| list.path == name && has_options_of(file, list))
        } else {
            let Ok(content) = hash(&file.path) else { return true };
            left.iter().position(|list| list.sha256 == content && has_options_of(file, list))
        };
        match at {
            Some(at) => drop(left.swap_remove(at)),
            None => return true,
        }
    }
    !left.is_empty()
}

/// Whether the file of a list that was taken in is still there, with other content.
fn has_changed(list: &TakenList) -> bool {
    let path = Path::new(&list.path);
    path.exists() && !is_read_once(path) && hash(path).map_or(true, |now| now != list.sha256)
}

/// Whether a configured list has the options of one that was taken in.
fn has_options_of(file: &WatchFile, list: &TakenList) -> bool {
    let options = &file.options;
    (list.role, &list.label, list.from) == (options.role, &options.label, options.from)
}

fn hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut engine = sha256::Hash::engine();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(sha256::Hash::from_engine(engine).to_string()),
            count => engine.input(&buffer[..count]),
        }
    }
}
