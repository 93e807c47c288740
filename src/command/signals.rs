//! SIGINT and SIGTERM: the first asks for a stop at the next batch border, the second ends the process at once. SIGHUP, where a command
//! listens for it, has the lists read again.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, iterator::Signals};

use crate::error::Error;
use crate::lock::lock;
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

/// Lets SIGHUP set the flag that is returned, in place of ending the process.
///
/// # Errors
/// [`Error::System`].
pub fn listen_for_reread() -> Result<Arc<AtomicBool>, Error> {
    let reread = Arc::default();
    flag::register(SIGHUP, Arc::clone(&reread)).map_err(no_signals)?;
    Ok(reread)
}

/// Cancels requests to the node when a signal comes, so that a stop doesn't wait for the deadline of a node that doesn't answer.
pub struct HangUp {
    node: Arc<Mutex<Option<Node>>>,
}

impl HangUp {
    /// Listens from now on.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn listen() -> Result<Self, Error> {
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(no_signals)?;
        let node = Arc::<Mutex<Option<Node>>>::default();
        let shared = Arc::clone(&node);
        let spawned = std::thread::Builder::new().name("signals".into()).spawn(move || {
            if signals.forever().next().is_some()
                && let Some(node) = lock(&shared).as_ref()
            {
                node.hang_up();
            }
        });
        spawned.map_err(no_signals)?;
        Ok(Self { node })
    }

    /// From now on it is this node whose requests are cancelled; at once where `stop` is requested already.
    pub fn on(&self, node: &Node, stop: &Stop) {
        *lock(&self.node) = Some(node.clone());
        if stop.requested() {
            node.hang_up();
        }
    }
}

/// Cancels requests to this node when a signal comes.
///
/// # Errors
/// [`Error::System`].
pub fn hang_up_on(node: &Node) -> Result<(), Error> {
    HangUp::listen()?.on(node, &Stop::default());
    Ok(())
}

fn no_signals(source: std::io::Error) -> Error {
    Error::System { what: "listening for signals", source }
}
