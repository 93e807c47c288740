//! The sums that an index keeps of its rows: after each change they are what counting gives, `verify` compares them, and `retrace`
//! makes them anew.

use std::collections::BTreeMap;

use coinhound::audit::verify::{Flaw, verify};
use coinhound::index::raw::{Family, RawChanges, RawRows};
use coinhound::index::rows::row::IndexKey;
use coinhound::index::sums::{SumKey, SumRow};
use coinhound::index::values::Coin;
use coinhound::index::{ReadRows, Reader, View, Writer};
use coinhound::query::Snapshot;
use coinhound::query::at::Moment;
use coinhound::query::coverage::Basis;
use coinhound::stop::Stop;
use coinhound::sync::sweep::retrace::retrace;
use serde_json::json;

use crate::oracle::index_rows::entries;
use crate::support::small_index::{PAYER, SmallIndex};
use crate::support::source::MemorySource;
use crate::support::swept::{NoObserver, SLOWEST, SweptIndex};
use crate::sync::follow_case::each;

fn rows(view: &View, family: Family) -> u64 {
    view.raw_prefix(family, &[]).map(|row| row.map(|_| 1)).sum::<Result<u64, _>>().expect("the index reads")
}

/// Panics unless the sums are those of all rows, read one by one here.
fn assert_counted(view: &View, what: &str) {
    let sums = view.sums().expect("the index reads");
    assert_eq!(sums.difference(&view.recounted_sums().expect("the index reads")), None, "{what}");
    let (mut followed, mut live, mut taint) = (0, 0, BTreeMap::new());
    for coin in view.range::<Coin>(..) {
        let (key, coin) = coin.expect("the index reads");
        followed += u64::from(coin.is_followed());
        let is_spent = view.spender_of(&key).expect("the index reads").is_some();
        live += u64::from(coin.is_followed() && !is_spent);
        for column in &coin.columns {
            *taint.entry((column.rule, column.fate)).or_insert(0) += column.taint.amount;
        }
    }
    let counts = [
        (SumKey::Records, rows(view, Family::Txids)),
        (SumKey::Touches, rows(view, Family::Touches)),
        (SumKey::Followed, followed),
        (SumKey::Live, live),
    ];
    let taint = taint.into_iter().map(|((rule, fate), amount)| (SumKey::Taint(rule, fate), amount));
    for (key, expected) in counts.into_iter().chain(taint) {
        assert_eq!(sums.get(&key), expected, "{what}: {key:?}");
    }
    let entries: Vec<_> = view.entries().map(|entry| entry.expect("the index reads").1).collect();
    let flagged = entries.iter().filter(|entry| entry.flagged).count() as u64;
    assert_eq!(sums.entries(|roles| roles & 1 != 0), flagged, "{what}");
    assert_eq!(sums.groups().iter().map(|group| group.entries).sum::<u64>(), flagged, "{what}");
}

/// Panics unless the coverage of everything flagged is the one that the entries give, read one by one.
fn assert_covered(index: &SweptIndex, what: &str) {
    let snapshot = Snapshot::new(Reader::open(index.writer().path()).expect("it opens"), |_| false).expect("it reads");
    let mut of_entries = Basis::default();
    for entry in snapshot.reader.entries() {
        let (_, entry) = entry.expect("the index reads");
        if entry.flagged {
            of_entries.add(&entry, &snapshot.sweeps);
        }
    }
    let of_sums = Basis::of_flagged(&snapshot).expect("the index reads");
    for height in [None, Some(0), snapshot.asked(), Some(100_000)] {
        let moment = Moment { height, is_now: false };
        assert_eq!(of_sums.coverage(&snapshot, moment), of_entries.coverage(&snapshot, moment), "{what}: {height:?}");
    }
}

