//! One transaction under one rule: sources, taint, hops, and which outputs are followed (docs/design.md, "Trace", 1 to 3).

use bitcoin::Script;

use super::rule::Rule;
use super::share::{MAX_SEGMENTS, Part, Segment, Share, TaintShares};

/// A coin on a script longer than this can't be spent (Core's `MAX_SCRIPT_SIZE`).
const MAX_SCRIPT_BYTES: usize = 10_000;

/// How far coins are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gates {
    /// The least taint with which a coin is followed; satoshis, at least 1.
    pub min_taint: u64,
    /// The most hops from a source at which a coin is followed; no limit if `None`.
    pub max_hops: Option<u32>,
}

/// A limit of hops as a person states it; where nothing is stated, the limit in force stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HopLimit {
    /// Coins are followed any number of hops.
    Unlimited,
    /// Coins are followed this many hops at most.
    AtMost(u32),
}

impl HopLimit {
    /// The most hops; `None` for no limit.
    pub fn most(self) -> Option<u32> {
        match self {
            Self::Unlimited => None,
            Self::AtMost(hops) => Some(hops),
        }
    }
}

impl From<Option<u32>> for HopLimit {
    fn from(most: Option<u32>) -> Self {
        most.map_or(Self::Unlimited, Self::AtMost)
    }
}

/// What the block that created a tainted coin decides about it, under one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is followed: its spend is indexed.
    Followed,
    /// Not followed: it is on a service's script.
    Service,
    /// Not followed: it can never be spent (see [`OutputKind::of`]).
    Unspendable,
    /// Not followed: it is on an empty script.
    AnyoneCanSpend,
    /// Not followed: it has more hops than [`Gates::max_hops`].
    MaxHops,
    /// Not followed: it has less taint than [`Gates::min_taint`].
    BelowMinTaint,
    /// Followed, as a source on a service's script; and taint from another source reached it, which is reported as an event.
    FlaggedService,
    /// Not followed: it has more than [`MAX_SEGMENTS`] segments, of which it keeps none.
    TooFragmented,
}

impl Fate {
    /// Every fate, in the order of its byte in the index's rows.
    pub const ALL: [Self; 8] = [
        Self::Followed,
        Self::Service,
        Self::Unspendable,
        Self::AnyoneCanSpend,
        Self::MaxHops,
        Self::BelowMinTaint,
        Self::FlaggedService,
        Self::TooFragmented,
    ];

    /// Whether the coin lies on the frontier: its spend isn't looked for, and it could carry its taint on.
    pub fn is_cut(self) -> bool {
        matches!(self, Self::AnyoneCanSpend | Self::MaxHops | Self::BelowMinTaint | Self::TooFragmented)
    }
}

/// The taint on a coin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// Satoshis; at most the coin's value.
    pub amount: u64,
    /// Fewest spends from a source.
    pub hops: u32,
    /// As in [`Part`].
    pub segments: Vec<Segment>,
}

/// A coin that is tainted, or a source, under one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTaint {
    /// The rule that says so.
    pub rule: Rule,
    /// For a source, its whole value with 0 hops.
    pub taint: Taint,
    /// Whether the coin is followed, or why not.
    pub fate: Fate,
}

impl RuleTaint {
    /// Whether the coin is followed.
    pub fn is_followed(&self) -> bool {
        matches!(self.fate, Fate::Followed | Fate::FlaggedService)
    }

    /// The taint that its spend carries on: none for a coin that isn't followed, which is spent as clean.
    pub fn carried(&self) -> Option<&Taint> {
        self.is_followed().then_some(&self.taint)
    }
}

/// An input of the transaction, by the coin it spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracedInput<'a> {
    /// The coin's value; satoshis.
    pub value: u64,
    /// Whether the coin is a source: then it is wholly tainted, whatever `taint` says.
    pub whole: bool,
    /// The taint that the coin carries on, see [`RuleTaint::carried`].
    pub taint: Option<&'a Taint>,
}

/// What decides an output's fate besides its taint. If several fit, the first one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// A source: wholly tainted, and followed.
    Source,
    /// A source on a service's script.
    FlaggedService,
    /// On a service's script, and no source.
    Service,
    /// It can never be spent (Core's `CScript::IsUnspendable`).
    Unspendable,
    /// On an empty script, which anyone can spend.
    AnyoneCanSpend,
    /// None of the above.
    Plain,
}

/// Whether an output on this script can never be spent (Core's `CScript::IsUnspendable`).
pub fn is_unspendable(script: &Script) -> bool {
    script.is_op_return() || script.len() > MAX_SCRIPT_BYTES
}

