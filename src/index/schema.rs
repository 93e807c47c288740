//! The table of everything stored: families, keys, values, byte for byte. Format 1.
//!
//! Integers in keys are big-endian, so byte order is height order; those in values are big-endian too, for one rule. Numbers in
//! brackets are bytes. `compact` is Bitcoin's CompactSize. Hashes are in the digest's own byte order, not the displayed one.
//!
//! | family | key | value |
//! |---|---|---|
//! | `meta` | name, ASCII | `format`: version\[4\] · `genesis`: block hash\[32\] · `chain`: name, ASCII · `challenge`: signet's script, hex, if any · `trace`: JSON, [`TraceParameters`](super::meta::TraceParameters) · `lists`: JSON, [`TakenLists`](super::meta::TakenLists) · `goal`: height\[4\] the last run set out to reach · `caught_up`: block hash\[32\] of the tip that the log last said was caught up with |
//! | `entries` | script_hash\[32\] | roles\[1\] (bit 0 flagged, bit 1 service, bit 2: lowered) from\[4\] sweep\[4\] · if lowered: from\[4\] sweep\[4\] · script_length(compact) script_pubkey labels (JSON to the end) |
//! | `headers` | height\[4\] | header\[80\], from genesis on |
//! | `records` | height\[4\] tx_index\[4\] | length(compact) transaction without witness · per input, none for a coinbase: value\[8\] script_length(compact) script of the spent output · merkle branch: hash\[32\] each, lowest first, to the end |
//! | `txids` | txid\[32\] height\[4\] tx_index\[4\] | – |
//! | `touches` | script_hash\[32\] height\[4\] tx_index\[4\] kind\[1\] io_index\[4\] | value\[8\]; kind: spending 0, funding 1 |
//! | `coins` | txid\[32\] vout\[4\] height\[4\] | value\[8\] script_hash\[32\] coinbase\[1\] · per tracked rule under which it holds taint (a source: all): rule\[1\] taint\[8\] hops\[4\] fate\[1\] segments\[4\] then per segment tainted\[1\] length\[8\] |
//! | `scripts` | script_hash\[32\] height\[4\] tx_index\[4\] vout\[4\] | – |
//! | `spends` | txid\[32\] vout\[4\] | spender: height\[4\] tx_index\[4\] vin\[4\] · per tracked rule under which the input brought taint: rule\[1\] taint\[8\] hops\[4\] |
//! | `sweeps` | id\[4\] | next height\[4\] kind\[1\]; kind 0: the main sweep, id 0 · 1: one below it, then reads\[4\], the height from which it reads blocks for coins alone, all ones for none · 2: joined, and instead of a height the id\[4\] of the sweep that it is part of |
//! | `events` | seq\[8\] | JSON, [`Event`](super::events::Event) |
//!
//! An entry's interval is `[from, through]`, where `through` is its sweep's next height less one: one row to move per batch,
//! whatever the number of entries. A lowered entry keeps it until the sweep that it was lowered for has come to where both meet. A `spends` row tells the last spend of an outpoint: only a BIP30 twin, made again after its
//! elder was spent, could be spent twice. FIFO's segments are left out (0 of them) where the coin is wholly tainted or wholly clean.

/// The version of all of the above.
pub const FORMAT: u32 = 1;

/// A column family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// What the index is of: format, chain, parameters, lists taken in.
    Meta,
    /// The flagged scripts and services, with labels and intervals.
    Entries,
    /// Every header of the chain up to the tip.
    Headers,
    /// Touched transactions with what proves them.
    Records,
    /// From a transaction's id to its record.
    Txids,
    /// From a flagged script to what paid it and what spent from it.
    Touches,
    /// Outputs that are flagged or tainted.
    Coins,
    /// From a script to its coins.
    Scripts,
    /// From an outpoint to the input that spent it.
    Spends,
    /// How far each sweep got.
    Sweeps,
    /// The log.
    Events,
}

impl Family {
    /// All of them, in the order they are created.
    pub const ALL: [Self; 11] = [
        Self::Meta,
        Self::Entries,
        Self::Headers,
        Self::Records,
        Self::Txids,
        Self::Touches,
        Self::Coins,
        Self::Scripts,
        Self::Spends,
        Self::Sweeps,
        Self::Events,
    ];

    /// Those the digest runs over, in its order.
    pub const DIGESTED: [Self; 7] =
        [Self::Headers, Self::Records, Self::Txids, Self::Touches, Self::Coins, Self::Scripts, Self::Spends];

    /// Those whose rows come from records.
    pub const DERIVED: [Self; 5] = [Self::Txids, Self::Touches, Self::Coins, Self::Scripts, Self::Spends];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Entries => "entries",
            Self::Headers => "headers",
            Self::Records => "records",
            Self::Txids => "txids",
            Self::Touches => "touches",
            Self::Coins => "coins",
            Self::Scripts => "scripts",
            Self::Spends => "spends",
            Self::Sweeps => "sweeps",
            Self::Events => "events",
        }
    }
}
