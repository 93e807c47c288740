//! The table of those that look at filters first: beside the node's own calls, beside the wallets' library, and coinhound's choice
//! of lane beside the best lane. What each costs before it scans anything has rows of its own.

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

/// The table of `runs`; `others` are those of the table of blocks, whose lanes the choice is compared with too.
pub fn page(runs: &[Run], others: &[Run]) -> String {
    let all: Vec<Run> = runs.iter().chain(others).cloned().collect();
    let (groups, all) = (by_contestant(runs), by_contestant(&all));
    let wall_s = |runs: &[&Run]| median_of(runs, |run| run.wall_s);
    // Only what goes over the same blocks for the same scripts compares.
    let best = |ours: &Run, fits: &dyn Fn(&Run) -> bool| {
        let fit = all.iter().filter(|runs| runs[0].to == ours.to && runs[0].list == ours.list && fits(runs[0]));
        fit.map(|runs| wall_s(runs)).reduce(f64::min)
    };
    let rows = groups.iter().map(|runs| {
        let (first, wall) = (runs[0], wall_s(runs));
        let scans = first.role != "fixed";
        let times =
            |role: &'static str| best(first, &|run| run.role == role).filter(|_| scans).map(|other| other / wall);
        let is_lane = |run: &Run| run.role == "coinhound" && run.lane.as_deref().is_some_and(|lane| lane != "auto");
        let lane = best(first, &is_lane).filter(|_| first.role == "coinhound").map(|best| wall / best);
        vec![
            first.contestant.clone(),
            figure(Some(wall), 3),
            spread(runs).unwrap_or_else(|| figure(None, 0)),
            figure(scans.then(|| first.filled_blocks as f64 / wall), 0),
            figure(Some(median_of(runs, |run| run.client_cpu_s)), 2),
            figure(Some(median_of(runs, |run| run.node_cpu_s)), 2),
            figure(Some(median_of(runs, |run| run.client_peak_kib) / 1024.0), 0),
            figure(times("scanblocks"), 1),
            figure(times("bdk"), 1),
            figure(lane, 2),
        ]
    });
    table(&HEAD, rows)
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
        let last = |line: &str| line.split('|').map(str::trim).skip(8).take(3).map(str::to_owned).collect::<Vec<_>>();
        let rows: Vec<_> = text.lines().skip(2).map(last).collect();
        assert_eq!(rows[0], ["1.0", "2.0", "-"]);
        assert_eq!(rows[1], ["1.0", "-", "-"]);
        assert_eq!(rows[3], ["4.0", "8.0", "1.25"]);
        assert_eq!(rows[4], ["3.3", "6.7", "1.50"]);
        assert_eq!(rows[5], ["-", "-", "-"]);
        assert_eq!(rows.len(), 6, "what it is compared with has rows elsewhere");
    }
}
