//! Lists packed by gzip and zip: the same rows, the digest of the packed file, and an end to what expands without one.

use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::watchlist::archive::{LIMITS, Limits, unpack};

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut packed = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        packed.start_file(*name, SimpleFileOptions::default()).unwrap();
        packed.write_all(bytes).unwrap();
    }
    packed.finish().unwrap().into_inner()
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/watchlists/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn packed_lists_have_the_same_rows_and_the_digest_of_what_was_downloaded() {
    let name = "sdn_legacy_shape.xml";
    let (bytes, plain) = (file(name), data(name));
    let (first, rest) = bytes.split_at(1000);
    for packed in [gz(&bytes), [gz(first), gz(rest)].concat(), zipped(&[("SDN.XML", &bytes), ("__MACOSX/x", b"")])] {
        let found = list(&packed);
        assert_eq!((found.listings.len(), &found.report.format), (plain.listings.len(), &plain.report.format));
        assert_eq!(found.report.rows, plain.report.rows);
        assert_eq!(found.report.sha256, sha256::Hash::hash(&packed).to_string());
    }
}

#[test]
fn an_archive_of_sdn_csv_and_its_comments_is_one_list() {
    let (sdn, comments) = (file("sdn_sample_SUEX.csv"), file("sdn_comments_sample_SUEX.csv"));
    let found = list(zipped(&[("alt.csv", b"1,2"), ("sdn_comments.csv", &comments), ("SDN.CSV", &sdn)]));
    assert_eq!((found.report.accepted, found.report.quarantined.len()), (15, 0));
}

#[test]
fn archives_that_cannot_be_read_are_errors() {
    let whole = zipped(&[("a.txt", A.as_bytes())]);
    let two = zipped(&[("a.txt", A.as_bytes()), ("b.txt", B.as_bytes())]);
    let table = [
        (two, "holds 2 files"),
        (zipped(&[]), "holds 0 files"),
        (whole[..whole.len() - 10].to_vec(), "zip archive is damaged"),
    ];
    for (bytes, says) in table {
        let ListError::Damaged { source, .. } = with(&bytes, &ListOptions::default()).unwrap_err() else { panic!() };
        assert!(source.to_string().contains(says), "{source}");
    }
    let packed = gz(A.as_bytes());
    for cut in [packed.len() - 1, packed.len() - 9, 5] {
        let error = with(&packed[..cut], &ListOptions::default()).unwrap_err();
        assert!(matches!(error, ListError::Unreadable { .. }), "{error}");
    }
    let twice = with(gz(&packed), &ListOptions::default()).unwrap_err();
    assert!(twice.to_string().contains("gzip"), "{twice}");
}

#[test]
fn what_expands_without_end_is_an_error_that_names_the_limit() {
    let bomb = vec![b' '; 80 << 20];
    for packed in [gz(&bomb), zipped(&[("a.txt", &bomb)])] {
        assert!(packed.len() < 1 << 20);
        let ListError::Damaged { source, .. } = with(&packed, &ListOptions::default()).unwrap_err() else { panic!() };
        assert!(source.to_string().contains("more than 200 times its size"), "{source}");
    }
    let limits = Limits { bytes: 1 << 20, ..LIMITS };
    let packed = gz(&bomb[..2 << 20]);
    let (head, mut rest) = packed.split_at(100);
    let read = unpack(head, &mut rest, limits, &mut |content| io::copy(content, &mut io::sink()));
    assert!(read.unwrap_err().to_string().contains("more than 1048576 bytes"));
}
