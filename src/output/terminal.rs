//! The width of the terminal that answers go to, if they go to one.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

/// Narrower terminals get lines of this width, which they wrap.
const NARROWEST: usize = 40;

/// Columns of the terminal; unset where stdout is none, so that scripts and files get the same tables everywhere.
static WIDTH: OnceLock<Option<usize>> = OnceLock::new();

/// Looks for a terminal behind stdout: tables that are wider are laid out over several lines from now on.
pub fn look() {
    WIDTH.get_or_init(found);
}

/// Columns of the terminal, if [`look`] found one.
pub fn width() -> Option<usize> {
    WIDTH.get().copied().flatten()
}

#[cfg(unix)]
fn found() -> Option<usize> {
    let stdout = io::stdout();
    let size = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok()).flatten()?;
    // A serial line or a bare pseudo-terminal may have no size.
    Some(match usize::from(size.ws_col) {
        0 => 80,
        columns => columns.max(NARROWEST),
    })
}

#[cfg(not(unix))]
fn found() -> Option<usize> {
    io::stdout().is_terminal().then_some(80)
}
