//! Runs the coinhound binary against a node, in an environment of its own, and reads its output as text or JSON.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bitcoin::{Script, ScriptBuf};
use coinhound::index::Reader;
use coinhound::index::folder::{FolderState, folder_state};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::bitcoind::Bitcoind;
use crate::support::files::text;
use crate::support::lists::{csv, target};
use crate::support::swept::{RowMap, rows};
use crate::support::wait;

/// The output of a run and its exit code.
#[derive(Clone, Debug)]
pub struct ProgramOutput {
    /// Exit code; if a signal ended the run, its number, negative.
    pub code: i32,
    /// Answers.
    pub stdout: String,
    /// Logs and errors.
    pub stderr: String,
}

/// Flags that only some commands take, with the variables of the same settings.
const LIMITED: [(&str, &str); 7] = [
    ("--lane", "COINHOUND_NODE_LANE"),
    ("--threads", "COINHOUND_SCAN_THREADS"),
    ("--min-taint", "COINHOUND_TRACE_MIN_TAINT"),
    ("--max-hops", "COINHOUND_TRACE_MAX_HOPS"),
    ("--track", "COINHOUND_TRACE_TRACK"),
    ("--max-lag", "COINHOUND_QUERY_MAX_LAG"),
    ("--max-age", "COINHOUND_QUERY_MAX_AGE"),
];

/// The program with the settings of one node and one index.
pub struct Program {
    program: PathBuf,
    globals: Vec<String>,
    environment: Vec<(String, String)>,
    index: PathBuf,
    /// Home folder of the runs, with their configuration and the lists that tests write.
    home: TempDir,
}

impl Program {
    /// Settings for this node and this index, which needn't exist yet.
    pub fn new(node: &Bitcoind, index: impl Into<PathBuf>) -> Self {
        Self::through(node, node.rpc_url(), index)
    }

    /// The same, but the node is reached at this URL.
    pub fn through(node: &Bitcoind, url: String, index: impl Into<PathBuf>) -> Self {
        let index = index.into();
        let settings = ["--chain", node.chain(), "--bitcoin-datadir", text(node.datadir()), "--rpc-url", &url];
        // The blocks of the main chain that tests have are of 2009.
        let any_age: &[&str] = if node.chain() == "main" { &["--max-age", "none"] } else { &[] };
        let settings = settings.into_iter().chain(["--index", text(&index)]);
        let globals = settings.map(ToOwned::to_owned).collect();
        Self { globals, index, ..Self::bare() }.with(any_age)
    }

