//! The tables of growth: the cost of a backfill against the size of one thing. Where cost grows in a straight line, the figures for
//! each unit beyond the first row are equal in all rows.

use serde::Deserialize;

use crate::results::{Run, by_contestant, median_of, spread};
use crate::table::{figure, table};

/// One run against one size.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    /// The thing that grows, which heads its table.
    grows: String,
    /// Its unit. Costs are given for each unit, except for each thread.
    unit: String,
    #[serde(flatten)]
    run: Run,
}

/// One table for each thing that grows.
pub fn page(lines: &[Line]) -> String {
    let mut things: Vec<&str> = Vec::new();
    for line in lines {
        if !things.contains(&line.grows.as_str()) {
            things.push(&line.grows);
        }
    }
    let tables = things.into_iter().map(|thing| {
        let of: Vec<_> = lines.iter().filter(|line| line.grows == thing).collect();
        let unit = of.first().map_or("unit", |line| line.unit.as_str());
        let runs: Vec<Run> = of.iter().map(|line| line.run.clone()).collect();
        format!("{thing}:\n\n{}", one_table(unit, &runs))
    });
    tables.collect::<Vec<_>>().join("\n")
}

fn one_table(unit: &str, runs: &[Run]) -> String {
    let [scan_each, cpu_each, wall_each, bytes_each] =
        ["scan us", "client CPU us", "wall us", "bytes"].map(|cost| format!("{cost} / {unit}"));
    let head = [
        unit,
        "touches",
        "records",
        "wall s",
        "min-max",
        "scan s",
        "client CPU s",
        "node CPU s",
        "client MiB",
        "scan x first",
        &scan_each,
        &cpu_each,
        &wall_each,
        &bytes_each,
    ];
    let points: Vec<Point> = by_contestant(runs).iter().map(|runs| Point::of(runs)).collect();
    let rows = points.iter().map(|point| {
        let first = &points[0];
        let costs = (unit != "thread").then(|| point.costs_beyond(first)).flatten();
        vec![
            figure(Some(point.x), 0),
            figure(point.touches, 0),
            figure(point.records, 0),
            figure(Some(point.wall_s), 2),
            point.spread.clone().unwrap_or_else(|| figure(None, 0)),
            figure(Some(point.scan_s), 2),
            figure(Some(point.cpu_s), 2),
            figure(Some(point.node_s), 2),
            figure(Some(point.bytes / 1024.0 / 1024.0), 0),
            figure(Some(point.scan_s / first.scan_s), 2),
            figure(costs.map(|[scan, ..]| scan), 2),
            figure(costs.map(|[_, cpu, ..]| cpu), 2),
            figure(costs.map(|[_, _, wall, _]| wall), 2),
            figure(costs.map(|[.., bytes]| bytes), 1),
        ]
    });
    table(&head, rows)
}

/// A row of medians.
struct Point {
    x: f64,
    touches: Option<f64>,
    records: Option<f64>,
    wall_s: f64,
    spread: Option<String>,
    /// Without the start, reading the list and making the index.
    scan_s: f64,
    cpu_s: f64,
    node_s: f64,
    bytes: f64,
}

impl Point {
    fn of(runs: &[&Run]) -> Self {
        Self {
            x: runs[0].x.unwrap_or_default(),
            touches: runs[0].answer["touches"].as_f64(),
            records: runs[0].answer["records"].as_f64(),
            wall_s: median_of(runs, |run| run.wall_s),
            spread: spread(runs),
            scan_s: median_of(runs, |run| run.sweep_s.unwrap_or(f64::NAN)),
            cpu_s: median_of(runs, |run| run.client_cpu_s),
            node_s: median_of(runs, |run| run.node_cpu_s),
            bytes: median_of(runs, |run| run.client_peak_kib) * 1024.0,
        }
    }

    /// Microseconds of scan, CPU and wall, and bytes, for each unit beyond `first`: so the fixed costs of a run cancel out.
    fn costs_beyond(&self, first: &Self) -> Option<[f64; 4]> {
        let units = self.x - first.x;
        (units > 0.0).then(|| {
            [
                (self.scan_s - first.scan_s) * 1e6 / units,
                (self.cpu_s - first.cpu_s) * 1e6 / units,
                (self.wall_s - first.wall_s) * 1e6 / units,
                (self.bytes - first.bytes) / units,
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::results::tests::run;

    fn line(grows: &str, unit: &str, x: f64, wall_s: f64) -> Line {
        let (answer, sweep_s) = (json!({"touches": 7}), Some(wall_s - 0.5));
        let run = Run { x: Some(x), answer, sweep_s, client_peak_kib: 1024.0 * x, ..run(grows, "coinhound", wall_s) };
        Line { grows: grows.to_owned(), unit: unit.to_owned(), run }
    }

    #[test]
    fn a_straight_line_has_the_same_figure_in_all_rows() {
        let lines = [10.0, 1000.0, 100_000.0].map(|x| line("list size", "script", x, 1.0 + x * 2e-6));
        let text = page(&lines);
        assert!(text.starts_with("list size:\n\n| script |"), "{text}");
        let rows: Vec<Vec<&str>> = text.lines().skip(4).map(|line| line.split('|').map(str::trim).collect()).collect();
        assert_eq!(rows[0][11..15], ["-", "-", "-", "-"]);
        for row in &rows[1..] {
            assert_eq!(row[11..15], ["2.00", "0.00", "2.00", "1048576.0"]);
        }
        assert_eq!(rows[0][2..4], ["7", "-"]);
    }

    #[test]
    fn each_thing_has_its_table_and_nothing_is_divided_by_threads() {
        let lines =
            [line("threads", "thread", 1.0, 4.5), line("chain", "MB", 100.0, 1.0), line("threads", "thread", 2.0, 2.5)];
        let text = page(&lines);
        let parts: Vec<&str> = text.split("\n\n").collect();
        assert_eq!(parts.len(), 4, "{text}");
        let two: Vec<&str> = text.lines().nth(5).unwrap().split('|').map(str::trim).collect();
        assert_eq!((two[1], two[10], two[11]), ("2", "0.50", "-"));
    }
}
