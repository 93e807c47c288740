//! `watch`: its commands and their arguments.

use clap::{Args, Subcommand};

/// `watch`.
#[derive(Debug, Subcommand)]
pub enum WatchCommand {
    /// Read lists, and print how many rows were accepted, and which were not and why
    Check(WatchCheckArgs),
    /// List the entries of the index
    List,
    /// Show how the lists differ from the index
    Diff,
}

/// `watch check`.
#[derive(Args, Debug)]
pub struct WatchCheckArgs {
    /// Lists, as for --watch [default: those of the settings]
    #[arg(value_name = "FILE")]
    pub files: Vec<String>,
    /// Exit with 1 if any row could not be read
    #[arg(long)]
    pub strict: bool,
}
