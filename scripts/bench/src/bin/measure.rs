//! The stopwatch: `measure NODE_PID COMMAND…` runs one contestant and prints one line of JSON: wall time, CPU time and peak
//! memory of the contestant and of the node, exit code, and what the contestant printed.

use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use bench_peers::node::{cpu_seconds, seconds};
use bench_peers::results::print;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [pid, program, rest @ ..] = args.as_slice() else {
        bail!("usage: measure NODE_PID COMMAND…");
    };
    // Writing 5 resets the peak to the node's present memory (proc_pid_clear_refs(5)). Where that isn't allowed, no peak is better
    // than a stale one.
    let peak_is_fresh = fs::write(format!("/proc/{pid}/clear_refs"), "5").is_ok();
    let node_before = cpu_seconds(pid)?;
    let start = Instant::now();
    let output = Command::new(program)
        .args(rest)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("could not run {program}"))?;
    let wall = start.elapsed();
    let node_cpu = cpu_seconds(pid)? - node_before;
    // The one child of this process, and the children of that one.
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("getrusage failed")?;
    let line = json!({
        "wall_s": wall.as_secs_f64(),
        "client_cpu_s": seconds(usage.user_time()) + seconds(usage.system_time()),
        "client_peak_kib": usage.max_rss(),
        "node_cpu_s": node_cpu,
        "node_peak_kib": if peak_is_fresh { peak_kib(pid)? } else { Value::Null },
        "exit": output.status.code(),
        "answer": serde_json::from_slice::<Value>(&output.stdout).unwrap_or(Value::Null),
    });
    print(&line);
    Ok(if output.status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Peak memory of process `pid`, in KiB; null if the system does not say.
fn peak_kib(pid: &str) -> Result<Value> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    Ok(kib.into())
}
