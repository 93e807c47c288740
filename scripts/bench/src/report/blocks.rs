//! The table of the contestants that read every block, beside the naive loop and the best reader that discards blocks.

use crate::results::{Run, by_contestant, median_of, spread};
use crate::table::{figure, table};

const HEAD: [&str; 16] = [
    "contestant",
    "to height",
    "wall s",
    "min-max",
    "blk/s",
    "MB/s",
    "client CPU s",
    "node CPU s",
    "client ms/MB",
    "both ms/MB",
    "client MiB",
    "node MiB",
    "x naive",
    "of discard",
    "sweep MB/s",
    "of discard",
];

/// The table of `runs`, a row for each contestant.
pub fn page(runs: &[Run]) -> String {
    let groups = by_contestant(runs);
    let (naive, discard) = (best(&groups, "naive"), best(&groups, "discard"));
    let rows = groups.iter().map(|runs| {
        let (wall_s, mb) = (median_of(runs, |run| run.wall_s), runs[0].bytes as f64 / 1e6);
        let own = median_of(runs, |run| run.client_cpu_s);
        let has_node_peak = runs.iter().all(|run| run.node_peak_kib.is_some());
        let has_sweep = runs.iter().all(|run| run.sweep_s.is_some());
        let sweep = has_sweep.then(|| mb / median_of(runs, |run| run.sweep_s.unwrap_or_default()));
        vec![
            runs[0].contestant.clone(),
            runs[0].to.to_string(),
            figure(Some(wall_s), 2),
            spread(runs).unwrap_or_else(|| figure(None, 0)),
            figure(Some(runs[0].filled_blocks as f64 / wall_s), 0),
            figure(Some(mb_s(runs)), 0),
            figure(Some(own), 2),
            figure(Some(median_of(runs, |run| run.node_cpu_s)), 2),
            figure(Some(own * 1e3 / mb), 2),
            figure(Some(median_of(runs, |run| run.client_cpu_s + run.node_cpu_s) * 1e3 / mb), 2),
            figure(Some(median_of(runs, |run| run.client_peak_kib) / 1024.0), 0),
            figure(has_node_peak.then(|| median_of(runs, |run| run.node_peak_kib.unwrap_or_default()) / 1024.0), 0),
            figure(naive.map(|naive| mb_s(runs) / naive), 1),
            percent(mb_s(runs), discard),
            figure(sweep, 0),
            sweep.map_or_else(|| figure(None, 0), |sweep| percent(sweep, discard)),
        ]
    });
    table(&HEAD, rows)
}

fn mb_s(runs: &[&Run]) -> f64 {
    runs[0].bytes as f64 / 1e6 / median_of(runs, |run| run.wall_s)
}

/// The greatest MB/s of the contestants with this role.
fn best(groups: &[Vec<&Run>], role: &str) -> Option<f64> {
    groups.iter().filter(|runs| runs[0].role == role).map(|runs| mb_s(runs)).reduce(f64::max)
}

fn percent(mb_s: f64, of: Option<f64>) -> String {
    format!("{:.0} %", 100.0 * mb_s / of.unwrap_or(f64::INFINITY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::run;

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
        let text = page(&runs);
        let ours: Vec<&str> = text.lines().last().unwrap().split('|').map(str::trim).collect();
        assert_eq!(ours[1..17].join(" "), "ours 10 2.00 1.00-4.00 2 50 0.50 1.50 5.00 20.00 2 - 5.0 50 % 100 100 %");
        assert_eq!(text.lines().count(), 2 + 4);
    }
}
