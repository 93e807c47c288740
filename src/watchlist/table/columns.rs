//! What the columns of a table are for, by their names in the header.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crate::watchlist::secret;

/// Most columns of a table.
pub const MAX_COLUMNS: usize = 10_000;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListColumn {
    /// Addresses or descriptors.
    Address,
    /// Scripts in hex.
    Script,
    /// Labels.
    Label,
    /// Where a listing comes from.
    Source,
    /// Categories.
    Category,
    /// `flagged` or `service`.
    Role,
    /// The height to scan from.
    From,
    /// Indexes of a descriptor with a wildcard.
    Range,
    /// Currencies or chains.
    Currency,
    /// The kind of thing that a row of OpenSanctions is about.
    Schema,
    /// Transaction ids.
    Txid,
    /// Numbers of outputs.
    Vout,
    /// Coins, as `TXID:VOUT`.
    Outpoint,
    /// Heights of blocks.
    Height,
    /// Hashes of blocks, or heights.
    Block,
    /// Anything else.
    Other,
}

use ListColumn::{
    Address, Block, Category, Currency, From, Height, Label, Other, Outpoint, Range, Role, Schema, Script, Source,
    Txid, Vout,
};

/// What a table is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Entries of a list: scripts.
    Entries,
    /// Targets of a question: scripts, transactions and coins.
    Targets,
}

impl Purpose {
    /// Whether a column of this kind names what the table is about.
    fn is_subject(self, column: ListColumn) -> bool {
        matches!(column, Address | Script) || (self == Self::Targets && matches!(column, Txid | Outpoint))
    }

    /// Names of the columns of which a table must have one, for messages.
    pub fn subject_names(self) -> &'static str {
        match self {
            Self::Entries => {
                "address, btc address, bitcoin address, wallet address, crypto address, btc wallet, script, descriptor"
            }
            Self::Targets => {
                "address, btc address, bitcoin address, script, descriptor, outpoint, txid, and vout beside txid"
            }
        }
    }
}

/// Names of columns besides those of addresses, in lower case. White space and punctuation don't count. Of several columns for one thing
/// the one whose name stands first here is taken; columns of scripts and currencies all count.
const NAMES: &[(ListColumn, &[&str])] = &[
    (Address, &["descriptor", "desc"]),
    (Script, &["script", "script hex", "script pub key", "script pub key hex", "output script"]),
    (
        Label,
        &[
            "label",
            "labels",
            "tag",
            "name",
            "entity",
            "entity name",
            "owner",
            "actor",
            "note",
            "comment",
            "description",
        ],
    ),
    (Source, &["source", "source url", "url", "reference", "link"]),
    (Category, &["category", "kind", "type"]),
    (Role, &["role"]),
    (From, &["from", "from height", "start height"]),
    (Range, &["range"]),
    (Currency, &["currency", "crypto currency", "asset", "coin", "chain", "block chain", "network", "ticker"]),
    (
        Txid,
        &["txid", "tx", "tx hash", "txn", "txn id", "txn hash", "transaction", "transaction id", "transaction hash"],
    ),
    (Vout, &["vout", "output index", "tx output n", "output n", "output number", "tx out", "out index", "tx pos"]),
    (Outpoint, &["outpoint", "out point", "utxo", "txo"]),
    (Height, &["height", "block height", "block number", "block no", "confirmed height"]),
    (Block, &["block", "block hash"]),
];

/// Names that mean addresses only beside other columns, and where no column has a better name.
const WEAK: [&str; 6] = ["wallet", "wallets", "target", "btc", "xbt", "bitcoin"];

/// The words that make a name one of addresses.
const ADDRESS: [&str; 4] = ["addresses", "address", "addrs", "addr"];
/// The word that does so beside one of [`BITCOIN`].
const WALLET: [&str; 2] = ["wallets", "wallet"];
/// Words that say: of bitcoin, or of any such currency.
const BITCOIN: [&str; 9] =
    ["bitcoin", "btc", "xbt", "cryptocurrency", "crypto", "digital", "virtual", "currency", "mainnet"];
/// Further words that leave it open whose the address is: `victim address` and `email address` have others.
const NEUTRAL: [&str; 17] = [
    // As in address(es).
    "es",
    "public",
    "deposit",
    "payment",
    "coin",
    "asset",
    "block",
    "chain",
    "on",
    "segwit",
    "legacy",
    "taproot",
    "bech32",
    "base58",
    "sanctioned",
    "listed",
    "flagged",
];

static BY_NAME: LazyLock<HashMap<String, (ListColumn, usize)>> = LazyLock::new(|| {
    let names = NAMES
        .iter()
        .flat_map(|(column, names)| names.iter().enumerate().map(move |(rank, name)| (*column, rank, name)));
    names.map(|(column, rank, name)| (name.replace(' ', ""), (column, rank))).collect()
});

