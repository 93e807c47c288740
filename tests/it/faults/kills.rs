//! P4: a kill at every system call by which a run changes its files, and again in the run that goes on: what is left is a valid
//! index, and the end is as if nothing had happened. The long run (`COINHOUND_LONG=1`) has all points, and random moments.

use bitcoin::ScriptBuf;

use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::crash::{CrashRig, KillCounts, PreparedScenario, Run, Scenario, Stage, side_by_side};
use crate::support::effort::{is_long, say};
use crate::support::lists::List;
use crate::support::random::{self, Rng};
use crate::support::strace::KillPoint;

const BACKFILL: Run = Run { node: 0, list: 0, arguments: &["backfill"] };
const OTHER_BRANCH: Run = Run { node: 1, ..BACKFILL };

const FIRST: Scenario = Scenario { name: "first backfill", before: &[], act: BACKFILL };
const REORG: Scenario = Scenario { name: "reorg", before: &[BACKFILL], act: OTHER_BRANCH };
/// Enough runs before it for RocksDB to merge tables meanwhile.
const WORN: Scenario = Scenario {
    name: "reorg of a worn index",
    before: &[
        Run { arguments: &["backfill", "--to", "30"], ..BACKFILL },
        Run { arguments: &["backfill", "--to", "60"], ..BACKFILL },
        Run { arguments: &["backfill", "--to", "90"], ..BACKFILL },
        BACKFILL,
    ],
    act: OTHER_BRANCH,
};
/// Entries that are new, or start lower.
const MORE: Scenario =
    Scenario { name: "more entries", before: &[BACKFILL], act: Run { list: 1, arguments: &["backfill"], node: 0 } };
/// The same, and a better branch.
const MORE_AND_REORG: Scenario =
    Scenario { name: "more entries and a reorg", before: &[BACKFILL], act: Run { list: 1, ..OTHER_BRANCH } };
/// Entries that are gone, and coins followed less far.
const FEWER: Scenario = Scenario {
    name: "fewer entries",
    before: &[Run { list: 1, ..BACKFILL }],
    act: Run { list: 0, arguments: &["--min-taint", "5000000", "backfill", "--forget", "--accept-shrink"], node: 0 },
};

/// Everything derived again.
const RETRACE: Scenario =
    Scenario { name: "retrace", before: &[BACKFILL], act: Run { arguments: &["retrace"], ..BACKFILL } };

/// Two nodes that stand still on two branches, the second's with more work; the list, and before it a part of it.
fn field(ours: &RegtestChain, theirs: &RegtestChain, mut list: List, batch: usize, fork: u32) -> CrashRig {
    let nodes = vec![Bitcoind::regtest(), Bitcoind::regtest()];
    ours.submit_to(&nodes[0]);
    theirs.submit_to(&nodes[1]);
    // What starts above the tip isn't covered there.
    list.iter_mut().for_each(|(_, from)| *from = (*from).min(fork));
    // A third of it is missing, and what starts at 0 starts later.
    let part = list.iter().enumerate().filter(|(at, _)| at % 3 > 0);
    let part = part.map(|(at, (script, from))| (script.clone(), if at % 4 == 0 { fork.min(from + 50) } else { *from }));
    CrashRig::new(nodes, &[part.collect(), list], batch)
}

/// Branches of random blocks, nine and ten of them, and a block in each batch.
fn busy(seed: u64) -> CrashRig {
    let (mut ours, mut rng) = (random::chain(seed, 112), Rng::new(seed));
    let theirs = random::fork(&mut ours, &mut rng, 9, 1);
    let list = random::watchlist(&ours, &mut rng, 60);
    field(&ours, &theirs, list, 1, ours.height() - 9)
}

