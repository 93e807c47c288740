//! Every setting that takes one value: a new one is a row here, and a place for its value in [`Settings`].

use std::num::{NonZeroU16, NonZeroU64};
use std::time::Duration;

use super::error::ConfigError;
use super::paths::{Environment, data_home};
use super::setting::{Fallback, Setting};
use super::settings::Settings;
use crate::node::key;
use crate::trace::rule::NoRule;
use crate::trace::{HopLimit, Rule};

/// The settings, in the order of help texts and of the example file. A default may depend on settings above it.
pub const SETTINGS: [Setting; 17] = [
    Setting {
        key: key::CHAIN,
        flag: Some("chain"),
        value_name: "CHAIN",
        help: "Use this chain: main, test, testnet4, signet or regtest",
        fallback: Fallback::Value("main"),
        set: |settings, text| {
            settings.node.chain = text.given(text.parse()?);
            Ok(())
        },
    },
    Setting {
        key: key::DATADIR,
        flag: Some("bitcoin-datadir"),
        value_name: "DIR",
        help: "Find the node's cookie, port and user in its directory (bitcoind's -datadir)",
        fallback: Fallback::Unset { words: "Bitcoin Core's own", example: "~/.bitcoin" },
        set: |settings, text| {
            settings.node.datadir = Some(text.given(text.path()));
            Ok(())
        },
    },
    Setting {
        key: key::RPC_URL,
        flag: Some("rpc-url"),
        value_name: "URL",
        help: "Reach the node's RPC at this URL",
        fallback: Fallback::Unset {
            words: "127.0.0.1 and the chain's port, or as bitcoin.conf says",
            example: "http://127.0.0.1:8332",
        },
        set: |settings, text| {
            settings.node.rpc_url = Some(text.given(text.text.clone()));
            Ok(())
        },
    },
    Setting {
        key: key::RPC_COOKIE_FILE,
        flag: Some("rpc-cookie-file"),
        value_name: "FILE",
        help: "Log in to the node with the cookie in this file",
        fallback: Fallback::Unset {
            words: ".cookie in the node's directory, sent to this machine only",
            example: "~/.bitcoin/.cookie",
        },
        set: |settings, text| {
            settings.node.rpc_cookie_file = Some(text.given(text.path()));
            Ok(())
        },
    },
    Setting {
        key: key::RPC_USER,
        flag: Some("rpc-user"),
        value_name: "NAME",
        help: "Log in to the node as this user instead of with the cookie; name a password file too",
        fallback: Fallback::Unset { words: "none", example: "coinhound" },
        set: |settings, text| {
            settings.node.rpc_user = Some(text.given(text.text.clone()));
            Ok(())
        },
    },
    Setting {
        key: key::RPC_PASSWORD_FILE,
        flag: Some("rpc-password-file"),
        value_name: "FILE",
        help: "Read the user's password from the first line of this file",
        fallback: Fallback::Unset { words: "none", example: "rpc-password" },
        set: |settings, text| {
            settings.node.rpc_password_file = Some(text.given(text.path()));
            Ok(())
        },
    },
    Setting {
        key: key::LANE,
        flag: Some("lane"),
        value_name: "LANE",
        help: "Read blocks by this lane: auto (the best that is open), rpc, rest or filters",
        fallback: Fallback::Value("auto"),
        set: |settings, text| {
            settings.node.lane = text.given(text.parse()?);
            Ok(())
        },
    },
    Setting {
        key: "index.path",
        flag: Some("index"),
        value_name: "DIR",
        help: "Keep the index in this folder",
        fallback: Fallback::Found {
            words: "$XDG_DATA_HOME/coinhound/CHAIN",
            example: "~/.local/share/coinhound/main",
            find: default_index,
        },
        set: |settings, text| {
            settings.index = text.path();
            Ok(())
        },
    },
    Setting {
        key: "scan.threads",
        flag: Some("threads"),
        value_name: "N",
        help: "Scan with this many threads",
        fallback: Fallback::Found { words: "all cores", example: "4", find: |_, _| Ok(cores().to_string()) },
        set: |settings, text| {
            settings.threads = text.parse_with(positive)?;
            Ok(())
        },
    },
    Setting {
        key: "scan.batch_blocks",
        flag: None,
        value_name: "N",
        help: "Write at most this many blocks at a time",
        fallback: Fallback::Value("500"),
        set: |settings, text| {
            settings.batch_blocks = text.parse_with(positive)?;
            Ok(())
        },
    },
    Setting {
        key: "trace.min_taint",
        flag: Some("min-taint"),
        value_name: "SAT",
        help: "Follow only coins that hold at least this many satoshis of taint",
        fallback: Fallback::Unset { words: "as the index has it, 100000 in a new one", example: "100000" },
        set: |settings, text| {
            settings.trace.min_taint_sat = Some(text.parse::<NonZeroU64>()?.get());
            Ok(())
        },
    },
    Setting {
        key: "trace.max_hops",
        flag: Some("max-hops"),
        value_name: "N",
        help: "Follow coins for at most this many hops from their source; none for no limit",
        fallback: Fallback::Unset { words: "as the index has it, none in a new one", example: "none" },
        set: |settings, text| {
            settings.trace.max_hops = Some(text.parse_with(max_hops)?);
            Ok(())
        },
    },
    Setting {
        key: "trace.track",
        flag: Some("track"),
        value_name: "RULES",
        help: "Track taint by these rules while scanning, separated by commas: haircut, fifo, lifo or tiho",
        fallback: Fallback::Unset { words: "as the index has it, haircut,fifo in a new one", example: "haircut,fifo" },
        set: |settings, text| {
            settings.trace.rules = Some(text.parse_with(tracked_rules)?);
            Ok(())
        },
    },
    Setting {
        key: "query.max_lag",
        flag: Some("max-lag"),
        value_name: "N",
        help: "Call an answer about now complete only if the index is at most this many blocks behind the node",
        fallback: Fallback::Unset { words: "2", example: "2" },
        set: |settings, text| {
            settings.max_lag = Some(text.parse()?);
            Ok(())
        },
    },
    Setting {
        key: "query.max_age",
        flag: Some("max-age"),
        value_name: "TIME",
        help: "Call an answer about now complete only if the index's last block is at most this old: 90s, 30m, 3h, 2d or none",
        fallback: Fallback::Unset { words: "3h on main, none on other chains", example: "3h" },
        set: |settings, text| {
            settings.max_age = Some(text.parse_with(max_age)?);
            Ok(())
        },
    },
    Setting {
        key: LOG_LEVEL,
        flag: None,
        value_name: "LEVEL",
        help: "Log at this level: off, error, warn, info, debug or trace",
        fallback: Fallback::Value("info"),
        set: |settings, text| {
            settings.log_level = text.parse()?;
            Ok(())
        },
    },
    Setting {
        key: "log.format",
        flag: Some("log-format"),
        value_name: "FORMAT",
        help: "Log as text or json, to stderr",
        fallback: Fallback::Value("text"),
        set: |settings, text| {
            settings.log_format = text.parse()?;
            Ok(())
        },
    },
];

