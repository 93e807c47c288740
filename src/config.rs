//! Settings: what flags, environment, file and defaults say, resolved once into what is meant.
//!
//! Flags beat environment beat file beat defaults. The working directory is never searched for a file.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use crate::chain::{Chain, Height};
use crate::node::{self, Given, LaneChoice, Origin};
use crate::output::log::LogFormat;
use crate::sync::plan::change::WantedTrace;
use crate::trace::Rule;
use crate::trace::rule::NoRule;
use crate::watchlist::{ListOptions, Role};

/// A setting can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value is not what the setting takes.
    #[error("{name} ({origin}): {problem}")]
    Value {
        /// The setting.
        name: String,
        /// Where it was said.
        origin: Origin,
        /// What is wrong.
        problem: String,
    },
    /// The file can't be read.
    #[error("the configuration file {}: {problem}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// There is no home directory to find a default in.
    #[error("no home directory is known (HOME is not set); name the index with `--index DIR`")]
    NoHome,
}

/// A list to watch, with what was said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchFile {
    /// The file.
    pub path: PathBuf,
    /// What was said of it.
    pub options: ListOptions,
}

/// What was typed: the global flags, each if it was there.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// Scalar settings by their key in the file, `node.chain` say.
    pub values: BTreeMap<&'static str, String>,
    /// `--watch`, as typed.
    pub watch: Vec<String>,
}

/// What is meant.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file that was read, if one was.
    pub file: Option<PathBuf>,
    /// How to reach the node.
    pub node: node::Settings,
    /// Whether the chain was said, and isn't just the default.
    pub chain_said: bool,
    /// The index.
    pub index: PathBuf,
    /// The lists: those of the file, then those of `--watch`.
    pub watch: Vec<WatchFile>,
    /// Scanning threads.
    pub threads: usize,
    /// Blocks in a batch at most.
    pub batch_blocks: usize,
    /// How far coins are followed, as far as somebody said.
    pub trace: WantedTrace,
    /// `off`, `error`, `warn`, `info`, `debug`, `trace`.
    pub log_level: tracing::level_filters::LevelFilter,
    /// How logs look.
    pub log_format: LogFormat,
}

/// Every scalar key of the file.
pub const KEYS: [&str; 15] = [
    "node.chain",
    "node.datadir",
    "node.rpc_url",
    "node.rpc_cookie_file",
    "node.rpc_user",
    "node.rpc_password_file",
    "node.lane",
    "index.path",
    "scan.threads",
    "scan.batch_blocks",
    "trace.min_taint",
    "trace.max_hops",
    "trace.track",
    "log.level",
    "log.format",
];
/// The section that holds no scalars.
const LISTS: &str = "watchlist";
/// The keys of one list.
pub const WATCHLIST_KEYS: [&str; 5] = ["path", "format", "role", "label", "from"];

/// Blocks in a batch, unless said otherwise.
const BATCH_BLOCKS: usize = 500;

#[derive(Default, Deserialize)]
struct FileList {
    path: PathBuf,
    format: Option<String>,
    role: Option<Role>,
    label: Option<String>,
    from: Option<Height>,
}

/// A count of something that there is at least one of.
struct Positive(u16);

impl FromStr for Positive {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().ok().filter(|number| *number > 0).map(Self).ok_or("a whole number from 1 to 65535 is meant")
    }
}

/// Values by key, each with where it was said; the first wins.
struct Layers {
    values: BTreeMap<&'static str, Given<String>>,
    base: PathBuf,
}

