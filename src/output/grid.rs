//! Grids of text: columns aligned, rows on one line each. A grid that is wider than the terminal has each row on several lines, broken
//! between cells, so that a hash stays in one piece; only a cell that is wider than the terminal by itself is broken, between its words.

use std::ops::Range;

use unicode_width::UnicodeWidthStr;

/// Between columns.
const GAP: usize = 2;
/// In front of the second and further lines of a row.
const INDENT: usize = 4;

/// Rows under titles.
pub struct Grid<'a> {
    /// The titles.
    pub titles: &'a [&'a str],
    /// Columns that are aligned right.
    pub right: &'a [bool],
    /// The cells, already safe to print.
    pub rows: Vec<Vec<String>>,
}

impl Grid<'_> {
    /// The lines, with the titles first if `titled`; `width` is that of the terminal, if there is one.
    pub fn lines(&self, titled: bool, width: Option<usize>) -> Vec<String> {
        let titles: Vec<String> = self.titles.iter().map(|title| title.to_uppercase()).collect();
        let mut widths: Vec<usize> = titles.iter().map(|title| title.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        let groups = groups(&mut widths, width.unwrap_or(usize::MAX));
        let titles = titled.then_some(&titles);
        titles.into_iter().chain(&self.rows).flat_map(|row| self.row(row, &widths, &groups)).collect()
    }

    /// The lines of one row.
    fn row(&self, row: &[String], widths: &[usize], groups: &[Range<usize>]) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, group) in groups.iter().enumerate() {
            let cells: Vec<Vec<String>> = group.clone().map(|column| wrapped(&row[column], widths[column])).collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or(0);
            for at in 0..height {
                let mut line = " ".repeat(if number == 0 { 0 } else { INDENT });
                for (column, cell) in group.clone().zip(&cells) {
                    let text = cell.get(at).map_or("", String::as_str);
                    let pad = " ".repeat(widths[column].saturating_sub(text.width()));
                    let (before, after) =
                        if self.right.get(column).is_some_and(|right| *right) { (&*pad, "") } else { ("", &*pad) };
                    line.extend([before, text, after, &" ".repeat(GAP)]);
                }
                lines.push(line.trim_end().to_owned());
            }
        }
        // A line of empty cells says nothing, unless it is all there is of the row.
        let first = lines.first().cloned().unwrap_or_default();
        lines.retain(|line| !line.is_empty());
        if lines.is_empty() { vec![first] } else { lines }
    }
}

/// The columns that share a line; a column that is wider than `most` by itself becomes narrower.
fn groups(widths: &mut [usize], most: usize) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut used = 0;
    for (column, width) in widths.iter_mut().enumerate() {
        *width = (*width).min(most.saturating_sub(INDENT));
        match groups.last_mut() {
            Some(group) if used + GAP + *width <= most => {
                group.end = column + 1;
                used += GAP + *width;
            }
            _ => {
                used = *width + if groups.is_empty() { 0 } else { INDENT };
                groups.push(column..column + 1);
            }
        }
    }
    groups
}

/// A text as lines of at most `width` columns, broken between words, and within a word only where the word is wider.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    if text.width() <= width {
        return vec![text.to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        for letter in word.chars() {
            if !line.is_empty() && line.width() + letter.to_string().width() > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push(letter);
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(rows: &[[&str; 4]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect()
    }

    const TITLES: [&str; 4] = ["n", "hash", "label", "why"];

    #[test]
    fn a_grid_that_fits_or_goes_to_no_terminal_has_one_line_a_row() {
        let hash = "f".repeat(20);
        let rows = grid(&[["1", &hash, "漢字", "because"], ["200", "–", "", "so"]]);
        let grid = Grid { titles: &TITLES, right: &[true], rows };
        let expected = [
            format!("  N  HASH{}  LABEL  WHY", " ".repeat(16)),
            format!("  1  {hash}  漢字   because"),
            format!("200  –{}         so", " ".repeat(19)),
        ];
        for width in [None, Some(80), Some(41)] {
            assert_eq!(grid.lines(true, width), expected, "{width:?}");
        }
        assert_eq!(grid.lines(false, None), expected[1..]);
    }

    #[test]
    fn a_wider_grid_breaks_between_cells_and_a_wider_cell_between_words() {
        let hash = "f".repeat(20);
        let rows = grid(&[["1", &hash, "a label", "one two three four five six"], ["200", "–", "", ""]]);
        let lines = Grid { titles: &TITLES, right: &[true], rows }.lines(true, Some(26));
        let expected = [
            "  N  HASH",
            "    LABEL",
            "    WHY",
            &format!("  1  {hash}"),
            "    a label",
            "    one two three four",
            "    five six",
            "200  –",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_text_is_lost() {
        let long = "x".repeat(100);
        let rows = grid(&[["1", &long, "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字", "a b c"]]);
        for width in 8..60 {
            let grid = Grid { titles: &TITLES, right: &[], rows: rows.clone() };
            let lines = grid.lines(false, Some(width));
            assert!(lines.iter().all(|line| line.width() <= width), "{width}: {lines:#?}");
            let letters = |text: &str| text.chars().filter(|letter| *letter != ' ').collect::<String>();
            assert_eq!(letters(&lines.concat()), letters(&rows[0].concat()), "{width}");
        }
    }
}
