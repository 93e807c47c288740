//! Lists and signals of a `follow` that stays: lists from pipes, SIGHUP, a reader that goes, an environment without a home.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::bitcoind::Bitcoind;
use crate::support::files::text;
use crate::support::lists::target;
use crate::support::program::Program;
use crate::support::wait::PATIENCE;
use crate::sync::steady::{Mined, end, mine, script};

const BINARY: &str = env!("CARGO_BIN_EXE_coinhound");

fn line(n: u8) -> String {
    format!("{} miner\n", target(&script(n)))
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("there is mkfifo").success());
}

/// Writes a list into a pipe, once it is opened for reading.
fn feed(path: &Path, content: String) -> std::thread::JoinHandle<()> {
    let path = path.to_owned();
    std::thread::spawn(move || fs::write(path, content).expect("the pipe has a reader"))
}

#[test]
fn a_list_from_a_pipe_is_read_once_and_taken_in() {
    let node = Bitcoind::regtest();
    mine(&node, 5, 1);
    let dir = tempfile::tempdir().expect("a folder for the index");
    let fifo = dir.path().join("list.fifo");
    make_fifo(&fifo);
    let program = Program::new(&node, dir.path().join("index")).with(&["--watch", text(&fifo)]);
    let fed = feed(&fifo, line(1));
    let out = program.spawn(&["--format", "json", "backfill"]).wait(PATIENCE);
    fed.join().expect("it was read");
    assert_eq!(out.code, 0, "{out:?}");
    assert!(out.stdout.contains("\"touches\":5") || out.stdout.contains("\"touches\": 5"), "{out:?}");
    // Questions don't wait for a pipe that no program writes to.
    assert_eq!(program.spawn(&["balance", "all"]).wait(PATIENCE).code, 0);
    let stdin = Program::new(&node, dir.path().join("stdin")).with(&["--watch", "/dev/stdin"]);
    let stdin = stdin.with_script(&format!("printf '{}' | {BINARY} \"$@\"\n", line(1).replace('\n', "\\n")));
    let out = stdin.spawn(&["backfill"]).wait(PATIENCE);
    assert_eq!(out.code, 0, "{out:?}");
    let fed = feed(&fifo, line(1));
    let mut running = program.spawn(&["--format", "jsonl", "follow"]);
    running.await_log("can't be watched");
    running.await_log("caught up");
    fed.join().expect("it was read");
    end(running);
}

#[test]
fn a_follow_whose_list_cant_be_read_at_its_start_says_so_in_status_until_it_can() {
    let node = Bitcoind::regtest();
    mine(&node, 5, 1);
    let mined = Mined::through(&node, node.rpc_url());
    let list = mined.program.list_of(&line(1));
    let program = Program::new(&node, mined.program.index()).with(&["--watch", text(&list)]);
    let mined = Mined { program, ..mined };
    mined.program.backfill("with the list");
    let away = list.with_extension("away");
    fs::rename(&list, &away).expect("a file of the test");
    mine(&node, 1, 1);
    let mut running = mined.follow();
    let waiting = mined.await_waiting(Some("No such file"), "a list that is away");
    assert_eq!(waiting["for"], "the lists", "{waiting}");
    assert!(waiting["error"].as_str().is_some_and(|error| error.contains(text(&list))), "{waiting}");
    fs::rename(&away, &list).expect("a file of the test");
    mined.await_tip(&node, &mut running, "the list is back");
    mined.await_waiting(None, "the list is back");
    assert_eq!(end(running).matches("rows accepted").count(), 1, "it is parsed once");
}

#[test]
fn a_hang_up_has_the_lists_read_again_and_ends_nothing() {
    let node = Bitcoind::regtest();
    mine(&node, 5, 2);
    let mined = Mined::through(&node, node.rpc_url());
    let list = mined.program.list_of(&line(1));
    let program = Program::new(&node, mined.program.index()).with(&["--watch", text(&list)]);
    let mined = Mined { program, ..mined };
    let mut running = mined.follow();
    running.await_log("caught up");
    // A list that ends within a line is not read for half a minute, unless a signal says that it is whole.
    fs::write(&list, format!("{}{}", line(1), line(2).trim_end())).expect("a file of the test");
    std::thread::sleep(Duration::from_millis(200));
    running.signal("HUP");
    running.await_log("SIGHUP");
    running.await_log("1 new entries");
    mine(&node, 1, 2);
    mined.await_tip(&node, &mut running, "after the signal");
    end(running);
}

#[test]
fn a_follow_whose_reader_has_gone_ends_with_an_error() {
    let node = Bitcoind::regtest();
    mine(&node, 5, 1);
    let mined = Mined::through(&node, node.rpc_url());
    let script = format!("{{ {BINARY} \"$@\"; echo \"exit code $?\" >&2; }} | head -n 1 >/dev/null\n");
    let out = mined.program.with_script(&script).spawn(&["--format", "jsonl", "follow"]).wait(PATIENCE);
    assert!(out.stderr.contains("exit code 1\n") && out.stderr.contains("has gone"), "{out:?}");
}

#[test]
fn a_list_is_checked_without_a_home() {
    let bare = Program::bare();
    let list = bare.list_of(&line(1));
    let unset = "env -u HOME -u XDG_CONFIG_HOME -u XDG_DATA_HOME";
    let program = Program::bare().with_script(&format!("exec {unset} {BINARY} \"$@\"\n"));
    let out = program.run(&["--chain", "regtest", "watch", "check", text(&list)]);
    assert_eq!(out.code, 0, "{out:?}");
    let out = program.run(&["--chain", "regtest", "status"]);
    assert_eq!(out.code, 2, "{out:?}");
}
