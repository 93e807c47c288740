//! The table: `report RESULTS` reads the lines that `scripts/bench` gathered and prints one row a contestant, medians over
//! the rounds, and how many times the naive loop's and what share of the best reader's throughput that is.

use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// One run of one contestant.
#[derive(Debug, Deserialize)]
struct Run {
    contestant: String,
    /// `naive` and `discard` are what the others are compared with.
    role: String,
    to: u64,
    /// Blocks that hold more than a coinbase.
    filled_blocks: u64,
    bytes: u64,
    wall_s: f64,
    client_cpu_s: f64,
    node_cpu_s: f64,
    client_peak_kib: f64,
    node_peak_kib: Option<f64>,
}

/// A row of the table: medians.
struct Row {
    name: String,
    role: String,
    to: u64,
    rounds: usize,
    wall_s: f64,
    fastest_s: f64,
    slowest_s: f64,
    mb_s: f64,
    blocks_s: f64,
    client_cpu_s: f64,
    node_cpu_s: f64,
    cpu_ms_mb: f64,
    client_peak_mib: f64,
    node_peak_mib: Option<f64>,
}

const HEAD: [&str; 13] = [
    "contestant",
    "to height",
    "wall s",
    "min-max",
    "blk/s",
    "MB/s",
    "client CPU s",
    "node CPU s",
    "CPU ms/MB",
    "client MiB",
    "node MiB",
    "x naive",
    "of discard",
];

fn main() -> Result<()> {
    let Some(path) = std::env::args().nth(1) else { bail!("usage: report RESULTS") };
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
    let runs = text.lines().map(serde_json::from_str).collect::<Result<Vec<Run>, _>>();
    print!("{}", table(&rows(&runs.with_context(|| format!("{path} holds a line that is no result"))?)));
    Ok(())
}

/// One row a contestant, in the order of their first runs.
fn rows(runs: &[Run]) -> Vec<Row> {
    let mut names: Vec<&str> = Vec::new();
    for run in runs {
        if !names.contains(&run.contestant.as_str()) {
            names.push(&run.contestant);
        }
    }
    names
        .into_iter()
        .filter_map(|name| row(&runs.iter().filter(|run| run.contestant == name).collect::<Vec<_>>()))
        .collect()
}

fn row(runs: &[&Run]) -> Option<Row> {
    let first = runs.first()?;
    let of = |value: fn(&Run) -> f64| median(runs.iter().map(|run| value(run)).collect());
    let walls = || runs.iter().map(|run| run.wall_s);
    let node_peaks: Option<Vec<f64>> = runs.iter().map(|run| run.node_peak_kib).collect();
    let (wall_s, mb) = (of(|run| run.wall_s), first.bytes as f64 / 1e6);
    Some(Row {
        name: first.contestant.clone(),
        role: first.role.clone(),
        to: first.to,
        rounds: runs.len(),
        wall_s,
        fastest_s: walls().fold(f64::INFINITY, f64::min),
        slowest_s: walls().fold(0.0, f64::max),
        mb_s: mb / wall_s,
        blocks_s: first.filled_blocks as f64 / wall_s,
        client_cpu_s: of(|run| run.client_cpu_s),
        node_cpu_s: of(|run| run.node_cpu_s),
        cpu_ms_mb: of(|run| run.client_cpu_s + run.node_cpu_s) * 1e3 / mb,
        client_peak_mib: of(|run| run.client_peak_kib) / 1024.0,
        node_peak_mib: node_peaks.map(|peaks| median(peaks) / 1024.0),
    })
}

/// The middle value, the mean of the two middle ones of an even number; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => 0.0,
        (length, half) if length % 2 == 1 => values[half],
        (_, half) => f64::midpoint(values[half - 1], values[half]),
    }
}

/// The rows as a Markdown table, columns aligned.
fn table(rows: &[Row]) -> String {
    let best = |role: &str| rows.iter().filter(|row| row.role == role).map(|row| row.mb_s).reduce(f64::max);
    let (naive, discard) = (best("naive"), best("discard"));
    let missing = || "-".to_owned();
    let mut cells = vec![HEAD.map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        [
            row.name.clone(),
            row.to.to_string(),
            format!("{:.2}", row.wall_s),
            if row.rounds > 1 { format!("{:.2}-{:.2}", row.fastest_s, row.slowest_s) } else { missing() },
            format!("{:.0}", row.blocks_s),
            format!("{:.0}", row.mb_s),
            format!("{:.2}", row.client_cpu_s),
            format!("{:.2}", row.node_cpu_s),
            format!("{:.2}", row.cpu_ms_mb),
            format!("{:.0}", row.client_peak_mib),
            row.node_peak_mib.map_or_else(missing, |mib| format!("{mib:.0}")),
            naive.map_or_else(missing, |naive| format!("{:.1}", row.mb_s / naive)),
            discard.map_or_else(missing, |discard| format!("{:.0} %", 100.0 * row.mb_s / discard)),
        ]
    }));
    let widths: Vec<usize> =
        (0..HEAD.len()).map(|column| cells.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    let line = |row: &[String; HEAD.len()]| {
        let padded = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths.iter().enumerate().map(|(column, width)| match column {
        0 => "-".repeat(width + 2),
        _ => format!("{}:", "-".repeat(width + 1)),
    });
    let mut text = line(&cells[0]);
    text.push_str(&format!("|{}|\n", rule.collect::<Vec<_>>().join("|")));
    cells[1..].iter().for_each(|row| text.push_str(&line(row)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(contestant: &str, role: &str, wall_s: f64) -> Run {
        Run {
            contestant: contestant.to_owned(),
            role: role.to_owned(),
            to: 10,
            filled_blocks: 5,
            bytes: 100_000_000,
            wall_s,
            client_cpu_s: 0.5,
            node_cpu_s: 1.5,
            client_peak_kib: 2048.0,
            node_peak_kib: None,
        }
    }

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_middle_ones() {
        for (values, middle) in
            [(vec![], 0.0), (vec![3.0], 3.0), (vec![9.0, 1.0, 4.0], 4.0), (vec![4.0, 1.0, 2.0, 9.0], 3.0)]
        {
            assert!((median(values.clone()) - middle).abs() < 1e-9, "{values:?}");
        }
    }

    #[test]
    fn rows_compare_with_the_naive_loop_and_with_the_best_reader() {
        let runs = [
            run("naive", "naive", 10.0),
            run("discard 1", "discard", 2.0),
            run("discard 2", "discard", 1.0),
            run("ours", "coinhound", 4.0),
            run("ours", "coinhound", 2.0),
            run("ours", "coinhound", 1.0),
        ];
        let text = table(&rows(&runs));
        let ours: Vec<&str> = text.lines().last().unwrap().split('|').map(str::trim).collect();
        assert_eq!(
            ours[1..14],
            ["ours", "10", "2.00", "1.00-4.00", "2", "50", "0.50", "1.50", "20.00", "2", "-", "5.0", "50 %"]
        );
        assert_eq!(text.lines().count(), 2 + 4);
    }
}
