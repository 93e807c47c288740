//! Progress of a sweep: a bar on a terminal, a log line every ten seconds elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::chain::Height;
use crate::sync::apply::batch::RunTally;
use crate::sync::sweep::run::Observer;

const LOG_EVERY: Duration = Duration::from_secs(10);
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// Shows the progress of sweeps.
pub struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    began: Instant,
    last_shown: Instant,
    first: Height,
    last: Height,
    passed: Option<Height>,
    bytes_before: u64,
    tally: RunTally,
}

impl Progress {
    /// Shows nothing if `quiet`.
    pub fn new(quiet: bool) -> Self {
        let now = Instant::now();
        let tally = RunTally::default();
        Self { bar: None, quiet, began: now, last_shown: now, first: 0, last: 0, passed: None, bytes_before: 0, tally }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn rate(&self) -> f64 {
        (self.tally.bytes - self.bytes_before) as f64 / 1e6 / self.began.elapsed().as_secs_f64().max(1e-3)
    }
}

impl Observer for Progress {
    fn begin(&mut self, first: Height, last: Height, tally: &RunTally) {
        self.began = Instant::now();
        self.last_shown = self.began;
        (self.first, self.last, self.passed) = (first, last, None);
        self.tally = *tally;
        self.bytes_before = tally.bytes;
        if self.quiet {
            return;
        }
        if io::stderr().is_terminal() {
            let bar =
                ProgressBar::with_draw_target(Some(u64::from(last - first) + 1), ProgressDrawTarget::stderr_with_hz(5));
            let style = ProgressStyle::with_template("{elapsed_precise} {bar:30} {pos}/{len} blocks, {msg}, ETA {eta}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.bar = Some(bar);
        } else if last > first {
            tracing::info!("scanning heights {first} to {last}");
        }
    }

    fn passed(&mut self, height: Height, tally: &RunTally) {
        self.tally = *tally;
        self.passed = Some(height);
        if self.quiet || self.last_shown.elapsed() < if self.bar.is_some() { DRAW_EVERY } else { LOG_EVERY } {
            return;
        }
        self.last_shown = Instant::now();
        let done = u64::from(height - self.first) + 1;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(format!("{:.0} MB/s, {} touches", self.rate(), tally.touches));
        } else {
            let left = u64::from(self.last - height);
            let eta = self.began.elapsed().as_secs() * left / done;
            tracing::info!(
                "at height {height} of {}: {:.0} MB/s, {} touches, {} min {} s left",
                self.last,
                self.rate(),
                tally.touches,
                eta / 60,
                eta % 60
            );
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        } else if let Some(passed) = self.passed.filter(|_| !self.quiet && self.last > self.first) {
            let (seconds, read) = (self.began.elapsed().as_secs_f64(), self.tally.bytes - self.bytes_before);
            tracing::info!(
                "scanned heights {} to {passed} in {seconds:.2} s: {} MB read, {:.0} MB/s",
                self.first,
                read / 1_000_000,
                self.rate()
            );
        }
    }
}
