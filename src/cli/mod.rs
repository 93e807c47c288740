//! The command line as typed: commands, flags and help texts. What the arguments of a command mean is the command's.
//!
//! ```text
//! command   the commands ── questions, runs, upkeep, watch   their arguments
//! global    the flags of settings and output ── flags        which command takes which of them
//! order     flags in front of the command; refusal: a flag that the command doesn't take
//! ```

mod command;
mod flags;
mod global;
mod order;
mod questions;
mod refusal;
mod runs;
mod upkeep;
mod watch;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::error::{Error, Exit};
use crate::output::{self, Format};

pub use command::Command;
pub use global::GlobalArgs;
pub use questions::{
    CoinsArgs, DigestArgs, EventsArgs, HistoryArgs, ScreenArgs, StopAt, TargetArgs, TraceArgs, TxArgs,
};
pub use runs::{BackfillArgs, FollowArgs};
pub use upkeep::{BackupArgs, VerifyArgs};
pub use watch::{WatchCheckArgs, WatchCommand};

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
            let text = match refusal::refusal(&program, &order::flags_behind_command(&program, &words), &error) {
                Some(refusal) => format!("error: {refusal}"),
                None => error.render().to_string().trim_end().to_owned(),
            };
            let message = text.strip_prefix("error: ").unwrap_or(&text);
            let typed: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
            let json = typed.windows(2).any(|pair| pair[0] == "--format" && pair[1].starts_with("json"))
                || typed.iter().any(|word| word.starts_with("--format=json"));
            match json {
                true => output::print_error(Format::Json, &Error::Usage(message.to_owned())),
                false => output::print_usage_error(&text),
            }
            std::process::exit(Exit::Usage.code().into())
        })
    }

    /// Reads these words as a command line.
    ///
    /// # Errors
    /// clap's refusal, or a request for help.
    fn parse_words(words: &[OsString]) -> Result<Self, clap::Error> {
        let program = Self::definition();
        let words = order::flags_behind_command(&program, words);
        let matches = program.try_get_matches_from(words)?;
        let global = GlobalArgs::from_arg_matches(order::innermost(&matches))?;
        Ok(Self { global, ..Self::from_arg_matches(&matches)? })
    }

    /// The whole command line: every command with the flags that it takes.
    pub fn definition() -> clap::Command {
        flags::with_flags(Self::command())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use clap::Arg;

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
