//! The flags of settings and output. Those of settings are made from the table in `config`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, FromArgMatches};

use crate::config::{Flags, LOG_LEVEL, SETTINGS, Setting, watch_syntax};
use crate::output::AnswerFormat;

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
