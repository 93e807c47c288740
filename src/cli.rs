//! The command line as typed: commands, flags and help texts. The flags of settings are made from the table in `config`; what the
//! others mean is each command's. Which command takes which flags of settings is in `flags`.

mod flags;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::{Flags, LOG_LEVEL, SETTINGS, Setting, watch_syntax};
use crate::error::{Error, Exit};
use crate::output::{self, AnswerFormat, Format};
use crate::trace::Rule;

/// The end of the help text; docs/cli.md says more.
const EXIT_CODES: &str = "\
Exit codes:
  0  answered, and the coverage supports the answer
  1  failed, or `verify` found a difference
  2  wrong usage: an argument or a setting can't be used
  3  answered, but the coverage doesn't support the answer: `coverage.why` says why not
  4  `screen` found something
  5  the index can't be used as it is: damaged, of another chain, or of another format";

/// Scans the chain of your own Bitcoin node for flagged scripts, and answers what came in, what went out, and what is left.
#[derive(Debug, Parser)]
#[command(name = "coinhound", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// The flags of settings and output, which are read where the command is.
    #[arg(skip)]
    pub global: GlobalArgs,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line; help, version and wrong usage end the process here.
    pub fn read() -> Self {
        let words: Vec<OsString> = std::env::args_os().collect();
        Self::parse_words(&words).unwrap_or_else(|error| {
            if !error.use_stderr() {
                error.exit();
            }
            let program = Self::definition();
            let text = match flags::refusal(&program, &flags::flags_behind_command(&program, &words), &error) {
                Some(refusal) => format!("error: {refusal}"),
                None => error.render().to_string().trim_end().to_owned(),
            };
            let message = text.strip_prefix("error: ").unwrap_or(&text);
            let typed: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
            let json = typed.windows(2).any(|pair| pair[0] == "--format" && pair[1].starts_with("json"))
                || typed.iter().any(|word| word.starts_with("--format=json"));
            match json {
                true => output::error(Format::Json, &Error::Usage(message.to_owned())),
                false => output::usage_error(&text),
            }
            std::process::exit(Exit::Usage.code().into())
        })
    }

    /// Reads these words as a command line.
    ///
    /// # Errors
    /// What is wrong with them, or a request for help.
    fn parse_words(words: &[OsString]) -> Result<Self, clap::Error> {
        let program = Self::definition();
        let words = flags::flags_behind_command(&program, words);
        let matches = program.try_get_matches_from(words)?;
        let global = GlobalArgs::from_arg_matches(flags::innermost(&matches))?;
        Ok(Self { global, ..Self::from_arg_matches(&matches)? })
    }

    /// The whole command line: every command with the flags that it takes.
    pub fn definition() -> clap::Command {
        flags::with_flags(Self::command())
    }
}

/// The flags of settings and output.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings")]
pub struct GlobalArgs {
    /// Read settings from FILE [default: $XDG_CONFIG_HOME/coinhound/config.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The settings of the table.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// Lists, as [`watch_syntax`] has it.
    #[arg(
        long,
        value_name = "FILE",
        help = format!("Scan for the scripts on this list; repeat for more lists: {}", watch_syntax())
    )]
    pub watch: Vec<String>,
    /// Print the answer as table, json, jsonl or csv; a trace also as dot, graphml or html
    #[arg(long, value_name = "FORMAT", default_value = "table", help_heading = "Output")]
    pub format: AnswerFormat,
    /// Log more; give it twice to log everything
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
    /// Log only warnings and errors, and show no progress
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Output")]
    pub quiet: bool,
}

impl GlobalArgs {
    /// What they say of settings.
    pub fn flags(&self) -> Flags {
        let mut values = self.settings.0.clone();
        let level = match (self.quiet, self.verbose) {
            (true, _) => Some("warn"),
            (false, 0) => None,
            (false, 1) => Some("debug"),
            (false, _) => Some("trace"),
        };
        values.extend(level.map(|level| (LOG_LEVEL, level.to_owned())));
        Flags { config: self.config.clone(), values, watch: self.watch.clone() }
    }
}

/// A flag for each setting of the table that has one: the texts that were typed, by [`Setting::key`].
#[derive(Clone, Debug, Default)]
pub struct SettingArgs(BTreeMap<&'static str, String>);

impl SettingArgs {
    fn arg(setting: &Setting) -> Option<Arg> {
        let help = format!("{} [default: {}]", setting.help, setting.default_words());
        Some(Arg::new(setting.key).long(setting.flag?).value_name(setting.value_name).help(help))
    }
}

impl Args for SettingArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(SETTINGS.iter().filter_map(Self::arg))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let typed = SETTINGS.iter().filter(|setting| setting.flag.is_some()).filter_map(|setting| {
            // A command that doesn't take the flag doesn't know it.
            let text: &String = matches.try_get_one(setting.key).ok().flatten()?;
            Some((setting.key, text.clone()))
        });
        Ok(Self(typed.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

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

/// `backup`.
#[derive(Args, Debug)]
pub struct BackupArgs {
    /// A new or empty folder for the copy
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn clap_finds_no_fault_with_the_command_line() {
        Cli::definition().debug_assert();
    }

    #[test]
    fn every_flag_that_a_message_or_comment_names_exists() {
        // clap adds help by itself; a test of flags types one that doesn't exist.
        let mut known = BTreeSet::from(["help", "bogus"].map(str::to_owned));
        add_flags(&Cli::definition(), &mut known);
        let mut named = BTreeSet::new();
        add_named(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut named);
        assert!(named.len() > 20 && named.is_subset(&known), "{:?}", named.difference(&known));
    }

    fn add_flags(command: &clap::Command, flags: &mut BTreeSet<String>) {
        flags.extend(command.get_arguments().filter_map(Arg::get_long).map(str::to_owned));
        command.get_subcommands().for_each(|command| add_flags(command, flags));
    }

    /// Adds the words after two dashes in the sources below a folder.
    fn add_named(folder: &Path, flags: &mut BTreeSet<String>) {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add_named(&path, flags);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
                let names = words.filter_map(|word| word.strip_prefix("--"));
                flags.extend(names.filter(|name| name.starts_with(char::is_alphabetic)).map(str::to_owned));
            }
        }
    }
}
