//! Which command takes which of the flags that settings have. The parser of each command has the flags that the command uses and no
//! others, so a flag that would change nothing is refused, with the commands that it works with.

use clap::{Arg, Args};

use super::global::GlobalArgs;

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
                // More names would bury the text; they are in the commands' own help.
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
pub fn leaves(program: &clap::Command) -> Vec<Vec<String>> {
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
}
