//! The sizes of an index's files, which show whether it was written to since: far cheaper than to open it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Two that are equal show that nothing was written in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The name of the MANIFEST that CURRENT names.
    manifest: String,
    /// What RocksDB named the database when it was made.
    identity: Option<String>,
    /// The sizes in bytes of it and of the write-ahead logs, which only grow.
    sizes: BTreeMap<String, u64>,
}

impl Stamp {
    /// The stamp of the index at `path`; `None` where a file can't be read, or is deleted meanwhile.
    pub fn of(path: &Path) -> Option<Self> {
        let manifest = fs::read_to_string(path.join("CURRENT")).ok()?.trim_end().to_owned();
        let mut sizes = BTreeMap::from([(manifest.clone(), fs::metadata(path.join(&manifest)).ok()?.len())]);
        for file in fs::read_dir(path).ok()? {
            let file = file.ok()?;
            let name = file.file_name().to_string_lossy().into_owned();
            if name.ends_with(".log") {
                sizes.insert(name, file.metadata().ok()?.len());
            }
        }
        let identity = fs::read_to_string(path.join("IDENTITY")).ok();
        Some(Self { manifest, identity, sizes })
    }
}
