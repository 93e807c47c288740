//! Which command takes which of the flags that settings have. The parser of each command has the flags that the command uses and no
//! others, so a flag that would change nothing is refused, with the commands that it works with.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args};

use super::GlobalArgs;

/// The commands that scan.
const RUNS: &[&str] = &["backfill", "follow"];

/// The commands whose answers have coverage, and so say whether the index is near now.
const ANSWERS: &[&str] = &[
    "backup",
    "balance",
    "check",
    "coins",
    "digest",
    "history",
    "retrace",
    "screen",
    "status",
    "trace",
    "tx",
    "verify",
    "watch diff",
    "watch list",
];

/// The settings whose flags only some commands use. The other flags say where node, index and lists are, and how to print: every command
/// takes them, so that one alias or script can give them to all.
const ONLY: [(&str, &[&[&str]]); 7] = [
    ("node.lane", &[RUNS, &["check"]]),
    ("scan.threads", &[RUNS, &["retrace"]]),
    ("trace.min_taint", &[RUNS, &["check", "trace"]]),
    ("trace.max_hops", &[RUNS, &["check", "trace"]]),
    ("trace.track", &[RUNS, &["check"]]),
    ("query.max_lag", &[ANSWERS, &["backfill"]]),
    ("query.max_age", &[ANSWERS, &["backfill"]]),
];

/// The commands that use a setting's flag; `None` where all do.
fn users(key: &str) -> Option<Vec<&'static str>> {
    let (_, groups) = ONLY.iter().find(|(of, _)| *of == key)?;
    let mut names: Vec<_> = groups.iter().flat_map(|group| group.iter().copied()).collect();
    names.sort_unstable();
    Some(names)
}

/// The flags of settings and output, as the derived parser has them.
fn global_args() -> Vec<Arg> {
    GlobalArgs::augment_args(clap::Command::new("coinhound")).get_arguments().cloned().collect()
}

/// Adds the flags of settings and output: to each command those that it takes, to the program all of them, for its help.
pub fn with_flags(mut program: clap::Command) -> clap::Command {
    for path in leaves(&program) {
        program = changed(program, &path, |command| taking(command, &path.join(" ")));
    }
    let in_help = global_args().into_iter().map(|arg| match users(arg.get_id().as_str()) {
        Some(names) => {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            match names.len() {
                0..=4 => arg.help(format!("{help} (for {})", names.join(", "))),
                _ => arg,
            }
        }
        None => arg,
    });
    program.args(in_help)
}

/// The command with the flags that it takes. Its help explains those that few commands take, and names the others.
fn taking(command: clap::Command, name: &str) -> clap::Command {
    let (mut shown, mut named) = (Vec::new(), Vec::new());
    for arg in global_args() {
        match users(arg.get_id().as_str()) {
            Some(users) if users.contains(&name) => shown.push(arg),
            Some(_) => {}
            None => named.push(arg.hide(true)),
        }
    }
    let names: Vec<_> = named.iter().filter_map(Arg::get_long).map(|long| format!("--{long}")).collect();
    let more = format!("Every command also takes {}: see `coinhound --help`.", names.join(", "));
    command.args(shown).args(named).after_help(more)
}

/// The names that lead to each command that can be run.
fn leaves(program: &clap::Command) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for command in program.get_subcommands() {
        let below = leaves(command);
        let name = command.get_name().to_owned();
        match below.is_empty() {
            true => found.push(vec![name]),
            false => found.extend(below.into_iter().map(|path| [vec![name.clone()], path].concat())),
        }
    }
    found
}

/// The program with the command at `path` changed.
fn changed(
    command: clap::Command,
    path: &[String],
    change: impl FnOnce(clap::Command) -> clap::Command,
) -> clap::Command {
    match path.split_first() {
        None => change(command),
        Some((name, rest)) => command.mut_subcommand(name, |below| changed(below, rest, change)),
    }
}

/// The command line with the flags in front of the command moved behind it, where the command's parser reads all of them together: a
/// flag may stand on either side, and one that is given on both is a repetition. Unchanged where there is no command.
pub fn flags_behind_command(program: &clap::Command, words: &[OsString]) -> Vec<OsString> {
    moved(program, words).unwrap_or_else(|| words.to_vec())
}

