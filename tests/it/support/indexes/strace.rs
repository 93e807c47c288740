//! The program under strace: the system calls by which it changes files, a kill at one of them, a disk that is full from one on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use crate::support::files::text;
use crate::support::program::{Program, ProgramOutput};

/// The calls that change what a crash leaves. `openat` isn't one of them, since it mostly opens files for reading; a file that it
/// makes is there, empty, at the next of these calls.
const WRITING: [&str; 16] = [
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "pwritev2",
    "fdatasync",
    "fsync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "ftruncate",
    "fallocate",
    "linkat",
];

/// The `nth` time (from 1) that a thread makes a call: strace counts the calls of each thread and name separately.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KillPoint {
    call: String,
    nth: usize,
}

impl fmt::Display for KillPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.call, self.nth)
    }
}

/// The system calls by which a run changes the files of one folder.
#[derive(Clone, Debug)]
pub struct SyscallTrace {
    /// The points at which it can be killed, in the order in which it reaches them.
    pub points: Vec<KillPoint>,
    /// Number of writes by the thread that writes most.
    pub writes: usize,
    /// The files that it writes to, relative to the folder.
    pub files: BTreeSet<String>,
}

/// Runs a command and returns what it did in `folder`, which no other run may use meanwhile.
pub fn trace(program: &Program, arguments: &[&str], folder: &Path) -> (ProgramOutput, SyscallTrace) {
    let log = program.home().join("strace.log");
    let wrapper =
        words(&["strace", "-f", "-y", "-s0", "-qq", "-o", text(&log), "-e", &format!("trace={}", WRITING.join(","))]);
    let out = program.run_under(&wrapper, arguments);
    let lines = std::fs::read_to_string(&log).unwrap_or_else(|error| panic!("strace made no log: {error}: {out:#?}"));
    (out, parse(&lines, text(folder)))
}

/// Reads strace's log, whose lines are a thread's number, a call's name, and its arguments with the paths behind them.
fn parse(log: &str, folder: &str) -> SyscallTrace {
    let (mut counts, mut seen) = (BTreeMap::<(&str, &str), usize>::new(), BTreeSet::new());
    let (mut points, mut files, mut writes) = (Vec::new(), BTreeSet::new(), BTreeMap::<&str, usize>::new());
    for line in log.lines() {
        // A call that another thread's call interrupted ends on a line of its own, without a name.
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((call, arguments)) = rest.trim_start().split_once('(') else { continue };
        if !WRITING.contains(&call) {
            continue;
        }
        let nth = counts.entry((thread, call)).or_default();
        *nth += 1;
        let Some(path) = path_in(arguments, folder) else { continue };
        let point = KillPoint { call: call.to_owned(), nth: *nth };
        if seen.insert(point.clone()) {
            points.push(point);
        }
        if call == "write" {
            *writes.entry(thread).or_default() += 1;
            files.insert(path[folder.len()..].to_owned());
        }
    }
    SyscallTrace { points, files, writes: writes.into_values().max().unwrap_or_default() }
}

/// The first path in a call's arguments that begins with `folder`. strace puts a descriptor's path into angle brackets, others into
/// quotes.
fn path_in<'a>(arguments: &'a str, folder: &str) -> Option<&'a str> {
    let path = &arguments[arguments.find(folder)?..];
    path.find(['>', '"']).map(|end| &path[..end])
}

/// Runs a command that is killed when it is about to make this call; it ends by itself if it never does.
pub fn kill_at(program: &Program, arguments: &[&str], point: &KillPoint) -> ProgramOutput {
    let KillPoint { call, nth } = point;
    // Not with `--seccomp-bpf`: strace 6.1 injects nothing then.
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
    program.run_under(&words(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject]), arguments)
}

/// Runs a command for which the disk is full from a thread's `nth` write on, into one of the traced files below `folder`.
pub fn full_from(
    program: &Program,
    arguments: &[&str],
    nth: usize,
    trace: &SyscallTrace,
    folder: &Path,
) -> ProgramOutput {
    let inject = format!("inject=write:error=ENOSPC:when={nth}+");
    let mut wrapper = words(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=write", "-e", &inject]);
    // Only these files: otherwise the error message couldn't be written either.
    wrapper.extend(trace.files.iter().flat_map(|file| ["-P".to_owned(), format!("{}{file}", folder.display())]));
    program.run_under(&wrapper, arguments)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}
