//! The configured lists: opens and reads their files, and compares them with those that an index took in. Opens files of targets too.

mod stamp;
pub mod targets;
pub mod watch;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use bitcoin::hashes::{Hash, HashEngine, sha256};

use crate::chain::Chain;
use crate::config::WatchFile;
use crate::error::Error;
use crate::index::meta::{TakenList, TakenLists};
use crate::watchlist::{self, List};
use stamp::FileStamp;

/// A list that was read, and what an index remembers of it.
pub struct ReadList {
    /// Its rows.
    pub list: List,
    /// What an index remembers.
    pub taken: TakenList,
}

/// Reads one list. Reports and labels call it by its absolute path, wherever it was named from.
///
/// # Errors
/// [`Error::ListFile`], [`Error::List`].
pub fn read(file: &WatchFile, chain: Chain) -> Result<ReadList, Error> {
    let name = name(file).map_err(|error| unreadable(file, error))?;
    let mut input = File::open(&file.path).map_err(|error| unreadable(file, error))?;
    let stamp = FileStamp::of_open(&input).map_err(|error| unreadable(file, error))?;
    let settled = stamp.is_settled(SystemTime::now());
    let list = watchlist::read(&mut input, &name, chain, &file.options)?;
    let still = FileStamp::of_open(&input).map_err(|error| unreadable(file, error))? == stamp;
    let taken = taken(&list, file, (settled && still).then_some(stamp));
    Ok(ReadList { list, taken })
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

/// What an index remembers of a list that was read; `stamp` where it stands for the content.
fn taken(list: &List, file: &WatchFile, stamp: Option<FileStamp>) -> TakenList {
    TakenList {
        path: list.report.path.clone(),
        sha256: list.report.sha256.clone(),
        stamp: stamp.map(|stamp| stamp.to_string()),
        format: list.report.format.to_string(),
        named_format: file.options.format.clone(),
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
            let Ok(found) = position(file, &left) else { return true };
            found
        };
        match at {
            Some(at) => drop(left.swap_remove(at)),
            None => return true,
        }
    }
    !left.is_empty()
}

/// Which of the lists that were taken in has the content and the options of a configured one. A file whose stamp is known need not be
/// read: hashing a list of a million rows takes longer than most answers.
fn position(file: &WatchFile, lists: &[&TakenList]) -> io::Result<Option<usize>> {
    let stamp = FileStamp::of(&file.path)?.to_string();
    let at = lists.iter().position(|list| list.stamp.as_ref() == Some(&stamp) && has_options_of(file, list));
    if at.is_some() {
        return Ok(at);
    }
    let content = hash(&file.path)?;
    Ok(lists.iter().position(|list| list.sha256 == content && has_options_of(file, list)))
}

/// Whether the file of a list that was taken in is still there, with other content.
fn has_changed(list: &TakenList) -> bool {
    let path = Path::new(&list.path);
    if !path.exists() || is_read_once(path) {
        return false;
    }
    let stamp = FileStamp::of(path).ok().map(|stamp| stamp.to_string());
    (stamp.is_none() || stamp != list.stamp) && hash(path).map_or(true, |now| now != list.sha256)
}

/// Whether a configured list has the options of one that was taken in.
fn has_options_of(file: &WatchFile, list: &TakenList) -> bool {
    let options = &file.options;
    (list.role, &list.label, list.from, &list.named_format)
        == (options.role, &options.label, options.from, &options.format)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watchlist::ListOptions;

    const LIST: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa\n";

    #[test]
    fn a_list_with_the_stamp_that_was_taken_in_is_not_read_again_and_any_other_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::write(&path, LIST).unwrap();
        let file = WatchFile { path: path.clone(), options: ListOptions::default() };
        let read = read(&file, Chain::Main).unwrap();
        assert_eq!(read.taken.stamp, None, "it was written just now");
        let stamp = FileStamp::of(&path).unwrap();
        let stamped = taken(&read.list, &file, Some(stamp));
        let is_changed = |list: TakenList| {
            let lists = TakenLists { files: vec![list], ..TakenLists::default() };
            (changed(std::slice::from_ref(&file), &lists), changed(&[], &lists))
        };
        assert_eq!(is_changed(stamped.clone()), (false, false));
        // The content counts only where the stamp is another.
        let of_other_content = TakenList { sha256: "00".repeat(32), ..stamped.clone() };
        assert_eq!(is_changed(of_other_content.clone()), (false, false));
        assert_eq!(is_changed(TakenList { stamp: None, ..of_other_content.clone() }), (true, true));
        assert_eq!(is_changed(TakenList { stamp: Some("1:2".into()), ..of_other_content }), (true, true));
        assert_eq!(is_changed(TakenList { stamp: Some("1:2".into()), ..stamped.clone() }), (false, false));
        // Another format named for the same file is a change of the settings.
        assert_eq!(is_changed(TakenList { named_format: Some("csv".into()), ..stamped.clone() }), (true, false));
        std::fs::write(&path, format!("{LIST}{LIST}")).unwrap();
        assert_eq!(is_changed(stamped), (true, true));
    }
}