fn moved(program: &clap::Command, words: &[OsString]) -> Option<Vec<OsString>> {
    let (name, rest) = words.split_first()?;
    let (mut path, mut flags, mut at, mut within) = (Vec::new(), Vec::new(), 0, program);
    loop {
        let word = rest.get(at)?.to_str()?;
        let taken = match word.strip_prefix('-') {
            Some(_) => flag_length(program, word)?,
            None => {
                path.push(rest[at].clone());
                at += 1;
                // An unknown command is refused by the program's parser, and `help` is no command of ours.
                within = within.find_subcommand(word)?;
                if within.has_subcommands() {
                    continue;
                }
                break;
            }
        };
        flags.extend_from_slice(rest.get(at..at + taken)?);
        at += taken;
    }
    Some([vec![name.clone()], path, flags, rest[at..].to_vec()].concat())
}

/// How many words a flag takes, with its value; `None` for one that is no flag of the settings or output.
fn flag_length(program: &clap::Command, word: &str) -> Option<usize> {
    let takes_value = |arg: &Arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if let Some(long) = word.strip_prefix("--") {
        let (long, has_value) = long.split_once('=').map_or((long, false), |(long, _)| (long, true));
        let arg = program.get_arguments().find(|arg| arg.get_long() == Some(long))?;
        return Some(1 + usize::from(takes_value(arg) && !has_value));
    }
    let letters = word.strip_prefix('-').filter(|letters| !letters.is_empty())?;
    let known = |letter| program.get_arguments().any(|arg| arg.get_short() == Some(letter) && !takes_value(arg));
    letters.chars().all(known).then_some(1)
}

/// The matches of the command itself, below those of the program.
pub fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, below)| innermost(below))
}

/// What is wrong with a command line whose flags are behind the command, where that is a flag that only other commands take.
pub fn refusal(program: &clap::Command, words: &[OsString], error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let long = typed.strip_prefix("--").filter(|_| error.kind() == ErrorKind::UnknownArgument)?;
    let long = long.split_once('=').map_or(long, |(long, _)| long);
    let takes = |path: &Vec<String>| {
        let command = path.iter().try_fold(program, |command, name| command.find_subcommand(name));
        command.is_some_and(|command| command.get_arguments().any(|arg| arg.get_long() == Some(long)))
    };
    let takers: BTreeSet<String> =
        leaves(program).iter().filter(|path| takes(path)).map(|path| path.join(" ")).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::config::SETTINGS;

    #[test]
    fn every_limited_flag_and_its_commands_exist() {
        let program = Cli::definition();
        let names: Vec<_> = leaves(&program).into_iter().map(|path| path.join(" ")).collect();
        assert!(names.len() > 17 && names.contains(&"watch check".to_owned()), "{names:?}");
        for (key, groups) in ONLY {
            assert!(SETTINGS.iter().any(|setting| setting.key == key && setting.flag.is_some()), "{key}");
            assert!(
                groups.iter().flat_map(|group| group.iter()).all(|name| names.iter().any(|of| of == name)),
                "{key}"
            );
        }
    }

    #[test]
    fn flags_in_front_of_the_command_are_read_behind_it() {
        let program = Cli::definition();
        let moved = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let moved = flags_behind_command(&program, &words);
            moved.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
        };
        for (typed, expected) in [
            ("x status", "x status"),
            ("x --index a -vv --format=json status", "x status --index a -vv --format=json"),
            ("x --index a watch --watch=b check --strict c", "x watch check --index a --watch=b --strict c"),
            ("x --index status status -q", "x status --index status -q"),
            // What is no command of ours, or no flag of every command, is left to the parser.
            ("x --index a", "x --index a"),
            ("x --help status", "x --help status"),
            ("x --bogus 1 status", "x --bogus 1 status"),
            ("x --at 5 balance y", "x --at 5 balance y"),
            ("x -q help status", "x -q help status"),
            ("x -q nose", "x -q nose"),
            ("x -q watch", "x -q watch"),
        ] {
            assert_eq!(moved(typed), expected, "{typed}");
        }
    }
}