impl Layers {
    fn parse<T: FromStr>(&self, key: &'static str) -> Result<Option<Given<T>>, ConfigError>
    where
        T::Err: std::fmt::Display,
    {
        let Some(given) = self.values.get(key) else { return Ok(None) };
        let value = given.value.parse().map_err(|problem: T::Err| ConfigError::Value {
            name: key.to_owned(),
            origin: given.origin.clone(),
            problem: format!("'{}': {problem}", given.value),
        })?;
        Ok(Some(Given::new(value, given.origin.clone())))
    }

    /// A path; from a file, relative ones count from that file's folder.
    fn path(&self, key: &'static str) -> Option<Given<PathBuf>> {
        let given = self.values.get(key)?;
        let path = match given.origin {
            Origin::File(_) => from_folder(&self.base, Path::new(&given.value)),
            _ => home_expanded(Path::new(&given.value)),
        };
        Some(Given::new(path, given.origin.clone()))
    }

    fn text(&self, key: &'static str) -> Option<Given<String>> {
        self.values.get(key).cloned()
    }
}

impl Settings {
    /// Resolves what `flags` say together with the environment and the file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(flags: &Flags, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let said = flags.config.clone();
        let path = said.clone().or_else(|| config_home(environment).map(|home| home.join("coinhound/config.toml")));
        let file = match path {
            Some(path) if said.is_some() || path.exists() => Some((read_file(&path)?, path)),
            _ => None,
        };
        let mut values: BTreeMap<&'static str, Given<String>> = BTreeMap::new();
        for key in KEYS {
            let variable = format!("COINHOUND_{}", key.replace('.', "_").to_uppercase());
            let flag = flags.values.get(key).map(|value| Given::new(value.clone(), Origin::Flag));
            let variable_value =
                environment(&variable).map(|value| Given::new(value, Origin::Environment(variable.clone())));
            let in_file = file
                .as_ref()
                .and_then(|(table, path)| Some(Given::new(scalar(table, key)?, Origin::File(path.clone()))));
            if let Some(given) = flag.or(variable_value).or(in_file) {
                values.insert(key, given);
            }
        }
        let base = file.as_ref().and_then(|(_, path)| path.parent()).unwrap_or(Path::new("")).to_owned();
        let layers = Layers { values, base };
        let mut watch = match &file {
            Some((table, path)) => file_lists(table, path, &layers.base)?,
            None => Vec::new(),
        };
        for typed in &flags.watch {
            watch.push(watch_flag(typed)?);
        }
        Self::resolve(&layers, watch, file.map(|(_, path)| path), environment)
    }

    fn resolve(
        layers: &Layers,
        watch: Vec<WatchFile>,
        file: Option<PathBuf>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let chain: Option<Given<Chain>> = layers.parse("node.chain")?;
        let chain_said = chain.is_some();
        let chain = chain.unwrap_or_else(|| Given::default_of(Chain::Main));
        let index = match layers.path("index.path") {
            Some(given) => given.value,
            None => data_home(environment).ok_or(ConfigError::NoHome)?.join("coinhound").join(chain.value.name()),
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let positive = |key| -> Result<Option<usize>, ConfigError> {
            let number: Option<Given<Positive>> = layers.parse(key)?;
            Ok(number.map(|given| usize::from(given.value.0)))
        };
        Ok(Self {
            file,
            node: node::Settings {
                chain,
                datadir: layers.path("node.datadir"),
                rpc_url: layers.text("node.rpc_url"),
                rpc_cookie_file: layers.path("node.rpc_cookie_file"),
                rpc_user: layers.text("node.rpc_user"),
                rpc_password_file: layers.path("node.rpc_password_file"),
                lane: layers.parse("node.lane")?.unwrap_or_else(|| Given::default_of(LaneChoice::default())),
            },
            chain_said,
            index,
            watch,
            threads: positive("scan.threads")?.unwrap_or(cores),
            batch_blocks: positive("scan.batch_blocks")?.unwrap_or(BATCH_BLOCKS),
            trace: WantedTrace {
                rules: layers.parse::<Tracked>("trace.track")?.map(|given| given.value.0),
                min_taint_sat: layers.parse::<NonZeroU64>("trace.min_taint")?.map(|given| given.value.get()),
                max_hops: layers.parse::<MaxHops>("trace.max_hops")?.map(|given| given.value.0),
            },
            log_level: layers
                .parse("log.level")?
                .map_or(tracing::level_filters::LevelFilter::INFO, |given| given.value),
            log_format: layers.parse("log.format")?.map(|given| given.value).unwrap_or_default(),
        })
    }
}

/// The rules to track, separated by commas.
struct Tracked(Vec<Rule>);

impl FromStr for Tracked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        for name in text.split(',') {
            let rule: Rule = name.trim().parse().map_err(|error: NoRule| error.to_string())?;
            if !rule.conserves() {
                return Err(format!(
                    "{rule} conserves nothing, so nothing would bound it: it can be asked for in `trace` only"
                ));
            }
            rules.push(rule);
        }
        Ok(Self(rules))
    }
}

/// A number of hops, or `none` for no limit.
struct MaxHops(Option<u32>);

impl FromStr for MaxHops {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            number => {
                number.parse().map(|hops| Self(Some(hops))).map_err(|_| "a number of hops, or none, is needed".into())
            }
        }
    }
}

