//! The arguments of the commands that ask the index.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::trace::Rule;

/// The moment that a question is about.
#[derive(Args, Debug)]
pub struct AtArgs {
    /// Answer as of the end of this block: a height, or a date, which means the last block before the first one whose time is later; a
    /// day without a time lasts until its end in UTC
    #[arg(long, value_name = "HEIGHT|DATE")]
    pub at: Option<String>,
}

/// The children of ranged descriptors among targets.
#[derive(Args, Debug)]
pub struct RangeArgs {
    /// Derive children A to B of ranged descriptors
    #[arg(long, value_name = "A-B")]
    pub range: Option<String>,
}

/// `balance`; `history` and `coins` have these and more.
#[derive(Args, Debug)]
pub struct TargetArgs {
    /// Addresses, script:HEX, descriptors, label:TEXT, or all
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// The children of ranged descriptors among them.
    #[command(flatten)]
    pub range: RangeArgs,
    /// The moment asked about.
    #[command(flatten)]
    pub at: AtArgs,
}

/// `history`.
#[derive(Args, Debug)]
pub struct HistoryArgs {
    /// The targets.
    #[command(flatten)]
    pub about: TargetArgs,
    /// Print at most N rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Continue after CURSOR (`next` of the previous page)
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
}

/// `coins`.
#[derive(Args, Debug)]
pub struct CoinsArgs {
    /// The targets, and which page of the answer.
    #[command(flatten)]
    pub pages: HistoryArgs,
    /// List unspent coins only
    #[arg(long)]
    pub unspent: bool,
}

/// `tx`.
#[derive(Args, Debug)]
pub struct TxArgs {
    /// The transaction's id
    #[arg(value_name = "TXID")]
    pub txid: String,
    /// The moment asked about.
    #[command(flatten)]
    pub at: AtArgs,
}

/// `trace`.
#[derive(Args, Debug)]
pub struct TraceArgs {
    /// Addresses, script:HEX, descriptors, label:TEXT, all, TXID or TXID:VOUT
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// The children of ranged descriptors among them.
    #[command(flatten)]
    pub range: RangeArgs,
    /// The moment asked about.
    #[command(flatten)]
    pub at: AtArgs,
    /// Pass taint on by RULE: haircut, fifo, lifo, tiho or poison; repeat for more rules [default: haircut and fifo]
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    pub rule: Vec<Rule>,
    /// End the trace at WHERE too, not only at services
    #[arg(long, value_name = "WHERE")]
    pub stop: Option<StopAt>,
    /// Show every coin, as a tree
    #[arg(long)]
    pub tree: bool,
}

/// Where a trace stops besides services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StopAt {
    /// At flagged scripts that it did not start from
    Flagged,
}

/// `screen`.
#[derive(Args, Debug)]
pub struct ScreenArgs {
    /// Addresses, script:HEX, descriptors, TXID or TXID:VOUT
    #[arg(required_unless_present_any = ["file", "raw_tx"], value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Read targets from FILE (- for standard input): one per line, or a table whose header names its columns
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Screen the transaction in HEX, confirmed or not
    #[arg(long, value_name = "HEX")]
    pub raw_tx: Option<String>,
    /// Look for the transaction in the block at HEIGHT; without a node that has it there, this proves nothing
    #[arg(long, value_name = "HEIGHT", conflicts_with = "block")]
    pub height: Option<u32>,
    /// Take the transaction as confirmed in the block with this HASH, where no node can say whether it is
    #[arg(long, value_name = "HASH")]
    pub block: Option<bitcoin::BlockHash>,
    /// Leave out of account what happened below HEIGHT: `none` then speaks of the blocks from there on
    #[arg(long, value_name = "HEIGHT")]
    pub since: Option<u32>,
    /// Count only taint of SAT satoshis or more under some rule; less keeps its verdict, and exit code 4 is not for it
    #[arg(long, value_name = "SAT")]
    pub at_least: Option<u64>,
    /// Count only taint of this part of the value or more under some rule: a percentage such as 5%, or a part of 1 such as 0.05
    #[arg(long, value_name = "SHARE")]
    pub min_share: Option<String>,
    /// The children of ranged descriptors among the targets.
    #[command(flatten)]
    pub range: RangeArgs,
}

/// `events`.
#[derive(Args, Debug)]
pub struct EventsArgs {
    /// Print only the events after the one numbered SEQ [default: 0, all of them]
    #[arg(long, value_name = "SEQ")]
    pub since: Option<u64>,
    /// Then wait for more, until SIGINT or SIGTERM
    #[arg(long)]
    pub follow: bool,
    /// Print no events; remove those numbered below SEQ from the log instead
    #[arg(long, value_name = "SEQ", conflicts_with_all = ["since", "follow"])]
    pub prune_before: Option<u64>,
}

/// `digest`.
#[derive(Args, Debug)]
pub struct DigestArgs {
    /// The moment asked about.
    #[command(flatten)]
    pub at: AtArgs,
}
