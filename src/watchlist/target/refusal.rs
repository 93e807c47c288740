//! Why a text names no script on this chain: one line for a person, with the way out, never repeating a secret.

use thiserror::Error;

use crate::chain::Chain;

/// Why a row or a target was not taken. `Display` is the reason as `watch check` prints it.
///
/// No variant carries the text it is about, except what is known to be harmless (a version byte, a prefix), so a reason can
/// be logged wherever the text itself must not be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// An address of another cryptocurrency, by its name. Lists count these instead of quarantining them.
    #[error("an address of {0}, not of bitcoin")]
    OtherChain(&'static str),
    /// A private key, seed phrase or the like, by its shape.
    #[error(
        "holds what looks like a private key or seed phrase; take it out of the file, and list the address instead"
    )]
    PrivateKey,
    /// 64 hex digits: a private key, a transaction id, an x-only key or a hash.
    #[error(
        "64 hex digits may be a private key or a transaction id; write pk(KEY), tr(KEY) or script:HEX for a key or script, \
         and give transaction ids in a CSV column named txid"
    )]
    BareHash,
    /// An address whose checksum fails.
    #[error("the address's checksum fails: {0}")]
    BadChecksum(ChecksumCause),
    /// A valid address or extended key of another bitcoin network.
    #[error("belongs to {found}, but the chain is {chain}; check --chain")]
    WrongNetwork {
        /// The network it is of, in words.
        found: &'static str,
        /// The chain that was asked for.
        chain: Chain,
    },
    /// Part of an address or of a hex text is missing.
    #[error("part of it is missing; copy the whole of it from the source")]
    Truncated,
    /// More than an address.
    #[error("longer than an address can be; put white space or a column border after the address")]
    Overlong,
    /// A bech32 address in both cases.
    #[error("mixes upper and lower case, which a bech32 address must not; copy it again from the source")]
    MixedCase,
    /// A segwit address with the other of the two bech32 checksums (BIP350), or a program length that doesn't exist.
    #[error(
        "no valid segwit address: version, program length and kind of checksum don't go together; check it at the source"
    )]
    BadProgram,
    /// Base58Check is fine, but no network known here has this version byte.
    #[error("version byte 0x{0:02x} belongs to no bitcoin network; if it is another chain's, take it out of the list")]
    UnknownVersion(u8),
    /// A public key with nothing that says which script is meant.
    #[error("a bare public key stands for several scripts; write pk(KEY), pkh(KEY), wpkh(KEY), tr(KEY) or combo(KEY)")]
    BareKey,
    /// An extended public key with nothing that says which scripts are meant.
    #[error("a bare extended public key; write a descriptor, such as wpkh(XPUB/0/*), and its range")]
    ExtendedKey,
    /// Something of bitcoin that no script comes from, with what it is.
    #[error("{0}")]
    WithoutScript(&'static str),
    /// Hex that isn't one of the usual output scripts.
    #[error("hex that is none of the usual output scripts; if it is meant as a script, write script:HEX")]
    BareHex,
    /// `script:` or `raw()` without whole bytes of hex.
    #[error("not a script in hex; expected an even number of hex digits")]
    BadHex,
    /// A script cell that differs from its row's address cell, or the like.
    #[error("its columns name different scripts; give one of them, or one row each")]
    Contradiction,
    /// A descriptor that does not parse or cannot be derived, with miniscript's words.
    #[error("not a usable descriptor: {0}")]
    Descriptor(String),
    /// A descriptor's `#checksum` fails.
    #[error("the descriptor's checksum fails; copy it again, or leave #checksum away if the descriptor was changed")]
    DescriptorChecksum,
    /// A descriptor with `*` and no range.
    #[error("the descriptor has a wildcard; say how far: a CSV column range with A-B, or --range A-B")]
    NeedsRange,
    /// More scripts than one row may stand for.
    #[error("stands for {scripts} scripts, over the {limit} that one row may; split the range")]
    TooMany {
        /// How many it would be.
        scripts: u64,
        /// How many it may be.
        limit: u64,
    },
    /// A `range` that is not `A-B`.
    #[error("the range must be A-B with A not above B, and both below 2147483648")]
    BadRange,
    /// A `role` that does not exist.
    #[error("the role must be flagged or service")]
    BadRole,
    /// A `from` that is no height.
    #[error("from must be a block height, such as 0 or 700000")]
    BadFrom,
    /// A bitcoin address in a row that names a currency whose addresses look different.
    #[error("a bitcoin address in a row of {0}; set the row right, or leave its currency empty")]
    OtherCurrency(&'static str),
    /// An address of a form that bitcoin shares with the currency that the row names.
    #[error("the row is of {0}, but the address is bitcoin's too; take the row out, or set its currency right")]
    SharedForm(&'static str),
    /// A row whose address column holds none, while another column does.
    #[error(
        "no address in the address column, but in another one; check the row's cells, and quote those that hold the delimiter"
    )]
    Misplaced,
    /// A row of several addresses, and no header that says which is meant.
    #[error("several addresses and no header; name the columns in a header line, such as address,label")]
    SeveralAddresses,
    /// A quoted cell some of whose lines are whole rows.
    #[error("a quoted cell holds lines that are rows of this file; close its quote, or move them out of the cell")]
    RowsInQuote,
    /// A row below a second header.
    #[error("stands below a second header, so its columns aren't clear; make two files of it")]
    SecondHeader,
    /// A row without an address, a script or a descriptor.
    #[error("no address, script or descriptor in this row")]
    NoTarget,
    /// A row without a cell that names what its file is about.
    #[error("no target in this row; list one a line, or name the columns in a header line (known are {0})")]
    NoTargetCell(&'static str),
    /// A transaction id and a number, and no header that says what the number is.
    #[error(
        "a number beside a transaction id may be an output, a height or an amount; name the columns in a header line, such as txid,vout"
    )]
    NumberBesideTxid,
    /// A column of output numbers with something else in it.
    #[error("the number of an output must be digits alone; leave it empty to ask about the whole transaction")]
    BadVout,
    /// An address above the header.
    #[error("stands above the header, so its columns aren't known; move it below the header")]
    AboveHeader,
    /// Not valid UTF-8.
    #[error("not valid UTF-8; save the file as UTF-8")]
    NotUtf8,
    /// A zero byte.
    #[error("holds a zero byte; save the file as plain UTF-8 text")]
    Nul,
    /// A row over the size that is read.
    #[error("longer than {0} bytes; one row is one entry")]
    TooLong(usize),
    /// A quoted CSV cell that never ends, or swallows other rows.
    #[error("a quoted cell isn't closed in its place; close it with a quote, and double the quotes within a cell")]
    Unquoted,
    /// More cells than any table has.
    #[error("has {found} cells; a row may have {limit}")]
    ManyCells {
        /// Cells in the row.
        found: usize,
        /// How many it may have.
        limit: usize,
    },
    /// More cells than the header has columns.
    #[error("has {found} cells where the header has {expected}; put cells that hold the delimiter in quotes")]
    Cells {
        /// Cells in the row.
        found: usize,
        /// Columns in the header.
        expected: usize,
    },
    /// A record that names the same value twice.
    #[error("names the same value twice; keep one of them")]
    NamedTwice,
    /// A line that isn't one JSON object, with the column of the error.
    #[error("not a JSON object (column {0}); each line is one")]
    NotJson(usize),
    /// A label of something else than an address, with the way out.
    #[error("a label of {0}")]
    LabelOf(&'static str),
    /// A party whose remarks are cut, and the file of comments isn't there.
    #[error(
        "its remarks end at 1,000 characters, and the rest is in sdn_comments.csv; append that file, or pack both into one zip archive"
    )]
    CutRemarks,
    /// An address among ids, that isn't called one.
    #[error("an address, but its id isn't called a digital currency address; check it at the source")]
    UnnamedWallet,
    /// Anything else.
    #[error(
        "no address, script:HEX, output script or descriptor; remarks start with #, labels follow after white space"
    )]
    NotUnderstood,
}

/// What most likely happened to an address whose checksum fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChecksumCause {
    /// Letters beyond ASCII.
    #[error("it has a letter beyond ASCII, perhaps a look-alike; type it again")]
    NonAscii,
    /// One of the characters that the encoding leaves out.
    #[error("it has a character that such addresses don't use (base58 has no 0, O, I, l; bech32 no 1, b, i, o)")]
    Character,
    /// All letters in one case, in an encoding where case matters.
    #[error("its letters are all of one case, so it was probably converted; copy it again from the source")]
    CaseLost,
    /// Right length, wrong character.
    #[error("at least one character is mistyped; copy it again from the source")]
    Mistyped,
}
