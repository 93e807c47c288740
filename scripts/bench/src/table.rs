//! Markdown tables with aligned columns: names to the left, figures to the right.

/// The cell of a figure that does not exist.
pub const NOTHING: &str = "-";

/// The table of these rows under these headings. A short row is filled with [`NOTHING`].
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut cells = vec![head.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()];
    cells.extend(rows);
    for row in &mut cells {
        row.resize(head.len(), NOTHING.to_owned());
    }
    let widths: Vec<usize> =
        (0..head.len()).map(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let rule = widths.iter().enumerate().map(|(column, width)| match column {
        0 => "-".repeat(width + 2),
        _ => format!("{}:", "-".repeat(width + 1)),
    });
    let mut text = line(&cells[0], &widths);
    text.push_str(&format!("|{}|\n", rule.collect::<Vec<_>>().join("|")));
    cells[1..].iter().for_each(|row| text.push_str(&line(row, &widths)));
    text
}

fn line(row: &[String], widths: &[usize]) -> String {
    let padded = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
        0 => format!("{cell:<width$}"),
        _ => format!("{cell:>width$}"),
    });
    format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
}

/// A figure with `digits` after the decimal point; [`NOTHING`] where there is none or it is not finite.
pub fn figure(value: Option<f64>, digits: usize) -> String {
    value.filter(|value| value.is_finite()).map_or_else(|| NOTHING.to_owned(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let text = table(&["name", "x"], [vec!["a".to_owned(), "1000".to_owned()], vec!["longest".to_owned()]]);
        assert_eq!(text, "| name    |    x |\n|---------|-----:|\n| a       | 1000 |\n| longest |    - |\n");
    }

    #[test]
    fn a_missing_figure_is_a_dash() {
        let cases = [(Some(1.256), 2, "1.26"), (Some(3.0), 0, "3"), (None, 1, "-"), (Some(f64::NAN), 1, "-")];
        for (value, digits, cell) in cases {
            assert_eq!(figure(value, digits), cell);
        }
    }
}
