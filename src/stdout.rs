//! Whether stdout was closed when the process was started. Rust's runtime opens `/dev/null` in place of a closed stdout before `main`
//! runs, so an answer would be lost and the exit code say that it was given. Only code that runs before the runtime can see
//! that it was closed.

use std::sync::atomic::{AtomicBool, Ordering};

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether stdout was closed when the process was started; `false` where that can't be known.
pub fn was_closed() -> bool {
    WAS_CLOSED.load(Ordering::Relaxed)
}

#[cfg(target_os = "linux")]
extern "C" fn look() {
    let flags = rustix::io::fcntl_getfd(rustix::stdio::stdout());
    WAS_CLOSED.store(flags == Err(rustix::io::Errno::BADF), Ordering::Relaxed);
}

/// The loader calls what this section points to before it starts the runtime.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "a section is the only way to run before the runtime; its one entry is a function of the right type"
)]
#[unsafe(link_section = ".init_array")]
#[used]
static LOOK: extern "C" fn() = look;