/// The columns of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    kinds: Vec<ListColumn>,
    /// The names under which cells are kept.
    names: Vec<String>,
    known: usize,
}

impl Columns {
    /// What a header's cells say; none if none of them names what the table is about, or there are more than [`MAX_COLUMNS`].
    pub fn of_header(cells: &[Cow<str>], purpose: Purpose) -> Option<Self> {
        if cells.len() > MAX_COLUMNS {
            return None;
        }
        let names: Vec<String> = cells.iter().map(|cell| plain_name(cell)).collect();
        let mut kinds = kinds(&names);
        if !kinds.iter().any(|kind| purpose.is_subject(*kind)) {
            if names.len() < 2 {
                return None;
            }
            for (kind, name) in kinds.iter_mut().zip(&names) {
                if WEAK.contains(&name.as_str()) {
                    *kind = Address;
                }
            }
        }
        if !kinds.iter().any(|kind| purpose.is_subject(*kind)) {
            return None;
        }
        let mut taken = HashSet::new();
        let kept = cells.iter().zip(&names).enumerate().map(|(place, (cell, name))| {
            let free = !name.is_empty() && taken.insert(name.clone());
            let safe = !secret::holds_key(cell) && !secret::holds_bare_hash(cell);
            if free && safe { unmarked(cell).to_owned() } else { format!("column {}", place + 1) }
        });
        let kept = kept.collect();
        let known = kinds.iter().filter(|kind| **kind != Other).count();
        Some(Self { kinds, names: kept, known })
    }

    /// How many columns were recognised.
    pub fn known(&self) -> usize {
        self.known
    }

    /// How many columns there are.
    pub fn count(&self) -> usize {
        self.kinds.len()
    }

    /// What the column at `place` holds.
    pub fn kind(&self, place: usize) -> ListColumn {
        self.kinds.get(place).copied().unwrap_or(Other)
    }

    /// The name of the column at `place`; empty beyond the last.
    pub fn name(&self, place: usize) -> &str {
        self.names.get(place).map_or("", String::as_str)
    }

    /// The first filled cell of a kind.
    pub fn cell<'c>(&self, cells: &'c [Cow<str>], kind: ListColumn) -> Option<&'c str> {
        self.cells(cells, kind).next()
    }

    /// The filled cells of a kind.
    pub fn cells<'c>(&self, cells: &'c [Cow<str>], kind: ListColumn) -> impl Iterator<Item = &'c str> {
        let of_kind = self.kinds.iter().zip(cells).filter(move |(of, _)| **of == kind);
        of_kind.map(|(_, cell)| cell.trim()).filter(|cell| !cell.is_empty())
    }

    /// The place of the first column that names what the table is about.
    pub fn subject(&self, purpose: Purpose) -> Option<usize> {
        self.kinds.iter().position(|kind| purpose.is_subject(*kind))
    }
}

/// What the columns of these names are for.
fn kinds(names: &[String]) -> Vec<ListColumn> {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    // OpenSanctions' simple CSV: `addresses` are postal, and a wallet's address is its name.
    let simple = has("schema") && has("name") && has("addresses");
    // Payments have a sender and a receiver, and no height.
    let payments = has("to") || has("to address");
    let mut best: HashMap<ListColumn, (usize, usize)> = HashMap::new();
    let mut kinds = Vec::with_capacity(names.len());
    for (place, name) in names.iter().enumerate() {
        let (kind, rank) = match name.as_str() {
            "schema" if simple => (Schema, 0),
            "name" if simple => (Address, 0),
            "addresses" if simple => (Other, 0),
            "from" if payments => (Other, 0),
            name => meaning(name).unwrap_or((Other, 0)),
        };
        kinds.push(kind);
        if !matches!(kind, Address | Script | Currency | Other) {
            let (before, at) = *best.entry(kind).or_insert((rank, place));
            if at != place {
                let loser = if rank < before { at } else { place };
                if rank < before {
                    best.insert(kind, (rank, place));
                }
                kinds[loser] = Other;
            }
        }
    }
    kinds
}

fn meaning(name: &str) -> Option<(ListColumn, usize)> {
    let together = name.replace(' ', "");
    BY_NAME.get(&together).copied().or_else(|| is_address_name(name).then_some((Address, 0)))
}