#[test]
fn sums_are_those_of_all_rows_after_sweeps_reorgs_stops_and_changed_lists() {
    each(110, |case| {
        let mut index = SweptIndex::tracking(entries(&case.state), &case.trace);
        assert_counted(index.writer(), &format!("{}: a new index", case.name));
        for step in 0..6 {
            let at = case.rng.index(3 * case.branch.blocks.len());
            let source = MemorySource::hooked(&case.branch, move |memory, number, _, _| {
                if number == at {
                    memory.stop.request();
                }
                Ok(())
            });
            index.sweep(&source, case.pace()).expect("a stop is no failure");
            let what = format!("{}: step {step}", case.name);
            assert_counted(index.writer(), &what);
            assert_covered(&index, &what);
            match case.rng.below(4) {
                0 => case.reorg(30),
                1 => case.grow(),
                2 => {
                    let fork = index.tip().map_or(0, |tip| case.below(tip.max(1)));
                    if index.tip().is_some_and(|tip| tip > fork) {
                        index.undo(fork);
                        assert_counted(index.writer(), &format!("{what}, undone to {fork}"));
                    }
                }
                _ => {}
            }
            case.change();
            index.want(case.wanted());
            assert_counted(index.writer(), &format!("{what}, with other lists"));
            assert_covered(&index, &format!("{what}, with other lists"));
        }
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
        assert_eq!(verify(index.writer()).expect("the index reads").map(drop), Ok(()), "{}", case.name);
    });
}

fn put(writer: &Writer, change: impl FnOnce(&mut coinhound::index::Step<'_>)) {
    let mut step = writer.step();
    change(&mut step);
    step.commit(true).expect("there is space");
}

#[test]
fn verify_names_a_sum_that_differs_and_retrace_mends_it() {
    let small = SmallIndex::at(200);
    let writer = Writer::open(small.program.index()).expect("the index opens");
    let whole = writer.sums().expect("the index reads");
    let broken: [&dyn Fn(); 4] = [
        &|| put(&writer, |step| step.put(&SumKey::Touches, &SumRow(u128::from(whole.get(&SumKey::Touches)) + 1))),
        &|| put(&writer, |step| step.delete::<SumRow>(&SumKey::Records)),
        &|| put(&writer, |step| step.put(&SumKey::Roles(9), &SumRow(4))),
        // A coin that doesn't read counts as none, and its repair adds it again. A spent one needs no block for that.
        &|| {
            let coins = writer.range::<Coin>(..).map(|coin| coin.expect("the index reads").0);
            let mut spent = coins.filter(|key| writer.spender_of(key).expect("the index reads").is_some());
            let key = spent.next().expect("a spent coin").key();
            put(&writer, |step| step.raw_put(Family::Coins, &key, b"cut"));
        },
    ];
    for (number, damage) in broken.iter().enumerate() {
        damage();
        let flaw = verify(&writer).expect("the index reads").expect_err("it is damaged");
        assert_eq!(matches!(flaw, Flaw::Sum { .. }), number < 3, "{number}: {flaw}");
        retrace(&writer, SLOWEST, &Stop::default(), &mut NoObserver).expect("no node is needed");
        assert_eq!(writer.sums().expect("the index reads"), whole, "{number}");
        assert_eq!(verify(&writer).expect("the index reads").map(drop), Ok(()), "{number}");
    }
    drop(writer);
    let (code, answer) = small.program.json(&["verify"]);
    assert_eq!((code, &answer["ok"]), (0, &json!(true)), "{answer}");
}

#[test]
fn a_backup_has_the_sums_of_the_index_and_status_prints_them() {
    let small = SmallIndex::at(200);
    assert_eq!(small.program.run(&["backup", "copy"]).code, 0);
    let copy = small.program.home().join("copy");
    let [ours, theirs] =
        [small.program.index(), &copy].map(|path| Reader::open(path).expect("it opens").sums().expect("it reads"));
    assert_eq!(ours, theirs);
    let (code, status) = small.program.json(&["status"]);
    assert_eq!(code, 0, "{status}");
    let touches = small.program.json(&["history", PAYER]).1["rows"].as_array().expect("rows").len();
    assert_eq!((&status["touches"], &status["entries"]), (&json!(touches), &json!({"flagged": 1, "service": 1})));
    let view = Reader::open(small.program.index()).expect("it opens");
    assert_counted(&view, "by the program");
    assert_eq!(status["records"], json!(rows(&view, Family::Records)));
}
