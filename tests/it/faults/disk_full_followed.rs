//! A disk that fills up under a `follow`: blocks and lists that can't be taken in are kept, tried again, and taken in once there is space.

use std::fs;

use bitcoin::ScriptBuf;

use crate::support::bitcoind::Bitcoind;
use crate::support::effort::say;
use crate::support::event_log::{LogReader, facts_in_force};
use crate::support::files::text;
use crate::support::lists::target;
use crate::support::program::{Program, RunningProgram};
use crate::support::small_disk::SmallDisk;
use crate::support::wait;
use crate::sync::steady::{end, mine, script};

/// RocksDB asks the system for 32 MiB for each log before it writes it. On a disk that has less it gets nothing, so that each write takes
/// what is left of the disk.
const DISK_MIB: usize = 16;
const WAITS: &str = "waiting for the disk: ";
const GOES_ON: &str = "no longer waiting for the disk";

/// Lines of a list: some scripts that are never paid, and one that is.
fn lines(unpaid: u32, paid: u8) -> String {
    let unpaid = (0..unpaid).map(|number| {
        let script = ScriptBuf::from_bytes([&[0x00, 0x14][..], &[9; 16], &number.to_be_bytes()].concat());
        format!("{} unpaid\n", target(&script))
    });
    let paid = (1..=paid).map(|number| format!("{} miner {number}\n", target(&script(number))));
    unpaid.chain(paid).collect()
}

/// Waits until it has logged these words so many times, and still runs.
fn await_log(running: &mut RunningProgram, words: &str, times: usize) {
    wait::until(&format!("{times} times '{words}'"), || {
        assert!(running.is_running(), "follow has ended: {}", running.log());
        running.log().matches(words).count() >= times
    });
}

fn await_tip(node: &Bitcoind, program: &Program, running: &mut RunningProgram) {
    let best = node.best().to_string();
    wait::until("the index has the node's tip", || {
        assert!(running.is_running(), "follow has ended: {}", running.log());
        program.json(&["status"]).1["tip"]["hash"] == *best
    });
}

#[test]
fn a_follow_keeps_blocks_and_lists_while_the_disk_is_full_and_takes_them_in_once_there_is_space() {
    let Some(disk) = SmallDisk::new(DISK_MIB) else {
        say("not tested: a follow on a full disk, since this system lets this user mount nothing");
        return;
    };
    let node = Bitcoind::regtest();
    mine(&node, 5, 1);
    let program = Program::new(&node, disk.root().join("index"));
    let list = program.list_of(&lines(0, 1));
    let program = program.with(&["--watch", text(&list)]);
    let mut running = program.spawn(&["--format", "jsonl", "follow"]);
    running.await_log("caught up");

    // A block: some fit into the page that is begun.
    disk.leave(0);
    for _ in 0..200 {
        mine(&node, 1, 1);
        if running.log().contains(WAITS) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    await_log(&mut running, WAITS, 1);
    mine(&node, 2, 1);
    // It is readable meanwhile.
    assert_eq!(program.json(&["status"]).1["entries"]["flagged"], 1);
    disk.free();
    await_log(&mut running, GOES_ON, 1);
    await_tip(&node, &program, &mut running);

    // A list that needs more than is left of a page.
    disk.leave(0);
    fs::write(&list, lines(2_000, 2)).expect("a file of the test");
    await_log(&mut running, WAITS, 2);
    mine(&node, 2, 2);
    assert_eq!(program.json(&["status"]).1["entries"]["flagged"], 1, "none of it is taken in");
    disk.free();
    await_log(&mut running, GOES_ON, 2);
    await_tip(&node, &program, &mut running);
    wait::until("the list is taken in", || {
        let status = program.json(&["status"]).1;
        status["entries"]["flagged"] == 2_002 && status["coverage"]["complete"] == true
    });
    end(running);

    assert_eq!(program.json(&["verify"]).0, 0);
    let fresh = program.elsewhere();
    fresh.backfill("a new index");
    assert_eq!(program.digest(), fresh.digest());
    let mut log = LogReader::default();
    log.check(&program, &[], "the log");
    assert_eq!(facts_in_force(log.events()), facts_in_force(&fresh.jsonl(&["events"]).1));
}
