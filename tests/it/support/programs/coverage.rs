//! The coverage of two answers to one question, given at two moments, and of one that knows how far the node is.

use serde_json::Value;

use crate::support::program::Program;
use crate::support::wait;

/// Asks until the node has answered in time, which on a busy machine it may not at once: answers are given without it, too. Returns the
/// exit code and the answer.
pub fn ask_with_node(program: &Program, question: &[&str]) -> (i32, Value) {
    let mut found = (0, Value::Null);
    wait::until(&format!("{question:?}: the node answers in time"), || {
        found = program.json(question);
        // `status` asks it for its version besides; in the answer of `verify` the same field stands for another question.
        let has_version = !question.contains(&"status") || !found.1["node"].is_null();
        !found.1["coverage"]["node"].is_null() && has_version
    });
    found
}

/// A coverage without what another moment may change: the age of the last block, and whether the node answers in time.
pub fn lasting(coverage: &Value) -> Value {
    let mut coverage = coverage.clone();
    for name in ["age_s", "node", "lag"] {
        assert!(coverage.as_object_mut().and_then(|fields| fields.remove(name)).is_some(), "no {name} in {coverage}");
    }
    coverage
}
