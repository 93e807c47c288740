//! Filter files as a node leaves them: whole, truncated, repeated, overwritten, half written, preallocated.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn hash(n: u32) -> BlockHash {
    BlockHash::hash(&n.to_be_bytes())
}

/// A filter of `length` bytes that repeats the number of its block.
fn filter(n: u32, length: usize) -> Vec<u8> {
    n.to_be_bytes().into_iter().cycle().take(length).collect()
}

fn record(n: u32, length: usize) -> Vec<u8> {
    [&hash(n).to_byte_array()[..], &bitcoin::consensus::serialize(&filter(n, length))].concat()
}

fn folder(files: &[&[u8]]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (number, bytes) in files.iter().enumerate() {
        write(&dir, number, bytes);
    }
    dir
}

fn write(dir: &TempDir, number: usize, bytes: &[u8]) {
    fs::write(dir.path().join(format!("fltr{number:05}.dat")), bytes).unwrap();
}

/// What is read for a block, at each of its locations.
fn read(files: &FilterFiles, n: u32) -> Vec<Option<Vec<u8>>> {
    let mut reader = RecordReader::default();
    let locations = files.locations(hash(n)).iter();
    locations.map(|location| reader.read(files, hash(n), *location).unwrap().map(<[u8]>::to_vec)).collect()
}

/// A block that has no record.
const NOWHERE: u32 = u32::MAX;

fn block(n: u32) -> BlockId {
    BlockId { height: n, hash: hash(n) }
}

/// All files in a folder, walked.
fn opened(dir: &TempDir) -> FilterFiles {
    let mut files = FilterFiles::open(dir.path().to_owned()).unwrap();
    files.search(&[block(NOWHERE)], SearchFrom::Oldest, || false).unwrap();
    files
}

#[test]
fn records_of_every_size_are_found_and_zeros_end_a_file() {
    let step = STEP - HEAD;
    let lengths = [1, 4, 0xfc, 0xfd, 0xfe, 4000, 0xffff, 0x1_0000, 0x2_0003, step, step - 1, STEP, 2 * STEP + 7, 3];
    let records: Vec<u8> = (0..).zip(lengths).flat_map(|(n, length)| record(n, length)).collect();
    let again: Vec<u8> = (100..).zip(lengths).flat_map(|(n, length)| record(n, length)).collect();
    let dir = folder(&[&[&records[..], &[0; 5000]].concat(), &again, b"", &[0; 9000], &record(7, 4)]);
    // Other files are ignored.
    for name in ["fltr1.dat", "fltr00009.tmp", "fltr0000x.dat", "other", "fltr99999999999.dat"] {
        fs::write(dir.path().join(name), record(55, 4)).unwrap();
    }
    fs::create_dir(dir.path().join("db")).unwrap();
    let files = opened(&dir);
    assert_eq!(files.locations.len(), 2 * lengths.len() + 1);
    for (n, length) in (0..).zip(lengths).chain((100..).zip(lengths)) {
        assert_eq!(read(&files, n)[0], Some(filter(n, length)), "{n}");
    }
    assert_eq!(read(&files, 7), [Some(filter(7, lengths[7])), Some(filter(7, 4))], "repeated, in order of files");
    assert_eq!(read(&files, 55), []);
    assert_eq!(read(&files, 0).len(), 1);
}

#[test]
fn bytes_that_cannot_be_a_record_end_a_file_and_the_next_one_is_walked() {
    let whole = record(1, 300);
    let next = record(2, 20);
    let cases: [(&str, Vec<u8>); 8] = [
        ("a hash cut off", whole[..20].to_vec()),
        ("no length", whole[..32].to_vec()),
        ("half a length", whole[..34].to_vec()),
        ("half a filter, and the end", whole[..200].to_vec()),
        ("a hash, then zeros", [&whole[..32], &[0; 500]].concat()),
        ("a length not written the shortest way", [&whole[..32], &[0xfd, 4, 0, 1, 1, 1, 1]].concat()),
        ("a length beyond 32 bits", [&whole[..32], &[0xff, 4, 0, 0, 0, 1, 0, 0, 0, 9]].concat()),
        ("a length of 4 GB", [&whole[..32], &[0xfe, 0xff, 0xff, 0xff, 0xff]].concat()),
    ];
    for (what, tail) in cases {
        let dir = folder(&[&[&record(0, 9)[..], &tail].concat(), &next]);
        let files = opened(&dir);
        assert_eq!((read(&files, 0), read(&files, 1)), (vec![Some(filter(0, 9))], vec![]), "{what}");
        assert_eq!(read(&files, 2), [Some(filter(2, 20))], "{what}");
    }
}

