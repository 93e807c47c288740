//! The table of everything stored: families, keys, values, byte for byte. Format 2.
//!
//! Integers are big-endian: in keys, so that the order of the bytes is the order of heights; in values, for one rule. Numbers in
//! brackets are bytes. `compact` is Bitcoin's CompactSize. Hashes are in the digest's own byte order, not the displayed one.
//!
//! | family | key | value |
//! |---|---|---|
//! | `meta` | name, ASCII | `format`: version\[4\] · `genesis`: block hash\[32\] · `chain`: name, ASCII · `challenge`: signet's script, hex, if any · `trace`: JSON, [`TraceParameters`](super::meta::TraceParameters) · `lists`: JSON, [`TakenLists`](super::meta::TakenLists) · `goal`: height\[4\] the last run set out to reach · `caught_up`: block hash\[32\] of the tip that the log last said was caught up with · `events_from`: seq\[8\] of the first event that is kept, where earlier ones were removed |
//! | `entries` | script_hash\[32\] | roles\[1\] (bit 0 flagged, bit 1 service, bit 2: lowered) from\[4\] sweep\[4\] · if lowered: from\[4\] sweep\[4\] · script_length(compact) script_pubkey labels (JSON to the end) |
//! | `same_key` | first bytes\[8\] of a script's script_hash, script_hash\[32\] of a flagged entry of the same key that the script's own bytes don't show | – |
//! | `headers` | height\[4\] | header\[80\], from genesis on |
//! | `records` | height\[4\] tx_index\[4\] | length(compact) transaction without witness · per input, none for a coinbase: value\[8\] script_length(compact) script of the spent output · merkle branch: hash\[32\] each, lowest first, to the end |
//! | `txids` | txid\[32\] height\[4\] tx_index\[4\] | – |
//! | `touches` | script_hash\[32\] height\[4\] tx_index\[4\] kind\[1\] io_index\[4\] | value\[8\]; kind: spending 0, funding 1 |
//! | `coins` | txid\[32\] vout\[4\] height\[4\] | value\[8\] script_hash\[32\] coinbase\[1\] · per tracked rule under which it holds taint (a source: all): rule\[1\] taint\[8\] hops\[4\] fate\[1\] segments\[4\] then per segment tainted\[1\] length\[8\] |
//! | `scripts` | script_hash\[32\] height\[4\] tx_index\[4\] vout\[4\] | – |
//! | `spends` | txid\[32\] vout\[4\] | spender: height\[4\] tx_index\[4\] vin\[4\] · per tracked rule under which the input is tainted: rule\[1\] taint\[8\] hops\[4\] |
//! | `sweeps` | id\[4\] | next height\[4\] kind\[1\]; kind 0: the main sweep, id 0 · 1: one below it, then blocks_from\[4\], the height from which it reads blocks for the sake of coins alone, all ones for none · 2: joined, and instead of a height the id\[4\] of the sweep that it is part of |
//! | `events` | seq\[8\] | kind\[1\] flags\[1\]; kind 0 touch by an input, 1 touch by an output, 2 moved, 3 service: then height\[4\] tx_index\[4\] and, but for 2, the index of the input or output\[4\] · 4 reorg: fork\[4\] stale height\[4\] stale block hash\[32\] · 5 caught up: height\[4\] block hash\[32\]; flags: bit 0 seen at the tip, bit 1 revised, bit 2 retracted, bit 3 by a retrace |
//! | `former` | height\[4\] tx_index\[4\] seq\[8\] | what the record at that position said to events before seq: retractions\[4\] removed\[1\] · if removed: block hash\[32\] block time\[4\] length(compact) value of its row of `records` · inputs\[4\], then per tainted input vin\[4\] count\[1\] and per rule rule\[1\] taint\[8\] hops\[4\] · outputs\[4\], then per tainted output vout\[4\] count\[1\] and per rule rule\[1\] taint\[8\] hops\[4\] fate\[1\] · to the end: per tainted input whose coin was no source vin\[4\] and the position of the record that made it, height\[4\] tx_index\[4\] |
//! | `sums` | kind\[1\]; kind 0: entries with roles\[1\] · 1: flagged entries that are covered from\[4\] sweep\[4\] lowered\[1\] (0 or 1), if lowered: from\[4\] sweep\[4\] · 2: those of them on a list, its name to the end · 3: records · 4: touches · 5: followed coins · 6: those of them that are not spent · 7: taint of coins, rule\[1\] fate\[1\] | sum\[16\], not 0 |
//!
//! * The interval of an entry is `[from, through]`, where `through` is the next height of its sweep less one: each batch moves one row,
//!   however many entries there are. A lowered entry keeps its interval until the sweep that it was lowered for has come up to it.
//! * A `spends` row names the last spend of an outpoint. Only of BIP30's twins, where the later coin was made after the spend of the
//!   earlier one, can an outpoint be spent twice.
//! * An event names a position, and what it says is read from the record there. Before a record is removed, or says something else, what
//!   it said goes to `former` under the seq of the next event: an event is about the first `former` row of its position with a greater
//!   seq, and about the record itself where there is none. The retractions that belong to such a row have its seq and those after it.
//! * FIFO's segments are left out (0 of them) where the coin is wholly tainted or wholly clean, or has too many.
//!
//! `docs/formats.md` has the same table for readers outside the code.