    /// Without any settings.
    pub fn bare() -> Self {
        let home = tempfile::Builder::new().prefix("coinhound-home-").tempdir().expect("a folder for the runs");
        // Measurements are made with older binaries too.
        let program = std::env::var_os("COINHOUND_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_coinhound").into());
        let (program, index) = (PathBuf::from(program), home.path().join("index"));
        Self { program, globals: Vec::new(), environment: Vec::new(), index, home }
    }

    /// More settings for every run. Flags stand before the command; those that only some commands take become variables, which hold for
    /// every command.
    pub fn with(mut self, arguments: &[&str]) -> Self {
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let variable = LIMITED.iter().find(|(flag, _)| flag == word).map(|(_, variable)| (*variable).to_owned());
            match variable {
                Some(variable) => self.environment.push((variable, (*words.next().expect("a value")).to_owned())),
                None => self.globals.push((*word).to_owned()),
            }
        }
        self
    }

    /// Runs a shell script of this text instead of the binary. A shell can't trap a signal that was ignored when it started, and a suite
    /// run in the background ignores SIGINT: `env` sets that back to its default.
    pub fn with_script(mut self, script: &str) -> Self {
        let path = self.home.path().join("script.sh");
        std::fs::write(&path, script).expect("a file of the test");
        let words = ["--default-signal=INT", "sh", text(&path)];
        self.globals.splice(0..0, words.map(ToOwned::to_owned));
        self.program = PathBuf::from("env");
        self
    }

    /// One more variable in the environment of every run. Of the test's own environment the runs get PATH only.
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another folder in place of the node's.
    pub fn with_datadir(mut self, folder: &Path) -> Self {
        let flag = self.globals.iter().position(|word| word == "--bitcoin-datadir").expect("it was given");
        self.globals[flag + 1] = text(folder).to_owned();
        self
    }

    /// The same settings for a new index in a home folder of its own.
    pub fn elsewhere(&self) -> Self {
        let bare = Self::bare();
        let other = text(&bare.index).to_owned();
        let own = text(&self.index);
        let globals = self.globals.iter().map(|word| if word == own { other.clone() } else { word.clone() }).collect();
        Self { program: self.program.clone(), globals, environment: self.environment.clone(), ..bare }
    }

    /// The same settings and the same index, with one text in them replaced by another.
    pub fn replaced(&self, old: &str, new: &str) -> Self {
        let globals = self.globals.iter().map(|word| word.replace(old, new)).collect();
        let (program, environment) = (self.program.clone(), self.environment.clone());
        Self { program, globals, environment, index: self.index.clone(), ..Self::bare() }
    }

    /// Whether there is an index, and not one that is still being made.
    pub fn has_index(&self) -> bool {
        folder_state(&self.index).is_ok_and(|state| state == FolderState::Index)
    }

    /// The same settings and the same index, with another value for this flag.
    pub fn replaced_after(&self, flag: &str, value: &str) -> Self {
        let (mut globals, mut environment) = (self.globals.clone(), self.environment.clone());
        // A flag that not every command takes is given as a variable, see `with`.
        match LIMITED.iter().find(|(limited, _)| *limited == flag) {
            Some((_, variable)) => {
                let given = environment.iter_mut().find(|(name, _)| name == variable).expect("it was given");
                given.1 = value.to_owned();
            }
            None => {
                let at = globals.iter().position(|word| word == flag).expect("it was given");
                globals[at + 1] = value.to_owned();
            }
        }
        let program = self.program.clone();
        Self { program, globals, environment, index: self.index.clone(), ..Self::bare() }
    }

    /// The path of the index.
    pub fn index(&self) -> &Path {
        &self.index
    }

    /// The home folder of the runs; their configuration is its `config/coinhound/config.toml`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    fn command(&self, wrapper: &[String], arguments: &[&str]) -> Command {
        let home = self.home.path();
        let mut words = wrapper.iter().map(OsStr::new).chain([self.program.as_os_str()]);
        let mut command = Command::new(words.next().expect("the program at least"));
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

    /// Runs a command under another program, such as strace, which gets the binary and its arguments after its own.
    pub fn run_under(&self, wrapper: &[String], arguments: &[&str]) -> ProgramOutput {
        let output = self.command(wrapper, arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", wrapper.first().map_or("coinhound", |it| it)));
        let utf8 = |bytes| String::from_utf8(bytes).expect("coinhound prints UTF-8");
        ProgramOutput { code: code(output.status), stdout: utf8(output.stdout), stderr: utf8(output.stderr) }
    }

    /// Runs a command with `--format json` and returns its exit code with its answer or its error object.
    ///
    /// Panics if it printed neither.
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

    /// Runs a command with `--format jsonl` and returns its exit code and its lines. Panics if a line isn't JSON.
    pub fn jsonl(&self, arguments: &[&str]) -> (i32, Vec<Value>) {
        let out = self.run(&[&["--format", "jsonl"], arguments].concat());
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in line '{line}'"));
        (out.code, out.stdout.lines().map(line).collect())
    }

    /// Starts a command that runs until it is stopped, such as `follow`.
    pub fn spawn(&self, arguments: &[&str]) -> RunningProgram {
        self.spawn_under(&[], arguments)
    }

    /// Starts a command under another program, as `run_under` runs one.
    pub fn spawn_under(&self, wrapper: &[String], arguments: &[&str]) -> RunningProgram {
        RunningProgram::new(self.command(wrapper, arguments).spawn().expect("the program starts"))
    }

    /// Writes a plain list of scripts with their labels, and returns its path. Each call writes another file.
    pub fn watchlist<S: AsRef<Script>>(&self, entries: &[(S, &str)]) -> PathBuf {
        let line = |(script, label): &(S, &str)| format!("{} {label}\n", target(script.as_ref()));
        self.list_file(".txt", &entries.iter().map(line).collect::<String>())
    }

    /// Writes a list as CSV and returns its path. Each call writes another file.
    pub fn write_list(&self, list: &[(ScriptBuf, u32)]) -> PathBuf {
        self.list_file(".csv", &csv(list))
    }

    /// Writes a list as CSV and watches it.
    pub fn watching(self, list: &[(ScriptBuf, u32)]) -> Self {
        let path = self.write_list(list);
        self.with(&["--watch", text(&path)])
    }

    /// Writes a plain list or one in CSV with this content, and returns its path.
    pub fn list_of(&self, content: &str) -> PathBuf {
        self.list_file(".txt", content)
    }

    fn list_file(&self, suffix: &str, content: &str) -> PathBuf {
        let named = tempfile::Builder::new().prefix("list-").suffix(suffix).tempfile_in(self.home.path());
        let (_, path) = named.expect("a file for the list").keep().expect("a file of the test");
        std::fs::write(&path, content).expect("a file of the test");
        path
    }

    /// Backfills, which must succeed; returns the answer.
    pub fn backfill(&self, what: &str) -> Value {
        let (code, answer) = self.json(&["backfill"]);
        assert_eq!((code, &answer["coverage"]["complete"]), (0, &Value::Bool(true)), "{what}: {answer}");
        answer
    }

    /// The digest of the index after its last block.
    pub fn digest(&self) -> String {
        let (code, answer) = self.json(&["digest"]);
        // 3: the answer's coverage isn't complete, such as after a change of lists that a run refused.
        assert!(code == 0 || code == 3, "{answer}");
        answer["digest"].as_str().expect("a digest").to_owned()
    }

    /// The rows of the index.
    pub fn rows(&self) -> RowMap {
        rows(&Reader::open(&self.index).expect("the index opens"))
    }
}

