//! The request to stop: set by a signal, polled at block borders and in every wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A flag shared by all threads; once requested it stays so.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    /// The flag of the whole that this one stops a part of.
    whole: Option<Arc<AtomicBool>>,
}

impl Stop {
    /// Asks every holder of this flag to stop at the next block border.
    pub fn request(&self) {
        self.flag.store(true, Ordering::SeqCst);
    }

    /// Whether a stop was requested, of this part or of the whole.
    pub fn requested(&self) -> bool {
        self.flag.load(Ordering::SeqCst) || self.whole.as_ref().is_some_and(|whole| whole.load(Ordering::SeqCst))
    }

    /// A flag for a part of the work: it is set with this one, and can be set alone.
    #[must_use]
    pub fn of_part(&self) -> Self {
        Self { flag: Arc::default(), whole: Some(self.flag()) }
    }

    /// The flag itself, for a signal handler to set.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }

    /// Sleeps for `time`, or until a stop is requested; returns whether it was.
    pub fn wait(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while !self.requested() {
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return false;
            };
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_stops_with_the_whole_and_can_stop_alone() {
        let whole = Stop::default();
        let [first, second] = [whole.of_part(), whole.of_part()];
        first.request();
        assert!(first.requested() && !second.requested() && !whole.requested());
        whole.request();
        assert!(second.requested() && whole.requested());
    }
}
