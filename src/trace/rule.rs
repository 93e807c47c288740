//! The rules by name: what they are called in settings and rows, and which file computes each one's shares.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::share::{Part, TaintShares};
use super::{fifo, haircut, lifo, poison, tiho};

/// How taint passes from inputs to outputs (defined in docs/taint.md, with who uses which).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// All outputs wholly, if any input is tainted: an exposure, never an amount.
    Poison,
    /// In proportion to value (pari passu), in whole satoshis by highest averages (D'Hondt).
    Haircut,
    /// First in, first out (Clayton's Case).
    Fifo,
    /// Last in, first out.
    Lifo,
    /// Taint in, highest out (Tironsakkul et al.).
    Tiho,
}

impl Rule {
    /// Every rule, in the order of [`Rule::byte`].
    pub const ALL: [Self; 5] = [Self::Poison, Self::Haircut, Self::Fifo, Self::Lifo, Self::Tiho];

    /// The name in settings, flags and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Poison => "poison",
            Self::Haircut => "haircut",
            Self::Fifo => "fifo",
            Self::Lifo => "lifo",
            Self::Tiho => "tiho",
        }
    }

    /// The number in rows of the index.
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// The rule with the number `byte`.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }

    /// Whether Σ taint in = Σ taint out + taint in the fee. Not so for `poison`, which therefore can't be tracked: an index that did
    /// would have no bound.
    pub fn conserves(self) -> bool {
        self != Self::Poison
    }

    /// Spreads the taint of `inputs` over `outputs` (values in satoshis) and the fee, which is the inputs' value less the outputs'.
    /// Only a coinbase pays more than it spends, and it has no inputs here.
    pub fn spread(self, inputs: &[Part<'_>], outputs: &[u64]) -> TaintShares {
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

/// A name that no rule has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a rule; use poison, haircut, fifo, lifo or tiho")]
pub struct NoRule(String);

impl FromStr for Rule {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Self, NoRule> {
        Self::ALL.into_iter().find(|rule| rule.name() == text).ok_or_else(|| NoRule(text.to_owned()))
    }
}
