//! The command line as typed: flags, commands, help texts. What it means is `config`'s and each command's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Flags;
use crate::error::{Error, Exit};
use crate::output::{self, Chosen, Format};
use crate::trace::Rule;

/// Scans the chain of your own Bitcoin node for flagged scripts, and answers what came in, what went out, and what is left.
#[derive(Debug, Parser)]
#[command(name = "coinhound", version, arg_required_else_help = true)]
pub struct Cli {
    /// Settings of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Settings of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Settings")]
pub struct Global {
    /// Read settings from FILE [default: $XDG_CONFIG_HOME/coinhound/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// main, test, testnet4, signet or regtest [default: main]
    #[arg(long, global = true, value_name = "CHAIN")]
    pub chain: Option<String>,
    /// The node's directory, as bitcoind's -datadir
    #[arg(long, global = true, value_name = "DIR")]
    pub bitcoin_datadir: Option<String>,
    /// The node's RPC [default: 127.0.0.1 and the chain's port]
    #[arg(long, global = true, value_name = "URL")]
    pub rpc_url: Option<String>,
    /// The node's cookie [default: in the node's directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub rpc_cookie_file: Option<String>,
    /// User and password instead of the cookie
    #[arg(long, global = true, value_name = "NAME")]
    pub rpc_user: Option<String>,
    /// The file that holds the password
    #[arg(long, global = true, value_name = "FILE")]
    pub rpc_password_file: Option<String>,
    /// How to get blocks: auto, rpc, rest or filters [default: auto]
    #[arg(long, global = true, value_name = "LANE")]
    pub lane: Option<String>,
    /// The index [default: $XDG_DATA_HOME/coinhound/CHAIN]
    #[arg(long, global = true, value_name = "DIR")]
    pub index: Option<String>,
    /// Lists to watch.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help = "A list to watch: FILE[,role=service][,label=TEXT][,from=H]; may be given again"
    )]
    pub watch: Vec<String>,
    /// Scanning threads [default: all cores]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<String>,
    /// Coins with less taint are not followed; satoshis [default: 100000, or as the index has it]
    #[arg(long, global = true, value_name = "SAT")]
    pub min_taint: Option<String>,
    /// Coins further from their source are not followed: a number, or none [default: none]
    #[arg(long, global = true, value_name = "N")]
    pub max_hops: Option<String>,
    /// The rules tracked while scanning [default: haircut,fifo]
    #[arg(long, global = true, value_name = "RULES")]
    pub track: Option<String>,
    /// How the answer is printed: table, json, jsonl or csv; trace also: dot, graphml or html
    #[arg(long, global = true, value_name = "FORMAT", default_value = "table")]
    pub format: Chosen,
    /// More logs; twice for all of them
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Only warnings and errors, no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// How logs are printed: text or json
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl Cli {
    /// Reads the command line; help, version and wrong usage end the process here.
    pub fn read() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            let typed: Vec<_> = std::env::args().collect();
            let json = typed.windows(2).any(|pair| pair[0] == "--format" && pair[1].starts_with("json"))
                || typed.iter().any(|word| word.starts_with("--format=json"));
            if json && error.use_stderr() {
                let text = error.render().to_string();
                let message = text.strip_prefix("error: ").unwrap_or(&text);
                output::error(Format::Json, &Error::Usage(message.trim_end().to_owned()));
                std::process::exit(Exit::Usage.code().into());
            }
            error.exit()
        })
    }
}

impl Global {
    /// The flags under the keys of the file.
    pub fn flags(&self) -> Flags {
        let level = match (self.quiet, self.verbose) {
            (true, _) => Some("warn".to_owned()),
            (false, 0) => None,
            (false, 1) => Some("debug".to_owned()),
            (false, _) => Some("trace".to_owned()),
        };
        let values = [
            ("node.chain", &self.chain),
            ("node.datadir", &self.bitcoin_datadir),
            ("node.rpc_url", &self.rpc_url),
            ("node.rpc_cookie_file", &self.rpc_cookie_file),
            ("node.rpc_user", &self.rpc_user),
            ("node.rpc_password_file", &self.rpc_password_file),
            ("node.lane", &self.lane),
            ("index.path", &self.index),
            ("scan.threads", &self.threads),
            ("trace.min_taint", &self.min_taint),
            ("trace.max_hops", &self.max_hops),
            ("trace.track", &self.track),
            ("log.level", &level),
            ("log.format", &self.log_format),
        ];
        let values: BTreeMap<_, _> =
            values.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
        Flags { config: self.config.clone(), values, watch: self.watch.clone() }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask node, index and lists what they are, and how to make them better
    Check,
    /// Read lists, or show what the index knows of them
    #[command(subcommand)]
    Watch(Watch),
    /// Catch up with the node for what the lists ask, then exit
    Backfill(Backfill),
    /// Catch up, then stay at the tip until a signal comes
    Follow(Follow),
    /// Show how far the index is, and what it holds
    Status,
    /// What targets received, sent and hold
    Balance(Question),
    /// Every touch of a target, in chain order
    History(Pages),
    /// The coins of a target, and what became of each
    Coins(Coins),
    /// One transaction of the index, input by input
    Tx(Transaction),
    /// Where the coins of targets went, hop by hop
    Trace(Trace),
    /// Whether targets are flagged, or derived from what is
    Screen(Screen),
    /// The log: what was found, and what was taken back
    Events(Events),
    /// One SHA-256 over everything derived from the chain
    Digest(Digest),
    /// Compare the index with its own records, and with the node
    Verify(Verify),
    /// Derive everything again from the records
    Retrace,
    /// Copy the index, also while it is written to
    Backup(Backup),
}

/// Lists.
#[derive(Debug, Subcommand)]
pub enum Watch {
    /// Read lists and print what was accepted and what was not, and why
    Check(WatchCheck),
    /// The entries as the index knows them
    List,
    /// What the lists now say against what the index knows
    Diff,
}

/// `watch check`.
#[derive(Args, Debug)]
pub struct WatchCheck {
    /// Lists, as for --watch [default: those of the settings]
    #[arg(value_name = "FILE")]
    pub files: Vec<String>,
    /// Exit with 1 if any row could not be read
    #[arg(long)]
    pub strict: bool,
}

/// `backfill`.
#[derive(Args, Debug)]
pub struct Backfill {
    /// Where new entries begin that their list gives no height [default: 0]
    #[arg(long, value_name = "HEIGHT")]
    pub from: Option<u32>,
    /// Where to stop [default: the node's tip]
    #[arg(long, value_name = "HEIGHT")]
    pub to: Option<u32>,
    /// Accept that rows which could not be read are not looked for
    #[arg(long)]
    pub accept_quarantined: bool,
    /// Accept that a list has lost more than a tenth of its rows, or that coins are followed less far than before
    #[arg(long)]
    pub accept_shrink: bool,
    /// Drop entries that no list names any more
    #[arg(long)]
    pub forget: bool,
    /// Only say what would be swept
    #[arg(long)]
    pub dry_run: bool,
}

/// `follow`.
#[derive(Args, Debug)]
pub struct Follow {
    /// Where new entries begin that their list gives no height [default: 0]
    #[arg(long, value_name = "HEIGHT")]
    pub from: Option<u32>,
    /// Accept that rows which could not be read are not looked for
    #[arg(long)]
    pub accept_quarantined: bool,
}

/// `verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// Also compare unspent coins and some blocks with the node's own answers
    #[arg(long)]
    pub node: bool,
    /// How many blocks to compare with the node [default: 20]
    #[arg(long, value_name = "N", requires = "node")]
    pub blocks: Option<usize>,
}

