//! What an index is of: its chain, its trace parameters, the lists that were taken in.

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use serde::{Deserialize, Serialize};

use super::schema::{FORMAT, Family};
use super::{IndexError, Result, Step, View};
use crate::chain::{Chain, Height};
use crate::trace::{Gates, Rule};
use crate::watchlist::Role;

pub(super) const FORMAT_KEY: &[u8] = b"format";
const GENESIS_KEY: &[u8] = b"genesis";
const CHAIN_KEY: &[u8] = b"chain";
const CHALLENGE_KEY: &[u8] = b"challenge";
const TRACE_KEY: &[u8] = b"trace";
const LISTS_KEY: &[u8] = b"lists";
const GOAL_KEY: &[u8] = b"goal";
const CAUGHT_UP_KEY: &[u8] = b"caught_up";

/// The chain an index is of; all signets share a genesis block, so a signet is told by its challenge too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which chain.
    pub chain: Chain,
    /// Its first block.
    pub genesis: BlockHash,
    /// The signet's challenge script, in hex.
    pub challenge: Option<String>,
}

impl Identity {
    /// In words, for messages.
    pub fn describe(&self) -> String {
        match &self.challenge {
            Some(challenge) => format!("{} with challenge {challenge}", self.chain),
            None => self.chain.to_string(),
        }
    }

    /// Whether both are of one chain. A node before version 28 doesn't tell its signet's challenge: then the genesis must do.
    pub fn is_same_chain(&self, other: &Self) -> bool {
        let challenges = self.challenge.as_ref().zip(other.challenge.as_ref());
        self.chain == other.chain && self.genesis == other.genesis && challenges.is_none_or(|(one, two)| one == two)
    }

    /// The rows that state it, with the format.
    pub fn put(&self, step: &mut Step<'_>) {
        step.raw_put(Family::Meta, FORMAT_KEY, &FORMAT.to_be_bytes());
        step.raw_put(Family::Meta, GENESIS_KEY, self.genesis.as_byte_array());
        step.raw_put(Family::Meta, CHAIN_KEY, self.chain.name().as_bytes());
        if let Some(challenge) = &self.challenge {
            step.raw_put(Family::Meta, CHALLENGE_KEY, challenge.as_bytes());
        }
    }

    /// Reads it back, after looking at the format.
    ///
    /// # Errors
    /// [`IndexError::OtherFormat`], [`IndexError::Damaged`].
    pub fn read(view: &View) -> Result<Self> {
        let damaged = |detail: &str| IndexError::Damaged { path: view.path().to_owned(), detail: detail.to_owned() };
        let format = view.raw_get(Family::Meta, FORMAT_KEY)?.ok_or_else(|| damaged("it states no format"))?;
        if format != FORMAT.to_be_bytes() {
            let found =
                format.try_into().map_or_else(|_| "unknown".to_owned(), |bytes| u32::from_be_bytes(bytes).to_string());
            return Err(IndexError::OtherFormat { path: view.path().to_owned(), found });
        }
        let genesis = view.raw_get(Family::Meta, GENESIS_KEY)?.and_then(|bytes| BlockHash::from_slice(&bytes).ok());
        let chain = view.raw_get(Family::Meta, CHAIN_KEY)?.and_then(|name| String::from_utf8(name).ok()?.parse().ok());
        let challenge =
            view.raw_get(Family::Meta, CHALLENGE_KEY)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Self {
            chain: chain.ok_or_else(|| damaged("it states no chain"))?,
            genesis: genesis.ok_or_else(|| damaged("it states no genesis block"))?,
            challenge,
        })
    }
}

/// How far coins are followed, and under which rules. Without a rule only coins on flagged scripts are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceParameters {
    /// The tracked rules, in the order of their bytes.
    pub rules: Vec<Rule>,
    /// A coin with less taint is not followed; satoshis.
    pub min_taint_sat: u64,
    /// A coin further from its source is not followed.
    pub max_hops: Option<u32>,
}

impl TraceParameters {
    /// How far coins are followed under every rule.
    pub fn gates(&self) -> Gates {
        Gates { min_taint: self.min_taint_sat.max(1), max_hops: self.max_hops }
    }
}

impl Default for TraceParameters {
    fn default() -> Self {
        Self { rules: vec![Rule::Haircut, Rule::Fifo], min_taint_sat: 100_000, max_hops: None }
    }
}

/// One list as it was when the index took it in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenList {
    /// Where it was.
    pub path: String,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// The format it was read as.
    pub format: String,
    /// What the settings said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What the settings said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What the settings said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Height>,
    /// Rows taken in.
    pub accepted: u64,
    /// Rows that could not be.
    pub quarantined: u64,
    /// Rows of other chains.
    pub other_chain: u64,
}

