//! The arguments of the commands that check and copy an index.

use std::path::PathBuf;

use clap::Args;

/// `verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Also compare unspent coins and some blocks with the node
    #[arg(long)]
    pub node: bool,
    /// Compare N blocks with the node [default: 20]
    #[arg(long, value_name = "N", requires = "node")]
    pub blocks: Option<usize>,
}

/// `backup`.
#[derive(Args, Debug)]
pub struct BackupArgs {
    /// A new or empty folder for the copy
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}
