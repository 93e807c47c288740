//! The table of the tip: milliseconds from a block to its durable rows.

use serde::{Deserialize, Serialize};

use crate::results::median;
use crate::table::{figure, table};

const HEAD: [&str; 9] = [
    "block",
    "bytes",
    "blocks",
    "accepted: median ms",
    "worst",
    "returned: median ms",
    "worst",
    "sent: median ms",
    "worst",
];

/// One block at the tip.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// `2 MB` or `small`.
    pub block: String,
    /// Bytes of the block.
    pub bytes: u64,
    /// Milliseconds from when the node logged the block as its tip until coinhound printed the block's first touch.
    pub accepted_ms: f64,
    /// The same from when `submitblock` returned; negative if coinhound printed before.
    pub returned_ms: f64,
    /// The same from when `submitblock` was sent.
    pub sent_ms: f64,
}

/// The table: one row for each kind of block.
pub fn page(lines: &[Line]) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for line in lines {
        if !kinds.contains(&line.block.as_str()) {
            kinds.push(&line.block);
        }
    }
    let rows = kinds.into_iter().map(|kind| {
        let of_kind: Vec<&Line> = lines.iter().filter(|line| line.block == kind).collect();
        let mut row = vec![
            kind.to_owned(),
            figure(Some(median(of_kind.iter().map(|line| line.bytes as f64).collect())), 0),
            of_kind.len().to_string(),
        ];
        for value in [|line: &Line| line.accepted_ms, |line: &Line| line.returned_ms, |line: &Line| line.sent_ms] {
            let values: Vec<f64> = of_kind.iter().map(|line| value(line)).collect();
            row.push(figure(Some(median(values.clone())), 1));
            row.push(figure(values.into_iter().reduce(f64::max), 1));
        }
        row
    });
    table(&HEAD, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_block_has_its_median_and_its_worst() {
        let blocks = [("small", 10.0), ("large", 90.0), ("small", 30.0), ("small", 20.0)];
        let text = page(&blocks.map(|(block, ms)| Line {
            block: block.to_owned(),
            bytes: 250,
            accepted_ms: ms,
            returned_ms: ms - 1.0,
            sent_ms: ms + 5.0,
        }));
        let rows: Vec<Vec<&str>> = text.lines().skip(2).map(|line| line.split('|').map(str::trim).collect()).collect();
        assert_eq!(rows[0][1..10], ["small", "250", "3", "20.0", "30.0", "19.0", "29.0", "25.0", "35.0"]);
        assert_eq!(rows[1][1..5], ["large", "250", "1", "90.0"]);
    }
}
