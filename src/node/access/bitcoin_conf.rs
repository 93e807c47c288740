//! The RPC settings in `bitcoin.conf`, read by Bitcoin Core's rules (`src/common/config.cpp`, `src/common/settings.cpp`).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::chain::Chain;
use crate::node::error::NodeError;

/// Larger than any `bitcoin.conf`; bytes.
const CAP: u64 = 1 << 20;

/// The keys that are read; all others, wallet passwords among them, are skipped.
const KEYS: [&str; 7] = ["datadir", "rpcport", "rpcconnect", "rpcuser", "rpcpassword", "rpccookiefile", "includeconf"];

/// One `key=value` line.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ConfLine {
    section: String,
    key: &'static str,
    pub(super) value: String,
    pub(super) path: PathBuf,
    /// From 1.
    pub(super) number: usize,
}

/// The lines of a `bitcoin.conf` and of the files it includes, in the order in which Core meets them.
#[derive(Default)]
pub(super) struct BitcoinConf(Vec<ConfLine>);

impl BitcoinConf {
    /// Reads `path` and the files it includes; a missing file counts as empty, as for Core.
    ///
    /// # Errors
    /// [`NodeError::Settings`] if a file exists but can't be read.
    pub(super) fn read(path: &Path, chain: Chain) -> Result<Self, NodeError> {
        let mut conf = Self::default();
        if !conf.read_one(path)? {
            return Ok(conf);
        }
        let dir = path.parent().unwrap_or(Path::new(""));
        // Core's order: the chain's section first. Core follows no includes of included files.
        let includes: Vec<PathBuf> = [chain.name(), ""]
            .into_iter()
            .flat_map(|section| conf.0.iter().filter(move |line| line.section == section && line.key == "includeconf"))
            .map(|line| dir.join(&line.value))
            .collect();
        for include in includes {
            conf.read_one(&include)?;
        }
        Ok(conf)
    }

    /// The line that sets `key` for `chain`: one in the chain's section before one outside of sections, the first of several.
    pub(super) fn get(&self, chain: Chain, key: &str) -> Option<&ConfLine> {
        // Core marks rpcport as NETWORK_ONLY: outside of sections it holds for the main chain only.
        let holds_everywhere = chain == Chain::Main || key != "rpcport";
        self.find(chain.name(), key).or_else(|| self.find("", key).filter(|_| holds_everywhere))
    }

    fn find(&self, section: &str, key: &str) -> Option<&ConfLine> {
        self.0.iter().find(|line| line.section == section && line.key == key)
    }

