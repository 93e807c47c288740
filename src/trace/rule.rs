//! The rules by name, and the interface that each of them has: inputs and outputs of one transaction in, shares out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{fifo, haircut, lifo, poison, tiho};

/// How taint passes from inputs to outputs (`reference/TAINT.md` has the definitions and who uses them).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// Everything, if any input is tainted: an exposure, never an amount.
    Poison,
    /// A share in proportion to value (pari passu), whole satoshis by highest averages (D'Hondt).
    Haircut,
    /// First in, first out (Clayton's Case).
    Fifo,
    /// Last in, first out.
    Lifo,
    /// Taint in, highest out.
    Tiho,
}

impl Rule {
    /// All of them, in the order of their bytes.
    pub const ALL: [Self; 5] = [Self::Poison, Self::Haircut, Self::Fifo, Self::Lifo, Self::Tiho];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Poison => "poison",
            Self::Haircut => "haircut",
            Self::Fifo => "fifo",
            Self::Lifo => "lifo",
            Self::Tiho => "tiho",
        }
    }

    /// Its number in rows of the index.
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// The rule of that number.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }

    /// Whether Σ taint in = Σ taint out + taint in fee; all but `poison`, which therefore can't be tracked: nothing would bound it.
    pub fn conserves(self) -> bool {
        self != Self::Poison
    }

    /// How the taint of `inputs` passes on to `outputs` (values, satoshis) and the fee, which is what is left of the inputs' value.
    /// Outputs may be worth more than inputs only in a coinbase, which has none.
    pub fn spread(self, inputs: &[Part<'_>], outputs: &[u64]) -> Shares {
        match self {
            Self::Poison => poison::spread(inputs, outputs),
            Self::Haircut => haircut::spread(inputs, outputs),
            Self::Fifo => fifo::spread(inputs, outputs),
            Self::Lifo => lifo::spread(inputs, outputs),
            Self::Tiho => tiho::spread(inputs, outputs),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No rule has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no rule; there are poison, haircut, fifo, lifo and tiho")]
pub struct NoRule(String);

impl FromStr for Rule {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Self, NoRule> {
        Self::ALL.into_iter().find(|rule| rule.name() == text).ok_or_else(|| NoRule(text.to_owned()))
    }
}

/// A run of satoshis within a coin, all tainted or all clean (FIFO and LIFO).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// From a source, or clean.
    pub tainted: bool,
    /// Satoshis.
    pub length: u64,
}

/// One input of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Satoshis.
    pub value: u64,
    /// Of these, tainted ones.
    pub taint: u64,
    /// Where they lie, in order, neighbours of one kind merged; empty where all or none are tainted, and under rules that keep no
    /// order.
    pub segments: &'a [Segment],
}

/// What one output gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Satoshis.
    pub taint: u64,
    /// As in [`Part`].
    pub segments: Vec<Segment>,
}

/// What all of them get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// One for each output.
    pub outputs: Vec<Share>,
    /// Tainted satoshis that went to the miner.
    pub fee: u64,
}
