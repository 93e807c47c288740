//! From the settings to where the node is and how to log in. What they leave open is found in the node's directory, as bitcoin-cli
//! finds it.

mod bitcoin_conf;
pub mod secret;
pub mod settings;
mod url;

use std::path::{Path, PathBuf};

use super::error::NodeError;
use crate::chain::Chain;
use bitcoin_conf::{BitcoinConf, ConfLine};
use secret::{Secret, read_password};
use settings::{Given, NodeSettings, Origin, SettingReport, key};
use url::Endpoint;

/// Where the node is and how to log in, with the origin of each setting.
#[derive(Debug)]
pub struct NodeAccess {
    chain: Chain,
    endpoint: Endpoint,
    auth: Auth,
    directory: Option<PathBuf>,
    conf: Option<PathBuf>,
    report: Vec<SettingReport>,
}

/// The credentials.
#[derive(Clone, Debug)]
pub(super) enum Auth {
    /// The content of the cookie file at this path, which is read again when the node refuses it.
    Cookie(PathBuf),
    /// A user name and a password.
    User { name: String, password: Secret },
}

impl Auth {
    /// The user's name, as the node has it in its settings.
    pub(super) fn user(&self) -> &str {
        match self {
            Self::Cookie(_) => "__cookie__",
            Self::User { name, .. } => name,
        }
    }
}

impl NodeAccess {
    /// Takes each value from the settings, else from `bitcoin.conf`, else from Core's defaults. Reads files, but makes no connection.
    ///
    /// # Errors
    /// [`NodeError::Settings`], with the way out.
    pub fn resolve(settings: &NodeSettings) -> Result<Self, NodeError> {
        resolve_from(settings, default_datadir())
    }

    /// The chain in the settings.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// `http://HOST:PORT`, for RPC and REST.
    pub fn url(&self) -> String {
        self.endpoint.to_string()
    }

    /// The chain's folder in the node's data directory, if that directory is known.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Each setting's value and origin, for `check`; never a secret.
    pub fn report(&self) -> &[SettingReport] {
        &self.report
    }

    pub(super) fn auth(&self) -> &Auth {
        &self.auth
    }

    /// The file in which the operator would change the node's settings.
    pub(super) fn conf_name(&self) -> String {
        self.conf.as_ref().map_or_else(|| "bitcoin.conf".into(), |path| path.display().to_string())
    }
}

/// Core's default data directory for this user (its `GetDefaultDataDir`); `None` if the user has no home directory.
fn default_datadir() -> Option<PathBuf> {
    if cfg!(windows) {
        let new = path_in_environment("LOCALAPPDATA").map(|dir| dir.join("Bitcoin"));
        // Core before 28 used the roaming folder; later versions still do if it exists.
        path_in_environment("APPDATA").map(|dir| dir.join("Bitcoin")).filter(|old| old.is_dir()).or(new)
    } else if cfg!(target_os = "macos") {
        path_in_environment("HOME").map(|home| home.join("Library/Application Support/Bitcoin"))
    } else {
        path_in_environment("HOME").map(|home| home.join(".bitcoin"))
    }
}

fn path_in_environment(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The chain's folder in the data directory (Core's `CBaseChainParams`).
fn subfolder(chain: Chain) -> &'static str {
    match chain {
        Chain::Main => "",
        Chain::Test => "testnet3",
        Chain::Testnet4 => "testnet4",
        Chain::Signet => "signet",
        Chain::Regtest => "regtest",
    }
}

