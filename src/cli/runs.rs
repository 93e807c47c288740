//! The arguments of the commands that scan.

use clap::Args;

/// How entries are taken from lists.
#[derive(Args, Debug)]
pub struct EntryArgs {
    /// Scan from HEIGHT for new entries whose list gives no height [default: 0]
    #[arg(long, value_name = "HEIGHT")]
    pub from: Option<u32>,
    /// Go ahead although some list rows could not be read (they are not searched for)
    #[arg(long)]
    pub accept_quarantined: bool,
}

/// `backfill`.
#[derive(Args, Debug)]
pub struct BackfillArgs {
    /// How entries are taken from lists.
    #[command(flatten)]
    pub entries: EntryArgs,
    /// Stop after the block at HEIGHT [default: the node's tip]
    #[arg(long, value_name = "HEIGHT", conflicts_with = "dry_run")]
    pub to: Option<u32>,
    /// Go ahead although a list lost more than a tenth of its rows, or coins would be followed less far than before
    #[arg(long)]
    pub accept_shrink: bool,
    /// Drop entries that are on no list
    #[arg(long)]
    pub forget: bool,
    /// Go on although the end of the index's log is missing or damaged, and scan again what was lost
    #[arg(long)]
    pub accept_lost_tail: bool,
    /// Only show what would be scanned
    #[arg(long)]
    pub dry_run: bool,
}

/// `follow`.
#[derive(Args, Debug)]
pub struct FollowArgs {
    /// How entries are taken from lists.
    #[command(flatten)]
    pub entries: EntryArgs,
}
