//! FollowTheMoney entities, as OpenSanctions publishes them (`entities.ftm.json`): JSON lines, of which the `CryptoWallet`s are entries.

use std::io::{self, BufRead};

use serde::Deserialize;
use serde_json::Value;

use super::detection::ListFormat;
use super::json_lines::{each_text, renamed};
use super::records::{Cell, Records};
use crate::watchlist::builder::ListBuilder;
use crate::watchlist::target::refusal::Refusal;

/// Entities of FollowTheMoney.
pub const FORMAT: ListFormat = ListFormat { name: "ftm", detects, read };

/// The schema of entities that are addresses.
const WALLET: &str = "CryptoWallet";

/// An entity, as far as it is read.
#[derive(Deserialize)]
struct Entity {
    #[serde(default)]
    id: String,
    schema: String,
    #[serde(default)]
    caption: String,
    #[serde(default)]
    properties: serde_json::Map<String, Value>,
    #[serde(default)]
    datasets: Vec<String>,
    first_seen: Option<String>,
    last_change: Option<String>,
}

/// The first line may be longer than the head.
fn detects(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    let first = head.trim_start_matches('\u{feff}').trim_start().lines().next().unwrap_or_default();
    first.starts_with('{') && first.contains("\"schema\"") && first.contains("\"properties\"")
}

fn read(_head: &[u8], input: &mut dyn BufRead, list: &mut ListBuilder) -> io::Result<()> {
    each_text(input, list, |records, line, text| match serde_json::from_str::<Entity>(text) {
        Ok(entity) if entity.schema == WALLET => put(entity, line, records),
        Ok(_) => records.remark(line, text.to_owned()),
        Err(error) => records.refuse(line, text.to_owned(), Refusal::NotJson(error.column())),
    })
}

fn put(entity: Entity, line: u64, records: &mut Records) {
    let property = |name: &str| -> Option<String> {
        let values = entity.properties.get(name)?.as_array()?;
        let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    };
    let key = property("publicKey");
    // The caption is the address, where nothing else names the wallet.
    let caption = Some(entity.caption.clone()).filter(|caption| !caption.is_empty() && Some(caption) != key.as_ref());
    let mut cells: Vec<Cell> = vec![("id".into(), entity.id.clone())];
    renamed(&mut cells, "label", property("name").or(caption));
    renamed(&mut cells, "currency", property("currency"));
    renamed(&mut cells, "category", property("topics"));
    renamed(&mut cells, "source", property("sourceUrl").or_else(|| Some(entity.datasets.join(", "))));
    renamed(&mut cells, "holder", property("holder"));
    renamed(&mut cells, "program", property("programId").or_else(|| property("program")));
    renamed(&mut cells, "datasets", Some(entity.datasets.join(", ")));
    renamed(&mut cells, "first seen", entity.first_seen.clone());
    renamed(&mut cells, "last change", entity.last_change.clone());
    cells.push(("address".into(), key.unwrap_or_default()));
    records.add(line, cells);
}
