//! A flipped bit anywhere in the database's files: every answer is the right one, or an error; never a wrong one, never a panic.

mod common;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use coinhound::index::{Reader, digest::digest};
use coinhound::query::history::Page;
use coinhound::query::target::Targets;
use coinhound::query::{Snapshot, balance, coins, history, status};
use coinhound::sync::backfill::Pace;
use serde_json::{Value, json};
use tempfile::TempDir;

use common::answers::List;
use common::crash::copy;
use common::random::{self, Rng};
use common::told::Told;

const TIP: u32 = 108;
const PACE: Pace = Pace { threads: 1, batch_blocks: 1 };

fn is_long() -> bool {
    std::env::var_os("COINHOUND_LONG").is_some()
}

/// A database at rest, and all that is asked of it.
struct Rest {
    name: &'static str,
    dir: TempDir,
    /// Every file's name and size.
    files: BTreeMap<PathBuf, usize>,
    right: Value,
}

/// Everything that an index answers, or the first error.
fn ask(index: &Path) -> Result<Value, Box<dyn Error>> {
    let snapshot = Snapshot::new(Reader::open(index)?, |_| false)?;
    let targets = Targets::resolve(&snapshot, &["all".to_owned()], None)?;
    let at = u32::MAX;
    let page = Page::default();
    let history = history::history(&snapshot, &targets, at, &page)?.map(|row| Ok(serde_json::to_value(row?.1)?));
    let history = history.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let coins = coins::coins(&snapshot, &targets, at, false, &page)?.map(|row| Ok(serde_json::to_value(row?.1)?));
    let coins = coins.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let balances = balance::balances(&snapshot, &targets, at).map(|row| Ok(serde_json::to_value(row?)?));
    let balances = balances.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let mut status = serde_json::to_value(status::status(&snapshot, None)?)?;
    status["index"] = Value::Null;
    let digest = match snapshot.tip {
        Some(tip) => digest(&snapshot.reader, tip.height)?.map(|hash| hash.to_string()),
        None => None,
    };
    Ok(json!({"history": history, "coins": coins, "balances": balances, "status": status, "digest": digest}))
}

#[test]
fn x() {
    let chain = random::chain(96, TIP);
    let list = random::watchlist(&chain, &mut Rng::new(96), 40).into_iter().map(|(s, f)| (s, f.min(TIP))).collect::<List>();
    let told = Told::new(chain.blocks());
    for (name, stops) in [("young", vec![TIP]), ("worn", vec![20, 40, 60, 80, 90, 95, 100, 102, TIP])] {
        let dir = tempfile::tempdir().unwrap();
        let index = dir.path().join("index");
        for stop in stops {
            told.sweep(&index, &list, Some(stop), PACE).unwrap();
        }
        let right = ask(&index).unwrap();
        println!("== {name} {} rows, through {}", right["history"].as_array().unwrap().len(), right["status"]["coverage"]);
        let mut files: Vec<_> = fs::read_dir(&index).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        let mut rng = Rng::new(5);
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let fname = file.file_name().unwrap().to_str().unwrap().to_owned();
            println!("{fname} {}", bytes.len());
            if fname == "CURRENT" || bytes.is_empty() { continue }
            let mut tally: BTreeMap<String, usize> = BTreeMap::new();
            let n = 25.min(bytes.len());
            for i in 0..n {
                let at = i * bytes.len() / n + rng.index((bytes.len() / n).max(1));
                let bit = rng.below(8);
                let mut b = bytes.clone();
                b[at] ^= 1 << bit;
                fs::write(&file, &b).unwrap();
                let r = catch_unwind(AssertUnwindSafe(|| ask(&index)));
                let what = match r {
                    Err(_) => format!("PANIC"),
                    Ok(Err(e)) => format!("error"),
                    Ok(Ok(v)) if v == right => format!("same"),
                    Ok(Ok(v)) => {
                        format!("OTHER through {} complete {} goal", v["status"]["coverage"]["through"], v["status"]["coverage"]["complete"])
                    }
                };
                *tally.entry(what).or_default() += 1;
                // backfill
                let dir2 = tempfile::tempdir().unwrap();
                let i2 = dir2.path().join("index");
                fs::create_dir(&i2).unwrap();
                copy(&index, &i2);
                let r = catch_unwind(AssertUnwindSafe(|| told.sweep(&i2, &list, None, PACE)));
                let what = match r {
                    Err(_) => format!("bf PANIC"),
                    Ok(Err(e)) => format!("bf error"),
                    Ok(Ok(o)) => match catch_unwind(AssertUnwindSafe(|| ask(&i2))) {
                    Err(_) => format!("bf PANIC"),
                    Ok(Err(e)) => format!("bf ok ask error"),
                    Ok(Ok(v)) if v == right => format!("bf ok same from {}", o.from),
                    Ok(Ok(v)) => format!("BF OTHER {}", v["status"]),
                    }
                };
                *tally.entry(what).or_default() += 1;
            }
            fs::write(&file, &bytes).unwrap();
            println!("   {tally:?}");
        }
    }
}
