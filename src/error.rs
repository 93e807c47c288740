//! Whatever a command fails with, and the exit code it means.

use crate::audit::AuditError;
use crate::config::ConfigError;
use crate::index::IndexError;
use crate::node::NodeError;
use crate::output::OutputError;
use crate::query::QueryError;
use crate::sync::SyncError;
use crate::watchlist::ListError;

/// How a command ended (CLI.md, "Exit codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: answered, and coverage bears the answer.
    Answered,
    /// 1: failed.
    Failed,
    /// 2: wrong usage.
    Usage,
    /// 3: answered, but coverage doesn't bear it.
    Uncovered,
    /// 4: `screen` found something, whatever coverage bears.
    Found,
}

impl Exit {
    /// Its number.
    pub fn code(self) -> u8 {
        match self {
            Self::Answered => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Uncovered => 3,
            Self::Found => 4,
        }
    }

    /// That of an answer with or without full coverage.
    pub fn of(complete: bool) -> Self {
        if complete { Self::Answered } else { Self::Uncovered }
    }
}

/// Every layer's error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was typed makes no sense together.
    #[error("{0}")]
    Usage(String),
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A list.
    #[error(transparent)]
    List(#[from] ListError),
    /// A comparison.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A list's file can't be opened.
    #[error("the list {path} can't be read: {source}")]
    ListFile {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file of targets can't be read.
    #[error("the targets in {path} can't be read: {source}")]
    TargetsFile {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A sweep.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// A question.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Printing.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The system.
    #[error("{what}: {source}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        source: std::io::Error,
    },
}

impl Error {
    /// The exit code it means.
    pub fn exit(&self) -> Exit {
        let usage = match self {
            Self::Usage(_) | Self::Config(_) => true,
            Self::Node(error) | Self::Sync(SyncError::Node(error)) => error.is_usage(),
            Self::Query(error) => error.is_usage(),
            Self::List(error) => matches!(error, ListError::UnknownFormat { .. }),
            // A closed pipe is no failure.
            Self::Output(OutputError::Closed) => return Exit::Answered,
            _ => false,
        };
        if usage { Exit::Usage } else { Exit::Failed }
    }

    /// Whether there is nobody left to tell.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Output(OutputError::Closed))
    }
}
