//! A page for people: lines, aligned fields and grids. Every text is escaped, since lists and nodes can send anything.

use std::fmt;

use super::grid::Grid;
use super::{cell, terminal};
use crate::query::Coverage;
use crate::query::at::AtBlock;
use crate::query::facts::ScriptInfo;

/// A page of text.
#[derive(Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Adds a line.
    pub fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(&cell::shown(line.as_ref(), cell::LONGEST_LINE));
        self.text.push('\n');
    }

    /// Adds lines.
    pub fn lines(&mut self, lines: impl IntoIterator<Item = String>) {
        lines.into_iter().for_each(|line| self.line(line));
    }

    /// Adds a line for each name with its value, the values aligned.
    pub fn fields(&mut self, fields: &[(&str, String)]) {
        let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        for (name, value) in fields {
            self.line(format!("{name:width$}  {value}"));
        }
    }

    /// Adds a grid; columns that are true in `right` are aligned right.
    pub fn grid(&mut self, titles: &[&str], right: &[bool], rows: Vec<Vec<String>>) {
        self.grid_part(titles, right, rows, true);
    }

    /// Adds rows of a grid, under its titles if `titled`.
    pub fn grid_part(&mut self, titles: &[&str], right: &[bool], rows: Vec<Vec<String>>, titled: bool) {
        let rows = rows.iter().map(|row| row.iter().map(|text| cell::shown(text, cell::LONGEST_CELL)).collect());
        let rows = rows.collect();
        for line in (Grid { titles, right, rows }).lines(titled, terminal::width()) {
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A script in a table: its address, or its hex, shortened, where it has none.
pub fn holder(info: &ScriptInfo) -> String {
    info.address.clone().unwrap_or_else(|| cell::short_script(&info.script))
}

/// The block that an answer is about, in words.
pub fn at_line(at: &AtBlock) -> String {
    match (at.hash, at.time) {
        (Some(hash), Some(time)) => {
            format!("at: after block {} ({hash}), {} UTC", at.height, cell::time(i64::from(time)))
        }
        _ => format!("at: after block {}, which the index doesn't have", at.height),
    }
}

/// The coverage in words, for the foot of a table.
pub fn coverage_lines(coverage: &Coverage) -> Vec<String> {
    let mut lines = Vec::new();
    let heights = match (coverage.from, coverage.through) {
        (Some(from), Some(through)) if from <= through => format!("heights {from} to {through}"),
        _ => "no height".to_owned(),
    };
    let time = coverage.tip_time.map(|time| format!(" of {} UTC", cell::time(i64::from(time)))).unwrap_or_default();
    let tip = coverage.tip.map(|tip| format!(", tip {tip}{time}")).unwrap_or_default();
    let word = if coverage.complete { "complete" } else { "NOT COMPLETE" };
    lines.push(format!("coverage: {} {heights}{tip}: {word}", coverage.chain));
    lines.extend(coverage.why.iter().map(|reason| format!("  {reason}")));
    for gap in &coverage.gaps {
        let lists = if gap.lists.is_empty() { "on no list".to_owned() } else { format!("of {}", gap.lists.join(", ")) };
        let entries = if gap.entries == 1 { "entry" } else { "entries" };
        lines.push(format!(
            "  not scanned: heights {} to {} for {} {entries} {lists}",
            gap.from, gap.through, gap.entries
        ));
    }
    if coverage.quarantined > 0 {
        lines.push(format!(
            "  rows of the lists that could not be read: {}; `coinhound watch check` shows them",
            coverage.quarantined
        ));
    }
    lines
}