/// Reads `FILE[,role=service][,label=TEXT][,from=H][,format=NAME]`; the file's name may hold commas.
///
/// # Errors
/// [`ConfigError::Value`].
pub fn watch_flag(typed: &str) -> Result<WatchFile, ConfigError> {
    let wrong = |problem: String| ConfigError::Value { name: "--watch".into(), origin: Origin::Flag, problem };
    let is_option = |at: &usize| WATCHLIST_KEYS[1..].iter().any(|key| typed[*at + 1..].starts_with(&format!("{key}=")));
    let mut borders: Vec<usize> = typed.match_indices(',').map(|(at, _)| at).filter(is_option).collect();
    let file = &typed[..borders.first().copied().unwrap_or(typed.len())];
    if file.is_empty() {
        return Err(wrong(format!("'{typed}' names no file")));
    }
    let mut options = ListOptions::default();
    borders.push(typed.len());
    for pair in borders.windows(2) {
        let (key, value) = typed[pair[0] + 1..pair[1]].split_once('=').unwrap_or_default();
        match key {
            "role" => {
                options.role = Some(value.parse().map_err(|problem| wrong(format!("role '{value}': {problem}")))?)
            }
            "label" => options.label = Some(value.to_owned()),
            "from" => options.from = Some(value.parse().map_err(|_| wrong(format!("from '{value}' is no height")))?),
            _ => options.format = Some(value.to_owned()),
        }
    }
    Ok(WatchFile { path: home_expanded(Path::new(file)), options })
}

fn read_file(path: &Path) -> Result<toml::Table, ConfigError> {
    let wrong = |problem: String| ConfigError::File { path: path.to_owned(), problem };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    for (section, value) in &table {
        if section == LISTS {
            continue;
        }
        let sections = KEYS.iter().map(|key| key.split('.').next().unwrap_or_default()).chain([LISTS]);
        if !sections.clone().any(|known| known == section) {
            return Err(wrong(unknown(section, sections)));
        }
        let Some(inner) = value.as_table() else {
            return Err(wrong(format!("'{section}' must be a section: [{section}]")));
        };
        for (key, value) in inner {
            let full = format!("{section}.{key}");
            if !KEYS.contains(&full.as_str()) {
                return Err(wrong(unknown(&full, KEYS.iter().copied())));
            }
            if scalar(&table, &full).is_none() {
                return Err(wrong(format!("'{full}' must be a text or a whole number, not {}", value.type_str())));
            }
        }
    }
    Ok(table)
}

/// The words for a key nobody knows, with the nearest known one.
fn unknown<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> String {
    let nearest = known.min_by_key(|known| strsim::damerau_levenshtein(key, known));
    let hint = nearest.map(|nearest| format!("; did you mean '{nearest}'?")).unwrap_or_default();
    format!("unknown key '{key}'{hint}")
}

/// A scalar's text, as the same value would be typed as a flag.
fn scalar(table: &toml::Table, key: &str) -> Option<String> {
    let (section, name) = key.split_once('.')?;
    match table.get(section)?.get(name)? {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

fn file_lists(table: &toml::Table, file: &Path, base: &Path) -> Result<Vec<WatchFile>, ConfigError> {
    let wrong = |problem: String| ConfigError::File { path: file.to_owned(), problem };
    let Some(lists) = table.get(LISTS) else { return Ok(Vec::new()) };
    let lists = lists.as_array().ok_or_else(|| wrong("lists are written as [[watchlist]]".into()))?;
    let read = |list: &toml::Value| {
        let inner = list.as_table().ok_or_else(|| wrong("lists are written as [[watchlist]]".into()))?;
        if let Some(key) = inner.keys().find(|key| !WATCHLIST_KEYS.contains(&key.as_str())) {
            return Err(wrong(unknown(key, WATCHLIST_KEYS.iter().copied())));
        }
        let list: FileList = list
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| wrong(format!("[[watchlist]]: {}", error.message())))?;
        let options = ListOptions { format: list.format, role: list.role, label: list.label, from: list.from };
        Ok(WatchFile { path: from_folder(base, &list.path), options })
    };
    lists.iter().map(read).collect()
}

fn from_folder(base: &Path, path: &Path) -> PathBuf {
    base.join(home_expanded(path))
}

/// `~/x` as the home directory's `x`.
fn home_expanded(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

fn absolute(path: Option<String>) -> Option<PathBuf> {
    // The XDG base directory specification: relative paths are to be ignored.
    path.map(PathBuf::from).filter(|path| path.is_absolute())
}

fn config_home(environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    absolute(environment("XDG_CONFIG_HOME")).or_else(|| absolute(environment("HOME")).map(|home| home.join(".config")))
}

fn data_home(environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    absolute(environment("XDG_DATA_HOME"))
        .or_else(|| absolute(environment("HOME")).map(|home| home.join(".local/share")))
}
