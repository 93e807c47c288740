//! The settings once they are resolved: one value each.

use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::lists::WatchFile;
use crate::chain::{Chain, Height};
use crate::node;
use crate::output::log::LogFormat;
use crate::sync::plan::wanted::WantedTrace;

/// The settings, resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How to reach the node.
    pub node: node::NodeSettings,
    /// The folder of the index.
    pub index: PathBuf,
    /// The lists: those of the file, then those of `--watch`.
    pub watch: Vec<WatchFile>,
    /// Scanning threads.
    pub threads: usize,
    /// Blocks in a batch at most.
    pub batch_blocks: usize,
    /// How far coins are followed, as far as it was set.
    pub trace: WantedTrace,
    /// Blocks that the index may be behind the node in an answer about now, as far as it was set.
    pub max_lag: Option<Height>,
    /// The age that the index's last block may have then, `Some(None)` for any; as far as it was set.
    pub max_age: Option<Option<Duration>>,
    /// The least severe level that is logged.
    pub log_level: LevelFilter,
    /// How logs look.
    pub log_format: LogFormat,
}

impl Settings {
    /// The state before any row of the table is applied; rows with a default overwrite it.
    pub(super) fn unset() -> Self {
        Self {
            node: node::NodeSettings::for_chain(Chain::Main),
            index: PathBuf::new(),
            watch: Vec::new(),
            threads: 1,
            batch_blocks: 1,
            trace: WantedTrace::default(),
            max_lag: None,
            max_age: None,
            log_level: LevelFilter::INFO,
            log_format: LogFormat::default(),
        }
    }
}
