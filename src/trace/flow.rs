//! One transaction under one rule: sources, taint, hops, and which outputs are followed (DESIGN §6, 1 to 3).

use bitcoin::Script;

use super::rule::{Part, Rule, Segment};

/// Scripts longer than this can't be spent (Core's `MAX_SCRIPT_SIZE`).
pub const MAX_SCRIPT_BYTES: usize = 10_000;

/// How far coins are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gates {
    /// A coin with less taint is not followed; satoshis, at least 1.
    pub min_taint: u64,
    /// A coin further from its source is not followed.
    pub max_hops: Option<u32>,
}

/// What became of a tainted coin under one rule, as far as the block that made it decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its spend is looked for.
    Followed,
    /// On a service's script.
    Service,
    /// Can never be spent.
    Unspendable,
    /// On an empty script.
    AnyoneCanSpend,
    /// More hops from its source than asked for.
    MaxHops,
    /// Too little taint.
    BelowMinTaint,
    /// A source on a service's script which taint of other sources reached: followed, and told of.
    FlaggedService,
}

impl Fate {
    /// All of them, in the order of their bytes in rows.
    pub const ALL: [Self; 7] = [
        Self::Followed,
        Self::Service,
        Self::Unspendable,
        Self::AnyoneCanSpend,
        Self::MaxHops,
        Self::BelowMinTaint,
        Self::FlaggedService,
    ];
}

/// The taint of a coin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// Satoshis; not more than the coin's value.
    pub amount: u64,
    /// Fewest spends from a source.
    pub hops: u32,
    /// As in [`Part`].
    pub segments: Vec<Segment>,
}

/// What one rule says of a coin that holds taint, or is a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Which rule.
    pub rule: Rule,
    /// Satoshis, hops, and where they lie.
    pub taint: Taint,
    /// Whether it is followed, or why not.
    pub fate: Fate,
}

impl Column {
    /// Whether its spend is looked for.
    pub fn is_followed(&self) -> bool {
        matches!(self.fate, Fate::Followed | Fate::FlaggedService)
    }

    /// What its spend brings along: a coin that isn't followed is spent as clean.
    pub fn carried(&self) -> Option<&Taint> {
        self.is_followed().then_some(&self.taint)
    }
}

/// What an input brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// Satoshis.
    pub value: u64,
    /// Whether its script is flagged: then it is wholly tainted, whatever its coin held.
    pub whole: bool,
    /// The taint of its coin, if the rule follows it.
    pub taint: Option<&'a Taint>,
}

/// What decides an output's fate besides its taint; the first that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Flagged: wholly tainted, and followed.
    Source,
    /// The same, on a service's script.
    FlaggedService,
    /// On a service's script.
    Service,
    /// Can never be spent.
    Unspendable,
    /// On an empty script.
    AnyoneCanSpend,
    /// None of these.
    Plain,
}

impl Kind {
    /// That of a script that is neither a source nor a service's.
    pub fn of(script: &Script) -> Self {
        if script.is_op_return() || script.len() > MAX_SCRIPT_BYTES {
            Self::Unspendable
        } else if script.is_empty() {
            Self::AnyoneCanSpend
        } else {
            Self::Plain
        }
    }
}

/// An output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Satoshis.
    pub value: u64,
    /// What it is.
    pub kind: Kind,
}

/// What a transaction did with the taint of its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// One for each output; `None` where it holds no taint and is no source.
    pub columns: Vec<Option<Column>>,
    /// What the rule gave each output, before sources became wholly tainted; satoshis.
    pub carried: Vec<u64>,
    /// Tainted satoshis that went to the miner.
    pub fee: u64,
}

/// Passes taint on under `rule`. A coinbase has no inputs here, and so no taint in.
pub fn pass(rule: Rule, gates: Gates, inputs: &[Input<'_>], outputs: &[Output]) -> Passed {
    let (parts, hops): (Vec<_>, Vec<_>) = inputs.iter().map(part).unzip();
    let tainted = parts.iter().zip(hops).filter(|(part, _)| part.taint > 0).map(|(_, hops)| hops).min();
    let values: Vec<_> = outputs.iter().map(|output| output.value).collect();
    let shares = match tainted {
        Some(_) => rule.spread(&parts, &values),
        None => super::Shares { outputs: vec![super::Share::default(); outputs.len()], fee: 0 },
    };
    let hops = tainted.map_or(0, |fewest| fewest.saturating_add(1));
    let carried = shares.outputs.iter().map(|share| share.taint).collect();
    let column = |(output, share): (&Output, super::Share)| {
        let fate = fate(output.kind, gates, share.taint, hops);
        if matches!(output.kind, Kind::Source | Kind::FlaggedService) {
            let taint = Taint { amount: output.value, hops: 0, segments: Vec::new() };
            return Some(Column { rule, taint, fate });
        }
        let taint = Taint { amount: share.taint, hops, segments: share.segments };
        (share.taint > 0).then_some(Column { rule, taint, fate })
    };
    let columns = outputs.iter().zip(shares.outputs).map(column).collect();
    Passed { columns, carried, fee: shares.fee }
}

fn fate(kind: Kind, gates: Gates, taint: u64, hops: u32) -> Fate {
    match kind {
        Kind::FlaggedService if taint > 0 => Fate::FlaggedService,
        Kind::Source | Kind::FlaggedService => Fate::Followed,
        Kind::Service => Fate::Service,
        Kind::Unspendable => Fate::Unspendable,
        Kind::AnyoneCanSpend => Fate::AnyoneCanSpend,
        Kind::Plain if gates.max_hops.is_some_and(|most| hops > most) => Fate::MaxHops,
        Kind::Plain if taint < gates.min_taint => Fate::BelowMinTaint,
        Kind::Plain => Fate::Followed,
    }
}

/// An input as the rules see it, and its hops.
fn part<'a>(input: &Input<'a>) -> (Part<'a>, u32) {
    match input.taint {
        _ if input.whole => (Part { value: input.value, taint: input.value, segments: &[] }, 0),
        Some(taint) => (Part { value: input.value, taint: taint.amount, segments: &taint.segments }, taint.hops),
        None => (Part { value: input.value, taint: 0, segments: &[] }, 0),
    }
}
