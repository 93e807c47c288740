//! OFAC's SDN_ADVANCED.XML (127 MB): addresses are features of parties, by ids that the file explains at its start; programs and dates
//! of listing follow at its end. Of all this only what concerns addresses is held.

use std::collections::HashMap;
use std::io::{self, BufRead};

use super::detection::ListFormat;
use super::ofac::{self, MOST_WALLETS, Party, Wallet};
use super::xml::{self, XmlReader, XmlStep};
use crate::watchlist::builder::ListBuilder;
use crate::watchlist::fault::fault;

/// SDN_ADVANCED.XML, and CONS_ADVANCED.XML, which is written alike.
pub const FORMAT: ListFormat = ListFormat { name: "ofac-advanced-xml", detects, read };

/// Most kinds of things that the file may explain.
const MOST_KINDS: usize = 100_000;

fn detects(head: &[u8]) -> bool {
    xml::root(head).as_deref() == Some("Sanctions")
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    /// Kinds of features, by their ids.
    features: HashMap<String, String>,
    /// Names of lists, by their ids.
    lists: HashMap<String, String>,
    /// The id of the measure that is a program.
    program: Option<String>,
    /// Three numbers of the date that is being read.
    date: [String; 3],
    /// The id of what is being read, as its start tag says.
    id: String,
    party: Party,
    profile: String,
    name: PartyName,
    feature: Wallet,
    /// Addresses of the party that is being read.
    ids: Vec<Wallet>,
    /// Parties with addresses, and their addresses with the place of the party.
    parties: Vec<Party>,
    wallets: Vec<(usize, Wallet)>,
    by_profile: HashMap<String, usize>,
    /// The party whose listing is being read.
    listed: Option<usize>,
    measure: String,
}

/// Whether the alias that is being read is the party's name.
#[derive(Default)]
struct PartyName {
    identity: bool,
    alias: bool,
    done: bool,
}

fn read(_head: &[u8], input: &mut dyn BufRead, list: &mut ListBuilder) -> io::Result<()> {
    let mut xml = XmlReader::new(input);
    let mut reading = Reading::default();
    loop {
        let step = xml.next()?;
        let names: Vec<&str> = xml.path().iter().skip(1).map(String::as_str).collect();
        match (step, &names[..]) {
            (XmlStep::Eof, _) => break,
            (_, ["DateOfIssue", rest @ ..]) => {
                reading.date(step, rest, &xml);
                if step == XmlStep::End
                    && rest.is_empty()
                    && let Some(date) = reading.whole_date()
                {
                    list.publish(date);
                }
            }
            (_, ["ReferenceValueSets", rest @ ..]) => reading.reference(step, rest, &xml)?,
            (_, ["DistinctParties", "DistinctParty", rest @ ..]) => reading.party(step, rest, &xml, list)?,
            (_, ["SanctionsEntries", "SanctionsEntry", rest @ ..]) => reading.listing(step, rest, &xml),
            _ => {}
        }
    }
    if reading.features.is_empty() {
        let what = "explains no kinds of features (FeatureTypeValues), so addresses can't be told; download it again";
        return Err(fault(xml.line(), what));
    }
    for (party, wallet) in &reading.wallets {
        ofac::put(wallet, &reading.parties[*party], list);
    }
    Ok(())
}

impl Reading {
    fn date<R: BufRead>(&mut self, step: XmlStep, names: &[&str], xml: &XmlReader<R>) {
        let part = match names {
            [] if step == XmlStep::Start => {
                self.date = Default::default();
                return;
            }
            ["Year"] => 0,
            ["Month"] => 1,
            ["Day"] => 2,
            _ => return,
        };
        if step == XmlStep::End {
            xml.text().clone_into(&mut self.date[part]);
        }
    }

    fn whole_date(&self) -> Option<String> {
        let [year, month, day] = &self.date;
        ofac::date(year, month, day)
    }

    /// What ids mean.
    fn reference<R: BufRead>(&mut self, step: XmlStep, names: &[&str], xml: &XmlReader<R>) -> io::Result<()> {
        let [_, kind] = names else { return Ok(()) };
        if step == XmlStep::Start {
            xml.attribute("ID").unwrap_or_default().clone_into(&mut self.id);
            return Ok(());
        }
        if self.features.len().max(self.lists.len()) >= MOST_KINDS {
            return Err(fault(xml.line(), format!("explains more than {MOST_KINDS} kinds of things")));
        }
        let id = std::mem::take(&mut self.id);
        match *kind {
            "FeatureType" => drop(self.features.insert(id, xml.text().to_owned())),
            "List" => drop(self.lists.insert(id, xml.text().to_owned())),
            "SanctionsType" if xml.text().eq_ignore_ascii_case("program") => self.program = Some(id),
            _ => {}
        }
        Ok(())
    }