/// What a question is about.
#[derive(Args, Debug)]
pub struct Targets {
    /// Addresses, script:HEX, descriptors, label:TEXT, or all
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// The children of ranged descriptors
    #[arg(long, value_name = "A-B")]
    pub range: Option<String>,
    /// The state after this block: a height, or a date (UTC)
    #[arg(long, value_name = "HEIGHT|DATE")]
    pub at: Option<String>,
}

/// `balance`.
#[derive(Args, Debug)]
pub struct Question {
    /// What it is about.
    #[command(flatten)]
    pub about: Targets,
}

/// `history`.
#[derive(Args, Debug)]
pub struct Pages {
    /// What it is about.
    #[command(flatten)]
    pub about: Targets,
    /// Rows at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Go on after the cursor that the answer before gave as `next`
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
}

/// `coins`.
#[derive(Args, Debug)]
pub struct Coins {
    /// What it is about, and which part.
    #[command(flatten)]
    pub pages: Pages,
    /// Only those not spent
    #[arg(long)]
    pub unspent: bool,
}

/// `tx`.
#[derive(Args, Debug)]
pub struct Transaction {
    /// The transaction's id
    #[arg(value_name = "TXID")]
    pub txid: String,
    /// The state after this block: a height, or a date (UTC)
    #[arg(long, value_name = "HEIGHT|DATE")]
    pub at: Option<String>,
}

/// `trace`.
#[derive(Args, Debug)]
pub struct Trace {
    /// Addresses, script:HEX, descriptors, label:TEXT, all, TXID or TXID:VOUT
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// The children of ranged descriptors
    #[arg(long, value_name = "A-B")]
    pub range: Option<String>,
    /// The state after this block: a height, or a date (UTC)
    #[arg(long, value_name = "HEIGHT|DATE")]
    pub at: Option<String>,
    /// How taint passes on: haircut, fifo, lifo, tiho or poison; may be given again [default: haircut and fifo]
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    pub rule: Vec<Rule>,
    /// Where to stop besides services
    #[arg(long, value_name = "WHERE")]
    pub stop: Option<Stop>,
    /// Show every coin, as a tree
    #[arg(long)]
    pub tree: bool,
}

/// `screen`.
#[derive(Args, Debug)]
pub struct Screen {
    /// Addresses, script:HEX, descriptors, TXID or TXID:VOUT
    #[arg(required_unless_present_any = ["file", "raw_tx"], value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Targets from a file, one a line; a height may follow, separated by a space or comma
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A transaction in hex, confirmed or not
    #[arg(long, value_name = "HEX")]
    pub raw_tx: Option<String>,
    /// The height that a transaction is confirmed at, where the node need not show it
    #[arg(long, value_name = "HEIGHT")]
    pub height: Option<u32>,
    /// The children of ranged descriptors
    #[arg(long, value_name = "A-B")]
    pub range: Option<String>,
}

/// Where a trace stops besides services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stop {
    /// At flagged scripts that it didn't start from
    Flagged,
}

/// `events`.
#[derive(Args, Debug)]
pub struct Events {
    /// Only messages after this one [default: 0, which is before all]
    #[arg(long, value_name = "SEQ")]
    pub since: Option<u64>,
    /// Then wait for more, until SIGINT or SIGTERM
    #[arg(long)]
    pub follow: bool,
}

/// `digest`.
#[derive(Args, Debug)]
pub struct Digest {
    /// The state after this block: a height, or a date (UTC)
    #[arg(long, value_name = "HEIGHT|DATE")]
    pub at: Option<String>,
}

/// `backup`.
#[derive(Args, Debug)]
pub struct Backup {
    /// A new or empty folder for the copy
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}
