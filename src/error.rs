//! The error that a command ends with, gathered from every layer, and the exit code for it.

use crate::audit::AuditError;
use crate::config::ConfigError;
use crate::index::IndexError;
use crate::node::NodeError;
use crate::output::OutputError;
use crate::query::QueryError;
use crate::sync::SyncError;
use crate::watchlist::ListError;

/// How a command ended. Scripts depend on the codes: they are part of the command line's contract (docs/cli.md, "Exit codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: answered, and the coverage supports the answer. A closed pipe also ends with 0.
    Answered,
    /// 1: failed, or `verify` found a difference.
    Failed,
    /// 2: wrong usage: arguments or settings that no run can work with.
    Usage,
    /// 3: answered, but the coverage doesn't support the answer.
    Uncovered,
    /// 4: `screen` found something, whether or not the coverage is complete.
    Found,
    /// 5: the index can't be used as it is; running the same again doesn't help.
    Unusable,
}

impl Exit {
    /// The code.
    pub fn code(self) -> u8 {
        match self {
            Self::Answered => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Uncovered => 3,
            Self::Found => 4,
            Self::Unusable => 5,
        }
    }

    /// The exit of an answer whose coverage is `complete`, or isn't.
    pub fn of(complete: bool) -> Self {
        if complete { Self::Answered } else { Self::Uncovered }
    }
}

/// Why a command gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Arguments that don't fit together, or a question that can't be asked.
    #[error("{0}")]
    Usage(String),
    /// A setting can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A list can't be used.
    #[error(transparent)]
    List(#[from] ListError),
    /// The index could not be compared.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A list's file can't be opened.
    #[error("the list {path} can't be read: {source}")]
    ListFile {
        /// The file as it was named.
        path: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file of `screen --file` can't be read.
    #[error("the targets in {path} can't be read: {source}")]
    TargetsFile {
        /// The file as it was named.
        path: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The node can't be asked, or its answer can't be used.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The index can't be used.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A sweep failed.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// A question can't be answered.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The answer can't be printed.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The operating system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was attempted.
        what: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
}

impl Error {
    /// The exit code for it.
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
        match self.index_error() {
            _ if usage => Exit::Usage,
            Some(error) if error.is_lasting() => Exit::Unusable,
            _ => Exit::Failed,
        }
    }

    /// What is wrong with the index, where that is why.
    fn index_error(&self) -> Option<&IndexError> {
        match self {
            Self::Index(error)
            | Self::Query(QueryError::Index(error))
            | Self::Sync(SyncError::Index(error))
            | Self::Audit(AuditError::Index(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether there is nothing to print: the reader of the answer has gone.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Output(OutputError::Closed))
    }
}