/// Branches of thousands of blocks, each with a record: to undo them takes many batches.
fn deep(seed: u64, depth: u32) -> CrashRig {
    let (mut ours, mut rng) = (random::chain(seed, 105), Rng::new(seed));
    let list = random::watchlist(&ours, &mut rng, 30);
    let scripts: Vec<ScriptBuf> = list.iter().map(|(script, _)| script.clone()).collect();
    let mut theirs = ours.fork_at(105);
    for (chain, blocks) in [(&mut ours, depth), (&mut theirs, depth + 1)] {
        for _ in 0..blocks {
            chain.mine_paying(Vec::new(), &[(rng.pick(&scripts).clone(), 0), (rng.pick(&scripts).clone(), 0)]);
        }
    }
    field(&ours, &theirs, list, 100, 105)
}

/// Kills at each of these points, and for every third of them again at another in the run that goes on.
fn kill_at(prepared: &PreparedScenario<'_>, points: &[KillPoint], tally: &KillCounts) {
    let jobs: Vec<Vec<&KillPoint>> = (0..points.len())
        .map(|at| match at % 3 {
            2 => vec![&points[at], &points[(at * 7 + 3) % points.len()]],
            _ => vec![&points[at]],
        })
        .collect();
    side_by_side(&jobs, |job| prepared.kill_at(job, tally));
}

#[test]
fn a_run_killed_at_any_of_its_writes_goes_on_as_if_nothing_had_happened() {
    let (field, tally) = (busy(91), KillCounts::default());
    for (scenario, count) in
        [(FIRST, 12), (REORG, 14), (WORN, 8), (MORE, 8), (MORE_AND_REORG, 8), (FEWER, 6), (RETRACE, 6)]
    {
        let prepared = field.prepare(scenario);
        let points = if is_long() { prepared.trace.points.clone() } else { prepared.spread(count) };
        kill_at(&prepared, &points, &tally);
    }
    say(&tally.to_string());
    let kills = tally.kills(|_, _| true);
    assert!(kills >= 40 && tally.missed() <= kills / 4, "{tally}");
    assert!(tally.kills(|again, _| again) > 0, "{tally}");
    for stage in [Stage::Making, Stage::Scanning, Stage::Disconnecting, Stage::Connecting, Stage::Sweeping] {
        assert!(tally.kills(|_, at| at == stage) > 0, "none while {stage:?}: {tally}");
    }
}

#[test]
fn a_run_killed_at_any_moment_goes_on_as_if_nothing_had_happened() {
    // Kills, of which so many in a disconnect and in a recovery.
    let (depth, wanted) = if is_long() { (2000, [400, 200, 100]) } else { (700, [8, 3, 2]) };
    let (field, tally, mut rng) = (deep(92, depth), KillCounts::default(), Rng::new(92));
    let (first, reorg) = (field.prepare(FIRST), field.prepare(REORG));
    kill_at(&reorg, &reorg.spread(wanted[2] / 2), &tally);
    let found = |tally: &KillCounts| {
        let disconnecting = |_, stage| stage == Stage::Disconnecting;
        [tally.kills(|_, _| true), tally.kills(disconnecting), tally.kills(|again, _| again)]
    };
    let enough = |tally: &KillCounts| found(tally).iter().zip(&wanted).all(|(found, wanted)| found >= wanted);
    let mut rounds = 0;
    while !enough(&tally) {
        rounds += 1;
        assert!(rounds < 400, "the kills come too late: {tally}");
        if rounds % 10 == 0 {
            say(&format!("round {rounds}: {tally}"));
        }
        let jobs: Vec<(u64, usize)> = (0..4).map(|kind| (rng.bits(), kind)).collect();
        side_by_side(&jobs, |(seed, kind)| {
            let rng = &mut Rng::new(*seed);
            match kind {
                0 => first.kill_by_chance(rng, 1, false, &tally),
                1 => reorg.kill_by_chance(rng, 0, false, &tally),
                _ => reorg.kill_by_chance(rng, 4, true, &tally),
            }
        });
    }
    say(&format!("{tally}"));
}
