//! The tables that a job leaves which runs `backfill` for each block.

use std::fs;

use crate::support::bitcoind::Bitcoind;
use crate::support::effort::{is_long, say};
use crate::sync::steady::{Mined, mine};

/// The most tables that an index of this size may have. A family has two after each run, and one more may be new.
const FEW: usize = 30;

#[test]
fn a_backfill_for_each_block_leaves_few_tables() {
    let runs = if is_long() { 1_000 } else { 25 };
    let node = Bitcoind::regtest();
    mine(&node, 5, 1);
    let mined = Mined::through(&node, node.rpc_url());
    let mut most = 0;
    for run in 0..runs {
        mine(&node, 1, 1);
        mined.program.backfill("a run for each block");
        let files = fs::read_dir(mined.program.index()).expect("there is an index");
        let tables =
            files.filter(|file| file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|it| it == "sst")));
        let tables = tables.count();
        assert!(tables < FEW, "{tables} tables after {} runs", run + 1);
        most = most.max(tables);
    }
    say(&format!("{runs} runs of backfill, one for each block: {most} tables at most"));
    let fresh = mined.program.elsewhere();
    fresh.backfill("a new index");
    assert_eq!(mined.program.digest(), fresh.digest());
}
