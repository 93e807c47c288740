//! The log of events as a reader sees it: JSON objects, in order.

use std::collections::BTreeMap;

use bitcoin::Network;
use coinhound::index::View;
use coinhound::query::events::after;
use serde_json::Value;

/// All events that an index of regtest keeps, in order.
pub fn messages(view: &View) -> Vec<Value> {
    let rows = after(view, Network::Regtest, 0).expect("the index reads");
    rows.map(|row| row.expect("every event can be shown").1).collect()
}

/// The facts that are in force after all events, by id: the last event of each id, unless it was a retraction. `seq`, `seen` and
/// `revised` are removed, since they depend on the run that logged the event.
///
/// Panics if an event is logged twice, or if a fact is retracted that isn't in force.
pub fn facts_in_force(log: &[Value]) -> BTreeMap<String, Value> {
    let mut facts: BTreeMap<String, Value> = BTreeMap::new();
    for event in log {
        let (kind, id) = (event["kind"].as_str().expect("a kind"), event["id"].as_str().expect("an id").to_owned());
        let mut fact = event.clone();
        fact.as_object_mut().expect("an object").retain(|name, _| !["seq", "seen", "revised"].contains(&name.as_str()));
        match kind {
            "retracted" => assert!(facts.remove(&id).is_some(), "{id} was retracted without being in force"),
            "reorg" | "caught_up" => {}
            _ => {
                assert_eq!(
                    event["revised"],
                    facts.contains_key(&id),
                    "{event}: an earlier event is about it, or none is"
                );
                assert_ne!(facts.get(&id), Some(&fact), "{id} was logged twice");
                facts.insert(id, fact);
            }
        }
    }
    facts
}
