//! What a setting is: one row of the table, from which the flag, its help, the variable, the file's key and its comment are made.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::error::ConfigError;
use super::paths::{Environment, from_folder, home_expanded};
use super::settings::Settings;
use crate::node::{Given, Origin};

/// A setting that takes one value.
pub struct Setting {
    /// `SECTION.NAME` in the file.
    pub key: &'static str,
    /// The flag's name without its dashes; `None` where only the file and the environment have the setting.
    pub flag: Option<&'static str>,
    /// Stands for the value in help texts.
    pub value_name: &'static str,
    /// Says what the setting does, as an instruction, without a full stop.
    pub help: &'static str,
    /// The value where none is given.
    pub fallback: Fallback,
    /// Reads the value and puts it where it belongs; the error says what is wrong with the text.
    pub(super) set: fn(&mut Settings, &Text<'_>) -> Result<(), String>,
}

/// The value of a setting where none is given.
pub enum Fallback {
    /// This one, written as a user would.
    Value(&'static str),
    /// One that depends on the machine.
    Found {
        /// Which, in words.
        words: &'static str,
        /// A value to show in the example file.
        #[cfg_attr(
            not(any(test, feature = "testing")),
            expect(dead_code, reason = "a test compares config.example.toml with what is printed from it")
        )]
        example: &'static str,
        /// Finds it; settings above this one in the table are known by then.
        find: fn(&Settings, Environment<'_>) -> Result<String, ConfigError>,
    },
    /// None: a layer below decides.
    Unset {
        /// How it decides, in words.
        words: &'static str,
        /// A value to show in the example file.
        #[cfg_attr(
            not(any(test, feature = "testing")),
            expect(dead_code, reason = "a test compares config.example.toml with what is printed from it")
        )]
        example: &'static str,
    },
}

impl Setting {
    /// The section of the file that it is in.
    pub fn section(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(section, _)| section)
    }

    /// Its name within its section.
    pub fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }

    /// Its variable in the environment.
    pub fn variable(&self) -> String {
        format!("COINHOUND_{}", self.key.replace('.', "_").to_uppercase())
    }

    /// Its default in words.
    pub fn default_words(&self) -> &'static str {
        match &self.fallback {
            Fallback::Value(words) | Fallback::Found { words, .. } | Fallback::Unset { words, .. } => words,
        }
    }

    /// How a user gave it: the flag, the variable, or the file's path.
    pub(super) fn given_by(&self, origin: &Origin) -> String {
        match (origin, self.flag) {
            (Origin::Flag, Some(flag)) => format!("--{flag}"),
            (Origin::Environment(name), _) => name.clone(),
            (origin, _) => origin.to_string(),
        }
    }
}

/// The text of a value, with where it was given.
pub(super) struct Text<'a> {
    /// As it was given.
    pub text: String,
    /// By whom.
    pub origin: Origin,
    /// The folder of the configuration file.
    pub folder: &'a Path,
}

impl Text<'_> {
    /// The value that the text stands for.
    pub fn parse<T: FromStr<Err: Display>>(&self) -> Result<T, String> {
        self.parse_with(T::from_str)
    }

    /// The value that `parse` reads from the text.
    pub fn parse_with<T, E: Display>(&self, parse: impl Fn(&str) -> Result<T, E>) -> Result<T, String> {
        parse(&self.text).map_err(|problem| format!("'{}': {problem}", self.text))
    }

    /// A path; one from the configuration file counts from that file's folder.
    pub fn path(&self) -> PathBuf {
        match self.origin {
            Origin::File(_) => from_folder(self.folder, Path::new(&self.text)),
            _ => home_expanded(Path::new(&self.text)),
        }
    }

    /// `value` with the text's origin.
    pub fn given<T>(&self, value: T) -> Given<T> {
        Given::new(value, self.origin.clone())
    }
}