/// All lists as the index took them in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenLists {
    /// In the order of the settings.
    pub files: Vec<TakenList>,
    /// Whether the user has looked at the rows that could not be read, and accepts that they are not looked for.
    #[serde(default)]
    pub quarantine_accepted: bool,
}

impl TakenLists {
    /// SHA-256, hex, over what the files say and what the settings say of them; not over their paths or order.
    pub fn version(&self) -> String {
        let mut parts: Vec<_> =
            self.files.iter().map(|file| (&file.sha256, file.role, &file.label, file.from)).collect();
        parts.sort();
        let text = serde_json::to_vec(&parts).expect("strings and numbers");
        bitcoin::hashes::sha256::Hash::hash(&text).to_string()
    }

    /// With what was said of the quarantine of the very same lists, if nothing is said now.
    #[must_use]
    pub fn keeping(mut self, before: &Self) -> Self {
        self.quarantine_accepted |= before.quarantine_accepted && before.version() == self.version();
        self
    }

    /// Whether no list has lost more than a tenth of its rows since.
    ///
    /// # Errors
    /// The first that has: its path, its rows then and now.
    pub fn check_shrink(&self, now: &Self) -> Result<(), (String, u64, u64)> {
        for before in &self.files {
            let same = now.files.iter().find(|file| file.path == before.path);
            if let Some(file) = same.filter(|file| file.accepted.saturating_mul(10) < before.accepted.saturating_mul(9))
            {
                return Err((file.path.clone(), before.accepted, file.accepted));
            }
        }
        Ok(())
    }

    /// Rows that could not be read, in all.
    pub fn quarantined(&self) -> u64 {
        self.files.iter().map(|file| file.quarantined).sum()
    }
}

/// Writes the trace parameters.
pub fn put_trace(step: &mut Step<'_>, parameters: &TraceParameters) {
    step.raw_put(Family::Meta, TRACE_KEY, &serde_json::to_vec(parameters).expect("strings and numbers"));
}

/// Writes what lists were taken in.
pub fn put_lists(step: &mut Step<'_>, lists: &TakenLists) {
    step.raw_put(Family::Meta, LISTS_KEY, &serde_json::to_vec(lists).expect("strings and numbers"));
}

/// The trace parameters.
///
/// # Errors
/// [`IndexError::Corrupt`] where there are none.
pub fn trace(view: &View) -> Result<TraceParameters> {
    read_json(view, TRACE_KEY)
}

/// The lists that were taken in.
///
/// # Errors
/// [`IndexError::Corrupt`] where there are none.
pub fn lists(view: &View) -> Result<TakenLists> {
    read_json(view, LISTS_KEY)
}

/// Writes the height that a run sets out to reach: until it does, what lies between is a gap.
pub fn put_goal(step: &mut Step<'_>, goal: Height) {
    step.raw_put(Family::Meta, GOAL_KEY, &goal.to_be_bytes());
}

/// The height that the last run set out to reach.
///
/// # Errors
/// [`IndexError::Corrupt`].
pub fn goal(view: &View) -> Result<Option<Height>> {
    let Some(value) = view.raw_get(Family::Meta, GOAL_KEY)? else { return Ok(None) };
    let bytes = value.try_into().map_err(|_| View::corrupt(Family::Meta, GOAL_KEY))?;
    Ok(Some(Height::from_be_bytes(bytes)))
}

/// Writes the tip that the log last said was caught up with.
pub fn put_caught_up(step: &mut Step<'_>, tip: BlockHash) {
    step.raw_put(Family::Meta, CAUGHT_UP_KEY, tip.as_byte_array());
}

/// There is something to catch up with again, whatever the tip.
pub fn forget_caught_up(step: &mut Step<'_>) {
    step.raw_delete(Family::Meta, CAUGHT_UP_KEY);
}

/// The tip that the log last said was caught up with.
///
/// # Errors
/// [`IndexError::Corrupt`].
pub fn caught_up(view: &View) -> Result<Option<BlockHash>> {
    let Some(value) = view.raw_get(Family::Meta, CAUGHT_UP_KEY)? else { return Ok(None) };
    BlockHash::from_slice(&value).map(Some).map_err(|_| View::corrupt(Family::Meta, CAUGHT_UP_KEY))
}

fn read_json<T: serde::de::DeserializeOwned>(view: &View, key: &[u8]) -> Result<T> {
    let value = view.raw_get(Family::Meta, key)?.unwrap_or_default();
    serde_json::from_slice(&value).map_err(|_| View::corrupt(Family::Meta, key))
}
