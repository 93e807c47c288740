//! Settings: resolves the command line, the environment, the configuration file and the defaults into one value each.
//!
//! Each setting is one row of [`SETTINGS`]. The command line beats the environment, which beats the file, which beats the default.
//! The working directory is never searched for a file: a stranger's folder must not redirect the node's cookie.

#[cfg(test)]
mod example;
mod file;
mod lists;
mod paths;
mod setting;
mod table;

pub use lists::{LIST_SETTINGS, ListSetting, WatchFile, watch_flag, watch_syntax};
pub use setting::{Environment, Fallback, Setting};
pub use table::{LOG_LEVEL, SETTINGS};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tracing::level_filters::LevelFilter;

use self::file::ConfigFile;
use self::setting::Text;
use crate::chain::Chain;
use crate::node::{self, Origin};
use crate::output::log::LogFormat;
use crate::sync::plan::change::WantedTrace;

/// A setting can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value is not one that the setting takes.
    #[error("{key} ({given_by}): {problem}")]
    Value {
        /// The setting's key in the file.
        key: &'static str,
        /// The flag, the variable or the file that has the value.
        given_by: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A list on the command line can't be understood.
    #[error("the list on the command line: {0}")]
    Watch(String),
    /// The file can't be read.
    #[error("the configuration file {}: {problem}", path.display())]
    File {
        /// The file's path.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no home directory to find a default in.
    #[error("no home directory is known (HOME is not set); name the index with `--index DIR`")]
    NoHome,
}

/// The settings on the command line.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// Texts of the settings that were given, by [`Setting::key`].
    pub values: BTreeMap<&'static str, String>,
    /// `--watch`, as typed.
    pub watch: Vec<String>,
}

/// The settings, resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How to reach the node.
    pub node: node::Settings,
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
    /// The least severe level that is logged.
    pub log_level: LevelFilter,
    /// How logs look.
    pub log_format: LogFormat,
}

impl Settings {
    /// Resolves `flags` together with the environment, the file and the defaults.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(flags: &Flags, environment: Environment<'_>) -> Result<Self, ConfigError> {
        let file = ConfigFile::find(flags.config.as_deref(), environment)?;
        let mut settings = Self::unset();
        if let Some(file) = &file {
            settings.watch = file.lists()?;
        }
        for typed in &flags.watch {
            settings.watch.push(watch_flag(typed)?);
        }
        for setting in &SETTINGS {
            let Some(text) = settings.text_of(setting, flags, environment, file.as_ref())? else { continue };
            (setting.set)(&mut settings, &text).map_err(|problem| ConfigError::Value {
                key: setting.key,
                given_by: setting.given_by(&text.origin),
                problem,
            })?;
        }
        Ok(settings)
    }

    /// The state before any row of the table is applied; rows with a default overwrite it.
    fn unset() -> Self {
        Self {
            node: node::Settings::for_chain(Chain::Main),
            index: PathBuf::new(),
            watch: Vec::new(),
            threads: 1,
            batch_blocks: 1,
            trace: WantedTrace::default(),
            log_level: LevelFilter::INFO,
            log_format: LogFormat::default(),
        }
    }

    /// The text that a setting has, from the strongest of the places that have one.
    fn text_of<'a>(
        &self,
        setting: &Setting,
        flags: &Flags,
        environment: Environment<'_>,
        file: Option<&'a ConfigFile>,
    ) -> Result<Option<Text<'a>>, ConfigError> {
        let folder = file.map_or(Path::new(""), ConfigFile::folder);
        if let Some(text) = flags.values.get(setting.key) {
            return Ok(Some(Text { text: text.clone(), origin: Origin::Flag, folder }));
        }
        if let Some(text) = environment(&setting.variable()) {
            return Ok(Some(Text { text, origin: Origin::Environment(setting.variable()), folder }));
        }
        if let Some((file, text)) = file.and_then(|file| Some((file, file.text(setting)?))) {
            return Ok(Some(Text { text, origin: Origin::File(file.path.clone()), folder }));
        }
        let text = match setting.fallback {
            Fallback::Value(value) => value.to_owned(),
            Fallback::Found { find, .. } => find(self, environment)?,
            Fallback::Unset { .. } => return Ok(None),
        };
        Ok(Some(Text { text, origin: Origin::Default, folder }))
    }
}
