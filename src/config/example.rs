//! config.example.toml, printed from the table of settings.

use std::fmt::{self, Write};

use super::lists::{LIST_SETTINGS, LISTS};
use super::setting::{Fallback, Setting};
use super::table::SETTINGS;

const HEAD: &str = "\
# coinhound's settings with their defaults. Copy the lines that you change to $XDG_CONFIG_HOME/coinhound/config.toml
# (~/.config/coinhound/config.toml), or name another file with --config FILE.
#
# The command line beats the environment (COINHOUND_NODE_RPC_URL for node.rpc_url, and so on), which beats this file.
# Relative paths count from this file's folder. Unknown keys are errors.
";

/// What holds for a whole section.
const SECTION_NOTES: [(&str, &str); 4] = [
    ("node", "Log in with the cookie, or with a user and a password file: not both."),
    (
        "trace",
        "How far coins are followed. Wider values cost the next backfill a sweep over the records; it refuses tighter ones without \
         --accept-shrink.",
    ),
    (
        "query",
        "How near now the index has to be for an answer to a question without --at. Otherwise the answer is not complete: exit code 3.",
    ),
    ("log", "On the command line, -v and -q set the level."),
];

/// The text of config.example.toml.
fn example() -> Result<String, fmt::Error> {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for setting in &SETTINGS {
        if setting.section() != section {
            section = setting.section();
            writeln!(text, "\n[{section}]")?;
            for (_, note) in SECTION_NOTES.iter().filter(|(name, _)| *name == section) {
                writeln!(text, "# {note}")?;
            }
        }
        writeln!(text, "\n# {}.", setting.help)?;
        if !matches!(setting.fallback, Fallback::Value(_)) {
            writeln!(text, "# Default: {}.", setting.default_words())?;
        }
        writeln!(text, "# {} = {}", setting.name(), toml_value(example_value(setting)))?;
    }
    writeln!(text, "\n# Lists to scan for: one [[{LISTS}]] section for each. Default: none.")?;
    for setting in &LIST_SETTINGS {
        writeln!(text, "#   {:6}  {}", setting.key, setting.help)?;
    }
    writeln!(text, "# [[{LISTS}]]")?;
    for setting in &LIST_SETTINGS {
        writeln!(text, "# {} = {}", setting.key, toml_value(setting.example))?;
    }
    Ok(text)
}

/// A value to show: the default, where that is the same on all machines.
fn example_value(setting: &Setting) -> &'static str {
    match &setting.fallback {
        Fallback::Value(value) => value,
        Fallback::Found { example, .. } | Fallback::Unset { example, .. } => example,
    }
}

/// A number as it is, anything else in quotes.
fn toml_value(text: &str) -> String {
    if text.parse::<u64>().is_ok() { text.to_owned() } else { format!("\"{text}\"") }
}

#[test]
fn the_committed_example_is_what_the_table_prints() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml");
    let printed = example().unwrap();
    if std::env::var_os("COINHOUND_WRITE_EXAMPLE").is_some() {
        std::fs::write(path, &printed).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(committed == printed, "set COINHOUND_WRITE_EXAMPLE=1 to have this test write {path} anew");
}
