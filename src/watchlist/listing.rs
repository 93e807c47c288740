//! What a list says: its scripts, their roles and labels, and the options that it is read with.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use bitcoin::ScriptBuf;
use serde::{Deserialize, Serialize};

use super::report::Report;
use crate::chain::Height;

/// What a listed script is to the scan.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Money to find.
    Flagged,
    /// A place where tracing stops, such as an exchange.
    Service,
}

impl FromStr for Role {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "flagged" => Ok(Self::Flagged),
            "service" => Ok(Self::Service),
            _ => Err(format!("no role is called '{name}'; one of flagged, service")),
        }
    }
}

/// What the user said of a file: `--watch FILE,role=service,label=TEXT,from=H`, or the settings' `[[watchlist]]`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ListOptions {
    /// The format's name; detected if none.
    pub format: Option<String>,
    /// For rows that name none; else flagged.
    pub role: Option<Role>,
    /// For rows that have none.
    pub label: Option<String>,
    /// For rows that say none.
    pub from: Option<Height>,
}

/// Who says what about a script. Stored as JSON in the index, so fields can be added.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Label {
    /// The file's path, as given.
    pub list: Arc<str>,
    /// The row's label, else the one given for the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Where the listing comes from, as the row says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Category, as the row says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What the script is to the scan.
    pub role: Role,
    /// The height from which its touches are wanted, where somebody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Height>,
    /// The line that the row starts on, from 1.
    pub line: u64,
    /// Other cells of the row that aren't empty, by column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
}

impl Label {
    /// The list it comes from, by its file's name.
    pub fn list_name(&self) -> String {
        self.list.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
    }

    /// Its text; where its list gives none, the list's name.
    pub fn text(&self) -> String {
        self.label.clone().unwrap_or_else(|| self.list_name())
    }
}

/// A script and what one row says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// The script.
    pub script: ScriptBuf,
    /// What is said.
    pub label: Label,
}

/// A file that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct List {
    /// What became of its rows.
    pub report: Report,
    /// What it lists, in the file's order. The same script may come several times, with different labels.
    pub listings: Vec<Listing>,
}
