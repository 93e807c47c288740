//! The tables of growth: what a backfill takes against how much of one thing there is. Where cost grows in a straight line, the
//! figures for each unit beyond the first row are the same all the way down.

use serde::Deserialize;

use crate::results::{Run, by_contestant, median_of, spread};
use crate::table::{figure, table};

/// One run on one line.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    /// What grows, in a few words: the heading.
    grows: String,
    /// One of it; nothing is divided by threads.
    unit: String,
    /// The run.
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
    let one = |thing: &str| {
        let of: Vec<_> = lines.iter().filter(|line| line.grows == thing).collect();
        let unit = of.first().map_or("unit", |line| line.unit.as_str());
        let runs: Vec<Run> = of.iter().map(|line| line.run.clone()).collect();
        format!("{thing}:\n\n{}", one_table(unit, &runs))
    };
    things.into_iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one_table(unit: &str, runs: &[Run]) -> String {
    let each = |what: &str, of: &str| format!("{what} / {of}");
    let scan_each = each("scan us", unit);
    let cpu_each = each("client CPU us", unit);
    let wall_each = each("wall us", unit);
    let bytes_each = each("bytes", unit);
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
        // Of what there is beyond the first row, so that what a run costs anyhow cancels out.
        let beyond = |value: fn(&Point) -> f64| {
            let more = point.x - first.x;
            (more > 0.0 && unit != "thread").then(|| (value(point) - value(first)) / more)
        };
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
            figure(beyond(|point| point.scan_s * 1e6), 2),
            figure(beyond(|point| point.cpu_s * 1e6), 2),
            figure(beyond(|point| point.wall_s * 1e6), 2),
            figure(beyond(|point| point.bytes), 1),
        ]
    });
    table(&head, rows)
}

/// A row: medians.
struct Point {
    x: f64,
    touches: Option<f64>,
    records: Option<f64>,
    wall_s: f64,
    spread: Option<String>,
    /// Without the start, the list and the index that is made.
    scan_s: f64,
    cpu_s: f64,
    node_s: f64,
    bytes: f64,
}

impl Point {
    fn of(runs: &[&Run]) -> Self {
        let answered = |name: &str| runs[0].answer[name].as_f64();
        Self {
            x: runs[0].x.unwrap_or_default(),
            touches: answered("touches"),
            records: answered("records"),
            wall_s: median_of(runs, |run| run.wall_s),
            spread: spread(runs),
            scan_s: median_of(runs, |run| run.sweep_s.unwrap_or(f64::NAN)),
            cpu_s: median_of(runs, |run| run.client_cpu_s),
            node_s: median_of(runs, |run| run.node_cpu_s),
            bytes: median_of(runs, |run| run.client_peak_kib) * 1024.0,
        }
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
    fn a_straight_line_has_the_same_figure_all_the_way_down() {
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
