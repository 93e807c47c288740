//! The errors of settings.

use std::path::PathBuf;

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

/// The message for a key that doesn't exist, with the nearest key that does.
pub(super) fn unknown_key<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> String {
    let nearest = known.min_by_key(|known| strsim::damerau_levenshtein(key, known));
    let hint = nearest.map(|nearest| format!("; did you mean '{nearest}'?")).unwrap_or_default();
    format!("unknown key '{key}'{hint}")
}
