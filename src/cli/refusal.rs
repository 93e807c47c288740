//! Why a command line is refused, where clap's own words don't help: a flag of settings that the command doesn't use.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::flags::leaves;

/// The refusal of a command line whose flags are behind the command, where `error` is about a flag that only other commands take.
pub fn refusal(program: &clap::Command, words: &[OsString], error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let long = typed.strip_prefix("--").filter(|_| error.kind() == ErrorKind::UnknownArgument)?;
    let long = long.split_once('=').map_or(long, |(long, _)| long);
    let takers: BTreeSet<String> =
        leaves(program).iter().filter(|path| takes(program, path, long)).map(|path| path.join(" ")).collect();
    if takers.is_empty() {
        return None;
    }
    let typed = words.iter().skip(1).filter_map(|word| word.to_str()).collect::<Vec<_>>().join(" ") + " ";
    let mut names = leaves(program).into_iter().map(|path| path.join(" "));
    let command = names.find(|name| typed.starts_with(&format!("{name} ")));
    let command = command.map_or("this command".to_owned(), |name| format!("`coinhound {name}`"));
    let takers: Vec<_> = takers.into_iter().collect();
    Some(format!("{command} does not use --{long}, which works with {}", takers.join(", ")))
}

/// Whether the command at `path` takes the flag of that long name.
fn takes(program: &clap::Command, path: &[String], long: &str) -> bool {
    let command = path.iter().try_fold(program, |command, name| command.find_subcommand(name));
    command.is_some_and(|command| command.get_arguments().any(|arg| arg.get_long() == Some(long)))
}
