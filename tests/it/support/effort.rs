//! How much the tests draw: `PROPTEST_CASES` sets the cases of each property, `COINHOUND_LONG` (set by `scripts/test --long`) asks
//! for the long versions.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::support::wait::PATIENCE;

/// Longest time that a watched part may take: the parts take seconds, and where one waits in vain, the wait says what for before this.
const HANG: Duration = Duration::from_secs(4 * PATIENCE.as_secs());

/// Whether the long versions of the tests are asked for.
pub fn is_long() -> bool {
    std::env::var_os("COINHOUND_LONG").is_some()
}

/// Draws the cases of a property and checks each; `usual` is their number where `PROPTEST_CASES` sets none. `draw` is given the
/// number of the case and returns it with a name, which is printed where the check fails or hangs.
pub fn each_case<C>(usual: u64, draw: impl Fn(u64) -> (String, C), check: impl Fn(&mut C)) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual);
    for number in 0..cases {
        let (name, mut case) = draw(number);
        watched(&name, || check(&mut case));
    }
}

/// Runs a part of a test and prints `what` if it fails. A thread can't be ended, so if the part hangs the whole process aborts.
pub fn watched<T>(what: &str, part: impl FnOnce() -> T) -> T {
    let (done, waiting) = channel::<()>();
    let name = what.to_owned();
    let watchdog = std::thread::spawn(move || {
        if waiting.recv_timeout(HANG) == Err(RecvTimeoutError::Timeout) {
            say(&format!("no end after {HANG:?}: {name}"));
            std::process::abort();
        }
    });
    let result = catch_unwind(AssertUnwindSafe(part));
    drop(done);
    watchdog.join().expect("a watchdog doesn't panic");
    result.unwrap_or_else(|panic| {
        say(&format!("failed: {what}"));
        resume_unwind(panic)
    })
}

/// Prints a line that is shown even if the test passes: libtest captures `println!` only.
pub fn say(text: &str) {
    // A closed stderr fails no test.
    writeln!(std::io::stderr(), "{text}").ok();
}
