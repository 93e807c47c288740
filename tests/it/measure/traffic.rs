//! The bytes that each kind of traffic leaves in an index, a touch, by family. `COINHOUND_PROGRAM` names another binary to measure; of an
//! index in another format only the whole is known.

use std::fs;
use std::path::Path;

use coinhound::index::Reader;
use coinhound::index::raw::{Family, RawRows};

use crate::support::effort::{is_long, say};
use crate::support::program::Program;
use crate::support::scene::Scene;
use crate::support::traffic::Traffic;

/// The bytes of a folder's files.
pub fn bytes_on_disk(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).expect("a folder of the test");
    files.map(|file| file.and_then(|file| file.metadata()).map_or(0, |metadata| metadata.len())).sum()
}

/// The bytes of an index's rows by family, where it has this format.
fn by_family(program: &Program) -> Option<Vec<(&'static str, u64)>> {
    let reader = Reader::open(program.index()).ok()?;
    let size = |family: Family| {
        let rows = reader.raw_prefix(family, &[]).map(|row| row.map_or(0, |(key, value)| key.len() + value.len()));
        rows.sum::<usize>() as u64
    };
    Some(Family::ALL.into_iter().map(|family| (family.name(), size(family))).filter(|(_, bytes)| *bytes > 0).collect())
}

#[test]
fn an_index_takes_few_bytes_a_touch_whatever_the_traffic() {
    let kinds = if is_long() { Traffic::kinds(3_000, 20_000) } else { Traffic::kinds(60, 400) };
    for traffic in kinds {
        let (chain, flagged) = traffic.chain();
        let scene = Scene::of(&chain).with_list(vec![(flagged, 0)]);
        let program = scene.program("index");
        program.backfill(traffic.name);
        let touches = program.json(&["status"]).1["touches"].as_u64().expect("a number");
        assert!(touches > 0, "{}", traffic.name);
        let whole = bytes_on_disk(program.index());
        let Some(families) = by_family(&program) else {
            say(&format!("{}: {touches} touches, {whole} bytes on disk", traffic.name));
            continue;
        };
        let rows: u64 = families.iter().map(|(_, bytes)| bytes).sum();
        let each: Vec<_> = families.iter().map(|(name, bytes)| format!("{name} {}", bytes / touches)).collect();
        let (name, rows) = (traffic.name, rows / touches);
        say(&format!("{name}: {touches} touches, {whole} bytes on disk; bytes a touch: {rows}: {}", each.join(", ")));
        let events = families.iter().find(|(name, _)| *name == "events").map_or(0, |(_, bytes)| bytes / touches);
        assert!(events < 100, "{name}: {events} bytes of events a touch");
    }
}