#[test]
fn records_that_the_node_appends_truncates_or_overwrites_are_found_or_rejected() {
    let dir = folder(&[&[record(0, 500), record(1, 500), vec![0; 3000]].concat()]);
    let mut files = opened(&dir);
    assert_eq!((read(&files, 1).len(), read(&files, 2).len()), (1, 0));

    // Half written: hash and length are there, the tail isn't. The record is found, and only its filter header would show it.
    let mut half = record(2, 500);
    half[300..].fill(0);
    write(&dir, 0, &[record(0, 500), record(1, 500), half, vec![0; 2000]].concat());
    files.search(&[block(NOWHERE)], SearchFrom::Oldest, || false).unwrap();
    assert_eq!(read(&files, 2).len(), 1);
    assert_ne!(read(&files, 2), [Some(filter(2, 500))]);
    write(&dir, 0, &[record(0, 500), record(1, 500), record(2, 500), vec![0; 2000]].concat());
    assert_eq!(read(&files, 2), [Some(filter(2, 500))], "complete by now, at the same location");

    // A crash: the node continues at block 1's location with another block, whose record is shorter. A newer file holds what it wrote
    // before, and the rest of what it overwrites is no record.
    write(&dir, 1, &record(3, 700));
    write(&dir, 0, &[record(0, 500), record(4, 300), vec![7; 236], record(2, 500)].concat());
    files.search(&[block(NOWHERE)], SearchFrom::Oldest, || false).unwrap();
    assert_eq!(read(&files, 1), [None], "overwritten");
    assert_eq!(read(&files, 3), [Some(filter(3, 700))]);
    assert_eq!(read(&files, 4), [Some(filter(4, 300))]);

    // Truncated behind block 0's record, as a full file is.
    write(&dir, 0, &record(0, 500));
    assert_eq!((read(&files, 0), read(&files, 4)), (vec![Some(filter(0, 500))], vec![None]));
    // Removed.
    fs::remove_file(dir.path().join("fltr00001.dat")).unwrap();
    let error = RecordReader::default().read(&files, hash(3), files.locations(hash(3))[0]).unwrap_err().to_string();
    assert!(error.contains("fltr00001.dat cannot be read"), "{error}");
    files.search(&[block(NOWHERE)], SearchFrom::Oldest, || false).unwrap();
    assert_eq!((read(&files, 3), read(&files, 0).len()), (vec![], 1));
    drop(dir);
    assert!(
        files
            .search(&[block(NOWHERE)], SearchFrom::Oldest, || false)
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
}

#[test]
fn no_more_files_are_walked_than_a_search_needs() {
    let records: Vec<_> = (0..30).map(|n| record(n, 100)).collect();
    let dir = folder(&records.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let known = |files: &FilterFiles| (0..40).filter(|n| !files.locations(hash(*n)).is_empty()).collect::<Vec<_>>();
    let opened = || FilterFiles::open(dir.path().to_owned()).unwrap();
    let cases: [(&[u32], SearchFrom, Vec<u32>); 7] = [
        (&[], SearchFrom::Oldest, vec![29]),
        (&[29], SearchFrom::Oldest, vec![29]),
        (&[3], SearchFrom::Oldest, (0..8).chain([29]).collect()),
        (&[3, 7, 8], SearchFrom::Oldest, (0..16).chain([29]).collect()),
        (&[28], SearchFrom::Newest, (21..30).collect()),
        (&[20, 27], SearchFrom::Newest, (13..30).collect()),
        (&[NOWHERE], SearchFrom::Newest, (0..30).collect()),
    ];
    for (sought, from, expected) in cases {
        let mut files = opened();
        files.search(&sought.iter().map(|n| block(*n)).collect::<Vec<_>>(), from, || false).unwrap();
        assert_eq!(known(&files), expected, "{sought:?} {from:?}");
    }

    // A new file is found without walking those between, and a walked one is walked again if it has changed.
    let mut files = opened();
    write(&dir, 30, &record(30, 100));
    write(&dir, 29, &[record(29, 100), record(31, 100)].concat());
    files.search(&[block(30), block(31)], SearchFrom::Newest, || false).unwrap();
    assert_eq!(known(&files), (22..32).collect::<Vec<_>>());
}

#[test]
fn a_missing_folder_is_an_error_and_an_empty_one_has_no_records() {
    let dir = tempfile::tempdir().unwrap();
    assert!(FilterFiles::open(dir.path().join("none")).unwrap_err().to_string().contains("none cannot be read"));
    assert!(FilterFiles::open(dir.path().to_owned()).unwrap().locations(hash(0)).is_empty());
}

proptest! {
    #[test]
    fn every_record_is_found_however_they_are_spread_over_files(
        lengths in prop::collection::vec(prop_oneof![4 => 1..300_usize, 1 => 1..9000_usize, 1 => 1..600_000_usize], 0..60),
        breaks in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        zeros in 0..5000_usize,
    ) {
        let mut files = vec![Vec::new()];
        let breaks: Vec<_> = breaks.iter().map(|at| at.index(lengths.len() + 1)).collect();
        for (n, length) in lengths.iter().enumerate() {
            if breaks.contains(&n) {
                files.push(Vec::new());
            }
            files.last_mut().unwrap().extend(record(u32::try_from(n).unwrap(), *length));
        }
        files.last_mut().unwrap().extend(vec![0; zeros]);
        let dir = folder(&files.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let files = opened(&dir);
        prop_assert_eq!(files.locations.len(), lengths.len());
        for (n, length) in (0..).zip(&lengths) {
            prop_assert_eq!(read(&files, n), [Some(filter(n, *length))]);
        }
    }

    #[test]
    fn no_bytes_in_a_file_make_it_panic_or_are_taken_for_a_filter(
        good in prop::collection::vec(1..600_usize, 0..5),
        rest in prop::collection::vec(prop_oneof![Just(0_u8), Just(0xfd), any::<u8>()], 0..400),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes: Vec<u8> = (0..).zip(&good).flat_map(|(n, length)| record(n, *length)).collect();
        bytes.extend(rest);
        let cut = cut.index(bytes.len() + 1);
        let dir = folder(&[&bytes[..cut]]);
        let files = opened(&dir);
        let mut end = 0;
        for (n, length) in (0..).zip(&good) {
            end += record(n, *length).len();
            let expected = if end <= cut { vec![Some(filter(n, *length))] } else { vec![] };
            prop_assert_eq!(read(&files, n), expected);
        }
    }
}
