//! The measurements that the bench gathers: one line of JSON each, which names its table.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One run of one contestant, from its start to its end.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    /// Its name in the table.
    pub contestant: String,
    /// `naive`, `discard`, `scanblocks` and `bdk` are compared with `coinhound`; `fixed` is coinhound without a scan.
    pub role: String,
    /// coinhound's lane.
    pub lane: Option<String>,
    /// Scripts on its list.
    pub list: Option<u64>,
    /// The last height that it scans.
    pub to: u64,
    /// Blocks up to `to` that hold more than a coinbase.
    pub filled_blocks: u64,
    /// Bytes of all blocks up to `to`.
    pub bytes: u64,
    /// Seconds from its start to its end.
    pub wall_s: f64,
    /// Seconds from the first block asked for to the last one written, from coinhound's log.
    pub sweep_s: Option<f64>,
    /// Its user and system time, in seconds.
    pub client_cpu_s: f64,
    /// The node's user and system time during the run, in seconds.
    pub node_cpu_s: f64,
    /// Its peak memory, in KiB.
    pub client_peak_kib: f64,
    /// The node's peak memory during the run, in KiB; absent where the system can't reset the peak.
    pub node_peak_kib: Option<f64>,
    /// The JSON that it printed.
    #[serde(default)]
    pub answer: Value,
    /// For the table of growth: the size of the thing that grows.
    pub x: Option<f64>,
}

/// The lines of `table` in the file at `path`, in their order. Errors: a line is not the JSON of a result.
pub fn read<T: DeserializeOwned>(path: &Path, table: &str) -> Result<Vec<T>> {
    let text = fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = parse(line, table).with_context(|| format!("line {number} of {} is no result", path.display()))?;
        lines.extend(line);
    }
    Ok(lines)
}

/// A line of `table`; nothing for one of another table.
fn parse<T: DeserializeOwned>(line: &str, table: &str) -> serde_json::Result<Option<T>> {
    let line: Value = serde_json::from_str(line)?;
    if line["table"] == table { serde_json::from_value(line).map(Some) } else { Ok(None) }
}

/// Prints a measurement or an answer: one line of JSON, which `run` reads.
#[expect(clippy::print_stdout, reason = "the output of the bench's programs")]
pub fn print(line: &Value) {
    println!("{line}");
}

/// The runs of each contestant, in the order of their first runs.
pub fn by_contestant(runs: &[Run]) -> Vec<Vec<&Run>> {
    let mut groups: Vec<Vec<&Run>> = Vec::new();
    for run in runs {
        match groups.iter_mut().find(|group| group[0].contestant == run.contestant && group[0].x == run.x) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    groups
}

/// The median of `value` over some runs.
pub fn median_of(runs: &[&Run], value: impl Fn(&Run) -> f64) -> f64 {
    median(runs.iter().map(|run| value(run)).collect())
}

/// Least and greatest wall time, in seconds, as a cell; nothing for a single run.
pub fn spread(runs: &[&Run]) -> Option<String> {
    let least = runs.iter().map(|run| run.wall_s).fold(f64::INFINITY, f64::min);
    let most = runs.iter().map(|run| run.wall_s).fold(0.0, f64::max);
    (runs.len() > 1).then(|| format!("{least:.2}-{most:.2}"))
}

/// The middle value, or the mean of the two middle ones; 0 for no values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => 0.0,
        (length, half) if length % 2 == 1 => values[half],
        (_, half) => f64::midpoint(values[half - 1], values[half]),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run over 100 MB that took `wall_s`.
    pub(crate) fn run(contestant: &str, role: &str, wall_s: f64) -> Run {
        Run {
            contestant: contestant.to_owned(),
            role: role.to_owned(),
            lane: None,
            list: None,
            to: 10,
            filled_blocks: 5,
            bytes: 100_000_000,
            wall_s,
            sweep_s: (role == "coinhound").then_some(wall_s / 2.0),
            client_cpu_s: 0.5,
            node_cpu_s: 1.5,
            client_peak_kib: 2048.0,
            node_peak_kib: None,
            answer: Value::Null,
            x: None,
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
    fn runs_are_gathered_by_contestant_and_by_what_grows() {
        let [first, second, again] = [1.0, 2.0, 1.0].map(|x| Run { x: Some(x), ..run("grows", "coinhound", 1.0) });
        let runs = [run("a", "naive", 1.0), first, second, run("a", "naive", 2.0), again];
        let sizes: Vec<_> = by_contestant(&runs).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 2, 1]);
        assert_eq!(spread(&by_contestant(&runs)[0]).as_deref(), Some("1.00-2.00"));
        assert_eq!(spread(&by_contestant(&runs)[2]), None);
    }

    #[test]
    fn only_the_lines_of_the_table_asked_for_are_read() {
        let path = std::env::temp_dir().join(format!("coinhound-bench-results-{}.jsonl", std::process::id()));
        fs::write(&path, "{\"table\":\"a\",\"n\":1}\n{\"table\":\"b\",\"n\":2}\n{\"table\":\"a\",\"n\":3}\n").unwrap();
        let lines: Vec<Value> = read(&path, "a").unwrap();
        assert_eq!(lines.iter().map(|line| line["n"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 3]);
        fs::write(&path, "{\"table\":\"a\"}\n{\n").unwrap();
        assert!(read::<Value>(&path, "a").unwrap_err().to_string().starts_with("line 2 of"));
        fs::remove_file(&path).unwrap();
    }
}
