//! What a `follow` shows: progress and events, both on the thread that writes the index.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::chain::Height;
use crate::command::questions::events::Log;
use crate::error::Error;
use crate::index::Writer;
use crate::output::progress::Progress;
use crate::stop::Stop;
use crate::sync::apply::batch::RunTally;
use crate::sync::sweep::run::Observer;

/// Between two prints of new events while a sweep runs.
const PRINT_EVERY: Duration = Duration::from_millis(100);

/// Shows progress and prints events.
pub struct Screen<'a> {
    progress: Progress,
    writer: &'a Writer,
    log: &'a mut Log,
    stop: &'a Stop,
    /// Interrupts the sweep.
    pause: Arc<AtomicBool>,
    printed: Instant,
    /// The error that ended printing.
    failed: Option<Error>,
}

impl<'a> Screen<'a> {
    /// Prints the events of this index to `log`; where that fails, interrupts the sweep by `pause`.
    pub fn new(quiet: bool, writer: &'a Writer, log: &'a mut Log, stop: &'a Stop, pause: Arc<AtomicBool>) -> Self {
        let progress = Progress::new(quiet);
        Self { progress, writer, log, stop, pause, printed: Instant::now(), failed: None }
    }

    /// Prints new events.
    ///
    /// # Errors
    /// What printing and reading report, now or while the sweep ran.
    pub fn print(&mut self) -> Result<(), Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.printed = Instant::now();
        self.log.print(self.writer, self.stop)?;
        self.log.pause()
    }

    /// Whether the output still has a reader.
    ///
    /// # Errors
    /// [`crate::output::OutputError::Closed`].
    pub fn check(&mut self) -> Result<(), Error> {
        self.log.pause()
    }

    /// Prints while a sweep runs; an error ends the sweep.
    fn show(&mut self) {
        if self.failed.is_none()
            && let Err(error) = self.print()
        {
            self.failed = Some(error);
            self.pause.store(true, Ordering::SeqCst);
        }
    }
}

impl Observer for Screen<'_> {
    fn begin(&mut self, first: Height, last: Height, tally: &RunTally) {
        self.progress.begin(first, last, tally);
    }

    fn passed(&mut self, height: Height, tally: &RunTally) {
        self.progress.passed(height, tally);
        if self.printed.elapsed() >= PRINT_EVERY {
            self.show();
        }
    }

    fn end(&mut self) {
        self.progress.end();
        // Now, since the next request may wait for a node that is down.
        self.show();
    }
}
