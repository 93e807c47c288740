//! The columns of tables and CSV, and how a table of rows is laid out.

use serde_json::Value;

use super::Page;
use super::cell;

/// Rows of a long table that are laid out, and printed, together.
pub(super) const TABLE_CHUNK: usize = 1000;

/// How a table shows the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As they are.
    Text,
    /// Satoshis, as bitcoins with eight decimals.
    Btc,
    /// Unix seconds, as a date and time (UTC).
    Time,
    /// Numbers, aligned right.
    Number,
    /// Scripts in hex, shortened where they are longer than an address.
    Script,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The field of the row's JSON; dots lead inwards.
    pub field: &'static str,
    /// Title in tables; empty for columns that only CSV has.
    pub title: &'static str,
    /// How tables show it.
    pub kind: Kind,
}

/// The column of `field`.
pub const fn column(field: &'static str, title: &'static str, kind: Kind) -> Column {
    Column { field, title, kind }
}

/// Rows in those columns that tables have, under their titles if `titled`.
pub(super) fn lay_out(columns: &[Column], rows: &[Value], titled: bool) -> Page {
    let columns: Vec<_> = columns.iter().filter(|column| !column.title.is_empty()).collect();
    let titles: Vec<_> = columns.iter().map(|column| column.title).collect();
    let right: Vec<_> = columns.iter().map(|column| matches!(column.kind, Kind::Btc | Kind::Number)).collect();
    let cells = rows.iter().map(|row| columns.iter().map(|column| table_cell(row, column)).collect());
    let mut page = Page::default();
    page.grid_part(&titles, &right, cells.collect(), titled);
    page
}

fn table_cell(row: &Value, column: &Column) -> String {
    let value = field(row, column.field);
    let text = match column.kind {
        Kind::Btc => value.as_u64().map(cell::btc),
        Kind::Time => value.as_i64().map(cell::time),
        Kind::Script => value.as_str().map(cell::short_script),
        Kind::Text | Kind::Number => None,
    };
    text.unwrap_or_else(|| if value.is_null() { "–".into() } else { cell::plain(value) })
}

/// A row's cells for CSV, which has all columns.
pub(super) fn csv_cells(columns: &[Column], row: &Value) -> impl Iterator<Item = String> {
    columns.iter().map(|column| cell::for_csv(field(row, column.field)))
}

/// The value at a path of names, null where there is none.
fn field<'a>(row: &'a Value, path: &str) -> &'a Value {
    path.split('.').try_fold(row, |value, name| value.get(name)).unwrap_or(&Value::Null)
}
