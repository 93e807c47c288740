//! The log lines of the tests' own threads, for tests that call coinhound's library.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

thread_local! {
    /// The log of this thread, while a test captures it.
    static LOG: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Writes log lines to the log of the thread that they come from.
struct ThreadLog;

impl Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.as_mut().map(|log| log.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines that this thread logs during `work`, at level TRACE.
///
/// One subscriber serves the whole process, since several, each for one thread, disable one another's lines at times. It formats
/// nothing for threads that don't capture, since other tests run at the same time.
pub fn logs_of(work: impl FnOnce()) -> Vec<String> {
    static START: Once = Once::new();
    START.call_once(|| {
        let captures = dynamic_filter_fn(|_, _| LOG.try_with(|log| log.borrow().is_some()).unwrap_or(false));
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        subscriber.with_writer(|| ThreadLog).finish().with(captures).init();
    });
    LOG.set(Some(Vec::new()));
    work();
    let log = LOG.take().expect("set above");
    String::from_utf8(log).unwrap().lines().map(ToOwned::to_owned).collect()
}
