//! What a rule works on: what each input of a transaction brings, and the share that each output and the fee get.

/// A run of satoshis within a coin that are all tainted or all clean (FIFO and LIFO).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Whether these satoshis come from a source.
    pub tainted: bool,
    /// Satoshis.
    pub length: u64,
}

/// The most segments that a coin keeps. Each costs 9 bytes in every row of a coin that it passes through, and one transaction may merge
/// thousands: without a limit a stranger could make an index store gigabytes in one block.
pub const MAX_SEGMENTS: usize = 1024;

/// What one input brings, as the rules need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Value of the coin it spends; satoshis.
    pub value: u64,
    /// How much of the value is tainted; satoshis.
    pub taint: u64,
    /// The order of tainted and clean satoshis in the coin, neighbours of one kind merged. Empty if the coin is wholly tainted or
    /// wholly clean, and under rules that keep no order.
    pub segments: &'a [Segment],
}

/// The taint that one output gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Satoshis; at most the output's value.
    pub taint: u64,
    /// As in [`Part`].
    pub segments: Vec<Segment>,
}

/// The taint that all outputs and the fee get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaintShares {
    /// One for each output, in order.
    pub outputs: Vec<Share>,
    /// Tainted satoshis in the fee.
    pub fee: u64,
}

impl TaintShares {
    /// Those of a transaction with `outputs` outputs and no tainted input.
    pub(crate) fn untainted(outputs: usize) -> Self {
        Self { outputs: vec![Share::default(); outputs], fee: 0 }
    }
}