impl OutputKind {
    /// Classifies a script that is neither flagged nor a service's.
    pub fn of(script: &Script) -> Self {
        if is_unspendable(script) {
            Self::Unspendable
        } else if script.is_empty() {
            Self::AnyoneCanSpend
        } else {
            Self::Plain
        }
    }

    /// Classifies an output on this script, which may be a source's, a service's, or both.
    pub fn of_output(script: &Script, source: bool, service: bool) -> Self {
        match (source, service) {
            (true, true) => Self::FlaggedService,
            (true, false) => Self::Source,
            (false, true) => Self::Service,
            (false, false) => Self::of(script),
        }
    }

    /// Whether it is a source.
    pub fn is_source(self) -> bool {
        matches!(self, Self::Source | Self::FlaggedService)
    }
}

/// An output of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracedOutput {
    /// Satoshis.
    pub value: u64,
    /// Decides its fate, with its taint.
    pub kind: OutputKind,
}

/// Where the taint of a transaction's inputs went, under one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedTaint {
    /// One for each output; `None` if it is neither tainted nor a source.
    pub outputs: Vec<Option<RuleTaint>>,
    /// The taint that each output got from the inputs, satoshis; a source has more, its whole value.
    pub received: Vec<u64>,
    /// Tainted satoshis in the fee.
    pub fee: u64,
}

/// Passes the taint of `inputs` on to `outputs` under `rule`. A coinbase is given without inputs: it carries no taint in.
pub fn pass(rule: Rule, gates: Gates, inputs: &[TracedInput<'_>], outputs: &[TracedOutput]) -> PassedTaint {
    let (parts, hops): (Vec<_>, Vec<_>) = inputs.iter().map(part).unzip();
    let fewest_hops = parts.iter().zip(hops).filter(|(part, _)| part.taint > 0).map(|(_, hops)| hops).min();
    let values: Vec<_> = outputs.iter().map(|output| output.value).collect();
    let shares = match fewest_hops {
        Some(_) => rule.spread(&parts, &values),
        None => TaintShares::untainted(outputs.len()),
    };
    let hops = fewest_hops.map_or(0, |fewest| fewest.saturating_add(1));
    let received = shares.outputs.iter().map(|share| share.taint).collect();
    let outputs = outputs.iter().zip(shares.outputs).map(|(output, mut share)| {
        let fate = decide_fate(output.kind, gates, &share, hops);
        if share.segments.len() > MAX_SEGMENTS {
            // No such coin is followed under this rule, so their order doesn't matter.
            share.segments = Vec::new();
        }
        let taint = taint_output(output, share, hops)?;
        Some(RuleTaint { rule, taint, fate })
    });
    PassedTaint { outputs: outputs.collect(), received, fee: shares.fee }
}

/// The taint on an output: of a source its whole value, else its share; `None` if it has none.
fn taint_output(output: &TracedOutput, share: Share, hops: u32) -> Option<Taint> {
    if output.kind.is_source() {
        return Some(Taint { amount: output.value, hops: 0, segments: Vec::new() });
    }
    (share.taint > 0).then_some(Taint { amount: share.taint, hops, segments: share.segments })
}

fn decide_fate(kind: OutputKind, gates: Gates, share: &Share, hops: u32) -> Fate {
    match kind {
        OutputKind::FlaggedService if share.taint > 0 => Fate::FlaggedService,
        OutputKind::Source | OutputKind::FlaggedService => Fate::Followed,
        OutputKind::Service => Fate::Service,
        OutputKind::Unspendable => Fate::Unspendable,
        OutputKind::AnyoneCanSpend => Fate::AnyoneCanSpend,
        OutputKind::Plain if gates.max_hops.is_some_and(|most| hops > most) => Fate::MaxHops,
        OutputKind::Plain if share.taint < gates.min_taint => Fate::BelowMinTaint,
        OutputKind::Plain if share.segments.len() > MAX_SEGMENTS => Fate::TooFragmented,
        OutputKind::Plain => Fate::Followed,
    }
}

/// What an input brings, as the rules need it, and the hops of its taint.
fn part<'a>(input: &TracedInput<'a>) -> (Part<'a>, u32) {
    match input.taint {
        _ if input.whole => (Part { value: input.value, taint: input.value, segments: &[] }, 0),
        Some(taint) => (Part { value: input.value, taint: taint.amount, segments: &taint.segments }, taint.hops),
        None => (Part { value: input.value, taint: 0, segments: &[] }, 0),
    }
}
