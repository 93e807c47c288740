//! The table of the contestants that match filters first: coinhound's lanes beside the node's own calls and beside the library that
//! wallets use, and its choice of lane beside the best lane. The cost before any scan has rows of its own.

use crate::results::{Run, by_contestant, median_of, spread};
use crate::table::{figure, table};

const HEAD: [&str; 10] = [
    "contestant",
    "wall s",
    "min-max",
    "blk/s",
    "client CPU s",
    "node CPU s",
    "client MiB",
    "x scanblocks",
    "x bdk",
    "of best lane",
];

/// The table of `runs`, a row for each contestant. The lanes of `others`, the runs of the table of blocks, count for the best lane.
pub fn page(runs: &[Run], others: &[Run]) -> String {
    let all: Vec<Run> = runs.iter().chain(others).cloned().collect();
    let (groups, all) = (by_contestant(runs), by_contestant(&all));
    let rows = groups.iter().map(|runs| {
        let (first, wall) = (runs[0], wall_s(runs));
        let scans = first.role != "fixed";
        let [scanblocks, bdk] = ["scanblocks", "bdk"]
            .map(|role| best(&all, first, |run| run.role == role).filter(|_| scans).map(|other| other / wall));
        let lane = best(&all, first, is_lane).filter(|_| first.role == "coinhound").map(|best| wall / best);
        vec![
            first.contestant.clone(),
            figure(Some(wall), 3),
            spread(runs).unwrap_or_else(|| figure(None, 0)),
            figure(scans.then(|| first.filled_blocks as f64 / wall), 0),
            figure(Some(median_of(runs, |run| run.client_cpu_s)), 2),
            figure(Some(median_of(runs, |run| run.node_cpu_s)), 2),
            figure(Some(median_of(runs, |run| run.client_peak_kib) / 1024.0), 0),
            figure(scanblocks, 1),
            figure(bdk, 1),
            figure(lane, 2),
        ]
    });
    table(&HEAD, rows)
}

fn wall_s(runs: &[&Run]) -> f64 {
    median_of(runs, |run| run.wall_s)
}

/// The least wall time of the contestants that fit and have the range and the list of `ours`: others don't compare.
fn best(all: &[Vec<&Run>], ours: &Run, fits: impl Fn(&Run) -> bool) -> Option<f64> {
    all.iter()
        .filter(|runs| runs[0].to == ours.to && runs[0].list == ours.list && fits(runs[0]))
        .map(|runs| wall_s(runs))
        .reduce(f64::min)
}

/// A lane of coinhound that a person chose.
fn is_lane(run: &Run) -> bool {
    run.role == "coinhound" && run.lane.as_deref().is_some_and(|lane| lane != "auto")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::run;

    fn listed(contestant: &str, role: &str, lane: &str, list: u64, wall_s: f64) -> Run {
        let lane = (!lane.is_empty()).then(|| lane.to_owned());
        Run { lane, list: Some(list), ..run(contestant, role, wall_s) }
    }

    #[test]
    fn rows_compare_with_the_peers_and_lanes_of_the_same_list_and_range() {
        let runs = [
            listed("node 6", "scanblocks", "", 6, 2.0),
            listed("node 1000", "scanblocks", "", 1000, 9.0),
            listed("bdk 6", "bdk", "", 6, 4.0),
            listed("filters 6", "coinhound", "filters", 6, 0.5),
            listed("auto 6", "coinhound", "auto", 6, 0.6),
            listed("nothing to do", "fixed", "", 6, 0.1),
        ];
        let others = [
            listed("rest 6", "coinhound", "rest", 6, 0.4),
            Run { to: 5, ..listed("rpc 6", "coinhound", "rpc", 6, 0.1) },
            listed("rest 1000", "coinhound", "rest", 1000, 0.2),
        ];
        let text = page(&runs, &others);
        let rows: Vec<Vec<&str>> =
            text.lines().skip(2).map(|line| line.split('|').map(str::trim).skip(8).take(3).collect()).collect();
        assert_eq!(rows[0], ["1.0", "2.0", "-"]);
        assert_eq!(rows[1], ["1.0", "-", "-"]);
        assert_eq!(rows[3], ["4.0", "8.0", "1.25"]);
        assert_eq!(rows[4], ["3.3", "6.7", "1.50"]);
        assert_eq!(rows[5], ["-", "-", "-"]);
        assert_eq!(rows.len(), 6, "the contestants of the other table have no rows here");
    }
}
