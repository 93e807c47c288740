//! Runs the real coinhound binary against a node, in an environment of its own; reads what it prints as text or JSON.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bitcoin::Script;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::bitcoind::Bitcoind;

/// What a run printed and how it ended.
#[derive(Clone, Debug)]
pub struct ProgramOutput {
    /// Exit code; a signal's number, negative, where one ended it.
    pub code: i32,
    /// Answers.
    pub stdout: String,
    /// Logs and errors.
    pub stderr: String,
}

/// The binary with the settings of one node and one index.
pub struct Program {
    program: PathBuf,
    globals: Vec<String>,
    environment: Vec<(String, String)>,
    index: PathBuf,
    /// Home and configuration of the runs, and the lists that tests write.
    home: TempDir,
}

impl Program {
    /// Settings for this node; the index needn't exist yet.
    pub fn new(node: &Bitcoind, index: impl Into<PathBuf>) -> Self {
        Self::through(node, node.rpc_url(), index)
    }

    /// The same, but the node is spoken to at this URL.
    pub fn through(node: &Bitcoind, url: String, index: impl Into<PathBuf>) -> Self {
        let index = index.into();
        let path = |path: &Path| path.to_str().expect("tests use plain paths").to_owned();
        let datadir = path(node.datadir());
        let pairs = [("--chain", node.chain().to_owned()), ("--bitcoin-datadir", datadir), ("--rpc-url", url)];
        let pairs = pairs.into_iter().chain([("--index", path(&index))]);
        let globals = pairs.flat_map(|(flag, value)| [flag.to_owned(), value]).collect();
        Self { globals, index, ..Self::bare() }
    }

    /// Without any setting, for tests that give all of them.
    pub fn bare() -> Self {
        let home = tempfile::Builder::new().prefix("coinhound-home-").tempdir().expect("a folder for the runs");
        let (program, index) = (PathBuf::from(env!("CARGO_BIN_EXE_coinhound")), home.path().join("index"));
        Self { program, globals: Vec::new(), environment: Vec::new(), index, home }
    }

    /// More flags for all runs, before the command.
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.globals.extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// A shell script of this text in the binary's place. A shell can't trap a signal that was ignored when it started, and a suite
    /// run in the background ignores SIGINT: `env` sets that back to its default.
    pub fn with_script(mut self, text: &str) -> Self {
        let path = self.home.path().join("script.sh");
        std::fs::write(&path, text).expect("the folder is ours");
        let words = ["--default-signal=INT", "sh", path.to_str().expect("tests use plain paths")];
        self.globals.splice(0..0, words.map(ToOwned::to_owned));
        self.program = PathBuf::from("env");
        self
    }

    /// One more variable in the environment of all runs, which has none of the test's own but PATH.
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another folder in the place of the node's.
    pub fn with_datadir(mut self, folder: &Path) -> Self {
        let flag = self.globals.iter().position(|word| word == "--bitcoin-datadir").expect("it was given");
        self.globals[flag + 1] = folder.to_str().expect("tests use plain paths").to_owned();
        self
    }

    /// The same settings for another index, which isn't there yet, in a home of its own.
    pub fn elsewhere(&self) -> Self {
        let bare = Self::bare();
        let other = bare.index.to_str().expect("tests use plain paths").to_owned();
        let own = self.index.to_str().expect("tests use plain paths");
        let globals = self.globals.iter().map(|word| if word == own { other.clone() } else { word.clone() }).collect();
        Self { program: self.program.clone(), globals, environment: self.environment.clone(), ..bare }
    }

    /// The same settings and the same index, with one text in them replaced by another.
    pub fn replaced(&self, old: &str, new: &str) -> Self {
        let globals = self.globals.iter().map(|word| word.replace(old, new)).collect();
        let (program, environment) = (self.program.clone(), self.environment.clone());
        Self { program, globals, environment, index: self.index.clone(), ..Self::bare() }
    }

    /// Where the index is.
    pub fn index(&self) -> &Path {
        &self.index
    }

