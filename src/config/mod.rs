//! Settings: resolves the command line, the environment, the configuration file and the defaults into one value each.
//!
//! Each setting is one row of [`SETTINGS`]. The command line beats the environment, which beats the file, which beats the default.
//! The working directory is never searched for a file: a stranger's folder must not redirect the node's cookie.

mod error;
#[cfg(test)]
mod example;
mod file;
mod lists;
mod paths;
mod setting;
mod settings;
mod table;

pub use error::ConfigError;
#[cfg(feature = "testing")]
pub use lists::LIST_SETTINGS;
pub use lists::{WatchFile, watch_flag, watch_syntax};
pub use paths::Environment;
pub use setting::{Fallback, Setting};
pub use settings::Settings;
pub use table::{LOG_LEVEL, SETTINGS};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::file::ConfigFile;
use self::setting::Text;
use crate::node::Origin;

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

    /// Makes sure that there is a folder for the index.
    ///
    /// # Errors
    /// [`ConfigError::NoHome`].
    pub fn need_index(&self) -> Result<(), ConfigError> {
        if self.index.as_os_str().is_empty() { Err(ConfigError::NoHome) } else { Ok(()) }
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
            Fallback::Found { find, .. } => match find(self, environment) {
                // Only commands that use the index need its folder; see `Settings::need_index`.
                Err(ConfigError::NoHome) => return Ok(None),
                found => found?,
            },
            Fallback::Unset { .. } => return Ok(None),
        };
        Ok(Some(Text { text, origin: Origin::Default, folder }))
    }
}
