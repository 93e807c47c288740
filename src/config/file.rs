//! The configuration file: found, read, and checked for keys that the table doesn't have.

use std::path::{Path, PathBuf};

use super::error::{ConfigError, unknown_key};
use super::lists::{self, LISTS, WatchFile};
use super::paths::{Environment, config_home};
use super::setting::Setting;
use super::table::SETTINGS;

/// A configuration file that was read.
pub(super) struct ConfigFile {
    pub path: PathBuf,
    table: toml::Table,
}

impl ConfigFile {
    /// Reads the file that was `named`, or the one in the user's configuration folder if there is one.
    pub fn find(named: Option<&Path>, environment: Environment<'_>) -> Result<Option<Self>, ConfigError> {
        if let Some(path) = named {
            return Self::read(path.to_owned()).map(Some);
        }
        let path = config_home(environment).map(|home| home.join("coinhound/config.toml"));
        path.filter(|path| path.exists()).map(Self::read).transpose()
    }

    fn read(path: PathBuf) -> Result<Self, ConfigError> {
        match read_table(&path) {
            Ok(table) => Ok(Self { path, table }),
            Err(problem) => Err(ConfigError::File { path, problem }),
        }
    }

    /// The folder that relative paths count from.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The text of a setting, as it would be typed on the command line.
    pub fn text(&self, setting: &Setting) -> Option<String> {
        scalar(self.table.get(setting.section())?.get(setting.name())?)
    }

    /// The lists that it names.
    pub fn lists(&self) -> Result<Vec<WatchFile>, ConfigError> {
        lists::file_lists(&self.table, self.folder())
            .map_err(|problem| ConfigError::File { path: self.path.clone(), problem })
    }
}

fn read_table(path: &Path) -> Result<toml::Table, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    for (section, value) in table.iter().filter(|(section, _)| *section != LISTS) {
        let sections = SETTINGS.iter().map(Setting::section).chain([LISTS]);
        if !sections.clone().any(|known| known == section) {
            return Err(unknown_key(section, sections));
        }
        let Some(settings) = value.as_table() else {
            return Err(format!("'{section}' must be a section: [{section}]"));
        };
        for (name, value) in settings {
            let key = format!("{section}.{name}");
            if !SETTINGS.iter().any(|setting| setting.key == key) {
                return Err(unknown_key(&key, SETTINGS.iter().map(|setting| setting.key)));
            }
            if scalar(value).is_none() {
                return Err(format!("'{key}' must be a text or a whole number, not {}", value.type_str()));
            }
        }
    }
    Ok(table)
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}