    fn party<R: BufRead>(
        &mut self,
        step: XmlStep,
        names: &[&str],
        xml: &XmlReader<R>,
        list: &ListBuilder,
    ) -> io::Result<()> {
        let is_true = |name: &str| xml.attribute(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        match (step, names) {
            (XmlStep::Start, []) => {
                let uid = xml.attribute("FixedRef").unwrap_or_default().to_owned();
                self.party = Party { uid, ..Party::default() };
                self.name = PartyName::default();
                self.ids.clear();
                self.profile.clear();
            }
            (XmlStep::Start, ["Profile"]) => xml.attribute("ID").unwrap_or_default().clone_into(&mut self.profile),
            (XmlStep::Start, ["Profile", "Identity"]) => self.name.identity = is_true("Primary"),
            (XmlStep::Start, ["Profile", "Identity", "Alias"]) => {
                self.name.alias = self.name.identity && is_true("Primary");
            }
            (
                XmlStep::End,
                ["Profile", "Identity", "Alias", "DocumentedName", "DocumentedNamePart", "NamePartValue"],
            ) if self.name.alias && !self.name.done => {
                if !self.party.name.is_empty() {
                    self.party.name.push(' ');
                }
                self.party.name.push_str(xml.text());
            }
            (XmlStep::End, ["Profile", "Identity", "Alias", "DocumentedName"]) if !self.party.name.is_empty() => {
                self.name.done = true;
            }
            (XmlStep::Start, ["Profile", "Feature"]) => {
                let id = xml.attribute("FeatureTypeID").unwrap_or_default();
                self.feature.kind = self.features.get(id).cloned().unwrap_or_default();
            }
            (XmlStep::Start, ["Profile", "Feature", "FeatureVersion", "VersionDetail"]) => {
                self.feature.line = xml.line();
            }
            (XmlStep::End, ["Profile", "Feature", "FeatureVersion", "VersionDetail"]) => {
                xml.text().clone_into(&mut self.feature.number);
                let known = ofac::is_wallet_kind(&self.feature.kind);
                if known || ofac::is_address(&self.feature.number, list) {
                    self.ids.push(self.feature.clone());
                }
                if self.wallets.len() + self.ids.len() > MOST_WALLETS {
                    return Err(fault(xml.line(), format!("holds more than {MOST_WALLETS} addresses")));
                }
            }
            (XmlStep::End, []) if !self.ids.is_empty() => {
                let place = self.parties.len();
                self.by_profile.insert(std::mem::take(&mut self.profile), place);
                self.parties.push(std::mem::take(&mut self.party));
                self.wallets.extend(self.ids.drain(..).map(|wallet| (place, wallet)));
            }
            _ => {}
        }
        Ok(())
    }

    /// When and under which programs a party is listed.
    fn listing<R: BufRead>(&mut self, step: XmlStep, names: &[&str], xml: &XmlReader<R>) {
        if (step, names) == (XmlStep::Start, &[]) {
            self.listed = xml.attribute("ProfileID").and_then(|id| self.by_profile.get(id)).copied();
            let list = xml.attribute("ListID").and_then(|id| self.lists.get(id));
            if let (Some(place), Some(list)) = (self.listed, list) {
                list.clone_into(&mut self.parties[place].list);
            }
        }
        let Some(place) = self.listed else { return };
        match (step, names) {
            (_, ["EntryEvent", "Date", rest @ ..]) => {
                self.date(step, rest, xml);
                if step == XmlStep::End
                    && rest.is_empty()
                    && let Some(date) = self.whole_date()
                {
                    let party = &mut self.parties[place];
                    // Of several events the first is that of the listing.
                    if party.listed_on.is_empty() || date < party.listed_on {
                        party.listed_on = date;
                    }
                }
            }
            (XmlStep::Start, ["SanctionsMeasure"]) => {
                xml.attribute("SanctionsTypeID").unwrap_or_default().clone_into(&mut self.measure);
            }
            (XmlStep::End, ["SanctionsMeasure", "Comment"]) => {
                let is_program = self.program.as_ref().is_none_or(|program| *program == self.measure);
                let programs = &mut self.parties[place].programs;
                if is_program && !xml.text().is_empty() && programs.len() < 1_000 {
                    programs.push(xml.text().to_owned());
                }
            }
            _ => {}
        }
    }
}