/// The default of `-rpcport` (Core's `CBaseChainParams`).
fn default_port(chain: Chain) -> u16 {
    match chain {
        Chain::Main => 8332,
        Chain::Test => 18332,
        Chain::Testnet4 => 48332,
        Chain::Signet => 38332,
        Chain::Regtest => 18443,
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, NodeError> {
    Err(NodeError::Settings(why.into()))
}

fn resolve_from(settings: &NodeSettings, default_dir: Option<PathBuf>) -> Result<NodeAccess, NodeError> {
    let chain = settings.chain.value;
    let given_auth = auth_from_settings(settings)?;
    let NodeDirectory { root, origin, conf, conf_path } = find_directory(settings, default_dir, given_auth.is_some())?;
    let directory = root.map(|root| root.join(subfolder(chain)));
    let url = find_url(settings, &conf)?;
    let (auth, auth_report) = match given_auth {
        Some(found) => found,
        None => auth_from_directory(chain, &conf, directory.as_deref(), &origin, &url)?,
    };

    let mut report = vec![report_setting(key::CHAIN, chain, &settings.chain.origin)];
    if let Some(directory) = &directory {
        report.push(report_setting(key::DATADIR, directory.display(), &origin));
    }
    report.push(report_setting(key::RPC_URL, &url.value, &url.origin));
    report.extend(auth_report);
    report.push(report_setting(key::LANE, settings.lane.value, &settings.lane.origin));
    Ok(NodeAccess { chain, endpoint: url.value, auth, directory, conf: conf_path, report })
}

fn report_setting(name: &'static str, value: impl ToString, origin: &Origin) -> SettingReport {
    SettingReport { name, value: value.to_string(), origin: origin.clone() }
}

/// The node's data directory and its `bitcoin.conf`.
struct NodeDirectory {
    /// As bitcoind's `-datadir`, without the chain's folder; `None` if the user named none and has no home directory.
    root: Option<PathBuf>,
    origin: Origin,
    conf: BitcoinConf,
    conf_path: Option<PathBuf>,
}

/// Finds the data directory. `given_auth`: whether the settings have credentials, so that none are needed from there.
fn find_directory(
    settings: &NodeSettings,
    default_dir: Option<PathBuf>,
    given_auth: bool,
) -> Result<NodeDirectory, NodeError> {
    let chain = settings.chain.value;
    let given = settings.datadir.as_ref();
    let Some(home) = given.map(|dir| dir.value.clone()).or(default_dir) else {
        return Ok(NodeDirectory {
            root: None,
            origin: Origin::Default,
            conf: BitcoinConf::default(),
            conf_path: None,
        });
    };
    let needed = !given_auth || settings.rpc_url.is_none();
    if given.is_some() && needed && !home.is_dir() {
        return refuse(format!(
            "the node's directory {} does not exist: set --bitcoin-datadir to bitcoind's -datadir",
            home.display()
        ));
    }
    let conf_path = home.join("bitcoin.conf");
    let conf = match BitcoinConf::read(&conf_path, chain) {
        Ok(conf) => conf,
        // Nothing in it is needed.
        Err(_) if !needed => BitcoinConf::default(),
        Err(error) => return Err(error),
    };
    let (root, origin) = match given {
        Some(dir) => (home, dir.origin.clone()),
        None => {
            conf.get(chain, "datadir").map_or((home, Origin::Default), |line| ((&line.value).into(), line.origin()))
        }
    };
    if let Origin::BitcoinConf(path, line) = &origin
        && needed
        && !root.is_dir()
    {
        return refuse(format!(
            "the datadir {} in {} line {line} does not exist: correct it, or set --bitcoin-datadir",
            root.display(),
            path.display()
        ));
    }
    Ok(NodeDirectory { root: Some(root), origin, conf, conf_path: Some(conf_path) })
}

impl ConfLine {
    fn origin(&self) -> Origin {
        Origin::BitcoinConf(self.path.clone(), self.number)
    }
}

fn find_url(settings: &NodeSettings, conf: &BitcoinConf) -> Result<Given<Endpoint>, NodeError> {
    let chain = settings.chain.value;
    let default_port = default_port(chain);
    if let Some(url) = &settings.rpc_url {
        return match Endpoint::parse(&url.value, default_port) {
            Ok(endpoint) => Ok(Given::new(endpoint, url.origin.clone())),
            Err(why) => refuse(format!("the node's rpc url ({}) cannot be used: {why}", url.origin)),
        };
    }
    let mut found = Given::default_of(Endpoint::local(default_port));
    if let Some(line) = conf.get(chain, "rpcconnect") {
        match Endpoint::host_and_port(&line.value, default_port) {
            Ok(endpoint) => found = Given::new(endpoint, line.origin()),
            Err(why) => {
                return refuse(format!("rpcconnect in {}: {why}; correct it, or give --rpc-url", line.origin()));
            }
        }
    }
    if let Some(line) = conf.get(chain, "rpcport") {
        let Some(port) = line.value.parse().ok().filter(|port| *port != 0) else {
            return refuse(format!(
                "rpcport in {}: '{}' is not a port; correct it, or give --rpc-url",
                line.origin(),
                line.value
            ));
        };
        let origin = if found.origin == Origin::Default { line.origin() } else { found.origin };
        found = Given::new(found.value.with_port(port), origin);
    }
    Ok(found)
}

/// Credentials, and their lines of the report.
type FoundAuth = (Auth, Vec<SettingReport>);

/// The credentials in the settings, if there are any. Of a cookie file and a password, the one of the stronger origin counts; with the
/// same origin they contradict each other.
fn auth_from_settings(settings: &NodeSettings) -> Result<Option<FoundAuth>, NodeError> {
    let cookie = settings.rpc_cookie_file.as_ref();
    let (user, password) = (settings.rpc_user.as_ref(), settings.rpc_password_file.as_ref());
    let user_rank = [user.map(|given| given.origin.rank()), password.map(|given| given.origin.rank())];
    let user_rank = user_rank.into_iter().flatten().min();
    if let Some(cookie) = cookie {
        match user_rank {
            Some(rank) if rank == cookie.origin.rank() => {
                return refuse("give either --rpc-cookie-file, or --rpc-user with --rpc-password-file, not both");
            }
            Some(rank) if rank < cookie.origin.rank() => {}
            _ => {
                let report = report_setting(key::RPC_COOKIE_FILE, cookie.value.display(), &cookie.origin);
                return Ok(Some((Auth::Cookie(cookie.value.clone()), vec![report])));
            }
        }
    }
    match (user, password) {
        (None, None) => Ok(None),
        (Some(_), None) => refuse("--rpc-user needs --rpc-password-file, a file whose first line is the password"),
        (None, Some(_)) => refuse("--rpc-password-file needs --rpc-user"),
        (Some(user), Some(file)) => {
            check_user(&user.value)?;
            let report = vec![
                report_setting(key::RPC_USER, &user.value, &user.origin),
                report_setting(key::RPC_PASSWORD_FILE, file.value.display(), &file.origin),
            ];
            Ok(Some((Auth::User { name: user.value.clone(), password: read_password(&file.value)? }, report)))
        }
    }
}

fn check_user(name: &str) -> Result<(), NodeError> {
    if name.contains(':') || name.chars().any(char::is_control) {
        return refuse(
            "the name of an RPC user can't contain ':' or control characters: correct --rpc-user, or rpcuser in bitcoin.conf",
        );
    }
    Ok(())
}

/// The credentials in the node's directory. They are meant for the node that runs there, so they are not sent to another host.
fn auth_from_directory(
    chain: Chain,
    conf: &BitcoinConf,
    directory: Option<&Path>,
    directory_origin: &Origin,
    url: &Given<Endpoint>,
) -> Result<FoundAuth, NodeError> {
    let ways_out = "give --rpc-cookie-file, or --rpc-user with --rpc-password-file";
    let local = url.value.is_loopback();
    if let Some(password) = conf.get(chain, "rpcpassword").filter(|line| !line.value.is_empty()) {
        if !local && !matches!(url.origin, Origin::BitcoinConf(..)) {
            return refuse(format!("the password in {} is not sent to {}: {ways_out}", password.origin(), url.value));
        }
        let name = conf.get(chain, "rpcuser").map(|line| line.value.clone()).unwrap_or_default();
        check_user(&name)?;
        let report = vec![
            report_setting(key::RPC_USER, &name, &password.origin()),
            report_setting(key::RPC_PASSWORD_FILE, "(rpcpassword in bitcoin.conf)", &password.origin()),
        ];
        return Ok((Auth::User { name, password: Secret::new(&password.value) }, report));
    }
    let Some(directory) = directory else {
        return refuse(format!("this user has no home directory in which the node's cookie could be: {ways_out}"));
    };
    if !local {
        return refuse(format!(
            "the cookie in {} is only sent to this machine, and {} is another one: {ways_out}",
            directory.display(),
            url.value
        ));
    }
    let (path, origin) = match conf.get(chain, "rpccookiefile").filter(|line| !line.value.is_empty()) {
        Some(line) => (directory.join(&line.value), line.origin()),
        None => (directory.join(".cookie"), directory_origin.clone()),
    };
    let report = report_setting(key::RPC_COOKIE_FILE, path.display(), &origin);
    Ok((Auth::Cookie(path), vec![report]))
}

#[cfg(test)]
mod tests;
