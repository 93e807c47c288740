//! What the columns of a CSV file mean, going by their names in the header.

use std::borrow::Cow;

use crate::watchlist::rows::{Row, Target};
use crate::watchlist::secret;

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Target,
    Script,
    Label,
    Source,
    Category,
    Role,
    From,
    Range,
    /// Also kept under its name.
    Currency(String),
    Other(String),
}

/// Names, in lower case with single spaces, and what they mean. Of several names for one thing in a header, the one that
/// stands first here is taken, and the others are kept as they are; every column of addresses, scripts, descriptors and
/// currencies counts.
const NAMES: &[(&str, Column)] = &[
    ("address", Column::Target),
    ("addresses", Column::Target),
    ("addr", Column::Target),
    ("bitcoin address", Column::Target),
    ("btc address", Column::Target),
    ("xbt address", Column::Target),
    ("wallet address", Column::Target),
    ("crypto address", Column::Target),
    ("cryptocurrency address", Column::Target),
    ("digital currency address", Column::Target),
    ("virtual currency address", Column::Target),
    ("public address", Column::Target),
    ("deposit address", Column::Target),
    ("descriptor", Column::Target),
    ("desc", Column::Target),
    ("script", Column::Script),
    ("script hex", Column::Script),
    ("scriptpubkey", Column::Script),
    ("script pubkey", Column::Script),
    ("script pub key", Column::Script),
    ("scriptpubkey hex", Column::Script),
    ("output script", Column::Script),
    ("label", Column::Label),
    ("labels", Column::Label),
    ("tag", Column::Label),
    ("name", Column::Label),
    ("entity", Column::Label),
    ("entity name", Column::Label),
    ("owner", Column::Label),
    ("actor", Column::Label),
    ("note", Column::Label),
    ("comment", Column::Label),
    ("description", Column::Label),
    ("source", Column::Source),
    ("source url", Column::Source),
    ("url", Column::Source),
    ("reference", Column::Source),
    ("link", Column::Source),
    ("category", Column::Category),
    ("kind", Column::Category),
    ("type", Column::Category),
    ("role", Column::Role),
    ("from", Column::From),
    ("from height", Column::From),
    ("start height", Column::From),
    ("range", Column::Range),
    ("currency", Column::Currency(String::new())),
    ("cryptocurrency", Column::Currency(String::new())),
    ("asset", Column::Currency(String::new())),
    ("coin", Column::Currency(String::new())),
    ("chain", Column::Currency(String::new())),
    ("blockchain", Column::Currency(String::new())),
    ("ticker", Column::Currency(String::new())),
];

/// Names that mean addresses only where the header has no better one.
const WEAK: [&str; 5] = ["wallet", "target", "btc", "xbt", "bitcoin"];

/// The columns of a file.
#[derive(Clone, Debug)]
pub struct Columns {
    columns: Vec<Column>,
    known: usize,
}

impl Columns {
    /// What a header's cells say; none if none of them names an address, a script or a descriptor.
    pub fn of_header(cells: &[Cow<str>]) -> Option<Self> {
        let names: Vec<String> = cells.iter().map(|cell| plain_name(cell)).collect();
        let meaning = |name: &String| NAMES.iter().position(|(known, _)| known == name);
        let is_target = |column: &Column| matches!(column, Column::Target | Column::Script);
        let strong = names.iter().filter_map(meaning).any(|place| is_target(&NAMES[place].1));
        let weak = names.len() > 1 && names.iter().any(|name| WEAK.contains(&name.as_str()));
        if !strong && !weak {
            return None;
        }
        let mut columns = Vec::new();
        for (place, cell) in cells.iter().enumerate() {
            let name = &names[place];
            let kept = kept_name(cell, place, &names);
            columns.push(match meaning(name).map(|place| &NAMES[place].1) {
                Some(column) if is_target(column) => column.clone(),
                Some(Column::Currency(_)) => Column::Currency(kept),
                Some(column) => {
                    let same = |other: &String| meaning(other).filter(|place| NAMES[*place].1 == *column);
                    let best = names.iter().enumerate().filter_map(|(at, other)| Some((same(other)?, at))).min();
                    if best.is_some_and(|(_, at)| at == place) { column.clone() } else { Column::Other(kept) }
                }
                None if !strong && WEAK.contains(&name.as_str()) => Column::Target,
                None => Column::Other(kept),
            });
        }
        let known = columns.iter().filter(|column| !matches!(column, Column::Other(_))).count();
        Some(Self { columns, known })
    }

