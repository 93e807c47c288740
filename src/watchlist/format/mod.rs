//! The table of list formats, and the choice among them. One format is one file, and one line in the table.

mod csv;
mod csv_shape;
mod detection;
mod plain;

use self::csv_shape::Shape;
use self::detection::ListFormat;
use super::ListError;
use super::table::columns::Purpose;

/// Every format, in the order of detection: plain text, which looks like nothing in particular, comes last.
const FORMATS: &[ListFormat] = &[csv::FORMAT, plain::FORMAT];

/// The format called `name`, or the first that recognises the head.
///
/// # Errors
/// [`ListError::UnknownFormat`], [`ListError::Unrecognised`], both with the known ones; [`ListError::NoAddressColumn`].
pub fn choose(path: &str, name: Option<&str>, head: &[u8]) -> Result<&'static ListFormat, ListError> {
    let known = || FORMATS.iter().map(|format| format.name).collect::<Vec<_>>().join(", ");
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
    if (name.is_none() || format.name == csv::FORMAT.name)
        && let Shape::Unnamed { line } = csv_shape::of(head)
    {
        let known = Purpose::Entries.subject_names();
        return Err(ListError::NoAddressColumn { path: path.to_owned(), line, known });
    }
    Ok(format)
}
