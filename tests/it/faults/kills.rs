//! P4: a kill at every system call by which a run changes its files, and again in the run that resumes, leaves a valid index, and the
//! resumed run ends like an undisturbed one. The long run (`COINHOUND_LONG=1`) has all points, and more random moments.

use bitcoin::ScriptBuf;

use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::crash::{CrashRig, KillCounts, PreparedScenario, Run, Scenario, Stage, side_by_side};
use crate::support::effort::{is_long, say};
use crate::support::lists::{List, from_at_most};
use crate::support::random::{self, Rng};
use crate::support::strace::KillPoint;

const BACKFILL: Run = Run { node: 0, list: 0, arguments: &["backfill"] };
const OTHER_BRANCH: Run = Run { node: 1, ..BACKFILL };

const FIRST: Scenario = Scenario { name: "first backfill", before: &[], killed: BACKFILL };
const REORG: Scenario = Scenario { name: "reorg", before: &[BACKFILL], killed: OTHER_BRANCH };
/// With this many runs RocksDB merges tables during the reorg.
const WORN: Scenario = Scenario {
    name: "reorg of a worn index",
    before: &[
        Run { arguments: &["backfill", "--to", "30"], ..BACKFILL },
        Run { arguments: &["backfill", "--to", "60"], ..BACKFILL },
        Run { arguments: &["backfill", "--to", "90"], ..BACKFILL },
        BACKFILL,
    ],
    killed: OTHER_BRANCH,
};
/// New entries, and entries from a lower height.
const MORE: Scenario =
    Scenario { name: "more entries", before: &[BACKFILL], killed: Run { list: 1, arguments: &["backfill"], node: 0 } };
/// The same, and a better branch.
const MORE_AND_REORG: Scenario =
    Scenario { name: "more entries and a reorg", before: &[BACKFILL], killed: Run { list: 1, ..OTHER_BRANCH } };
/// Removed entries, and tighter gates.
const FEWER: Scenario = Scenario {
    name: "fewer entries",
    before: &[Run { list: 1, ..BACKFILL }],
    killed: Run { list: 0, arguments: &["--min-taint", "5000000", "backfill", "--forget", "--accept-shrink"], node: 0 },
};

/// All rows derived again from the records.
const RETRACE: Scenario =
    Scenario { name: "retrace", before: &[BACKFILL], killed: Run { arguments: &["retrace"], ..BACKFILL } };

/// Two nodes on two branches, of which the second has more work; and two lists, of which the first is a part of the second.
fn rig(ours: &RegtestChain, theirs: &RegtestChain, list: List, batch: usize, fork: u32) -> CrashRig {
    let nodes = vec![Bitcoind::regtest(), Bitcoind::regtest()];
    ours.submit_to(&nodes[0]);
    theirs.submit_to(&nodes[1]);
    let list = from_at_most(fork, list);
    // A third of the list is missing, and some scripts are flagged from a greater height.
    let part = list.iter().enumerate().filter(|(at, _)| at % 3 > 0);
    let part = part.map(|(at, (script, from))| (script.clone(), if at % 4 == 0 { fork.min(from + 50) } else { *from }));
    CrashRig::new(nodes, &[part.collect(), list], batch)
}

/// Branches of nine and ten random blocks, and one block in each batch.
fn busy(seed: u64) -> CrashRig {
    let (mut ours, mut rng) = (random::chain(seed, 112), Rng::new(seed));
    let theirs = random::fork(&mut ours, &mut rng, 9, 1);
    let list = random::watchlist(&ours, &mut rng, 60);
    rig(&ours, &theirs, list, 1, ours.height() - 9)
}

/// Branches of hundreds or thousands of blocks, each with a record: to disconnect them takes many batches.
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
    rig(&ours, &theirs, list, 100, 105)
}

/// Kills the run at each of these points; for every third one, kills the resumed run at another point too.
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
fn a_run_killed_at_any_of_its_writes_resumes_like_an_undisturbed_one() {
    let (rig, tally) = (busy(91), KillCounts::default());
    for (scenario, count) in
        [(FIRST, 12), (REORG, 40), (WORN, 8), (MORE, 8), (MORE_AND_REORG, 8), (FEWER, 6), (RETRACE, 6)]
    {
        let prepared = rig.prepare(scenario);
        let points = if is_long() { prepared.trace.points.clone() } else { prepared.spread(count) };
        kill_at(&prepared, &points, &tally);
    }
    say(&tally.to_string());
    let kills = tally.kills(|_, _| true);
    assert!(kills >= 40 && tally.missed() <= kills / 4, "{tally}");
    assert!(tally.kills(|again, _| again) > 0, "{tally}");
    for stage in [Stage::Making, Stage::Scanning, Stage::Disconnecting, Stage::Connecting, Stage::Sweeping] {
        assert!(tally.kills(|_, at| at == stage) > 0, "no kill while {stage:?}: {tally}");
    }
}

#[test]
fn a_run_killed_at_any_moment_resumes_like_an_undisturbed_one() {
    // Wanted kills: in all, while blocks are disconnected, in resumed runs.
    let (depth, wanted) = if is_long() { (2000, [400, 200, 100]) } else { (700, [8, 3, 2]) };
    let (rig, tally, mut rng) = (deep(92, depth), KillCounts::default(), Rng::new(92));
    let (first, reorg) = (rig.prepare(FIRST), rig.prepare(REORG));
    kill_at(&reorg, &reorg.spread(wanted[2] / 2), &tally);
    let found = |tally: &KillCounts| {
        let disconnecting = |_, stage| stage == Stage::Disconnecting;
        [tally.kills(|_, _| true), tally.kills(disconnecting), tally.kills(|again, _| again)]
    };
    let enough = |tally: &KillCounts| found(tally).iter().zip(&wanted).all(|(found, wanted)| found >= wanted);
    let mut rounds = 0;
    while !enough(&tally) {
        rounds += 1;
        assert!(rounds < 400, "the runs end before their kills: {tally}");
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
