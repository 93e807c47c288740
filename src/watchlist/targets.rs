//! Reads what `screen --file` asks about: the targets of a file, row by row, as lists are read. Takes any input, opens nothing.
//!
//! A header names the columns, or there is none: then whatever in a row is an address, a coin or a transaction by its form is a target.
//! A row never vanishes: one whose target isn't clear says so in its place.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::io::{self, BufRead, Cursor, Read as _};

use bitcoin::BlockHash;

use super::secret::{holds_key, masked};
use super::table::columns::{Columns, ListColumn, Purpose};
use super::table::encoding::not_text;
use super::table::header::{self, DELIMITERS, HEAD, Header};
use super::table::record::ListRecord;
use super::table::remark::{holds_target, is_blank, is_remark, marked};
use super::table::rows::{RowReader, TextRow};
use super::table::words;
use super::target::refusal::Refusal;
use super::target::{is_coin, is_number, is_target_like};
use super::text::{is_hex, is_margin};
use crate::chain::Height;

/// One target of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRow {
    /// The line that its row starts on, from 1.
    pub line: u64,
    /// The target, as it would be typed. That it is one is for the question to say: it may have an error in it.
    pub target: String,
    /// The height at which a column of that name says that its transaction is confirmed. A hint: it proves nothing.
    pub height: Option<Height>,
    /// The block in which a column of that name says so.
    pub block: Option<BlockHash>,
}

/// A row whose target isn't clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnclearRow {
    /// The line it starts on, from 1.
    pub line: u64,
    /// Its text, shortened and without what may be a key.
    pub text: String,
    /// Why, with the way out.
    pub reason: Refusal,
}

/// Reads a file of targets. Holds one row at a time.
pub struct TargetReader<R> {
    rows: RowReader<io::Chain<Cursor<Vec<u8>>, R>>,
    header: Option<Header>,
    ready: VecDeque<Result<TargetRow, UnclearRow>>,
}

impl<R: BufRead> TargetReader<R> {
    /// Looks at the beginning of the input.
    ///
    /// # Errors
    /// Those of the input; [`io::ErrorKind::InvalidData`] for one that isn't text in UTF-8.
    pub fn new(mut input: R) -> io::Result<Self> {
        let mut head = Vec::new();
        input.by_ref().take(HEAD).read_to_end(&mut head)?;
        if let Some(found) = not_text(&head) {
            let message = format!("it is {found}, not text; save it as UTF-8 text or CSV");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let header = header::find(&head, Purpose::Targets);
        Ok(Self { rows: RowReader::new(Cursor::new(head).chain(input)), header, ready: VecDeque::new() })
    }

    /// Puts the targets of the next row that has any into `ready`; returns whether there was one.
    fn fill(&mut self) -> io::Result<bool> {
        while self.ready.is_empty() {
            let next = match &self.header {
                Some(header) => self.rows.next(header.delimiter)?,
                None => self.rows.next_line()?,
            };
            let Some(row) = next else { return Ok(false) };
            if is_blank(&row.text) && row.fault.is_none() {
                continue;
            }
            let named = match &self.header {
                _ if row.fault.is_some() => Err(row.fault.clone().unwrap_or(Refusal::NotUtf8)),
                _ if row.text.contains('\0') => Err(Refusal::Nul),
                Some(header) if row.line < header.line => above_header(&row.text),
                Some(header) if row.line == header.line => continue,
                Some(header) => by_columns(&row, header),
                None => by_form(&row),
            };
            match named {
                Ok(Some(named)) => {
                    let hints = (named.height, named.block);
                    let rows = named
                        .targets
                        .into_iter()
                        .map(|target| Ok(TargetRow { line: row.line, target, height: hints.0, block: hints.1 }));
                    self.ready.extend(rows);
                }
                Ok(None) => {}
                Err(reason) => {
                    self.ready.push_back(Err(UnclearRow { line: row.line, text: shown(&row.text), reason }));
                }
            }
        }
        Ok(true)
    }
}

impl<R: BufRead> Iterator for TargetReader<R> {
    type Item = io::Result<Result<TargetRow, UnclearRow>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.fill() {
            Ok(_) => self.ready.pop_front().map(Ok),
            Err(error) => Some(Err(error)),
        }
    }
}

/// What a row names.
#[derive(Default)]
struct Named {
    targets: Vec<String>,
    seen: HashSet<String>,
    height: Option<Height>,
    block: Option<BlockHash>,
}

