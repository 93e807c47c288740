//! The log of events as a reader sees it: JSON objects, in order.

use std::collections::BTreeMap;

use bitcoin::Network;
use coinhound::index::View;
use coinhound::query::events::after;
use serde_json::Value;

use crate::support::program::Program;

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

/// These facts without their labels. A move has those of the sources that were known when it was logged; a list that gains one more source
/// of the same taint doesn't have it logged again.
pub fn without_labels(mut facts: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    facts.values_mut().for_each(remove_labels);
    facts
}

/// The log of one index, read again and again while runs are killed.
#[derive(Default)]
pub struct LogReader {
    events: Vec<Value>,
    /// Whether the lists change. Labels are shown as the lists have them now, also in old events.
    lists_change: bool,
}

impl LogReader {
    /// For an index whose lists change.
    pub fn of_changing_lists() -> Self {
        Self { lists_change: true, ..Self::default() }
    }

    /// The events, as they were read last.
    pub fn events(&self) -> &[Value] {
        &self.events
    }

    /// Reads the log: what was in it before is unchanged, and each line that a run has printed is in it and is new.
    pub fn check(&mut self, program: &Program, printed: &[Value], what: &str) {
        if !program.has_index() {
            assert!(printed.is_empty(), "{what}: events were printed before there was an index: {printed:?}");
            return;
        }
        let (code, log) = program.jsonl(&["events"]);
        if code == 5 {
            assert!(self.events.is_empty() && printed.is_empty(), "{what}: the index became unreadable");
            return;
        }
        assert_eq!(code, 0, "{what}");
        let known = self.events.len();
        assert!(log.len() >= known, "{what}: the log has lost events");
        for (number, event) in (1..).zip(&log) {
            assert_eq!(event["seq"], number, "{what}: events are numbered without a gap");
        }
        for (event, before) in log.iter().zip(&self.events) {
            assert_eq!(self.comparable(event), self.comparable(before), "{what}: an event changed");
        }
        let mut last = known as u64;
        for line in printed {
            let seq = line["seq"].as_u64().expect("a number");
            assert!(seq > last, "{what}: {line} was printed again, or late");
            let in_log = usize::try_from(seq).ok().and_then(|seq| log.get(seq - 1)).map(|event| self.comparable(event));
            assert_eq!(in_log, Some(self.comparable(line)), "{what}: a printed event isn't in the log");
            last = seq;
        }
        self.events = log;
    }

    fn comparable(&self, event: &Value) -> Value {
        let mut event = event.clone();
        if self.lists_change {
            remove_labels(&mut event);
        }
        event
    }
}

fn remove_labels(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !name.starts_with("labels"));
            fields.values_mut().for_each(remove_labels);
        }
        Value::Array(values) => values.iter_mut().for_each(remove_labels),
        _ => {}
    }
}