    /// Adds one file's lines; returns whether the file exists.
    fn read_one(&mut self, path: &Path) -> Result<bool, NodeError> {
        let mut bytes = Vec::new();
        match File::open(path).and_then(|file| file.take(CAP + 1).read_to_end(&mut bytes)) {
            Ok(_) if u64::try_from(bytes.len()).is_ok_and(|len| len <= CAP) => {}
            Ok(_) => return Err(unusable(path, "is larger than 1 MiB, so it is hardly a bitcoin.conf")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(unusable(path, &format!("cannot be read: {error}"))),
        }
        self.0.extend(parse(&String::from_utf8_lossy(&bytes), path));
        Ok(true)
    }
}

fn unusable(path: &Path, why: &str) -> NodeError {
    let path = path.display();
    NodeError::Settings(format!("{path} {why}; mend that, or give --rpc-url and credentials to do without the file"))
}

/// The lines of one file that set one of [`KEYS`].
fn parse(text: &str, path: &Path) -> Vec<ConfLine> {
    let mut lines = Vec::new();
    let mut section = String::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim());
        // Outside of sections, `regtest.rpcport=…` is a line of section `regtest`.
        let (line_section, key) = match name.split_once('.') {
            Some((own_section, key)) if section.is_empty() => (own_section, key),
            _ => (section.as_str(), name),
        };
        if let Some(key) = KEYS.into_iter().find(|known| *known == key) {
            lines.push(ConfLine {
                section: line_section.to_owned(),
                key,
                value: value.to_owned(),
                path: path.to_owned(),
                number: index + 1,
            });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(text: &str) -> BitcoinConf {
        BitcoinConf(parse(text, Path::new("bitcoin.conf")))
    }

    #[test]
    fn the_lines_that_hold_for_a_chain_are_the_same_as_for_core() {
        use Chain::{Main, Regtest, Signet, Test, Testnet4};
        let cases = [
            ("rpcport=1", Main, "rpcport", Some("1")),
            ("rpcport=1", Regtest, "rpcport", None),
            ("rpcuser=me", Regtest, "rpcuser", Some("me")),
            ("rpcpassword = x y \n", Signet, "rpcpassword", Some("x y")),
            ("rpcport=1\n[regtest]\nrpcport=2", Regtest, "rpcport", Some("2")),
            ("rpcport=1\n[regtest]\nrpcport=2", Main, "rpcport", Some("1")),
            ("regtest.rpcport=3", Regtest, "rpcport", Some("3")),
            ("regtest.rpcport=3", Main, "rpcport", None),
            ("[test]\nregtest.rpcport=3", Regtest, "rpcport", None),
            ("main.rpcport=4", Main, "rpcport", Some("4")),
            ("[main]\nrpcport=5\n[test]\nrpcport=6", Main, "rpcport", Some("5")),
            ("[main]\nrpcport=5\n[test]\nrpcport=6", Test, "rpcport", Some("6")),
            ("[testnet4]\nrpcport=7", Testnet4, "rpcport", Some("7")),
            ("rpcport=1\nrpcport=2", Main, "rpcport", Some("1")),
            ("# rpcport=1\nrpcport=2 # the port", Main, "rpcport", Some("2")),
            ("rpcuser=all\n[signet]\nrpcuser=sig", Signet, "rpcuser", Some("sig")),
            ("rpcpassword=a=b", Main, "rpcpassword", Some("a=b")),
            ("  [regtest]  \n rpcconnect = 10.0.0.1 ", Regtest, "rpcconnect", Some("10.0.0.1")),
            ("server\ntxindex=1\n=\n[\nrpcuser", Main, "rpcuser", None),
        ];
        for (text, chain, key, expected) in cases {
            let conf = conf(text);
            let found = conf.get(chain, key).map(|line| line.value.as_str());
            assert_eq!(found, expected, "{key} for {chain} in {text:?}");
        }
    }

    #[test]
    fn a_line_keeps_its_number() {
        let conf = conf("\n# comment\n[regtest]\nrpcport=2\n");
        assert_eq!(conf.get(Chain::Regtest, "rpcport").unwrap().number, 4);
    }

    #[test]
    fn included_files_come_after_the_file_and_their_own_includes_are_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bitcoin.conf");
        std::fs::write(&path, "includeconf=a.conf\nincludeconf=none.conf\nrpcuser=first\n").unwrap();
        std::fs::write(dir.path().join("a.conf"), "rpcuser=second\nrpcport=9\nincludeconf=b.conf\n").unwrap();
        std::fs::write(dir.path().join("b.conf"), "rpcconnect=10.0.0.1\n").unwrap();
        let conf = BitcoinConf::read(&path, Chain::Main).unwrap();
        assert_eq!(conf.get(Chain::Main, "rpcuser").unwrap().value, "first");
        let port = conf.get(Chain::Main, "rpcport").unwrap();
        assert_eq!((port.value.as_str(), port.number, port.path.ends_with("a.conf")), ("9", 2, true));
        assert!(conf.get(Chain::Main, "rpcconnect").is_none());
    }

    #[test]
    fn a_missing_file_counts_as_empty_and_an_unreadable_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let conf = BitcoinConf::read(&dir.path().join("bitcoin.conf"), Chain::Main).unwrap();
        assert!(conf.get(Chain::Main, "rpcuser").is_none());
        let error = BitcoinConf::read(dir.path(), Chain::Main).err().unwrap();
        assert!(error.is_usage() && error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    }
}
