//! The faults of a node, or of something between it and the program: the calls that each can happen to, and how the run must end.
//! `fault_answers` makes the answers.

use crate::support::node_call::NodeCall;

/// A fault that can happen to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Another block than the one asked for.
    AnotherBlock,
    /// Another header, or hash, among those requested.
    AnotherHeader,
    /// Another header, while the run walks down a branch that the node calls invalid.
    AnotherAncestor,
    /// The spent outputs of another block or transaction.
    AnotherSpent,
    /// A flipped bit in a block.
    FlippedBlock,
    /// A flipped bit in a header.
    FlippedHeader,
    /// Another value, or a flipped bit in the script, of a spent output.
    FlippedSpent,
    /// The connection ends before the answer does.
    Cut,
    /// An answer that lacks its end, with a matching Content-Length.
    Short,
    /// A web page.
    Html,
    /// The answer in small pieces.
    Drip,
    /// A connection reset before or in the answer.
    Reset,
    /// No answer at all.
    Stall,
    /// A full work queue.
    Busy,
    /// Status 429.
    TooMany,
    /// Status 502, 503 or 504.
    Gateway,
    /// Status 401, and another cookie.
    NewCookie,
    /// The node is starting up.
    WarmUp,
    /// The node has the header only.
    NotDownloaded,
    /// The answer to another request, by its id.
    WrongId,
    /// Garbage that looks compressed.
    Gzip,
    /// More bytes than any answer has.
    Huge,
    /// Another protocol.
    NoHttp,
    /// Unknown fields, and a known field of another type.
    UnknownFields,
    /// One of Core's errors, for the call or for each call of a batch.
    Refused,
    /// The branch that the node calls invalid is unknown a call later.
    UnknownAncestor,
    /// The other node answers this call and some after it.
    Elsewhere,
}

/// How a run must end after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// It survives.
    Survives,
    /// It fails with one of these messages.
    Fails(&'static [&'static str]),
    /// It survives or fails with one of these messages, depending on the call.
    Either(&'static [&'static str]),
}

const BAD_ANSWER: &str = "cannot use the node's answer";

impl Fault {
    /// All faults but the one that takes a minute, and those that need a branch that the node calls invalid.
    pub const ALL: [Self; 24] = [
        Self::AnotherBlock,
        Self::AnotherHeader,
        Self::AnotherSpent,
        Self::FlippedBlock,
        Self::FlippedHeader,
        Self::FlippedSpent,
        Self::Cut,
        Self::Short,
        Self::Html,
        Self::Drip,
        Self::Reset,
        Self::Busy,
        Self::TooMany,
        Self::Gateway,
        Self::NewCookie,
        Self::WarmUp,
        Self::NotDownloaded,
        Self::WrongId,
        Self::Gzip,
        Self::Huge,
        Self::NoHttp,
        Self::UnknownFields,
        Self::Refused,
        Self::Elsewhere,
    ];

    /// How a run must end after it.
    pub fn consequence(self) -> Consequence {
        match self {
            Self::AnotherBlock => Consequence::Either(&["the node answered with a block whose header hashes to"]),
            Self::AnotherSpent => Consequence::Either(&[
                "spent outputs doesn't fit its inputs",
                "it is transaction",
                "whose header hashes to",
                "differs from the block that created it",
            ]),
            Self::FlippedSpent => Consequence::Fails(&["differs from the block that created it"]),
            Self::Html => Consequence::Either(&["with a web page"]),
            Self::WrongId => Consequence::Either(&[BAD_ANSWER]),
            Self::Gzip => Consequence::Either(&[BAD_ANSWER, "the node answered with a block whose header hashes to"]),
            Self::Huge => Consequence::Either(&["the answer is larger than"]),
            Self::NoHttp => Consequence::Either(&["the answer is not bitcoind's HTTP"]),
            Self::AnotherHeader => {
                Consequence::Either(&[BAD_ANSWER, "the node answered with a block whose header hashes to"])
            }
            // In a witness, or if the header is requested again, it does no harm.
            Self::FlippedBlock => Consequence::Either(&["nothing of it was written", "whose header hashes to"]),
            Self::FlippedHeader => {
                Consequence::Either(&[BAD_ANSWER, "whose header hashes to", "lacks the proof of work"])
            }
            Self::Short => Consequence::Either(&[BAD_ANSWER, "nothing of it was written"]),
            Self::AnotherAncestor => Consequence::Either(&[BAD_ANSWER]),
            Self::Refused => Consequence::Either(&[BAD_ANSWER, "cannot serve"]),
            Self::Elsewhere => Consequence::Either(&["the node's active chain changed"]),
            Self::Cut
            | Self::Drip
            | Self::Reset
            | Self::Stall
            | Self::Busy
            | Self::TooMany
            | Self::Gateway
            | Self::NewCookie
            | Self::WarmUp
            | Self::NotDownloaded
            | Self::UnknownFields
            | Self::UnknownAncestor => Consequence::Survives,
        }
    }

    /// Whether it can happen to this call.
    pub fn concerns(self, call: &NodeCall) -> bool {
        match self {
            Self::AnotherBlock | Self::NotDownloaded => call.is_of_block(),
            Self::FlippedBlock => call.is_of_block() && (!call.is_rpc() || call.is_hex_of_block()),
            Self::AnotherHeader => call.is_of_headers() || call.is_of_hashes(),
            Self::FlippedHeader => call.is_of_headers(),
            Self::AnotherAncestor | Self::UnknownAncestor => call.is_of_ancestor(),
            Self::AnotherSpent | Self::FlippedSpent => call.is_of_spent(),
            // A block is proven by its hash, whatever the id of the answer.
            Self::WrongId => call.is_rpc() && !call.is_hex_of_block(),
            Self::NewCookie | Self::UnknownFields => call.is_rpc(),
            Self::Short | Self::Gzip => !call.is_probe(),
            Self::Cut
            | Self::Html
            | Self::Drip
            | Self::Reset
            | Self::Stall
            | Self::Busy
            | Self::TooMany
            | Self::Gateway
            | Self::WarmUp
            | Self::Huge
            | Self::NoHttp
            | Self::Refused
            | Self::Elsewhere => true,
        }
    }
}
