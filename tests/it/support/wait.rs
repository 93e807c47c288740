//! Waiting for a condition, instead of sleeping for a time that is hoped to be long enough.

use std::time::{Duration, Instant};

/// Longer than anything that a test waits for takes, also on a slow machine whose cores eight processes share. A wait that succeeds costs
/// none of it.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `holds` is true. Panics, naming `what` was waited for, if that takes longer than `PATIENCE`.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(PAUSE);
    }
}