/// The key of the log's level, which `-v` and `-q` set.
pub const LOG_LEVEL: &str = "log.level";

fn default_index(settings: &Settings, environment: Environment<'_>) -> Result<String, ConfigError> {
    let folder = data_home(environment).ok_or(ConfigError::NoHome)?.join("coinhound");
    Ok(folder.join(settings.node.chain.value.name()).display().to_string())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A count of at least one. The limit keeps a typing error from starting a million threads.
fn positive(text: &str) -> Result<usize, &'static str> {
    text.parse::<NonZeroU16>().map(|count| count.get().into()).map_err(|_| "a whole number from 1 to 65535 is needed")
}

/// A number of hops, or `none` for no limit.
fn max_hops(text: &str) -> Result<HopLimit, &'static str> {
    match text {
        "none" => Ok(HopLimit::Unlimited),
        number => number.parse().map(HopLimit::AtMost).map_err(|_| "a number of hops, or none, is needed"),
    }
}

/// A length of time with its unit, or `none` for no limit.
fn max_age(text: &str) -> Result<Option<Duration>, &'static str> {
    const WANTED: &str = "a time such as 90s, 30m, 3h or 2d is needed, or none";
    if text == "none" {
        return Ok(None);
    }
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let (number, seconds) =
        units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds))).ok_or(WANTED)?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse::<u64>().ok().filter(|_| is_number).ok_or(WANTED)?;
    number.checked_mul(seconds).map(|seconds| Some(Duration::from_secs(seconds))).ok_or(WANTED)
}

/// Rules separated by commas.
fn tracked_rules(text: &str) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for name in text.split(',') {
        let rule: Rule = name.trim().parse().map_err(|error: NoRule| error.to_string())?;
        if !rule.conserves() {
            return Err(format!(
                "{rule} lets taint grow without bound, so it can't be tracked; ask for it in `coinhound trace --rule {rule}`"
            ));
        }
        rules.push(rule);
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_needs_its_unit() {
        for (text, seconds) in [
            ("none", Some(None)),
            ("0s", Some(Some(0))),
            ("90s", Some(Some(90))),
            ("30m", Some(Some(1_800))),
            ("3h", Some(Some(10_800))),
            ("2d", Some(Some(172_800))),
            ("213503982334601d", Some(Some(18_446_744_073_709_526_400))),
            ("213503982334602d", None),
            ("18446744073709551616s", None),
            ("", None),
            ("h", None),
            ("3", None),
            ("+3h", None),
            ("-3h", None),
            ("3 h", None),
            ("3H", None),
            ("1.5h", None),
            ("3h30m", None),
            ("None", None),
        ] {
            let found = max_age(text).ok().map(|limit| limit.map(|limit| limit.as_secs()));
            assert_eq!(found, seconds, "{text}");
        }
    }
}
