//! From what the user said to where the node is and how to log in, found from the node's directory as Core does it.

use std::path::{Path, PathBuf};

use super::bitcoin_conf::{BitcoinConf, Line};
use super::error::NodeError;
use super::secret::{Secret, read_password};
use super::settings::{Given, LaneChoice, Origin, SettingReport, Settings, key};
use super::url::Endpoint;
use crate::chain::Chain;

/// Where the node is and how to log in, with the origin of each setting. Reading it touched no network.
#[derive(Debug)]
pub struct Connection {
    chain: Chain,
    endpoint: Endpoint,
    auth: Auth,
    lane: LaneChoice,
    directory: Option<PathBuf>,
    conf: Option<PathBuf>,
    report: Vec<SettingReport>,
}

/// What is sent to log in.
#[derive(Debug)]
pub(super) enum Auth {
    /// The content of this file, read anew when the node refuses it.
    Cookie(PathBuf),
    /// A user and a password that hold.
    User {
        /// Who.
        name: String,
        /// Never shown.
        password: Secret,
    },
}

impl Connection {
    /// Finds out where the node is: from the settings, then from `bitcoin.conf`, then from Core's defaults.
    ///
    /// # Errors
    /// [`NodeError::Settings`], in words the user can act on.
    pub fn resolve(settings: &Settings) -> Result<Self, NodeError> {
        resolve_from(settings, default_datadir())
    }

    /// The chain asked for.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// `http://HOST:PORT`, of RPC and of REST.
    pub fn url(&self) -> String {
        self.endpoint.to_string()
    }

    /// The lane asked for.
    pub fn lane(&self) -> LaneChoice {
        self.lane
    }

    /// The chain's own directory inside the node's, where it could be told.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Each setting's value and origin; never a secret.
    pub fn report(&self) -> &[SettingReport] {
        &self.report
    }

    pub(super) fn auth(&self) -> &Auth {
        &self.auth
    }

    /// The file in which an operator would write a setting of the node.
    pub(super) fn conf_name(&self) -> String {
        self.conf.as_ref().map_or_else(|| "bitcoin.conf".into(), |path| path.display().to_string())
    }
}

/// Core's default directory on this system, where the user has one.
fn default_datadir() -> Option<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if cfg!(windows) {
        let new = from("LOCALAPPDATA").map(|dir| dir.join("Bitcoin"));
        // Core before 28 used the roaming folder, and still does where it exists.
        from("APPDATA").map(|dir| dir.join("Bitcoin")).filter(|old| old.is_dir()).or(new)
    } else if cfg!(target_os = "macos") {
        from("HOME").map(|home| home.join("Library/Application Support/Bitcoin"))
    } else {
        from("HOME").map(|home| home.join(".bitcoin"))
    }
}

/// The chain's folder inside the node's directory.
fn subfolder(chain: Chain) -> &'static str {
    match chain {
        Chain::Main => "",
        Chain::Test => "testnet3",
        Chain::Testnet4 => "testnet4",
        Chain::Signet => "signet",
        Chain::Regtest => "regtest",
    }
}

/// Core's RPC port.
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

fn resolve_from(settings: &Settings, default_dir: Option<PathBuf>) -> Result<Connection, NodeError> {
    let chain = settings.chain.value;
    let explicit = explicit_auth(settings)?;
    let (root, root_origin, conf, conf_path) = find_directory(settings, default_dir, explicit.is_some())?;
    let directory = root.map(|root| root.join(subfolder(chain)));
    let url = find_url(settings, &conf)?;
    let (auth, auth_report) = match explicit {
        Some(found) => found,
        None => found_auth(chain, &conf, directory.as_deref(), &root_origin, &url)?,
    };

    let mut report = vec![setting(key::CHAIN, chain, &settings.chain.origin)];
    if let Some(directory) = &directory {
        report.push(setting(key::DATADIR, directory.display(), &root_origin));
    }
    report.push(setting(key::RPC_URL, &url.value, &url.origin));
    report.extend(auth_report);
    report.push(setting(key::LANE, settings.lane.value, &settings.lane.origin));
    Ok(Connection { chain, endpoint: url.value, auth, lane: settings.lane.value, directory, conf: conf_path, report })
}

fn setting(name: &'static str, value: impl ToString, origin: &Origin) -> SettingReport {
    SettingReport { name, value: value.to_string(), origin: origin.clone() }
}

type FoundDirectory = (Option<PathBuf>, Origin, BitcoinConf, Option<PathBuf>);