use crate::chain::Height;

/// The version of this table.
pub const FORMAT: u32 = 2;

/// The key in `meta` of the version that an index was written in.
pub(super) const FORMAT_KEY: &[u8] = b"format";

/// A column family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Format, chain, parameters, the lists as they were read.
    Meta,
    /// Flagged scripts and services, with labels and intervals.
    Entries,
    /// From a script to the flagged entries of the same key.
    SameKey,
    /// Every header of the chain up to the tip.
    Headers,
    /// Transactions that touch a flagged script or spend a followed coin, with the outputs that they spend and their merkle branches.
    Records,
    /// From the id of a transaction to its record.
    Txids,
    /// From a flagged script to the outputs that pay it and the inputs that spend from it.
    Touches,
    /// Outputs that are flagged or tainted.
    Coins,
    /// From a script to its coins.
    Scripts,
    /// From an outpoint to the input that spent it.
    Spends,
    /// How far each sweep has come.
    Sweeps,
    /// The event log.
    Events,
    /// What records said that were removed or changed since, for the events about them.
    Former,
    /// Counts and amounts over the other families.
    Sums,
}

impl Family {
    /// All families, in the order in which they are created.
    pub const ALL: [Self; 14] = [
        Self::Meta,
        Self::Entries,
        Self::SameKey,
        Self::Headers,
        Self::Records,
        Self::Txids,
        Self::Touches,
        Self::Coins,
        Self::Scripts,
        Self::Spends,
        Self::Sweeps,
        Self::Events,
        Self::Former,
        Self::Sums,
    ];

    /// The families that the digest covers, in its order.
    pub const DIGESTED: [Self; 7] =
        [Self::Headers, Self::Records, Self::Txids, Self::Touches, Self::Coins, Self::Scripts, Self::Spends];

    /// The families whose rows are computed from records.
    pub const DERIVED: [Self; 5] = [Self::Txids, Self::Touches, Self::Coins, Self::Scripts, Self::Spends];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Entries => "entries",
            Self::SameKey => "same_key",
            Self::Headers => "headers",
            Self::Records => "records",
            Self::Txids => "txids",
            Self::Touches => "touches",
            Self::Coins => "coins",
            Self::Scripts => "scripts",
            Self::Spends => "spends",
            Self::Sweeps => "sweeps",
            Self::Events => "events",
            Self::Former => "former",
            Self::Sums => "sums",
        }
    }
}

/// The height of the block that a row comes from; `None` for a row that is too short, or of a family that no block brings rows to.
pub(super) fn row_height(family: Family, key: &[u8], value: &[u8]) -> Option<Height> {
    let (bytes, at) = match family {
        Family::Headers | Family::Records => (key, 0),
        Family::Txids | Family::Touches | Family::Scripts => (key, 32),
        Family::Coins => (key, 36),
        Family::Spends => (value, 0),
        Family::Meta
        | Family::Entries
        | Family::SameKey
        | Family::Sweeps
        | Family::Events
        | Family::Sums
        | Family::Former => return None,
    };
    Some(Height::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
