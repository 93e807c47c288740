//! Lists to watch: as `--watch` names them on the command line, and as `[[watchlist]]` does in the file.

use std::path::{Path, PathBuf};

use super::error::{ConfigError, unknown_key};
use super::paths::{from_folder, home_expanded};
use crate::watchlist::ListOptions;

/// The section that holds lists.
pub(super) const LISTS: &str = "watchlist";

/// A list to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchFile {
    /// Its file.
    pub path: PathBuf,
    /// How to read it, and what holds for rows that don't say it themselves.
    pub options: ListOptions,
}

/// One property of a list.
pub struct ListSetting {
    /// Its name in the file and on the command line.
    pub key: &'static str,
    /// Stands for the value in help texts.
    pub value_name: &'static str,
    /// What it is, for the example file.
    #[cfg_attr(
        not(any(test, feature = "testing")),
        expect(dead_code, reason = "a test compares config.example.toml with what is printed from it")
    )]
    pub help: &'static str,
    /// A value to show in the example file.
    #[cfg_attr(
        not(any(test, feature = "testing")),
        expect(dead_code, reason = "a test compares config.example.toml with what is printed from it")
    )]
    pub example: &'static str,
    /// Whether the file has it as a whole number rather than a text.
    pub is_number: bool,
    set: fn(&mut WatchFile, &str) -> Result<(), String>,
}

/// The properties of a list; the path, without which there is none, comes first.
pub const LIST_SETTINGS: [ListSetting; 5] = [
    ListSetting {
        key: "path",
        value_name: "FILE",
        help: "the list's file",
        example: "lists/sanctioned.csv",
        is_number: false,
        set: |list, value| {
            list.path = value.into();
            Ok(())
        },
    },
    ListSetting {
        key: "format",
        value_name: "NAME",
        help: "csv, plain, ofac-sdn-xml, tagpack, json, …; default: found from the content",
        example: "csv",
        is_number: false,
        set: |list, value| {
            list.options.format = Some(value.to_owned());
            Ok(())
        },
    },
    ListSetting {
        key: "role",
        value_name: "ROLE",
        help: "flagged or service, for rows that name none; default: flagged",
        example: "flagged",
        is_number: false,
        set: |list, value| {
            list.options.role = Some(value.parse()?);
            Ok(())
        },
    },
    ListSetting {
        key: "label",
        value_name: "TEXT",
        help: "a label, for rows that have none; default: the file's name",
        example: "Sanctioned",
        is_number: false,
        set: |list, value| {
            list.options.label = Some(value.to_owned());
            Ok(())
        },
    },
    ListSetting {
        key: "from",
        value_name: "HEIGHT",
        help: "height to scan from, for rows that give none; default: backfill's --from",
        example: "0",
        is_number: true,
        set: |list, value| {
            list.options.from = Some(value.parse().map_err(|_| format!("'{value}' is not a height"))?);
            Ok(())
        },
    },
];

impl ListSetting {
    fn find(key: &str) -> Option<&'static Self> {
        const { &LIST_SETTINGS }.iter().find(|setting| setting.key == key)
    }
}

/// How a list is written on the command line.
pub fn watch_syntax() -> String {
    let [file, options @ ..] = &LIST_SETTINGS;
    let options = options.iter().map(|option| format!("[,{}={}]", option.key, option.value_name));
    std::iter::once(file.value_name.to_owned()).chain(options).collect()
}

/// Reads a list as `--watch` has it, [`watch_syntax`]. The file's name may hold commas.
///
/// # Errors
/// [`ConfigError::Watch`].
pub fn watch_flag(typed: &str) -> Result<WatchFile, ConfigError> {
    let commas = typed.match_indices(',').map(|(at, _)| at);
    let mut borders: Vec<usize> = commas.filter(|at| starts_with_option(&typed[at + 1..])).collect();
    borders.push(typed.len());
    let file = &typed[..borders[0]];
    if file.is_empty() {
        return Err(ConfigError::Watch(format!("'{typed}' names no file; write {}", watch_syntax())));
    }
    let mut list = WatchFile { path: home_expanded(Path::new(file)), ..WatchFile::default() };
    for pair in borders.windows(2) {
        let (key, value) = typed[pair[0] + 1..pair[1]].split_once('=').unwrap_or_default();
        if let Some(setting) = ListSetting::find(key) {
            (setting.set)(&mut list, value).map_err(|problem| ConfigError::Watch(format!("{key}: {problem}")))?;
        }
    }
    Ok(list)
}

/// Whether a text begins with an option of a list, such as `label=`.
fn starts_with_option(text: &str) -> bool {
    let option = text.split_once('=');
    option.is_some_and(|(key, _)| LIST_SETTINGS[1..].iter().any(|setting| setting.key == key))
}

/// The lists of a configuration file that lies in `folder`; the error says what is wrong.
pub(super) fn file_lists(table: &toml::Table, folder: &Path) -> Result<Vec<WatchFile>, String> {
    let Some(lists) = table.get(LISTS) else { return Ok(Vec::new()) };
    let lists = lists.as_array().ok_or("lists are written as [[watchlist]]")?;
    lists.iter().map(|list| file_list(list.as_table().ok_or("lists are written as [[watchlist]]")?, folder)).collect()
}

fn file_list(table: &toml::Table, folder: &Path) -> Result<WatchFile, String> {
    let mut list = WatchFile::default();
    for (key, value) in table {
        let setting =
            ListSetting::find(key).ok_or_else(|| unknown_key(key, LIST_SETTINGS.iter().map(|setting| setting.key)))?;
        let text = match value {
            toml::Value::Integer(number) if setting.is_number => number.to_string(),
            toml::Value::String(text) if !setting.is_number => text.clone(),
            other => {
                let needed = if setting.is_number { "a whole number" } else { "a text" };
                return Err(format!("[[{LISTS}]] {key} must be {needed}, not {}", other.type_str()));
            }
        };
        (setting.set)(&mut list, &text).map_err(|problem| format!("[[{LISTS}]] {key}: {problem}"))?;
    }
    if !table.contains_key(LIST_SETTINGS[0].key) {
        return Err(format!("[[{LISTS}]]: missing field `{}`", LIST_SETTINGS[0].key));
    }
    list.path = from_folder(folder, &list.path);
    Ok(list)
}
