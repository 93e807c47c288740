//! Large files: held in bounded memory. With `COINHOUND_LONG` at the sizes that the world publishes, with what that took.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::time::Instant;

use bitcoin::hashes::Hash as _;
use coinhound::Chain;
use coinhound::watchlist::{List, ListOptions, read};

use crate::support::effort::say;

/// How many times a sample is repeated: a little, or up to its size in the world.
fn times(short: usize, long: usize) -> usize {
    if std::env::var_os("COINHOUND_LONG").is_some() { long } else { short }
}

/// The most memory that this process has held, in MiB, where the system says.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned();
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) >> 10
}

/// The pieces of a text one after another, as a file that is nowhere as a whole.
struct Pieces<I> {
    pieces: I,
    piece: io::Cursor<Vec<u8>>,
    bytes: u64,
}

impl<I: Iterator<Item = String>> Read for Pieces<I> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.piece.read(into)?;
            if length > 0 {
                return Ok(length);
            }
            let Some(piece) = self.pieces.next() else { return Ok(0) };
            self.bytes += piece.len() as u64;
            self.piece = io::Cursor::new(piece.into_bytes());
        }
    }
}

fn measured(what: &str, pieces: impl Iterator<Item = String>) -> List {
    let before = peak();
    let start = Instant::now();
    let mut input = Pieces { pieces, piece: io::Cursor::default(), bytes: 0 };
    let list = read(&mut input, what, Chain::Main, &ListOptions::default()).unwrap();
    say(&format!(
        "{what}: {} bytes, {} rows in {:.1} s; peak {} MiB, {before} before",
        input.bytes,
        list.report.rows,
        start.elapsed().as_secs_f64(),
        peak()
    ));
    list
}

#[test]
fn sdn_xml_at_full_size_is_read_as_a_stream() {
    let sample =
        std::fs::read_to_string(format!("{}/tests/data/watchlists/sdn_legacy_shape.xml", env!("CARGO_MANIFEST_DIR")))
            .unwrap();
    let (start, rest) = sample.split_once("  <sdnEntry>").unwrap();
    let (body, end) = rest.split_once("</sdnEntry>").unwrap();
    let entries = times(20, 8_000);
    // Most entries have other ids: as many addresses as the list has, and a little more than its 29 MB.
    let plain =
        body.replace("Digital Currency Address - XBT", "Passport No.").replace("Digital Currency Address", "Tax No.");
    let hidden = cases_without_addresses(&plain);
    let start = start.replace("<Record_Count>1<", &format!("<Record_Count>{entries}<"));
    let middle = (0..entries).map(|number| {
        let body = if number % (entries / 10) == 0 { body } else { &hidden };
        format!("  <sdnEntry>{body}</sdnEntry>\n")
    });
    let found = measured("SDN.XML", std::iter::once(start).chain(middle).chain(std::iter::once(end.to_owned())));
    assert_eq!((found.report.rows, found.report.accepted, found.report.duplicates), (250, 15, 175));
}

/// The entry with what are no addresses in place of its ids.
fn cases_without_addresses(entry: &str) -> String {
    entry.replace("<idNumber>", "<idNumber>No. ")
}

#[test]
fn sdn_advanced_at_full_size_is_read_as_a_stream() {
    let sample =
        std::fs::read_to_string(format!("{}/tests/data/watchlists/sdn_advanced_shape.xml", env!("CARGO_MANIFEST_DIR")))
            .unwrap();
    let (start, rest) = sample.split_once("    <DistinctParty FixedRef=\"33151\">").unwrap();
    let (body, end) = rest.split_once("</DistinctParty>").unwrap();
    let parties = times(20, 18_500);
    let hidden = body
        .replace("FeatureTypeID=\"344\"", "FeatureTypeID=\"8\"")
        .replace("<VersionDetail DetailTypeID=\"1432\">", "<VersionDetail DetailTypeID=\"1432\">No. ");
    let hidden = hidden
        .replace("FeatureTypeID=\"345\"", "FeatureTypeID=\"8\"")
        .replace("FeatureTypeID=\"887\"", "FeatureTypeID=\"8\"");
    let middle = (0..parties).map(|number| {
        let body = if number % (parties / 10) == 0 { body } else { &hidden };
        format!("    <DistinctParty FixedRef=\"{number}\">{body}</DistinctParty>\n")
    });
    let found = measured(
        "SDN_ADVANCED.XML",
        std::iter::once(start.to_owned()).chain(middle).chain(std::iter::once(end.to_owned())),
    );
    assert_eq!((found.report.rows, found.report.accepted), (250, 15));
}

#[test]
fn tag_packs_of_many_tags_are_read_as_a_stream() {
    let tags = times(2_000, 480_000);
    let tag = |number: usize| {
        let mut hash = [0; 20];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        let hash = bitcoin::PubkeyHash::from_byte_array(hash);
        let address = bitcoin::Address::p2pkh(hash, bitcoin::Network::Bitcoin);
        let mut text = String::new();
        writeln!(text, "- address: {address}\n  currency: BTC\n  label: service {}", number % 50).unwrap();
        text
    };
    let start = "title: many\ncreator: x\nsource: https://x.example\nlastmod: 2024-01-01\ntags:\n".to_owned();
    let found = measured("TagPack", std::iter::once(start).chain((0..tags).map(tag)));
    assert_eq!(found.report.accepted, tags as u64);
    assert_eq!(found.listings[0].label.source.as_deref(), Some("https://x.example"));
}