impl Named {
    fn add(&mut self, target: &str) {
        if self.seen.insert(target.to_owned()) {
            self.targets.push(target.to_owned());
        }
    }
}

/// A title, or a row that lost its place.
fn above_header(text: &str) -> Result<Option<Named>, Refusal> {
    if holds_target(text) && marked(text).is_none() { Err(Refusal::AboveHeader) } else { Ok(None) }
}

/// The targets in the columns that the header names; none of a remark.
fn by_columns(row: &TextRow, header: &Header) -> Result<Option<Named>, Refusal> {
    let record = ListRecord::split(&row.text, header.delimiter);
    let (cells, columns) = (&record.cells, &header.columns);
    if is_remark(&row.text, cells, Some(columns), Purpose::Targets) {
        return Ok(None);
    }
    let mut named = hints(cells, columns);
    if let Some(coin) = coin(cells, columns)? {
        // A coin says more than the script and the transaction beside it.
        named.add(&coin);
        return Ok(Some(named));
    }
    for kind in [ListColumn::Txid, ListColumn::Address] {
        for cell in columns.cells(cells, kind) {
            parts(cell).for_each(|target| named.add(target));
        }
    }
    if named.targets.is_empty() {
        columns.cells(cells, ListColumn::Script).for_each(|cell| named.add(&script(cell)));
    }
    if !named.targets.iter().any(|target| is_target_like(target) || is_keyword(target)) {
        // A cell too many or too few moves the target into another column.
        let elsewhere = cells.iter().enumerate().filter(|(place, cell)| {
            !matches!(columns.kind(*place), ListColumn::Block | ListColumn::Height) && is_target_like(cell)
        });
        for (_, cell) in elsewhere {
            named.add(cell.trim_matches(is_margin));
        }
    }
    if named.targets.is_empty() {
        Err(Refusal::NoTargetCell(Purpose::Targets.subject_names()))
    } else {
        Ok(Some(named))
    }
}

/// Where the row says that its transaction is confirmed. A cell that says something else gives no hint.
fn hints(cells: &[Cow<str>], columns: &Columns) -> Named {
    let number = |cell: &str| if is_number(cell) { cell.parse().ok() } else { None };
    let block = columns.cell(cells, ListColumn::Block);
    let height = columns.cell(cells, ListColumn::Height).and_then(number).or_else(|| block.and_then(number));
    Named { height, block: block.and_then(|block| block.parse().ok()), ..Named::default() }
}

/// The coin that a row names in one column or in two.
fn coin(cells: &[Cow<str>], columns: &Columns) -> Result<Option<String>, Refusal> {
    if let Some(outpoint) = columns.cell(cells, ListColumn::Outpoint) {
        return Ok(Some(outpoint.to_owned()));
    }
    let (Some(txid), Some(vout)) = (columns.cell(cells, ListColumn::Txid), columns.cell(cells, ListColumn::Vout))
    else {
        return Ok(None);
    };
    match is_number(vout) {
        // Some exports write both into the first column.
        _ if txid.contains(':') => Ok(Some(txid.to_owned())),
        true => Ok(Some(format!("{txid}:{vout}"))),
        false => Err(Refusal::BadVout),
    }
}

/// A cell of a script column as it would be typed.
fn script(cell: &str) -> String {
    let digits = cell.strip_prefix("0x").unwrap_or(cell);
    if is_hex(digits) { format!("script:{digits}") } else { cell.to_owned() }
}

/// The targets of a row without a header, by the form of its cells or words.
fn by_form(row: &TextRow) -> Result<Option<Named>, Refusal> {
    let text = row.text.trim_matches(is_margin);
    if is_remark(text, &[], None, Purpose::Targets) {
        return Ok(None);
    }
    let mut named = Named::default();
    if is_coin(text) || is_keyword(text) {
        named.add(text);
        return Ok(Some(named));
    }
    for delimiter in DELIMITERS {
        let record = ListRecord::split(text, delimiter);
        let cells: Vec<&str> = record.cells.iter().map(|cell| cell.trim_matches(is_margin)).collect();
        add_targets(&cells, &mut named)?;
        if !named.targets.is_empty() {
            return Ok(Some(named));
        }
    }
    let (first, rest) = words::split(text);
    let words: Vec<&str> = std::iter::once(first).chain(rest.split_whitespace()).collect();
    if is_target_like(first) {
        // What follows is its label.
        add_targets(&words[..words.len().min(2)], &mut named)?;
    } else {
        add_targets(&words, &mut named)?;
    }
    if named.targets.is_empty() {
        // Nothing here looks like a target; the question gives the reason for a lone word.
        if words.len() > 1 {
            return Err(Refusal::NoTargetCell(Purpose::Targets.subject_names()));
        }
        named.add(first);
    }
    Ok(Some(named))
}