/// The node's directory, who said so, and what the `bitcoin.conf` there says.
fn find_directory(
    settings: &Settings,
    default_dir: Option<PathBuf>,
    explicit_auth: bool,
) -> Result<FoundDirectory, NodeError> {
    let chain = settings.chain.value;
    let given = settings.datadir.as_ref();
    let Some(home) = given.map(|dir| dir.value.clone()).or(default_dir) else {
        return Ok((None, Origin::Default, BitcoinConf::default(), None));
    };
    let needed = !explicit_auth || settings.rpc_url.is_none();
    if given.is_some() && needed && !home.is_dir() {
        return refuse(format!(
            "the node's directory {} is not there: set --bitcoin-datadir to what bitcoind has as -datadir",
            home.display()
        ));
    }
    let conf_path = home.join("bitcoin.conf");
    let conf = match BitcoinConf::read(&conf_path, chain) {
        Ok(conf) => conf,
        // Everything was said without it.
        Err(_) if !needed => BitcoinConf::default(),
        Err(error) => return Err(error),
    };
    let (root, origin) = match given {
        Some(dir) => (home, dir.origin.clone()),
        None => conf.get(chain, "datadir").map_or((home, Origin::Default), |line| ((&line.value).into(), origin(line))),
    };
    if let Origin::BitcoinConf(path, line) = &origin
        && needed
        && !root.is_dir()
    {
        return refuse(format!("the datadir {} of {} line {line} is not there", root.display(), path.display()));
    }
    Ok((Some(root), origin, conf, Some(conf_path)))
}

fn origin(line: &Line) -> Origin {
    Origin::BitcoinConf(line.path.clone(), line.line)
}

fn find_url(settings: &Settings, conf: &BitcoinConf) -> Result<Given<Endpoint>, NodeError> {
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
            Ok(endpoint) => found = Given::new(endpoint, origin(line)),
            Err(why) => return refuse(format!("rpcconnect in {}: {why}; or give --rpc-url", origin(line))),
        }
    }
    if let Some(line) = conf.get(chain, "rpcport") {
        let Some(port) = line.value.parse().ok().filter(|port| *port != 0) else {
            return refuse(format!("rpcport in {}: '{}' is no port; or give --rpc-url", origin(line), line.value));
        };
        let from = if found.origin == Origin::Default { origin(line) } else { found.origin };
        found = Given::new(found.value.with_port(port), from);
    }
    Ok(found)
}

type FoundAuth = (Auth, Vec<SettingReport>);

/// Credentials that the user named; the stronger origin wins, two of one origin contradict each other.
fn explicit_auth(settings: &Settings) -> Result<Option<FoundAuth>, NodeError> {
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
                let report = setting(key::RPC_COOKIE_FILE, cookie.value.display(), &cookie.origin);
                return Ok(Some((Auth::Cookie(cookie.value.clone()), vec![report])));
            }
        }
    }
    match (user, password) {
        (None, None) => Ok(None),
        (Some(_), None) => refuse("--rpc-user needs --rpc-password-file: a file whose first line is the password"),
        (None, Some(_)) => refuse("--rpc-password-file needs --rpc-user"),
        (Some(user), Some(file)) => {
            check_user(&user.value)?;
            let report = vec![
                setting(key::RPC_USER, &user.value, &user.origin),
                setting(key::RPC_PASSWORD_FILE, file.value.display(), &file.origin),
            ];
            Ok(Some((Auth::User { name: user.value.clone(), password: read_password(&file.value)? }, report)))
        }
    }
}

fn check_user(name: &str) -> Result<(), NodeError> {
    if name.contains(':') || name.chars().any(char::is_control) {
        return refuse("a user of the node's RPC has neither ':' nor control characters in its name");
    }
    Ok(())
}

/// Credentials found in the node's directory. They are for the node that lives there: none is sent to another host that
/// somebody else named.
fn found_auth(
    chain: Chain,
    conf: &BitcoinConf,
    directory: Option<&Path>,
    root_origin: &Origin,
    url: &Given<Endpoint>,
) -> Result<FoundAuth, NodeError> {
    let ways_out = "give --rpc-cookie-file, or --rpc-user with --rpc-password-file";
    let local = url.value.is_loopback();
    if let Some(password) = conf.get(chain, "rpcpassword").filter(|line| !line.value.is_empty()) {
        if !local && !matches!(url.origin, Origin::BitcoinConf(..)) {
            return refuse(format!("the password in {} is not sent to {}: {ways_out}", origin(password), url.value));
        }
        let name = conf.get(chain, "rpcuser").map(|line| line.value.clone()).unwrap_or_default();
        check_user(&name)?;
        let report = vec![
            setting(key::RPC_USER, &name, &origin(password)),
            setting(key::RPC_PASSWORD_FILE, "(rpcpassword in bitcoin.conf)", &origin(password)),
        ];
        return Ok((Auth::User { name, password: Secret::new(&password.value) }, report));
    }
    let Some(directory) = directory else {
        return refuse(format!("this user has no home directory to look for the node's cookie in: {ways_out}"));
    };
    if !local {
        return refuse(format!(
            "the cookie in {} is only sent to this machine, and {} is another: {ways_out}",
            directory.display(),
            url.value
        ));
    }
    let (path, from) = match conf.get(chain, "rpccookiefile").filter(|line| !line.value.is_empty()) {
        Some(line) => (directory.join(&line.value), origin(line)),
        None => (directory.join(".cookie"), root_origin.clone()),
    };
    let report = setting(key::RPC_COOKIE_FILE, path.display(), &from);
    Ok((Auth::Cookie(path), vec![report]))
}

#[cfg(test)]
mod tests;