    /// Home of the runs, in which `config/coinhound/config.toml` is the configuration.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    fn command(&self, wrapper: &[String], arguments: &[&str]) -> Command {
        let home = self.home.path();
        let mut words = wrapper.iter().map(OsStr::new).chain([self.program.as_os_str()]);
        let mut command = Command::new(words.next().expect("there is the program at least"));
        command.args(words);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("HOME", home).env("XDG_CONFIG_HOME", home.join("config")).env("XDG_DATA_HOME", home.join("data"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(&self.globals).args(arguments).current_dir(home);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> ProgramOutput {
        self.run_under(&[], arguments)
    }

    /// The same by another program, strace say, which gets the binary and its arguments after its own.
    pub fn run_under(&self, wrapper: &[String], arguments: &[&str]) -> ProgramOutput {
        let output = self.command(wrapper, arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", wrapper.first().map_or("coinhound", |it| it)));
        let text = |bytes| String::from_utf8(bytes).expect("coinhound prints UTF-8");
        ProgramOutput { code: code(output.status), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Runs a command with `--format json`; gives its exit code and its answer, or where it gave none, its error object.
    ///
    /// Panics where it printed neither.
    pub fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let out = self.run(&[&["--format", "json"], arguments].concat());
        let answer = if out.stdout.trim().is_empty() {
            let values = out.stderr.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            values.into_iter().find(|value| value.get("error").is_some())
        } else {
            serde_json::from_str(&out.stdout).ok()
        };
        (out.code, answer.unwrap_or_else(|| panic!("neither answer nor error in JSON: {arguments:?}: {out:#?}")))
    }

    /// Runs a command with `--format jsonl`; gives its exit code and its lines. Panics where one isn't JSON.
    pub fn jsonl(&self, arguments: &[&str]) -> (i32, Vec<Value>) {
        let out = self.run(&[&["--format", "jsonl"], arguments].concat());
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in line '{line}'"));
        (out.code, out.stdout.lines().map(line).collect())
    }

    /// Starts a command that goes on, such as `follow`.
    pub fn spawn(&self, arguments: &[&str]) -> RunningProgram {
        self.spawn_under(&[], arguments)
    }

    /// The same by another program, which gets the binary and its arguments after its own.
    pub fn spawn_under(&self, wrapper: &[String], arguments: &[&str]) -> RunningProgram {
        RunningProgram::new(self.command(wrapper, arguments).spawn().expect("it starts"))
    }

    /// Writes a list of scripts with their labels; gives its path, for `--watch`. Each call writes another file.
    pub fn watchlist<S: AsRef<Script>>(&self, entries: &[(S, &str)]) -> PathBuf {
        let line = |(script, label): &(S, &str)| format!("script:{} {label}\n", script.as_ref().to_hex_string());
        let text: String = entries.iter().map(line).collect();
        let named = tempfile::Builder::new().prefix("watch-").suffix(".txt").tempfile_in(self.home.path());
        let (_, path) = named.expect("a file for the list").keep().expect("the file is ours");
        std::fs::write(&path, text).expect("the file is ours");
        path
    }
}

/// A command that goes on until it is told to stop; killed when dropped.
pub struct RunningProgram {
    child: Child,
    lines: Receiver<String>,
    seen: String,
    stdout: Option<JoinHandle<()>>,
    stderr: Option<JoinHandle<String>>,
}

impl RunningProgram {
    fn new(mut child: Child) -> Self {
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let read_out = move || {
            // A test that is done with the lines no longer listens.
            BufReader::new(stdout).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok());
        };
        let read_err = move || {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).ok();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (stdout, stderr) = (Some(std::thread::spawn(read_out)), Some(std::thread::spawn(read_err)));
        Self { child, lines, seen: String::new(), stdout, stderr }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints; `None` where it has printed all, or prints nothing for so long.
    pub fn line(&mut self, patience: Duration) -> Option<String> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => {
                self.seen.push_str(&line);
                self.seen.push('\n');
                Some(line)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Sends SIGTERM.
    pub fn term(&self) {
        self.signal("TERM");
    }

    /// Sends SIGINT.
    pub fn int(&self) {
        self.signal("INT");
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        self.signal("KILL");
    }

    /// Sends the signal of this name, by the shell's own `kill`: the standard library knows SIGKILL only.
    pub fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &line]).stderr(Stdio::null()).status();
        // It fails where the process has ended by itself, which isn't this call's to judge.
        status.expect("there is a shell");
    }

    /// Waits for its end. Panics, and kills it, where it doesn't come in time.
    pub fn wait(mut self, patience: Duration) -> ProgramOutput {
        let end = Instant::now() + patience;
        while self.is_running() {
            if Instant::now() >= end {
                self.kill();
                let stderr = self.stderr.take().and_then(|thread| thread.join().ok());
                panic!("coinhound still runs after {patience:?}; it says: {}", stderr.unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let code = code(self.child.wait().expect("it is our child"));
        self.stdout.take().map(JoinHandle::join);
        let stderr = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        while self.line(Duration::ZERO).is_some() {}
        ProgramOutput { code, stdout: std::mem::take(&mut self.seen), stderr }
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        // It may have ended before.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn code(status: ExitStatus) -> i32 {
    let signal = status.signal().map(|signal| -signal);
    status.code().or(signal).expect("a process that ended has a code or a signal")
}
