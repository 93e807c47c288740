//! The commands, each with its help text and its arguments.

use clap::Subcommand;

use super::questions::{CoinsArgs, DigestArgs, EventsArgs, HistoryArgs, ScreenArgs, TargetArgs, TraceArgs, TxArgs};
use super::runs::{BackfillArgs, FollowArgs};
use super::upkeep::{BackupArgs, VerifyArgs};
use super::watch::WatchCommand;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the node, the index and the lists, and suggest improvements
    Check,
    /// Check lists, or compare them with the index
    #[command(subcommand)]
    Watch(WatchCommand),
    /// Scan the chain for the listed scripts up to the node's tip, then exit
    Backfill(BackfillArgs),
    /// Scan the chain for the listed scripts, then stay at the node's tip until SIGINT or SIGTERM
    Follow(FollowArgs),
    /// Show how far the index is scanned, and what it holds
    Status,
    /// Show what targets received, sent and hold
    Balance(TargetArgs),
    /// List every output paid to a target and every input that spends one, in chain order
    History(HistoryArgs),
    /// List the coins of a target, and what became of each
    Coins(CoinsArgs),
    /// Show one transaction of the index, input by input
    Tx(TxArgs),
    /// Trace where the coins of targets went, hop by hop
    Trace(TraceArgs),
    /// Check whether targets are flagged, or derive from flagged coins
    Screen(ScreenArgs),
    /// Print the log of events: what was found, and what a reorg took back
    Events(EventsArgs),
    /// Print one SHA-256 over everything that was derived from the chain
    Digest(DigestArgs),
    /// Compare the index with its own records, and with the node
    Verify(VerifyArgs),
    /// Derive everything again from the records
    Retrace,
    /// Copy the index, even while it is being written
    Backup(BackupArgs),
}
