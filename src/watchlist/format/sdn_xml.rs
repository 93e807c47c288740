//! OFAC's SDN.XML (29 MB): an `sdnEntry` for each party, its addresses among the ids. Entries are counted against `Record_Count`.

use std::io::{self, BufRead};

use super::detection::ListFormat;
use super::ofac::{self, MOST_WALLETS, Party, Wallet};
use super::xml::{self, XmlReader, XmlStep};
use crate::watchlist::builder::ListBuilder;
use crate::watchlist::fault::fault;

/// SDN.XML, and CONS_PRIM.XML, which is written alike.
pub const FORMAT: ListFormat = ListFormat { name: "ofac-sdn-xml", detects, read };

fn detects(head: &[u8]) -> bool {
    xml::root(head).as_deref() == Some("sdnList")
}

/// An entry as far as it was read.
#[derive(Default)]
struct Entry {
    party: Party,
    first_name: String,
    ids: Vec<Wallet>,
    id: Wallet,
}

fn read(_head: &[u8], input: &mut dyn BufRead, list: &mut ListBuilder) -> io::Result<()> {
    let mut xml = XmlReader::new(input);
    let (mut entry, mut entries, mut announced) = (Entry::default(), 0_u64, None);
    loop {
        match xml.next()? {
            XmlStep::Start if xml.path() == ["sdnList", "sdnEntry"] => entry = Entry::default(),
            XmlStep::Start if xml.is_below(2, &["idList", "id"]) => {
                entry.id = Wallet { line: xml.line(), ..Wallet::default() };
            }
            XmlStep::Start => {}
            XmlStep::End if xml.path() == ["sdnList", "sdnEntry"] => {
                entries += 1;
                put(std::mem::take(&mut entry), list);
            }
            XmlStep::End if xml.path().first().is_some_and(|root| root == "sdnList") => {
                if xml.is_at(&["sdnList", "publshInformation", "Record_Count"]) {
                    announced = xml.text().parse::<u64>().ok();
                } else if xml.is_at(&["sdnList", "publshInformation", "Publish_Date"]) {
                    publish(xml.text(), list);
                } else if xml.path().get(1).is_some_and(|name| name == "sdnEntry") {
                    take(&xml, &mut entry, list)?;
                }
            }
            XmlStep::End => {}
            XmlStep::Eof => break,
        }
    }
    match announced {
        Some(count) if count != entries => {
            let what = format!("has {entries} entries, but its Record_Count says {count}; download it again");
            Err(fault(xml.line(), what))
        }
        _ => Ok(()),
    }
}

/// Takes the text of an element within an entry.
fn take<R: BufRead>(xml: &XmlReader<R>, entry: &mut Entry, list: &ListBuilder) -> io::Result<()> {
    let text = || xml.text().to_owned();
    let below = xml.path().get(2..).unwrap_or_default();
    let names: Vec<&str> = below.iter().map(String::as_str).collect();
    match names[..] {
        ["uid"] => entry.party.uid = text(),
        ["lastName"] => entry.party.name = text(),
        ["firstName"] => entry.first_name = text(),
        ["sdnType"] => entry.party.kind = text(),
        ["programList", "program"] if entry.party.programs.len() < MOST_WALLETS => entry.party.programs.push(text()),
        ["idList", "id", "idType"] => entry.id.kind = text(),
        ["idList", "id", "idNumber"] => entry.id.number = text(),
        ["idList", "id"] => {
            let id = std::mem::take(&mut entry.id);
            if ofac::is_wallet_kind(&id.kind) || ofac::is_address(&id.number, list) {
                if entry.ids.len() >= MOST_WALLETS {
                    return Err(fault(id.line, format!("more than {MOST_WALLETS} addresses in one entry")));
                }
                entry.ids.push(id);
            }
        }
        _ => {}
    }
    Ok(())
}

fn put(entry: Entry, list: &mut ListBuilder) {
    let mut party = entry.party;
    if !entry.first_name.is_empty() {
        party.name = format!("{}, {}", party.name, entry.first_name);
    }
    for id in &entry.ids {
        ofac::put(id, &party, list);
    }
}

/// `MM/DD/YYYY`.
fn publish(text: &str, list: &mut ListBuilder) {
    let mut parts = text.split('/');
    if let (Some(month), Some(day), Some(year)) = (parts.next(), parts.next(), parts.next())
        && let Some(date) = ofac::date(year, month, day)
    {
        list.publish(date);
    }
}
