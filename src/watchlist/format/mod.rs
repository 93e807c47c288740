//! The table of list formats, and the choice among them. One format is one file, and one line in the table.

mod bip329;
mod csv;
mod csv_shape;
mod detection;
mod ftm;
mod json;
mod json_lines;
mod json_tree;
mod ofac;
mod plain;
mod ransomwhere;
mod records;
mod sdn_advanced;
mod sdn_csv;
mod sdn_xml;
mod tagpack;
mod xml;
mod yaml;

use self::csv_shape::Shape;
use self::detection::ListFormat;
use super::ListError;
use super::table::columns::Purpose;

/// Every format, in the order of detection: plain text, which looks like nothing in particular, comes last.
const FORMATS: &[ListFormat] = &[
    sdn_xml::FORMAT,
    sdn_advanced::FORMAT,
    sdn_csv::FORMAT,
    tagpack::FORMAT,
    bip329::FORMAT,
    ftm::FORMAT,
    ransomwhere::FORMAT,
    json_lines::FORMAT,
    json::FORMAT,
    csv::FORMAT,
    plain::FORMAT,
];

/// The names of all formats.
pub fn names() -> Vec<&'static str> {
    FORMATS.iter().map(|format| format.name).collect()
}

/// The format called `name`, or the first that recognises the head.
///
/// # Errors
/// [`ListError::UnknownFormat`], [`ListError::Unrecognised`], both with the known ones; [`ListError::NoAddressColumn`].
pub fn choose(path: &str, name: Option<&str>, head: &[u8]) -> Result<&'static ListFormat, ListError> {
    let known = || names().join(", ");
    let format = match name {
        Some(name) => FORMATS
            .iter()
            .find(|format| format.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| ListError::UnknownFormat { path: path.to_owned(), name: name.to_owned(), known: known() })?,
        None => FORMATS
            .iter()
            .find(|format| (format.detects)(head))
            .ok_or_else(|| ListError::Unrecognised { path: path.to_owned(), known: known() })?,
    };
    // A user who names the format plain says that there are no columns.
    let may_be_csv = name.is_none() && [csv::FORMAT.name, plain::FORMAT.name].contains(&format.name);
    if (may_be_csv || format.name == csv::FORMAT.name)
        && let Shape::Unnamed { line } = csv_shape::of(head)
    {
        let known = Purpose::Entries.subject_names();
        return Err(ListError::NoAddressColumn { path: path.to_owned(), line, known });
    }
    Ok(format)
}
