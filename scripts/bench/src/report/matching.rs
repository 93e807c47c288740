//! The table of matching: nanoseconds a filter, over many filters in one process, in which the contestants take turns.

use serde::Deserialize;

use crate::table::{figure, table};

const HEAD: [&str; 11] = [
    "per filter",
    "scripts",
    "filters",
    "wall ns",
    "min-max",
    "client CPU ns",
    "node CPU ns",
    "x scanblocks",
    "x crate",
    "CPU x scanblocks",
    "CPU x crate",
];

/// One contestant with one list.
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

impl Line {
    /// CPU time of both processes: other work on the machine does not change it.
    fn cpu_ns(&self) -> f64 {
        self.client_cpu_ns + self.node_cpu_ns
    }
}

/// The table, a row for each contestant and list.
pub fn page(lines: &[Line]) -> String {
    let rows = lines.iter().map(|line| {
        let [scanblocks, bitcoin] = ["scanblocks", "bitcoin"]
            .map(|role| lines.iter().find(|other| other.role == role && other.list == line.list));
        vec![
            line.contestant.clone(),
            line.list.to_string(),
            line.filters.to_string(),
            figure(Some(line.wall_ns), 0),
            format!("{:.0}-{:.0}", line.least_ns, line.most_ns),
            figure(Some(line.client_cpu_ns), 0),
            figure(Some(line.node_cpu_ns), 0),
            figure(scanblocks.map(|other| other.wall_ns / line.wall_ns), 1),
            figure(bitcoin.map(|other| other.wall_ns / line.wall_ns), 1),
            figure(scanblocks.map(|other| other.cpu_ns() / line.cpu_ns()), 1),
            figure(bitcoin.map(|other| other.cpu_ns() / line.cpu_ns()), 1),
        ]
    });
    table(&HEAD, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(role: &str, list: u64, wall_ns: f64) -> Line {
        Line {
            contestant: role.to_owned(),
            role: role.to_owned(),
            list,
            filters: 100_000,
            wall_ns,
            least_ns: wall_ns / 2.0,
            most_ns: wall_ns * 2.0,
            client_cpu_ns: 1.0,
            node_cpu_ns: wall_ns,
        }
    }

    #[test]
    fn each_is_compared_with_the_peers_of_the_same_list() {
        let lines = [
            line("coinhound", 6, 10.0),
            line("scanblocks", 6, 40.0),
            line("bitcoin", 6, 50.0),
            line("coinhound", 1000, 20.0),
            line("bitcoin", 1000, 30.0),
        ];
        let text = page(&lines);
        let rows: Vec<Vec<&str>> = text.lines().skip(2).map(|line| line.split('|').map(str::trim).collect()).collect();
        assert_eq!(rows[0][1..12], ["coinhound", "6", "100000", "10", "5-20", "1", "10", "4.0", "5.0", "3.7", "4.6"]);
        assert_eq!(rows[3][8..12], ["-", "1.5", "-", "1.5"]);
    }
}
