//! What an index's files look like from outside: a glance that tells whether anything was written since, far cheaper than an open.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Equal ones mean that nothing was written in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The MANIFEST that CURRENT names.
    manifest: String,
    /// The sizes of it and of the write-ahead logs, which only grow.
    sizes: BTreeMap<String, u64>,
}

impl Stamp {
    /// Of the index at `path`; `None` where its files can't be read, or change too fast to be.
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
        Some(Self { manifest, sizes })
    }
}
