//! Where the user's files are, by the XDG base directory specification, and what paths in settings mean.

use std::path::{Path, PathBuf};

/// Looks up a variable of the environment by its name.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The folder above coinhound's own for configuration files.
pub(super) fn config_home(environment: Environment<'_>) -> Option<PathBuf> {
    absolute(environment("XDG_CONFIG_HOME")).or_else(|| Some(absolute(environment("HOME"))?.join(".config")))
}

/// The folder above coinhound's own for data.
pub(super) fn data_home(environment: Environment<'_>) -> Option<PathBuf> {
    absolute(environment("XDG_DATA_HOME")).or_else(|| Some(absolute(environment("HOME"))?.join(".local/share")))
}

/// The specification has relative paths ignored.
fn absolute(path: Option<String>) -> Option<PathBuf> {
    path.map(PathBuf::from).filter(|path| path.is_absolute())
}

/// `path` as seen from `folder`.
pub(super) fn from_folder(folder: &Path, path: &Path) -> PathBuf {
    folder.join(home_expanded(path))
}

/// `~/x` as the home directory's `x`.
pub(super) fn home_expanded(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}
