//! One command per file: each turns its arguments into calls of the layers below, and the answer into output.
//!
//! ```text
//! questions/   ask the index: balance, coins, digest, events, history, screen, status, trace, tx
//! runs/        write it: backfill, follow, retrace
//! watch/       the lists and the entries: watch check, watch diff, watch list
//! backup, check, verify
//! ```

mod backup;
mod check;
mod context;
mod questions;
mod runs;
mod signals;
mod verify;
mod watch;

use crate::cli::{Cli, Command, WatchCommand};
use crate::config::Settings;
use crate::error::{Error, Exit};
use crate::output::{AnswerFormat, OutputError};
use questions::{balance, coins, digest, events, history, screen, status, trace, tx};
use runs::{backfill, follow, retrace};

pub(crate) use context::Context;

/// The error of a process that was started without a stdout.
pub fn no_stdout() -> Error {
    OutputError::NoStdout.into()
}

/// Runs a command.
///
/// # Errors
/// The command's; its `Error::exit` is the exit code.
pub fn run(cli: Cli) -> Result<Exit, Error> {
    // Files made from here on, RocksDB's included, are readable by this user only.
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    #[cfg(unix)]
    raise_open_files();
    let settings = Settings::load(&cli.global.flags(), &|name| std::env::var(name).ok())?;
    crate::output::look_for_terminal();
    crate::output::log::start(settings.log_level, settings.log_format);
    let picture = match cli.global.format {
        AnswerFormat::Plain(_) => None,
        AnswerFormat::Picture(drawing) if matches!(cli.command, Command::Trace(_)) => Some(drawing),
        AnswerFormat::Picture(drawing) => {
            let why = format!("only trace has the format {}; others are table, json, jsonl, csv", drawing.name());
            return Err(Error::Usage(why));
        }
    };
    let context = Context { settings, format: cli.global.format.plain(), picture, quiet: cli.global.quiet };
    if !matches!(cli.command, Command::Watch(WatchCommand::Check(_))) {
        context.settings.need_index()?;
    }
    match cli.command {
        Command::Check => check::run(&context),
        Command::Watch(WatchCommand::Check(args)) => watch::check::run(&context, &args),
        Command::Watch(WatchCommand::List) => watch::list::run(&context),
        Command::Watch(WatchCommand::Diff) => watch::diff::run(&context),
        Command::Backfill(args) => backfill::run(&context, &args),
        Command::Follow(args) => follow::run(&context, &args),
        Command::Status => status::run(&context),
        Command::Verify(args) => verify::run(&context, &args),
        Command::Retrace => retrace::run(&context),
        Command::Balance(args) => balance::run(&context, &args),
        Command::History(args) => history::run(&context, &args),
        Command::Coins(args) => coins::run(&context, &args),
        Command::Tx(args) => tx::run(&context, &args),
        Command::Trace(args) => trace::run(&context, &args),
        Command::Screen(args) => screen::run(&context, &args),
        Command::Events(args) => events::run(&context, &args),
        Command::Digest(args) => digest::run(&context, &args),
        Command::Backup(args) => backup::run(&context, &args),
    }
}

/// Raises the limit of open files to the highest that this process may set: a large index has more tables than many systems let a process
/// open at first.
#[cfg(unix)]
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Some systems refuse an unlimited number; then the lower limit does.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
