//! Flags of settings and output on either side of the command.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches};

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
    if let Some(long) = word.strip_prefix("--") {
        let (long, has_value) = long.split_once('=').map_or((long, false), |(long, _)| (long, true));
        let arg = program.get_arguments().find(|arg| arg.get_long() == Some(long))?;
        return Some(1 + usize::from(takes_value(arg) && !has_value));
    }
    let letters = word.strip_prefix('-').filter(|letters| !letters.is_empty())?;
    let are_known = letters
        .chars()
        .all(|letter| program.get_arguments().any(|arg| arg.get_short() == Some(letter) && !takes_value(arg)));
    are_known.then_some(1)
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

/// The matches of the command itself, below those of the program.
pub fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, below)| innermost(below))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

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
            // Words that are no command of ours, and flags that not every command takes, are left to the parser.
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