/// Whether a name says that the column holds addresses, and nothing about whose.
fn is_address_name(name: &str) -> bool {
    let (mut address, mut wallet, mut bitcoin) = (false, false, false);
    for mut word in name.split(' ') {
        while !word.is_empty() {
            let known = |words: &[&'static str]| words.iter().find_map(|known| word.strip_prefix(known));
            let rest = if let Some(rest) = known(&ADDRESS) {
                address = true;
                rest
            } else if let Some(rest) = known(&WALLET) {
                wallet = true;
                rest
            } else if let Some(rest) = known(&BITCOIN) {
                bitcoin = true;
                rest
            } else if let Some(rest) = known(&NEUTRAL) {
                rest
            } else {
                return false;
            };
            word = rest;
        }
    }
    address || (wallet && bitcoin)
}

/// Lower case, with one space between words: at whatever separates them, and where a capital follows a small letter.
fn plain_name(cell: &str) -> String {
    let mut name = String::with_capacity(cell.len());
    let letters: Vec<char> = cell.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            name.push(' ');
            continue;
        }
        let before = at.checked_sub(1).map_or(' ', |before| letters[before]);
        let after = letters.get(at + 1).copied().unwrap_or(' ');
        if letter.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && after.is_lowercase())) {
            name.push(' ');
        }
        name.extend(letter.to_lowercase());
    }
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name without the mark of a remark, which some programs put before a header.
fn unmarked(cell: &str) -> &str {
    cell.trim().trim_start_matches(['#', '/']).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds_of(header: &str, purpose: Purpose) -> Option<Vec<ListColumn>> {
        let cells: Vec<_> = header.split(',').map(Cow::Borrowed).collect();
        Columns::of_header(&cells, purpose).map(|columns| columns.kinds)
    }

    #[test]
    fn columns_are_known_by_their_names() {
        let table = [
            ("address", vec![Address]),
            ("Bitcoin Address,Label,SOURCE", vec![Address, Label, Source]),
            ("# address,currency", vec![Address, Currency]),
            ("#,Address,Currency", vec![Other, Address, Currency]),
            ("wallet,address", vec![Other, Address]),
            ("wallet,label", vec![Address, Label]),
            ("BTC Wallet,Label,Role,From", vec![Address, Label, Role, From]),
            ("Address (BTC),Owner", vec![Address, Label]),
            ("walletAddress,blockHeight", vec![Address, Height]),
            ("BTCAddress", vec![Address]),
            ("Wallet Address(es)", vec![Address]),
            ("Digital Currency Address - XBT", vec![Address]),
            ("email address,address", vec![Other, Address]),
            ("eth address,btc address", vec![Other, Address]),
            ("name,label,address", vec![Other, Label, Address]),
            ("scriptPubKey,type,category", vec![Script, Other, Category]),
            ("address,script,descriptor", vec![Address, Script, Address]),
            ("address,network,", vec![Address, Currency, Other]),
            ("address,role,from,range", vec![Address, Role, From, Range]),
            ("address,from,to", vec![Address, Other, Other]),
            ("id,schema,name,addresses", vec![Other, Schema, Address, Other]),
            ("address,txid,tx hash", vec![Address, Txid, Other]),
        ];
        for (header, expected) in table {
            assert_eq!(kinds_of(header, Purpose::Entries), Some(expected), "{header}");
        }
        assert_eq!(kinds_of("txid,vout,block", Purpose::Targets), Some(vec![Txid, Vout, Block]));
        assert_eq!(kinds_of("TxID,Output Index,Block Height", Purpose::Targets), Some(vec![Txid, Vout, Height]));
    }

    #[test]
    fn a_header_must_name_what_is_listed() {
        let headers = [
            "wallet",
            "",
            "label,source",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa,label",
            "victim_wallet,suspect_wallet",
            "victim address,suspect address",
            "from,to,amount",
            "email address,postal address",
            "txid,vout",
            "List of seized wallets 2025,,",
        ];
        for header in headers {
            assert_eq!(kinds_of(header, Purpose::Entries), None, "{header}");
        }
    }

    #[test]
    fn cells_are_kept_under_names_that_are_free_and_no_secrets() {
        let wif = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ";
        let cells = ["address", "Memo ", "", "memo", wif].map(Cow::Borrowed);
        let columns = Columns::of_header(&cells, Purpose::Entries).unwrap();
        assert_eq!(columns.names, ["address", "Memo", "column 3", "column 4", "column 5"]);
    }

    #[test]
    fn a_header_of_very_many_columns_is_none_and_one_of_many_is_quick() {
        let many = |count: usize| vec![Cow::Borrowed("address"); count];
        assert_eq!(Columns::of_header(&many(MAX_COLUMNS + 1), Purpose::Entries), None);
        assert_eq!(Columns::of_header(&many(MAX_COLUMNS), Purpose::Entries).unwrap().known(), MAX_COLUMNS);
    }
}
