//! SIGINT and SIGTERM: the first asks for a stop at the next batch border, the second ends the process at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, iterator::Signals};

use crate::error::Error;
use crate::node::Node;
use crate::stop::Stop;

/// The exit code of a process that SIGINT ended, as shells have it.
const INTERRUPTED: i32 = 130;

/// Lets signals set `stop`.
///
/// # Errors
/// [`Error::System`].
pub fn listen(stop: &Stop) -> Result<(), Error> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: a second signal finds the flag set by the first.
        flag::register_conditional_shutdown(signal, INTERRUPTED, stop.flag()).map_err(no_signals)?;
        flag::register(signal, stop.flag()).map_err(no_signals)?;
    }
    Ok(())
}

/// Cancels requests to the node when a signal comes, so that a stop doesn't wait for the deadline of a node that doesn't answer.
///
/// # Errors
/// [`Error::System`].
pub fn hang_up_on(node: &Node) -> Result<(), Error> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(no_signals)?;
    let node = node.clone();
    let spawned = std::thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            node.hang_up();
        }
    });
    spawned.map_err(no_signals)?;
    Ok(())
}

fn no_signals(source: std::io::Error) -> Error {
    Error::System { what: "listening for signals", source }
}
