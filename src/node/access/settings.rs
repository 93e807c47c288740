//! The node's settings with their origins: what [`crate::node::NodeAccess`] is made from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::chain::Chain;

/// Where a setting's value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag on the command line.
    Flag,
    /// The environment variable of this name.
    Environment(String),
    /// coinhound's own configuration file.
    File(PathBuf),
    /// A line of the node's `bitcoin.conf`.
    BitcoinConf(PathBuf, usize),
    /// The default.
    Default,
}

impl Origin {
    /// The precedence among origins: 0 is the strongest.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Flag => 0,
            Self::Environment(_) => 1,
            Self::File(_) => 2,
            Self::BitcoinConf(..) => 3,
            Self::Default => 4,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("command line"),
            Self::Environment(name) => write!(f, "environment ({name})"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::BitcoinConf(path, line) => write!(f, "{} line {line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given<T> {
    /// As parsed.
    pub value: T,
    /// Where it was set.
    pub origin: Origin,
}

impl<T> Given<T> {
    /// `value`, set at `origin`.
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// A default value.
    pub fn default_of(value: T) -> Self {
        Self::new(value, Origin::Default)
    }
}

/// The keys of the node's settings in the configuration file.
pub mod key {
    /// Of [`NodeSettings::chain`](crate::node::NodeSettings::chain).
    pub const CHAIN: &str = "node.chain";
    /// Of [`NodeSettings::datadir`](crate::node::NodeSettings::datadir).
    pub const DATADIR: &str = "node.datadir";
    /// Of [`NodeSettings::rpc_url`](crate::node::NodeSettings::rpc_url).
    pub const RPC_URL: &str = "node.rpc_url";
    /// Of [`NodeSettings::rpc_cookie_file`](crate::node::NodeSettings::rpc_cookie_file).
    pub const RPC_COOKIE_FILE: &str = "node.rpc_cookie_file";
    /// Of [`NodeSettings::rpc_user`](crate::node::NodeSettings::rpc_user).
    pub const RPC_USER: &str = "node.rpc_user";
    /// Of [`NodeSettings::rpc_password_file`](crate::node::NodeSettings::rpc_password_file).
    pub const RPC_PASSWORD_FILE: &str = "node.rpc_password_file";
    /// Of [`NodeSettings::lane`](crate::node::NodeSettings::lane).
    pub const LANE: &str = "node.lane";
}

/// The node's settings; `None` for those that are not set.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// `node.chain`.
    pub chain: Given<Chain>,
    /// `node.datadir`: the node's directory, as bitcoind's `-datadir`, without the chain's subfolder.
    pub datadir: Option<Given<PathBuf>>,
    /// `node.rpc_url`: `http://HOST[:PORT]`, the scheme may be left out.
    pub rpc_url: Option<Given<String>>,
    /// `node.rpc_cookie_file`.
    pub rpc_cookie_file: Option<Given<PathBuf>>,
    /// `node.rpc_user`.
    pub rpc_user: Option<Given<String>>,
    /// `node.rpc_password_file`.
    pub rpc_password_file: Option<Given<PathBuf>>,
    /// `node.lane`.
    pub lane: Given<LaneChoice>,
}

impl NodeSettings {
    /// The settings if only the chain is set.
    pub fn for_chain(chain: Chain) -> Self {
        Self {
            chain: Given::default_of(chain),
            datadir: None,
            rpc_url: None,
            rpc_cookie_file: None,
            rpc_user: None,
            rpc_password_file: None,
            lane: Given::default_of(LaneChoice::Auto),
        }
    }
}

/// The setting `node.lane`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LaneChoice {
    /// The best one that is open.
    #[default]
    Auto,
    /// Blocks as hex over JSON-RPC: any node serves it.
    Rpc,
    /// Raw blocks over REST.
    Rest,
    /// Only the blocks that BIP158 filters cannot rule out.
    Filters,
}

impl LaneChoice {
    /// Every choice, in the order help texts list them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Rpc, Self::Rest, Self::Filters];

    /// The name in settings and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Rpc => "rpc",
            Self::Rest => "rest",
            Self::Filters => "filters",
        }
    }
}

impl fmt::Display for LaneChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LaneChoice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|choice| choice.name() == name)
            .ok_or_else(|| format!("no lane is called '{name}'; use auto, rpc, rest or filters"))
    }
}

/// One setting in the answer of `check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingReport {
    /// The setting's key in the configuration file.
    pub name: &'static str,
    /// The value in words; never a secret.
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_is_found_by_its_name_and_nothing_else_is() {
        for choice in LaneChoice::ALL {
            assert_eq!(choice.name().parse(), Ok(choice));
        }
        assert!("REST".parse::<LaneChoice>().unwrap_err().contains("auto, rpc, rest or filters"));
    }

    #[test]
    fn a_setting_is_reported_with_its_origin_in_words() {
        let origins = [
            (Origin::Flag, "command line"),
            (Origin::Environment("COINHOUND_NODE_RPC_URL".into()), "environment (COINHOUND_NODE_RPC_URL)"),
            (Origin::BitcoinConf("/n/bitcoin.conf".into(), 3), "/n/bitcoin.conf line 3"),
            (Origin::Default, "default"),
        ];
        for (origin, words) in origins {
            let report = SettingReport { name: "node.rpc_url", value: "u".into(), origin };
            let json = serde_json::to_string(&report).unwrap();
            assert_eq!(json, format!(r#"{{"name":"node.rpc_url","value":"u","origin":"{words}"}}"#));
        }
    }
}
