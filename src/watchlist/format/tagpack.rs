//! GraphSense's TagPacks: a YAML mapping whose values every tag of its list `tags` inherits. Tags are read one by one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, BufRead};
use std::mem;

use saphyr_parser::Event;

use super::detection::{ListFormat, head_lines};
use super::records::{Cell, Records};
use super::yaml::YamlReader;
use crate::watchlist::builder::ListBuilder;
use crate::watchlist::fault::fault;
use crate::watchlist::target::refusal::Refusal;

/// TagPacks.
pub const FORMAT: ListFormat = ListFormat { name: "tagpack", detects, read };

/// What tags inherit of the values of their pack. The rest describes the pack.
const INHERITED: [&str; 11] = [
    "label",
    "source",
    "currency",
    "network",
    "category",
    "abuse",
    "concepts",
    "actor",
    "confidence",
    "lastmod",
    "is_cluster_definer",
];

/// Most tags that are held until the pack's end, where values that they inherit may stand behind them. Packs have up to 40,000.
const HELD: usize = 100_000;
/// Bytes that these may have.
const HELD_BYTES: usize = 64 << 20;
/// Most values of one tag.
const MOST_CELLS: usize = 1_000;

fn detects(head: &[u8]) -> bool {
    let lines = head_lines(head);
    let has = |name: &str| lines.iter().any(|line| line.starts_with(name));
    let is_about = lines.iter().any(|line| line.contains("address") || line.contains("tx_hash"));
    has("tags:") && is_about && !lines.iter().any(|line| line.starts_with(['<', '{', '[']))
}

/// A pack as far as it was read.
#[derive(Default)]
struct Pack {
    header: HashMap<String, String>,
    held: Vec<(u64, Vec<Cell>)>,
    bytes: usize,
    /// Whether tags were given away before the pack's end.
    is_begun: bool,
}

fn read(_head: &[u8], input: &mut dyn BufRead, list: &mut ListBuilder) -> io::Result<()> {
    let mut yaml = YamlReader::new(input);
    let mut records = Records::new(list);
    let mut pack = Pack::default();
    loop {
        let (event, line) = yaml.next()?;
        match event {
            Event::StreamEnd => break,
            Event::DocumentStart(_) => pack = Pack::default(),
            Event::DocumentEnd => pack.give(&mut records),
            Event::MappingStart(..) => whole_pack(&mut yaml, &mut pack, &mut records)?,
            Event::Nothing | Event::StreamStart => {}
            _ => return Err(fault(line, "a TagPack is a mapping with a list named tags; this is something else")),
        }
    }
    records.finish()
}

/// Reads the mapping of a pack to its end.
fn whole_pack(yaml: &mut YamlReader, pack: &mut Pack, records: &mut Records) -> io::Result<()> {
    while let Some((name, line)) = yaml.name()? {
        if name == "tags" {
            tags(yaml, pack, records)?;
            continue;
        }
        let value = yaml.value()?;
        if !INHERITED.contains(&name.as_str()) {
            continue;
        }
        if pack.is_begun {
            let what = format!("{name} stands behind more than {HELD} tags that inherit it; write it above them");
            return Err(fault(line, what));
        }
        if pack.header.insert(name, value.unwrap_or_default()).is_some() {
            return Err(fault(line, "the pack names the same thing twice; keep one of them"));
        }
    }
    Ok(())
}

/// Reads the list of tags to its end.
fn tags(yaml: &mut YamlReader, pack: &mut Pack, records: &mut Records) -> io::Result<()> {
    let (event, line) = yaml.next()?;
    match event {
        Event::SequenceStart(..) => {}
        // No tags at all.
        Event::Scalar(text, ..) if matches!(&*text, "" | "~" | "null") => return Ok(()),
        _ => return Err(fault(line, "tags must be a list")),
    }
    loop {
        let (event, line) = yaml.next()?;
        match event {
            Event::SequenceEnd => return Ok(()),
            Event::MappingStart(..) => {
                let mut cells: Vec<Cell> = Vec::new();
                while let Some((name, line)) = yaml.name()? {
                    if cells.len() >= MOST_CELLS {
                        return Err(fault(line, format!("a tag has more than {MOST_CELLS} values")));
                    }
                    cells.push((Cow::Owned(name), yaml.value()?.unwrap_or_default()));
                }
                pack.hold(line, cells, records);
            }
            Event::Scalar(text, ..) => pack.hold(line, vec![("tag".into(), text.into_owned())], records),
            _ => return Err(fault(line, "a tag must be a mapping, such as address: …")),
        }
    }
}

impl Pack {
    fn hold(&mut self, line: u64, cells: Vec<Cell>, records: &mut Records) {
        self.bytes += cells.iter().map(|(name, value)| name.len() + value.len() + 64).sum::<usize>();
        self.held.push((line, cells));
        if self.held.len() >= HELD || self.bytes >= HELD_BYTES {
            self.give(records);
            self.is_begun = true;
        }
    }

    /// Puts the tags that are held into the list, with what they inherit.
    fn give(&mut self, records: &mut Records) {
        self.bytes = 0;
        for (line, mut cells) in mem::take(&mut self.held) {
            let has =
                |cells: &[Cell], name: &str| cells.iter().any(|(found, value)| found == name && !value.is_empty());
            if has(&cells, "tx_hash") && !has(&cells, "address") {
                let text = cells.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(", ");
                records.refuse(line, text, Refusal::LabelOf("a transaction; list the addresses of its outputs"));
                continue;
            }
            for name in INHERITED {
                if let Some(value) = self.header.get(name)
                    && !cells.iter().any(|(found, _)| found == name)
                {
                    cells.push((Cow::Borrowed(name), value.clone()));
                }
            }
            if !has(&cells, "category")
                && let Some((_, abuse)) = cells.iter().find(|(name, value)| name == "abuse" && !value.is_empty())
            {
                let abuse = abuse.clone();
                cells.retain(|(name, _)| name != "category");
                cells.push((Cow::Borrowed("category"), abuse));
            }
            records.add(line, cells);
        }
    }
}
