//! The table of filters by themselves: nanoseconds a filter, over many filters in one process, all contestants in turn.

use serde::Deserialize;

use crate::table::{figure, table};

const HEAD: [&str; 9] = [
    "per filter",
    "scripts",
    "filters",
    "wall ns",
    "min-max",
    "client CPU ns",
    "node CPU ns",
    "x scanblocks",
    "x bitcoin crate",
];

/// One contestant.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    contestant: String,
    /// `coinhound`, `coinhound-all` (on all threads), `scanblocks`, `bitcoin`.
    role: String,
    list: u64,
    filters: u64,
    wall_ns: f64,
    least_ns: f64,
    most_ns: f64,
    client_cpu_ns: f64,
    node_cpu_ns: f64,
}

/// The table.
pub fn page(lines: &[Line]) -> String {
    let rows = lines.iter().map(|line| {
        let of = |role: &str| lines.iter().find(|other| other.role == role && other.list == line.list);
        let times = |role: &str| of(role).map(|other| other.wall_ns / line.wall_ns);
        vec![
            line.contestant.clone(),
            line.list.to_string(),
            line.filters.to_string(),
            figure(Some(line.wall_ns), 0),
            format!("{:.0}-{:.0}", line.least_ns, line.most_ns),
            figure(Some(line.client_cpu_ns), 0),
            figure(Some(line.node_cpu_ns), 0),
            figure(times("scanblocks"), 1),
            figure(times("bitcoin"), 1),
        ]
    });
    table(&HEAD, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_compared_with_the_peers_for_as_many_scripts() {
        let line = |role: &str, list, wall_ns| Line {
            contestant: role.to_owned(),
            role: role.to_owned(),
            list,
            filters: 100_000,
            wall_ns,
            least_ns: wall_ns / 2.0,
            most_ns: wall_ns * 2.0,
            client_cpu_ns: wall_ns,
            node_cpu_ns: 0.0,
        };
        let lines = [
            line("coinhound", 6, 10.0),
            line("scanblocks", 6, 40.0),
            line("bitcoin", 6, 50.0),
            line("coinhound", 1000, 20.0),
            line("bitcoin", 1000, 30.0),
        ];
        let text = page(&lines);
        let rows: Vec<Vec<&str>> = text.lines().skip(2).map(|line| line.split('|').map(str::trim).collect()).collect();
        assert_eq!(rows[0][1..10], ["coinhound", "6", "100000", "10", "5-20", "10", "0", "4.0", "5.0"]);
        assert_eq!(rows[3][8..10], ["-", "1.5"]);
    }
}