/// Adds the cells that are targets by their form.
fn add_targets(cells: &[&str], named: &mut Named) -> Result<(), Refusal> {
    for (at, cell) in cells.iter().enumerate() {
        for target in parts(cell).filter(|target| is_target_like(target)) {
            let is_txid = target.len() == 64 && is_hex(target);
            if is_txid && cells.get(at + 1).is_some_and(|next| is_number(next)) {
                return Err(Refusal::NumberBesideTxid);
            }
            named.add(target);
        }
    }
    Ok(())
}

/// What a cell lists: several targets, if each of its words is one, else the whole of it.
fn parts(cell: &str) -> impl Iterator<Item = &str> {
    let several = cell.contains(char::is_whitespace) && cell.split_whitespace().all(is_target_like);
    let whole = (!several).then_some(cell);
    cell.split_whitespace().filter(move |_| several).chain(whole)
}

/// Whether a text names entries by what lists say about them.
fn is_keyword(text: &str) -> bool {
    text == "all" || ["label:", "category:", "source:", "list:"].iter().any(|start| text.starts_with(start))
}

/// A row as an answer may show it.
fn shown(text: &str) -> String {
    const SHOWN: usize = 120;
    if holds_key(text) {
        return "(not shown)".to_owned();
    }
    let text = masked(text.trim()).replace('\0', "\u{fffd}");
    if text.chars().nth(SHOWN).is_none() { text } else { text.chars().take(SHOWN).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
    const B: &str = "3P14159f73E4gFr7JterCCQh9QjiTjiZrG";
    const T: &str = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";

    fn read(text: impl AsRef<[u8]>) -> Vec<Result<TargetRow, UnclearRow>> {
        TargetReader::new(text.as_ref()).unwrap().map(|row| row.unwrap()).collect()
    }

    /// The targets with their lines; of a row that isn't clear its reason.
    fn targets(text: impl AsRef<[u8]>) -> Vec<(u64, String)> {
        let rows = read(text).into_iter();
        rows.map(|row| row.map_or_else(|row| (row.line, row.reason.to_string()), |row| (row.line, row.target)))
            .collect()
    }

    fn at(line: u64, target: impl ToString) -> (u64, String) {
        (line, target.to_string())
    }

    #[test]
    fn a_row_without_a_header_names_what_is_a_target_by_its_form() {
        let rows = [
            A.to_owned(),
            format!("{A},1.5"),
            format!("{A} customer 4711"),
            format!("{A} 137"),
            format!("\"{A}\""),
            format!("17,{A},0.5"),
            format!("17;{A};\"0,5\""),
            format!("17\t{A}\t0.5"),
            format!("{A}|x"),
            format!("17 {A} 0.5"),
            format!("  {A} , x"),
            format!("\u{feff}{A}"),
        ];
        for row in rows {
            assert_eq!(targets(format!("{row}\n")), [at(1, A)], "{row}");
        }
        let coin = format!("{T}:1");
        assert_eq!(
            targets(format!("{coin}\n{coin},137\n{T}\n{T} deposit 12\n")),
            [at(1, &coin), at(2, &coin), at(3, T), at(4, T)]
        );
        assert_eq!(targets(format!("{A},{B},0.5\r\n")), [at(1, A), at(1, B)]);
        assert_eq!(targets(format!("{A} moved on to {B}\r\n")), [at(1, A)]);
        assert_eq!(targets("label:An exchange, 12\nall\n"), [at(1, "label:An exchange, 12"), at(2, "all")]);
        assert_eq!(targets("raw(6a) x\nnonsense\n"), [at(1, "raw(6a)"), at(2, "nonsense")]);
    }

    #[test]
    fn a_number_beside_a_transaction_is_asked_about() {
        for row in [format!("{T},0"), format!("{T};12"), format!("{T} 137"), format!("1,{T},0"), format!("{T}, 5")] {
            let rows = read(format!("{A}\n{row}\n"));
            let unclear = rows[1].as_ref().unwrap_err();
            assert_eq!((unclear.line, &unclear.reason), (2, &Refusal::NumberBesideTxid), "{row}");
            assert!(unclear.reason.to_string().contains("txid,vout"), "{row}");
            assert!(!unclear.text.contains(T), "64 hex digits may be a key");
        }
        assert_eq!(targets(format!("{T},1.5\n{T},x,5\n")), [at(1, T), at(2, T)]);
    }

    #[test]
    fn columns_are_taken_by_their_names() {
        let coin = format!("{T}:1");
        let table = [
            (format!("txid,vout\n{T},1\n"), vec![at(2, &coin)]),
            (format!("amount;vout;tx hash\n0,5;1;{T}\n"), vec![at(2, &coin)]),
            (format!("txid,amount\n{T},5\n"), vec![at(2, T)]),
            (format!("outpoint\n{coin}\n"), vec![at(2, &coin)]),
            (format!("txid,vout,address,amount\n{T},1,{A},5\n"), vec![at(2, &coin)]),
            (format!("txid,address\n{T},{A}\n"), vec![at(2, T), at(2, A)]),
            (format!("Export of 2025,,\n\nid,address,amount\n1,{A},5\n"), vec![at(4, A)]),
            (format!("address,scriptPubKey\n{A},6a\n,6a\n"), vec![at(2, A), at(3, "script:6a")]),
            (format!("id|address\n1|\"{A}\n{B}\"\n"), vec![at(2, A), at(2, B)]),
            (format!("id,note,address\n1,\"two\nlines\",{A}\n# {B}\n#2,x,{B}\n"), vec![at(2, A), at(5, B)]),
            // A decimal comma more than the header has columns.
            (format!("id,amount,address\n1,0,5,{A}\n"), vec![at(2, "5"), at(2, A)]),
        ];
        for (text, expected) in table {
            assert_eq!(targets(&text), expected, "{text}");
        }
        let rows = targets(format!("txid,vout\n{T},x\n,1\n{A},1\n"));
        assert_eq!(rows[0], at(2, Refusal::BadVout));
        assert_eq!(rows[1], at(3, Refusal::NoTargetCell(Purpose::Targets.subject_names())));
        assert_eq!(rows[2], at(4, format!("{A}:1")), "the question says that this is none");
    }

    #[test]
    fn a_height_and_a_block_count_only_where_the_header_names_them() {
        let hint = |text: String| {
            let row = read(text).remove(0).unwrap();
            (row.height, row.block.map(|block| block.to_string()))
        };
        let block = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
        assert_eq!(hint(format!("txid,height\n{T},137\n")), (Some(137), None));
        assert_eq!(hint(format!("txid,block\n{T},{block}\n")), (None, Some(block.to_owned())));
        assert_eq!(hint(format!("txid,block\n{T},137\n")), (Some(137), None));
        assert_eq!(hint(format!("height,block hash,txid\n137,{block},{T}\n")), (Some(137), Some(block.to_owned())));
        for none in [format!("txid,height\n{T},unconfirmed\n"), format!("txid,height\n{T},-1\n"), format!("{A},137\n")]
        {
            assert_eq!(hint(none), (None, None));
        }
    }

    #[test]
    fn what_is_no_text_is_refused_and_no_row_vanishes() {
        let wide: Vec<u8> = A.bytes().flat_map(|byte| [byte, 0]).collect();
        for bytes in [wide.clone(), [b"\xff\xfe", &wide[..]].concat(), b"PK\x03\x04".to_vec(), vec![0; 50]] {
            let error = TargetReader::new(&bytes[..]).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        assert_eq!(read(""), []);
        assert_eq!(read("# nothing\n\n,,\n"), []);
        assert_eq!(read("address,amount\n"), []);
        let bytes = [format!("{A}\n{A}\0\n").as_bytes(), b"caf\xe9\n", format!("{B}\n").as_bytes()].concat();
        assert_eq!(targets(&bytes), [at(1, A), at(2, Refusal::Nul), at(3, Refusal::NotUtf8), at(4, B)]);
        assert_eq!(targets(format!("{A}\naddress,role,id\n{B},,1\n"))[0], at(1, Refusal::AboveHeader));
        let secret = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ";
        let unclear = read(format!("x {secret} x\0\n")).remove(0).unwrap_err();
        assert!(!format!("{unclear:?}").contains(secret));
    }

    #[test]
    fn rows_are_read_one_at_a_time() {
        let endless = format!("{T}:0\n").repeat(10);
        let input = io::BufReader::new(endless.as_bytes().chain(io::repeat(b'\n')).take(1 << 22));
        assert_eq!(TargetReader::new(input).unwrap().count(), 10);
        let wide = format!("{}\n{A}\n", "x,".repeat(1 << 20));
        assert_eq!(targets(wide).last(), Some(&at(2, A)));
    }
}
