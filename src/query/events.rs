//! `events`: the events of the log as they are printed, with `seq` in front and an address beside each script.

use bitcoin::{Address, Network, ScriptBuf};
use serde_json::{Map, Value};

use super::Rows;
use crate::index::events::{Event, since};
use crate::index::{IndexError, View};

/// The events after `seq`, in order, each with its seq; addresses are those of `network`.
pub fn after(view: &View, network: Network, seq: u64) -> Rows<'_, (u64, Value)> {
    Box::new(since(view, seq).map(move |message| {
        let (seq, event) = message?;
        Ok((seq, row(seq, &event, network)))
    }))
}

/// The seq of the last event; 0 in an empty log.
///
/// # Errors
/// What reading reports.
pub fn last_seq(view: &View) -> Result<u64, IndexError> {
    Ok(crate::index::events::next_seq(view)?.saturating_sub(1))
}

fn row(seq: u64, event: &Event, network: Network) -> Value {
    let event = serde_json::to_value(event).expect("strings and numbers");
    let mut fields = Map::from_iter([("seq".to_owned(), Value::from(seq))]);
    if let Value::Object(event) = with_addresses(event, network) {
        fields.extend(event);
    }
    Value::Object(fields)
}

/// The same, with the field `address` after each `script`; null for a script that has none.
fn with_addresses(value: Value, network: Network) -> Value {
    match value {
        Value::Object(fields) => {
            let mut more = Map::with_capacity(fields.len() + 1);
            for (name, value) in fields {
                let address = (name == "script").then(|| address(&value, network));
                more.insert(name, with_addresses(value, network));
                if let Some(address) = address {
                    more.insert("address".into(), address);
                }
            }
            Value::Object(more)
        }
        Value::Array(values) => values.into_iter().map(|value| with_addresses(value, network)).collect(),
        leaf => leaf,
    }
}

fn address(script: &Value, network: Network) -> Value {
    let script = script.as_str().and_then(|hex| ScriptBuf::from_hex(hex).ok());
    let address = script.and_then(|script| Address::from_script(&script, network).ok());
    address.map_or(Value::Null, |address| address.to_string().into())
}