    /// Of a file without a header: the target, then a label, then whatever.
    pub fn without_header() -> Self {
        Self { columns: vec![Column::Target, Column::Label], known: 0 }
    }

    /// How many columns were recognised.
    pub fn known(&self) -> usize {
        self.known
    }

    /// How many cells a row may have; without a header, any number.
    pub fn count(&self) -> Option<usize> {
        (self.known > 0).then_some(self.columns.len())
    }

    /// The first cell that names scripts.
    pub fn first_target<'c>(&self, cells: &'c [Cow<str>]) -> Option<&'c str> {
        let place = self.columns.iter().position(|column| matches!(column, Column::Target | Column::Script))?;
        cells.get(place).map(|cell| cell.as_ref())
    }

    /// The row that `cells` make. Cells beyond the columns are kept under their number.
    pub fn row<'t>(&'t self, line: u64, text: &'t str, cells: &'t [Cow<str>]) -> Row<'t> {
        let mut row = Row { line, text, ..Row::default() };
        for (place, cell) in cells.iter().enumerate() {
            let cell: &str = cell;
            match self.columns.get(place) {
                Some(Column::Target) => row.targets.push(Target { text: cell, is_script: false }),
                Some(Column::Script) => row.targets.push(Target { text: cell, is_script: true }),
                Some(Column::Label) => row.label = Some(cell),
                Some(Column::Source) => row.source = Some(cell),
                Some(Column::Category) => row.category = Some(cell),
                Some(Column::Role) => row.role = Some(cell),
                Some(Column::From) => row.from = Some(cell),
                Some(Column::Range) => row.range = Some(cell),
                Some(Column::Currency(name)) => {
                    row.currencies.push(cell);
                    row.extra.push((name, cell));
                }
                Some(Column::Other(name)) => row.extra.push((name, cell)),
                None => row.extra.push((NUMBERS.get(place).copied().unwrap_or("further columns"), cell)),
            }
        }
        row
    }
}

/// Names of the columns of a file without a header.
const NUMBERS: [&str; 8] =
    ["column 1", "column 2", "column 3", "column 4", "column 5", "column 6", "column 7", "column 8"];

/// Lower case, with one space for whatever separates words.
fn plain_name(cell: &str) -> String {
    let words = cell.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The name under which a column's cells are kept: its own, unless it is empty, taken, or might be a key.
fn kept_name(cell: &str, place: usize, names: &[String]) -> String {
    let taken = names[..place].contains(&names[place]);
    if names[place].is_empty() || taken || secret::holds_key(cell) || secret::holds_bare_hash(cell) {
        return format!("column {}", place + 1);
    }
    cell.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(header: &str) -> Option<Vec<Column>> {
        let cells: Vec<_> = header.split(',').map(Cow::Borrowed).collect();
        Columns::of_header(&cells).map(|columns| columns.columns)
    }

    fn other(name: &str) -> Column {
        Column::Other(name.to_owned())
    }

    #[test]
    fn headers_are_understood() {
        use Column::{Category, Label, Script, Source, Target};
        let table = [
            ("address", vec![Target]),
            ("Bitcoin Address,Label,SOURCE", vec![Target, Label, Source]),
            ("wallet,address", vec![other("wallet"), Target]),
            ("wallet,label", vec![Target, Label]),
            ("name,label,address", vec![other("name"), Label, Target]),
            ("scriptPubKey,type,category", vec![Script, other("type"), Category]),
            ("address,script,descriptor", vec![Target, Script, Target]),
            ("address,Currency,", vec![Target, Column::Currency("Currency".to_owned()), other("column 3")]),
            ("address,note,x,x", vec![Target, Label, other("x"), other("column 4")]),
            ("address,role,from,range", vec![Target, Column::Role, Column::From, Column::Range]),
        ];
        for (header, expected) in table {
            assert_eq!(columns(header), Some(expected), "{header}");
        }
    }

    #[test]
    fn a_header_must_name_what_is_listed() {
        for header in ["wallet", "", "label,source", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa,label"] {
            assert_eq!(columns(header), None, "{header}");
        }
    }
}
