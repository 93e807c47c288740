//! The binary under strace: which system calls it changes files by, a kill at one of them, a disk that is full from one on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use crate::support::program::{Program, ProgramOutput};

/// The calls that change what a crash leaves. `openat` isn't among them, since most of its calls only read: a file that it makes
/// is there, empty, at the next of these.
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

/// The `nth` time (from 1) that a thread makes a call: strace counts each thread's calls of each name by themselves.
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

/// What a run does to the files of one folder.
#[derive(Clone, Debug)]
pub struct SyscallTrace {
    /// Its points, in the order in which they are reached.
    pub points: Vec<KillPoint>,
    /// How often the busiest thread writes bytes into a file there.
    pub writes: usize,
    /// The files that it writes to, below the folder.
    pub files: BTreeSet<String>,
}

/// Runs a command to its end and tells what it did in `folder`, which no other run may be at work in.
pub fn trace(program: &Program, arguments: &[&str], folder: &Path) -> (ProgramOutput, SyscallTrace) {
    let log = program.home().join("strace.log");
    let path = log.to_str().expect("tests use plain paths");
    let wrapper =
        words(&["strace", "-f", "-y", "-s0", "-qq", "-o", path, "-e", &format!("trace={}", WRITING.join(","))]);
    let out = program.run_under(&wrapper, arguments);
    let text = std::fs::read_to_string(&log).unwrap_or_else(|error| panic!("strace made no log: {error}: {out:#?}"));
    let folder = folder.to_str().expect("tests use plain paths");
    (out, parse(&text, folder))
}

/// Reads strace's log: lines of a thread's number, a call's name, and its arguments with the paths behind them.
fn parse(text: &str, folder: &str) -> SyscallTrace {
    let (mut counts, mut seen) = (BTreeMap::<(&str, &str), usize>::new(), BTreeSet::new());
    let (mut points, mut files, mut writes) = (Vec::new(), BTreeSet::new(), BTreeMap::<&str, usize>::new());
    for line in text.lines() {
        // The end of a call that another thread's came into between is a line of its own.
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

/// The first path of a call's arguments that begins with `folder`; strace puts a descriptor's into angle brackets, others into
/// quotes.
fn path_in<'a>(arguments: &'a str, folder: &str) -> Option<&'a str> {
    let path = &arguments[arguments.find(folder)?..];
    path.find(['>', '"']).map(|end| &path[..end])
}

/// Runs a command that is killed as it is about to make this call; it ends by itself where it never gets there.
pub fn kill_at(program: &Program, arguments: &[&str], point: &KillPoint) -> ProgramOutput {
    let KillPoint { call, nth } = point;
    // Without `--seccomp-bpf`, under which strace 6.1 injects nothing.
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
    program.run_under(&words(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject]), arguments)
}

/// Runs a command for which the disk is full from a thread's `nth` write into one of the traced files on, here below `folder`.
pub fn full_from(
    program: &Program,
    arguments: &[&str],
    nth: usize,
    trace: &SyscallTrace,
    folder: &Path,
) -> ProgramOutput {
    let inject = format!("inject=write:error=ENOSPC:when={nth}+");
    let mut wrapper = words(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=write", "-e", &inject]);
    // Only these: else the message couldn't be written either.
    wrapper.extend(trace.files.iter().flat_map(|file| ["-P".to_owned(), format!("{}{file}", folder.display())]));
    program.run_under(&wrapper, arguments)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}
