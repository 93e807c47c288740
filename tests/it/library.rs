//! The library as other programs see it answers as the program does.

use coinhound::{Chain, Index, NoLookup, QueryError, Verdict};
use serde_json::{Value, json};

use crate::support::coverage::lasting;
use crate::support::small_index::{FIRST_PAYMENT, PAYER, SmallIndex, UNLISTED};

#[test]
fn the_library_answers_as_the_program_does() {
    let small = SmallIndex::at(200);
    let index = Index::open(small.program.index()).expect("an index");
    let coverage = index.coverage().expect("coverage");
    assert!(
        !coverage.complete && coverage.why.len() == 1 && coverage.why[0].contains("`--max-age` allows 3 h"),
        "{coverage:?}"
    );
    let index = index.with_max_age(None);
    assert_eq!((index.chain(), index.tip().map(|tip| tip.height)), (Chain::Main, Some(200)));
    let (_, history) = small.program.json(&["history", PAYER]);
    let question = index.question(&[PAYER]).expect("a listed key");
    let rows = question.history(None).expect("rows").map(|row| json!(row.expect("a row")));
    assert_eq!(Value::Array(rows.collect()), history["rows"]);
    let (_, history) = small.program.json(&["history", PAYER, "--at", "190"]);
    assert_eq!(lasting(&json!(question.coverage(Some(190)))), lasting(&history["coverage"]));

    let lookup = NoLookup("no node was asked".to_owned());
    let mut screening = index.screening(&lookup).expect("a screening");
    assert!(screening.coverage().complete && index.coverage().expect("coverage").complete);
    for target in [PAYER, FIRST_PAYMENT] {
        let (_, screened) = small.program.json(&["screen", target]);
        let rows = screening.screen(target, None).expect("rows");
        assert_eq!(json!(rows), screened["rows"]);
        assert!(rows.iter().all(|row| row.verdict < Verdict::Unknown), "{rows:?}");
    }
}

#[test]
fn the_library_says_what_it_does_not_know() {
    let small = SmallIndex::at(200);
    let index = Index::open(small.program.index()).expect("an index").with_max_age(None);
    let question = index.question(&[PAYER, UNLISTED]).expect("an address");
    assert_eq!(question.unknown().collect::<Vec<_>>(), [UNLISTED]);
    assert!(!question.coverage(None).complete);
    assert!(matches!(index.question(&["nonsense"]), Err(QueryError::Usage(_))));
    let lookup = NoLookup("no node was asked".to_owned());
    let mut screening = index.screening(&lookup).expect("a screening");
    let nowhere = "00000000000000000000000000000000000000000000000000000000000000ff";
    let rows = screening.screen(nowhere, None).expect("a row");
    assert!(rows[0].verdict == Verdict::Unknown && rows[0].why.contains("no node was asked"), "{rows:?}");

    // The list that the index took in says something else now.
    std::fs::write(&small.list, format!("{UNLISTED}\n")).expect("a file of the test");
    let index = Index::open(small.program.index()).expect("an index").with_max_age(None);
    assert!(!index.coverage().expect("coverage").complete);
}
