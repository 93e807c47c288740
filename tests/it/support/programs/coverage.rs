//! The coverage of two answers to one question, given at two moments.

use serde_json::Value;

/// A coverage without what another moment may change: the age of the last block, and whether the node answers in time.
pub fn lasting(coverage: &Value) -> Value {
    let mut coverage = coverage.clone();
    for name in ["age_s", "node", "lag"] {
        assert!(coverage.as_object_mut().and_then(|fields| fields.remove(name)).is_some(), "no {name} in {coverage}");
    }
    coverage
}