/// A command that is running; killed when dropped.
pub struct RunningProgram {
    child: Child,
    lines: Receiver<String>,
    seen: String,
    stdout: Option<JoinHandle<()>>,
    stderr: Option<JoinHandle<()>>,
    /// What it has logged so far.
    log: Arc<Mutex<Vec<u8>>>,
}

impl RunningProgram {
    fn new(mut child: Child) -> Self {
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let log = Arc::<Mutex<Vec<u8>>>::default();
        let shared = Arc::clone(&log);
        let read_out = move || {
            // A test that needs no more lines drops the receiver.
            BufReader::new(stdout).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok());
        };
        let read_err = move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut piece) {
                shared.lock().expect("no reader of the log panics").extend_from_slice(&piece[..length]);
            }
        };
        let (stdout, stderr) = (Some(std::thread::spawn(read_out)), Some(std::thread::spawn(read_err)));
        Self { child, lines, seen: String::new(), stdout, stderr, log }
    }

    /// Id of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its stdout; `None` if that has ended, or if no line comes within `patience`.
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

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child of the test").is_none()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().expect("no writer of the log panics")).into_owned()
    }

    /// Waits until it has logged these words. Panics if it ends before.
    pub fn await_log(&mut self, words: &str) {
        let what = format!("a log line with '{words}'");
        wait::until(&what, || {
            // Running before the look, so that the last words of a run that ends are seen too.
            let running = self.is_running();
            let logged = self.log().contains(words);
            assert!(logged || running, "the run ended without {what}: {}", self.log());
            logged
        });
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

    /// Sends the signal of this name by the shell's `kill`: the standard library knows SIGKILL only.
    pub fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &line]).stderr(Stdio::null()).status();
        // It fails if the process has ended by itself, which the test finds out by itself.
        status.expect("there is a shell");
    }

    /// Waits for its end. Panics, and kills it, if it runs longer than `patience`.
    pub fn wait(mut self, patience: Duration) -> ProgramOutput {
        let end = Instant::now() + patience;
        while self.is_running() {
            if Instant::now() >= end {
                self.kill();
                panic!("coinhound still runs after {patience:?}; its log: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let code = code(self.child.wait().expect("a child of the test"));
        self.stdout.take().map(JoinHandle::join);
        self.stderr.take().map(JoinHandle::join);
        while self.line(Duration::ZERO).is_some() {}
        ProgramOutput { code, stdout: std::mem::take(&mut self.seen), stderr: self.log() }
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
    status.code().unwrap_or_else(|| -status.signal().expect("a process that ended has a code or a signal"))
}
