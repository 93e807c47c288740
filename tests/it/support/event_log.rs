//! The log of events as a reader sees it: JSON objects, in order.

use std::collections::BTreeMap;

use serde_json::Value;

/// The facts that are in force after all events, by id: the last event of each id, unless it was a retraction. `seq` and `seen` are
/// removed, since they depend on the run that logged the event.
///
/// Panics if an event is logged twice, or if a fact is retracted that isn't in force.
pub fn facts_in_force(log: &[Value]) -> BTreeMap<String, Value> {
    let mut facts: BTreeMap<String, Value> = BTreeMap::new();
    for event in log {
        let (kind, id) = (event["kind"].as_str().expect("a kind"), event["id"].as_str().expect("an id").to_owned());
        let mut fact = event.clone();
        fact.as_object_mut().expect("an object").retain(|name, _| name != "seq" && name != "seen");
        match kind {
            "retracted" => assert!(facts.remove(&id).is_some(), "{id} was retracted without being in force"),
            "reorg" | "caught_up" => {}
            _ => {
                assert_ne!(facts.get(&id), Some(&fact), "{id} was logged twice");
                facts.insert(id, fact);
            }
        }
    }
    facts
}
